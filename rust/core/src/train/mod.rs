//! Word counts -> merges in order.
//!
//! Byte-pair encoding counts every pair of neighbouring symbols, merges the most frequent into a new symbol, and
//! begins again. The rule of ties is part of the result: the higher count first, then the smaller left id, then the
//! smaller right id, where ids are those of the tokenizer: bytes in [`ByteOrder`], then merges in order.
//!
//! Rooms: [`layout`] lays the words out as one array of symbols, merged already by an earlier tokenizer where there is
//! one ([`base`]); [`merge`] finds the merges on it, with [`scan`] for counting all pairs, [`neighbours`] for what a
//! merge changes, and [`taken`] for what may not be made.
//!
//! Source: Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with Subword Units"
//! (arXiv 1508.07909); the counting rules are those of Hugging Face tokenizers 0.23, `BpeTrainer`.

mod base;
mod layout;
mod merge;
mod neighbours;
mod scan;
mod taken;

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::words::WordCounts;

/// The order of the 256 single bytes, which decides ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// That of GPT-2 and Hugging Face: the printable bytes first.
    #[default]
    HuggingFace,
    /// 0, 1, ... 255.
    Raw,
}

impl ByteOrder {
    /// The bytes in this order: `bytes()[id]` is the byte of `id`.
    #[must_use]
    pub fn bytes(self) -> [u8; 256] {
        let mut bytes: [u8; 256] = std::array::from_fn(|index| index as u8);
        if self == Self::HuggingFace {
            // GPT-2 writes printable bytes as themselves and the others as characters from U+0100 on.
            let printable = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
            bytes.sort_by_key(|&byte| (!printable(byte), byte));
        }
        bytes
    }
}

/// What to train.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// How many merges at most.
    pub merges: usize,
    /// Pairs that occur less often are not merged; 0 is read as 1.
    pub min_frequency: u64,
    /// Hugging Face's rule: a pair of this many bytes or more is merged only if both its sides are single bytes.
    pub max_token_length: Option<usize>,
    /// At most this many bytes take part, the most frequent ones; the others vanish from the words.
    pub limit_alphabet: Option<usize>,
    /// Bytes that `limit_alphabet` never drops.
    pub keep: Vec<u8>,
    /// The order of the single bytes.
    pub byte_order: ByteOrder,
    /// Merges to begin with, as pairs of symbols: bytes in the byte order, then the merges themselves. They are not
    /// among the merges that are found.
    pub base: Vec<(u32, u32)>,
    /// Strings that no merge may make.
    pub taken: HashSet<Vec<u8>>,
    /// How many threads lay out words and count pairs; the merges are the same.
    pub threads: usize,
    /// A pair must occur at least this often to be looked at; lowered as needed, so it changes the time taken and
    /// nothing else. `None`: guessed.
    pub threshold: Option<u64>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            merges: 32_000 - 256,
            min_frequency: 1,
            max_token_length: None,
            limit_alphabet: None,
            keep: Vec::new(),
            byte_order: ByteOrder::default(),
            base: Vec::new(),
            taken: HashSet::new(),
            threads: 1,
            threshold: None,
        }
    }
}

/// A merge, and how often its pair occurred when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainedMerge {
    /// The id of the left symbol; ids below 256 are bytes in the byte order.
    pub left: u32,
    /// The id of the right symbol.
    pub right: u32,
    /// The count of the pair.
    pub count: u64,
}

/// What training found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trained {
    /// The merges, in order.
    pub merges: Vec<TrainedMerge>,
    /// How often each symbol (bytes, base, merges) occurs in the text once all merges are made.
    pub frequencies: Vec<u64>,
}

/// Finds the merges of these words: merge `i` makes the symbol `256 + i`, or as many later as the base has merges.
///
/// # Example: the first merges of a small text
/// ```
/// use tokfast::{Interrupt, TrainOptions, WordCounts, train};
/// let words = WordCounts::from_counts([(&b"aab"[..], 3), (b"ab", 1)], &Interrupt::never())?;
/// let options = TrainOptions { merges: 2, ..TrainOptions::default() };
/// let merges = train(&words, &options, &Interrupt::never())?.merges;
/// let (a, b) = (u32::from(b'a' - 0x21), u32::from(b'b' - 0x21));
/// assert_eq!(merges.iter().map(|m| (m.left, m.right, m.count)).collect::<Vec<_>>(), [(a, b, 4), (a, 256, 3)]);
/// # Ok::<(), tokfast::Error>(())
/// ```
pub fn train(words: &WordCounts, options: &TrainOptions, interrupt: &Interrupt<'_>) -> Result<Trained> {
    if options.max_token_length == Some(0) {
        return Err(Error::Training(
            "max_token_length is 0, but a token has at least one byte; pass 1 or more, or none".into(),
        ));
    }
    if options.limit_alphabet == Some(0) {
        return Err(Error::Training(
            "limit_alphabet is 0, which leaves no byte to merge; pass 1 or more, or none".into(),
        ));
    }
    if options.merges > (u32::MAX / 2) as usize {
        return Err(Error::Training(format!(
            "{} merges are asked for; ids have 32 bits, ask for fewer",
            options.merges
        )));
    }
    let base = (!options.base.is_empty()).then(|| base::Base::new(&options.base));
    let layout = layout::Layout::new(words, base.as_ref(), options, interrupt)?;
    merge::find(layout, base.as_ref(), options, interrupt)
}
