//! A tokenizer: pretokenizer, model and special tokens, put together and never changed again.
//!
//! Every method takes `&self` and keeps nothing between calls, so a tokenizer is used from many threads at once.

mod training;

use sha2::{Digest, Sha256};

pub use training::Report;

use crate::cache::Cache;
use crate::decode;
use crate::encode::{self, Count, Sink};
use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, Phase};
use crate::model::Model;
use crate::pretokenize::{Pretokenizer, UNICODE_VERSION};
use crate::special::{SpecialToken, SpecialTokens, Which};
use crate::threads;

/// Bytes of text below which another thread costs more than it brings.
const TEXT_PER_THREAD: usize = 128 << 10;

/// What encoding does with special tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeOptions<'a> {
    /// Special tokens whose spelling in the text means the token.
    pub allowed: Which<'a>,
    /// Special tokens whose spelling in the text is an error.
    pub disallowed: Which<'a>,
    /// Whether the ids that the tokenizer's own template puts around a text are added.
    pub add_special_tokens: bool,
}

/// Byte-level BPE: text to ids and back, exactly.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    name: Option<String>,
    pretokenizer: Pretokenizer,
    model: Model,
    specials: SpecialTokens,
    /// Ids before and after a text under `add_special_tokens`.
    template: (Vec<u32>, Vec<u32>),
    report: Option<std::sync::Arc<Report>>,
}

/// The ids of many texts: those of text `i` are `ids[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All ids.
    pub ids: Vec<u32>,
    /// Where each text begins; one more entry than texts.
    pub offsets: Vec<i64>,
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
        let tokenizer =
            Self { name: None, pretokenizer, model, specials: SpecialTokens::new(specials)?, template, report: None };
        for &id in tokenizer.template.0.iter().chain(&tokenizer.template.1) {
            if tokenizer.token_bytes(id).is_none() {
                return Err(Error::TokenId { id: i128::from(id), position: 0, vocab_size: tokenizer.vocab_size() });
            }
        }
        Ok(tokenizer)
    }

    /// The same tokenizer under a name.
    #[must_use]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// Encodes a text into a sink.
    fn encode_into(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        cache: &mut Cache,
        sink: &mut impl Sink,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        self.specials.refuse(text, options.disallowed, options.allowed)?;
        let (before, after): (&[u32], &[u32]) =
            if options.add_special_tokens { (&self.template.0, &self.template.1) } else { (&[], &[]) };
        sink.extend(before);
        self.specials.finder(options.allowed)?.split(
            &mut (&mut *sink, cache),
            text,
            |(sink, cache), start, end| {
                encode::encode(&self.model, &self.pretokenizer, cache, &text[start..end], *sink, interrupt)
            },
            |(sink, _), id| sink.extend(&[id]),
        )?;
        sink.extend(after);
        Ok(())
    }

    /// The ids of a text.
    pub fn encode(&self, text: &[u8], options: &EncodeOptions<'_>, interrupt: &Interrupt<'_>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.encode_into(text, options, &mut Cache::for_text(text.len()), &mut ids, interrupt)?;
        Ok(ids)
    }

    /// How many ids a text has: the length of [`Self::encode`].
    pub fn count(&self, text: &[u8], options: &EncodeOptions<'_>, interrupt: &Interrupt<'_>) -> Result<u64> {
        let mut count = Count::default();
        self.encode_into(text, options, &mut Cache::for_text(text.len()), &mut count, interrupt)?;
        Ok(count.0)
    }

    /// Runs over groups of neighbouring texts on several threads, and returns what each group gave, in order.
    fn over_groups<T: Send>(
        texts: &[&[u8]],
        threads: usize,
        interrupt: &Interrupt<'_>,
        work: impl Fn(&[&[u8]], &mut Cache) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let total: usize = texts.iter().map(|text| text.len()).sum();
        interrupt.begin(Phase::Encode, total as u64);
        let mut groups = Vec::new();
        let (mut start, mut size) = (0, 0);
        for (index, text) in texts.iter().enumerate() {
            size += text.len();
            if size >= TEXT_PER_THREAD || index + 1 == texts.len() {
                groups.push(&texts[start..=index]);
                (start, size) = (index + 1, 0);
            }
        }
        let states = threads::run(
            threads.min(total / TEXT_PER_THREAD + 1),
            groups.len(),
            || (Vec::new(), Cache::for_text(total)),
            |(done, cache), index| {
                done.push((index, work(groups[index], cache)?));
                interrupt.advance(groups[index].iter().map(|text| text.len() as u64).sum())
            },
        )?;
        let mut done: Vec<(usize, T)> = states.into_iter().flat_map(|(done, _)| done).collect();
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// The ids of many texts.
    pub fn encode_batch(
        &self,
        texts: &[&[u8]],
        options: &EncodeOptions<'_>,
        threads: usize,
        interrupt: &Interrupt<'_>,
    ) -> Result<Batch> {
        let groups = Self::over_groups(texts, threads, interrupt, |group, cache| {
            let mut ids = Vec::with_capacity(group.iter().map(|text| text.len()).sum::<usize>() / 3);
            let mut ends = Vec::with_capacity(group.len());
            for text in group {
                self.encode_into(text, options, cache, &mut ids, interrupt)?;
                ends.push(ids.len());
            }
            Ok((ids, ends))
        })?;
        let mut batch = Batch {
            ids: Vec::with_capacity(groups.iter().map(|(ids, _)| ids.len()).sum()),
            offsets: Vec::with_capacity(texts.len() + 1),
        };
        batch.offsets.push(0);
        for (ids, ends) in groups {
            let base = batch.ids.len();
            batch.offsets.extend(ends.iter().map(|end| (base + end) as i64));
            batch.ids.extend_from_slice(&ids);
        }
        Ok(batch)
    }

    /// How many ids each of many texts has.
    pub fn count_batch(
        &self,
        texts: &[&[u8]],
        options: &EncodeOptions<'_>,
        threads: usize,
        interrupt: &Interrupt<'_>,
    ) -> Result<Vec<i64>> {
        let groups = Self::over_groups(texts, threads, interrupt, |group, cache| {
            let counts = group.iter().map(|text| {
                let mut count = Count::default();
                self.encode_into(text, options, cache, &mut count, interrupt).map(|()| count.0 as i64)
            });
            counts.collect::<Result<Vec<_>>>()
        })?;
        Ok(groups.concat())
    }

    /// The bytes that ids stand for.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        decode::decode(&self.model, &self.specials, ids, self.vocab_size(), &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of one id, special tokens included.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        decode::token(&self.model, &self.specials, id)
    }

    /// The id of a token's bytes, special tokens included.
    #[must_use]
    pub fn token_id(&self, bytes: &[u8]) -> Option<u32> {
        let special = self.specials.tokens().iter().find(|token| token.content.as_bytes() == bytes);
        self.model.id(bytes).or(special.map(|token| token.id))
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

    /// A SHA-256 in hexadecimal over everything that decides ids: pattern, Unicode version, tokens, merges, special
    /// tokens. The name is not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(b"tokfast 1");
        field(UNICODE_VERSION.as_bytes());
        field(self.pretokenizer.pattern().unwrap_or_default().as_bytes());
        field(&[u8::from(self.pretokenizer.pattern().is_some()), u8::from(self.model.ignores_merges())]);
        for id in 0..self.vocab_size() as u32 {
            field(self.model.token(id).unwrap_or_default());
        }
        for merge in self.model.merges() {
            field(&[merge.left.to_le_bytes(), merge.right.to_le_bytes()].concat());
        }
        for token in self.specials.tokens() {
            field(token.content.as_bytes());
            field(&[token.id.to_le_bytes().as_slice(), &[u8::from(token.special)]].concat());
        }
        for ids in [&self.template.0, &self.template.1] {
            field(&ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>());
        }
        format!("{:x}", hash.finalize())
    }
}
