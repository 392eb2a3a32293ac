//! A tokenizer: pretokenizer, model and special tokens, put together and never changed again.
//!
//! Every method takes `&self`, and what calls leave behind for later ones changes no result ([`CacheStats`]), so a
//! tokenizer is used from many threads at once.

mod files;
mod training;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

pub use files::FileCount;
pub use training::Report;

use crate::batch;
pub use crate::batch::Batch;
use crate::cache::{CacheStats, Pool};
use crate::decode::{Decoder, Rows, Surfaces, Vocabulary};
use crate::encode::{self, Count, Encoder, Sink};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::merge::Merger;
use crate::model::Model;
use crate::normalize::Normalizer;
use crate::pretokenize::{Pretokenizer, UNICODE_VERSION};
use crate::special::{Finders, SpecialToken, SpecialTokens, Which};
use crate::threads::Member;

/// The stand-in for a space in `SentencePiece` models, which begins a word.
const WORD: &str = "\u{2581}";

/// What encoding does with special tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeOptions<'a> {
    /// Special tokens whose spelling in the text means the token.
    pub allowed: Which<'a>,
    /// Special tokens whose spelling in the text is an error.
    pub disallowed: Which<'a>,
    /// Whether the ids that the tokenizer's own template puts around a text are added.
    pub add_special_tokens: bool,
    /// Takes no fast path and keeps nothing: what the fast paths are compared with.
    #[doc(hidden)]
    pub plain: bool,
}

/// BPE: text to ids and back, exactly.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    name: Option<String>,
    normalizer: Normalizer,
    /// What is done to text between special tokens before it is cut: a space in front.
    preparation: Normalizer,
    pretokenizer: Pretokenizer,
    model: Model,
    specials: SpecialTokens,
    /// How ids become text, where tokens are not the bytes they stand for.
    decoder: Option<(Decoder, Surfaces)>,
    /// Made when something is decoded.
    rows: OnceLock<Arc<Rows>>,
    /// Ids before and after a text under `add_special_tokens`.
    template: (Vec<u32>, Vec<u32>),
    report: Option<Arc<Report>>,
    /// Made when there is text enough.
    merger: OnceLock<Option<Arc<Merger>>>,
    /// How much text was encoded without it.
    begun: Begun,
    /// What is kept between calls; never a part of the result.
    pool: Pool,
}

/// With so many tokens the first bytes, half as many as there are tokens, are merged the plain way: the tables of the fast
/// ways take 10 to 80 ms for one or two hundred thousand tokens, and a process that encodes one prompt need not wait for them.
const LARGE: usize = 1 << 12;

/// Bytes of text, counted by any number of threads.
#[derive(Debug, Default)]
struct Begun(AtomicUsize);

impl Begun {
    /// Adds to it and returns the sum.
    fn add(&self, bytes: usize) -> usize {
        self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }
}

impl Clone for Begun {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Tokenizer {
    /// Puts the parts together. `template`: ids before and after a text under `add_special_tokens`.
    pub fn new(
        pretokenizer: Pretokenizer,
        model: Model,
        specials: Vec<SpecialToken>,
        template: (Vec<u32>, Vec<u32>),
    ) -> Result<Self> {
        for token in &specials {
            // Ids index arrays: a file of a few bytes must not ask for gigabytes.
            if token.id as usize > model.len() * 4 + 100_000 {
                return Err(Error::SpecialToken {
                    token: token.content.clone(),
                    reason: format!(
                        "its id {} is far beyond the {} ids of the vocabulary; ids must be nearly dense",
                        token.id,
                        model.len()
                    ),
                });
            }
            if let Some(bytes) = model.token(token.id).filter(|bytes| *bytes != token.content.as_bytes()) {
                return Err(Error::SpecialToken {
                    token: token.content.clone(),
                    reason: format!(
                        "its id {} is that of {:?}; give it one of its own",
                        token.id,
                        String::from_utf8_lossy(bytes)
                    ),
                });
            }
        }
        let normalizer = Normalizer::default();
        let specials = SpecialTokens::new(specials, &normalizer)?;
        let preparation = Normalizer::default();
        // Pieces of a model of characters are cut where that changes nothing, or a document would be one piece.
        let pretokenizer = match model.joined_before(WORD) {
            Some(joined) => pretokenizer.or_before(WORD, joined),
            None => pretokenizer,
        };
        let tokenizer = Self {
            name: None,
            normalizer,
            preparation,
            pretokenizer,
            model,
            specials,
            decoder: None,
            rows: OnceLock::new(),
            template: (Vec::new(), Vec::new()),
            report: None,
            merger: OnceLock::new(),
            begun: Begun::default(),
            pool: Pool::default(),
        };
        tokenizer.with_template(template)
    }

    /// The same tokenizer under a name.
    #[must_use]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// The same tokenizer with these ranks of its merges, of which some are the same ([`Model::tied_ranks`]).
    pub fn with_tied_ranks(mut self, ranks: &[u32]) -> Result<Self> {
        self.model.set_ranks(ranks).map_err(Error::Argument)?;
        self.merger = OnceLock::new();
        Ok(self)
    }

    /// The same tokenizer with a normalizer, and with what is done to text between special tokens before it is cut.
    pub fn with_normalizer(mut self, normalizer: Normalizer, preparation: Normalizer) -> Result<Self> {
        self.specials = SpecialTokens::new(self.specials.tokens().to_vec(), &normalizer)?;
        self.normalizer = normalizer;
        self.preparation = preparation;
        Ok(self)
    }

    /// The same tokenizer with tokens that become text in their own way.
    #[must_use]
    pub fn with_decoder(mut self, decoder: Decoder) -> Self {
        let surfaces = decoder.surfaces(&self.model, &self.specials, self.vocab_size());
        self.decoder = Some((decoder, surfaces));
        self.rows = OnceLock::new();
        self
    }

    /// The same tokenizer with these ids before and after a text under `add_special_tokens`.
    pub fn with_template(mut self, template: (Vec<u32>, Vec<u32>)) -> Result<Self> {
        if let Some(&id) = template.0.iter().chain(&template.1).find(|&&id| self.token_bytes(id).is_none()) {
            return Err(Error::TokenId { id: i128::from(id), position: 0, vocab_size: self.vocab_size() });
        }
        self.template = template;
        Ok(self)
    }

    /// Whether text is cut as it comes, and tokens are its bytes: no normalizer, no special token that takes more along
    /// than its spelling.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.normalizer.is_empty()
            && self.preparation.is_empty()
            && self.model.starts_from_bytes()
            && self.specials.are_plain()
    }

    /// What a thread needs to encode its share of so many bytes of text.
    fn encoder(&self, options: &EncodeOptions<'_>, bytes: usize, member: Member) -> Encoder<'_> {
        let plain_first = if self.model.len() < LARGE { 0 } else { self.model.len() / 2 };
        let begins = || self.merger.get().is_none() && self.begun.add(bytes) <= plain_first;
        if options.plain || begins() {
            return Encoder::plain(&self.model, &self.pretokenizer);
        }
        let merger = || self.merger.get_or_init(|| Merger::new(&self.model).map(Arc::new)).as_deref();
        // The caller begins with the merger where there is none; others prepare their workspaces meanwhile.
        if member.number == 0 {
            merger();
        }
        Encoder::new(&self.model, merger, &self.pretokenizer, self.pool.borrow(bytes, member))
    }

    /// Encodes a text into a sink.
    fn encode_into(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        encoder: &mut Encoder<'_>,
        sink: &mut impl Sink,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        self.specials.refuse(text, options.disallowed, options.allowed)?;
        let (before, after): (&[u32], &[u32]) =
            if options.add_special_tokens { (&self.template.0, &self.template.1) } else { (&[], &[]) };
        sink.extend(before);
        let finders = self.specials.finders(options.allowed)?;
        finders.raw.split(
            &mut (&mut *sink, encoder),
            text,
            |(sink, encoder), start, end| {
                if sink.is_full() {
                    return Ok(());
                }
                if self.normalizer.is_empty() && self.preparation.is_empty() && finders.normalized.is_empty() {
                    return encoder.encode(&text[start..end], *sink, interrupt);
                }
                self.encode_normalized(&text[start..end], start == 0, &finders, encoder, *sink, interrupt)
            },
            |(sink, _), id, _, _| sink.extend(&[id]),
        )?;
        sink.extend(after);
        Ok(())
    }

    /// The ids of one piece.
    pub(crate) fn encode_piece(&self, piece: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        encode::encode_piece(&self.model, piece, &mut ids, interrupt)?;
        Ok(ids)
    }

    /// Encodes a stretch between special tokens, by way of the normalizer. `first`: whether it begins the text.
    fn encode_normalized(
        &self,
        text: &[u8],
        first: bool,
        finders: &Finders,
        encoder: &mut Encoder<'_>,
        sink: &mut impl Sink,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        let text = self.normalizer.normalize(text, first);
        finders.normalized.split(
            &mut (sink, encoder),
            &text,
            |(sink, encoder), start, end| {
                let prepared = self.preparation.normalize(&text[start..end], first && start == 0);
                encoder.encode(&prepared, *sink, interrupt)
            },
            |(sink, _), id, _, _| sink.extend(&[id]),
        )
    }

    /// The ids of a text.
    pub fn encode(&self, text: &[u8], options: &EncodeOptions<'_>, interrupt: &Interrupt<'_>) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 4);
        self.encode_onto(text, options, &mut ids, interrupt)?;
        Ok(ids)
    }

    /// Appends the ids of a text; after an error some of them are there.
    pub fn encode_onto(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        ids: &mut Vec<u32>,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        self.encode_into(text, options, &mut self.encoder(options, text.len(), Member::ALONE), ids, interrupt)
    }

    /// How many ids a text has: the length of [`Self::encode`].
    pub fn count(&self, text: &[u8], options: &EncodeOptions<'_>, interrupt: &Interrupt<'_>) -> Result<u64> {
        let mut count = Count::default();
        self.encode_into(text, options, &mut self.encoder(options, text.len(), Member::ALONE), &mut count, interrupt)?;
        Ok(count.number)
    }

    /// As [`Self::count`] where that is at most `limit`, else `limit + 1`: text after that is not looked at.
    pub fn count_up_to(
        &self,
        text: &[u8],
        limit: u64,
        options: &EncodeOptions<'_>,
        interrupt: &Interrupt<'_>,
    ) -> Result<u64> {
        let mut count = Count { number: 0, limit };
        // A token has at least one byte, but a long text is seldom looked at beyond this.
        let bytes = text.len().min(usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(16));
        self.encode_into(text, options, &mut self.encoder(options, bytes, Member::ALONE), &mut count, interrupt)?;
        Ok(count.number.min(limit.saturating_add(1)))
    }

    /// The ids of many texts.
    pub fn encode_batch(
        &self,
        texts: &[&[u8]],
        options: &EncodeOptions<'_>,
        threads: usize,
        interrupt: &Interrupt<'_>,
    ) -> Result<Batch> {
        batch::encode(
            texts,
            threads,
            interrupt,
            |bytes, member| self.encoder(options, bytes, member),
            |encoder, text, ids| self.encode_into(text, options, encoder, ids, interrupt),
        )
    }

    /// How many ids each of many texts has.
    pub fn count_batch(
        &self,
        texts: &[&[u8]],
        options: &EncodeOptions<'_>,
        threads: usize,
        interrupt: &Interrupt<'_>,
    ) -> Result<Vec<i64>> {
        batch::count(
            texts,
            threads,
            interrupt,
            |bytes, member| self.encoder(options, bytes, member),
            |encoder, text| {
                let mut count = Count::default();
                self.encode_into(text, options, encoder, &mut count, interrupt)?;
                Ok(count.number)
            },
        )
    }

    /// What is kept of texts that were encoded before, and how well that does.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.pool.stats()
    }

    /// Forgets texts that were encoded before and frees their memory. Results stay the same.
    pub fn clear_cache(&self) {
        self.pool.clear();
    }

    /// The vocabulary, for decoding.
    #[inline]
    pub(crate) fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary {
            model: &self.model,
            specials: &self.specials,
            surfaces: self.decoder.as_ref().map(|(decoder, surfaces)| (decoder, surfaces)),
            vocab_size: self.vocab_size(),
        }
    }

    /// The same laid out for many ids.
    pub(crate) fn rows(&self) -> &Rows {
        self.rows.get_or_init(|| Arc::new(Rows::new(self.vocabulary())))
    }

    /// The bytes that ids stand for.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(ids.len() * 5 + 16);
        self.vocabulary().decode(self.rows(), ids, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes that one id stands for, special tokens included.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.vocabulary().token(id)
    }

    /// The text of a token as a file has it, special tokens included.
    #[must_use]
    pub(crate) fn written(&self, id: u32) -> Option<&[u8]> {
        crate::decode::written(&self.model, &self.specials, id)
    }

    /// The id of a token's bytes, special tokens included.
    #[must_use]
    pub fn token_id(&self, bytes: &[u8]) -> Option<u32> {
        let special = self.specials.tokens().iter().find(|token| token.content.as_bytes() == bytes);
        if self.decoder.is_none() {
            return self.model.id(bytes).or(special.map(|token| token.id));
        }
        // Several tokens may stand for the same bytes; one that is written out wins over one that names a byte.
        let stands_for = |&id: &u32| self.token_bytes(id) == Some(bytes);
        special.map(|token| token.id).or_else(|| (0..self.vocab_size() as u32).rev().find(stands_for))
    }

    /// One more than the greatest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        let greatest_special = self.specials.tokens().last().map_or(0, |token| token.id as usize + 1);
        self.model.len().max(greatest_special)
    }

    /// What it is called, if anything.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What is done to text before it is cut.
    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// What is done to text between special tokens before it is cut.
    #[must_use]
    pub fn preparation(&self) -> &Normalizer {
        &self.preparation
    }

    /// How ids become text, where tokens are not the bytes they stand for.
    #[must_use]
    pub fn decoder(&self) -> Option<&Decoder> {
        self.decoder.as_ref().map(|(decoder, _)| decoder)
    }

    /// How text is cut into pieces.
    #[must_use]
    pub fn pretokenizer(&self) -> &Pretokenizer {
        &self.pretokenizer
    }

    /// The vocabulary and the merges.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The special tokens.
    #[must_use]
    pub fn specials(&self) -> &SpecialTokens {
        &self.specials
    }

    /// The ids before and after a text under `add_special_tokens`.
    #[must_use]
    pub fn template(&self) -> (&[u32], &[u32]) {
        (&self.template.0, &self.template.1)
    }

    /// A SHA-256 in hexadecimal over everything that decides ids: what is done to text, how it is cut, the version of
    /// Unicode, tokens, merges, special tokens. The name is not part of it, and neither are merges that never happen:
    /// the same tokenizer has the same fingerprint in every format that holds all of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(b"tokfast 2");
        field(UNICODE_VERSION.as_bytes());
        for normalizer in [&self.normalizer, &self.preparation] {
            field(format!("{:?}", normalizer.steps().collect::<Vec<_>>()).as_bytes());
        }
        field(self.pretokenizer.pattern().unwrap_or_default().as_bytes());
        let (merges, all_reachable) = self.model.effective_merges();
        let looks_up = self.model.ignores_merges() && !all_reachable;
        field(&[u8::from(self.pretokenizer.pattern().is_some()), u8::from(looks_up)]);
        field(format!("{:?}", self.model.alphabet()).as_bytes());
        for id in 0..self.vocab_size() as u32 {
            field(self.written(id).unwrap_or_default());
        }
        for merge in merges {
            field(&[merge.left.to_le_bytes(), merge.right.to_le_bytes()].concat());
        }
        for token in self.specials.tokens() {
            field(token.content.as_bytes());
            let flags = [token.special, token.lstrip, token.rstrip, token.single_word, token.normalized];
            field(&[token.id.to_le_bytes().as_slice(), &flags.map(u8::from)].concat());
        }
        for ids in [&self.template.0, &self.template.1] {
            field(&ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>());
        }
        format!("{:x}", hash.finalize())
    }
}
