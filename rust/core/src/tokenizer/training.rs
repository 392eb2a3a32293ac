//! Word counts -> a tokenizer: new, or an earlier one with more tokens.
//!
//! The trainer knows symbols: 256 bytes in their order, then merges. Here they get the ids of a vocabulary: special
//! tokens first, or after all that an earlier tokenizer has.

use std::sync::Arc;

use super::Tokenizer;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::model::Model;
use crate::pretokenize::Pretokenizer;
use crate::special::{self, SpecialToken};
use crate::train::{self, TrainOptions};
use crate::words::WordCounts;

/// What training knows of its text and of the tokens it made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Documents and bytes of text; 0 for counts that were made elsewhere.
    pub documents: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Distinct words.
    pub words: usize,
    /// Seconds that counting took, as the caller says.
    pub count_seconds: f64,
    /// Seconds that finding the merges took.
    pub merge_seconds: f64,
    /// The most memory that the process has had by then, in bytes, as the caller says; 0 where it is not known.
    pub peak_memory: u64,
    /// For each new merge, in order: how often its pair occurred when it was chosen.
    pub merge_counts: Vec<u64>,
    /// For each id: how often it occurs in the text it was trained on.
    pub token_counts: Vec<u64>,
}

impl Tokenizer {
    /// Trains on word counts. Ids: special tokens in order, then single bytes, then merges; `vocab_size` counts them
    /// all, and `options.merges` is not looked at. The vocabulary is smaller where the words give no more merges.
    pub fn train(
        words: &WordCounts,
        pretokenizer: Pretokenizer,
        vocab_size: usize,
        special_tokens: &[String],
        options: &TrainOptions,
        interrupt: &Interrupt<'_>,
    ) -> Result<Self> {
        let special_tokens = special::for_training(special_tokens)?;
        let least = 256 + special_tokens.len();
        let Some(merges) = vocab_size.checked_sub(least) else {
            return Err(Error::Training(format!(
                "vocab_size is {vocab_size}, but the 256 single bytes and {} special tokens are always in the \
                 vocabulary; pass vocab_size >= {least}",
                special_tokens.len()
            )));
        };
        let first = special_tokens.len() as u32;
        let tokens = options.byte_order.bytes().iter().zip(first..).map(|(&byte, id)| (vec![byte], id)).collect();
        let specials = special_tokens.into_iter().zip(0..);
        let specials = specials.map(|(content, id)| SpecialToken::new(content, id, true)).collect();
        let earlier =
            Earlier { tokens, pairs: Vec::new(), symbols: (first..first + 256).collect(), ignore_merges: false };
        let options = TrainOptions { merges, base: Vec::new(), ..options.clone() };
        finish(words, pretokenizer, earlier, specials, (Vec::new(), Vec::new()), options, interrupt)
    }

    /// What its training knew, for a tokenizer that was trained just now: files do not hold it.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    /// The same tokenizer with another report.
    #[must_use]
    pub fn with_report(mut self, report: Report) -> Self {
        self.report = Some(Arc::new(report));
        self
    }

    /// Trains on: every id of this tokenizer is kept, and `vocab_size` counts them. New special tokens come after them,
    /// then the new merges.
    ///
    /// The words must be cut by `pretokenizer`, which is that of the result. Where it cuts less than this tokenizer's,
    /// the new merges go across borders that the old ones were held by: superwords (Liu et al. 2025, *`SuperBPE`*).
    pub fn extend(
        &self,
        words: &WordCounts,
        pretokenizer: Pretokenizer,
        vocab_size: usize,
        special_tokens: &[String],
        options: &TrainOptions,
        interrupt: &Interrupt<'_>,
    ) -> Result<Self> {
        let pattern = pretokenizer.pattern();
        if let Some(corpus) = words.corpus().filter(|corpus| corpus.pattern.as_deref() != pattern) {
            return Err(Error::Training(format!(
                "the words were cut by the pattern {:?}, but are to be cut by {pattern:?}; count with that",
                corpus.pattern
            )));
        }
        if !self.is_plain() {
            return Err(Error::Training(
                "base has a normalizer, or a vocabulary of characters; only byte-level tokenizers without a normalizer \
                 are gone on with, because the words were counted as they stand"
                    .into(),
            ));
        }
        let mut specials = self.specials.tokens().to_vec();
        let known = |specials: &[SpecialToken], text: &str| specials.iter().any(|token| token.content == text);
        for content in special::for_training(special_tokens)? {
            if !known(&specials, &content) {
                let id = (self.vocab_size() + specials.len() - self.specials.tokens().len()) as u32;
                specials.push(SpecialToken::new(content, id, true));
            }
        }
        let least = self.vocab_size() + specials.len() - self.specials.tokens().len();
        let Some(merges) = vocab_size.checked_sub(least) else {
            return Err(Error::Training(format!(
                "vocab_size is {vocab_size}, but the base and the special tokens have {least} ids already; pass \
                 vocab_size >= {least}"
            )));
        };
        let mut symbols: Vec<u32> = options.byte_order.bytes().iter().map(|&byte| self.model.byte_id(byte)).collect();
        let mut symbol_of = vec![u32::MAX; self.vocab_size()];
        symbols.iter().zip(0..).for_each(|(&id, symbol)| symbol_of[id as usize] = symbol);
        let mut base = Vec::with_capacity(self.model.merges().len());
        let mut pairs = Vec::with_capacity(self.model.merges().len());
        for merge in self.model.merges() {
            pairs.push((merge.left, merge.right));
            let sides = (symbol_of[merge.left as usize], symbol_of[merge.right as usize]);
            // A second pair for one token, or one of a token that is itself never made, makes no symbol.
            if symbol_of[merge.product as usize] == u32::MAX && sides.0 != u32::MAX && sides.1 != u32::MAX {
                symbol_of[merge.product as usize] = symbols.len() as u32;
                symbols.push(merge.product);
                base.push(sides);
            }
        }
        let tokens: Vec<(Vec<u8>, u32)> =
            (0..self.vocab_size() as u32).filter_map(|id| Some((self.model.token(id)?.to_vec(), id))).collect();
        let ignore_merges = self.model.ignores_merges();
        let mut options = TrainOptions { merges, base, ..options.clone() };
        options.taken.extend(tokens.iter().map(|(bytes, _)| bytes.clone()));
        let earlier = Earlier { tokens, pairs, symbols, ignore_merges };
        let template = self.template.clone();
        finish(words, pretokenizer, earlier, specials, template, options, interrupt)
    }

    /// Only the ids below `n`: what training to `n` would have given.
    pub fn with_vocab_size(&self, n: usize) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Training(format!("with_vocab_size({n}): {reason}")));
        if n > self.vocab_size() {
            return refuse(format!("the vocabulary has only {} ids; pass at most that", self.vocab_size()));
        }
        let kept = |id: u32| (id as usize) < n;
        if let Some(token) = self.specials.tokens().iter().find(|token| !kept(token.id)) {
            return refuse(format!(
                "the special token {:?} has id {} and would be lost; pass a size above it",
                token.content, token.id
            ));
        }
        let needed = |byte: u8| self.model.byte_id(byte) != u32::MAX;
        if let Some(byte) = (0..=255u8).find(|&byte| needed(byte) && !kept(self.model.byte_id(byte))) {
            return refuse(format!(
                "the single byte 0x{byte:02X} has id {} and must stay; pass a size above it",
                self.model.byte_id(byte)
            ));
        }
        let (mut tokens, mut silent) = (Vec::new(), Vec::new());
        for (id, bytes) in (0..n as u32).filter_map(|id| Some((id, self.model.token(id)?))) {
            if self.model.id(bytes) == Some(id) { tokens.push((bytes, id)) } else { silent.push((bytes.to_vec(), id)) }
        }
        let merges = self
            .model
            .merges()
            .iter()
            .filter(|merge| kept(merge.left) && kept(merge.right) && kept(merge.product))
            .map(|merge| (merge.left, merge.right))
            .collect();
        let alphabet = self.model.alphabet().clone();
        let model = Model::with_alphabet(alphabet, &tokens, &silent, merges, self.model.ignores_merges());
        let model = model.map_err(Error::Internal)?;
        let specials = self.specials.tokens().to_vec();
        let smaller = Self::new(self.pretokenizer.clone(), model, specials, self.template.clone())?
            .with_normalizer(self.normalizer.clone(), self.preparation.clone())?;
        Ok(match &self.decoder {
            Some((decoder, _)) => smaller.with_decoder(decoder.clone()),
            None => smaller,
        })
    }
}

/// What stands before the first new merge.
struct Earlier {
    tokens: Vec<(Vec<u8>, u32)>,
    pairs: Vec<(u32, u32)>,
    /// The id of each symbol of the trainer.
    symbols: Vec<u32>,
    ignore_merges: bool,
}

fn finish(
    words: &WordCounts,
    pretokenizer: Pretokenizer,
    earlier: Earlier,
    specials: Vec<SpecialToken>,
    template: (Vec<u32>, Vec<u32>),
    mut options: TrainOptions,
    interrupt: &Interrupt<'_>,
) -> Result<Tokenizer> {
    if words.is_empty() {
        return Err(Error::Training("the corpus holds no text; pass at least one document that is not empty".into()));
    }
    let Earlier { mut tokens, mut pairs, mut symbols, ignore_merges } = earlier;
    options.taken.extend(specials.iter().map(|token| token.content.clone().into_bytes()));
    let start = std::time::Instant::now();
    let trained = train::train(words, &options, interrupt)?;
    let greatest = tokens.iter().map(|token| token.1).chain(specials.iter().map(|token| token.id)).max();
    let first = greatest.map_or(0, |id| id + 1);
    let mut place = vec![usize::MAX; first as usize];
    tokens.iter().enumerate().for_each(|(index, token)| place[token.1 as usize] = index);
    for (merge, id) in trained.merges.iter().zip(first..) {
        let (left, right) = (symbols[merge.left as usize], symbols[merge.right as usize]);
        let bytes = |id: u32| &tokens[place[id as usize]].0;
        let joined = [&bytes(left)[..], bytes(right)].concat();
        place.push(tokens.len());
        tokens.push((joined, id));
        pairs.push((left, right));
        symbols.push(id);
    }
    let mut token_counts = vec![0; first as usize + trained.merges.len()];
    for (&id, &count) in symbols.iter().zip(&trained.frequencies) {
        token_counts[id as usize] += count;
    }
    let report = Report {
        documents: words.corpus().map_or(0, |corpus| corpus.documents),
        bytes: words.corpus().map_or(0, |corpus| corpus.bytes),
        words: words.len(),
        merge_seconds: start.elapsed().as_secs_f64(),
        merge_counts: trained.merges.iter().map(|merge| merge.count).collect(),
        token_counts,
        ..Report::default()
    };
    let model = Model::from_merges(&tokens, pairs, ignore_merges).map_err(Error::Internal)?;
    Ok(Tokenizer::new(pretokenizer, model, specials, template)?.with_report(report))
}
