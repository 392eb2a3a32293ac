//! Words -> one array of symbols, in which merges are found.
//!
//! Naive: a vector of symbols a word, each with its own allocation and links to its neighbours.
//! Idea: one `u32` array, `END word END word ... END`. A symbol that covers several slots has its id in its first and
//! its last slot, so both neighbours are one load away, and no links are kept. A position needs the count of its word:
//! words lie by descending count, so most blocks of 32 slots hold words of one count, noted once a block.
//! Cost: 4 bytes a byte of distinct words, 12 bytes a word, 12 bytes a block.
//! Invariant: `symbols` begins and ends with END; DEAD marks the inside of a symbol.

use super::TrainOptions;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::words::WordCounts;

/// Stands before, between and after the words.
pub(super) const END: u32 = u32::MAX;
/// A slot inside a symbol.
pub(super) const DEAD: u32 = u32::MAX - 1;
/// Slots that share one entry of `uniform`.
const BLOCK: usize = 32;

/// Words between two looks at the clock.
const CHECK_EVERY: usize = 1 << 14;

/// All words as symbols, with their counts.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) symbols: Vec<u32>,
    /// Where each word begins.
    starts: Vec<u32>,
    counts: Vec<u64>,
    /// For each block of slots: the word of its first slot.
    owner: Vec<u32>,
    /// For each block: the count of all its words, or 0 where they differ.
    uniform: Vec<u64>,
}

impl Layout {
    pub(super) fn new(words: &WordCounts, options: &TrainOptions, interrupt: &Interrupt<'_>) -> Result<Self> {
        let order = options.byte_order.bytes();
        let mut id_of_byte = [None; 256];
        let keeps = kept_bytes(words, options);
        for (id, &byte) in order.iter().enumerate() {
            id_of_byte[byte as usize] = keeps[byte as usize].then_some(id as u32);
        }
        let slots = words.iter().map(|(word, _)| word.len() + 1).sum::<usize>() + 1;
        if slots > DEAD as usize {
            return Err(Error::Training(format!(
                "the distinct words have {slots} bytes, more than the 4 GiB one training run can lay out; use a \
                 pretokenizer, or train on a sample"
            )));
        }
        let mut layout = Self {
            symbols: Vec::with_capacity(slots),
            starts: Vec::with_capacity(words.len() + 1),
            counts: Vec::with_capacity(words.len()),
            owner: Vec::with_capacity(slots / BLOCK + 1),
            uniform: Vec::new(),
        };
        layout.symbols.push(END);
        for (index, (word, count)) in words.iter().enumerate() {
            if index % CHECK_EVERY == 0 {
                interrupt.check()?;
            }
            let start = layout.symbols.len();
            layout.symbols.extend(word.iter().filter_map(|&byte| id_of_byte[byte as usize]));
            // A word of one symbol has no pair.
            if layout.symbols.len() - start < 2 {
                layout.symbols.truncate(start);
                continue;
            }
            layout.symbols.push(END);
            layout.starts.push(start as u32);
            layout.counts.push(count);
        }
        layout.index_blocks();
        Ok(layout)
    }

    fn index_blocks(&mut self) {
        let mut word = 0;
        for first in (0..self.symbols.len()).step_by(BLOCK) {
            while self.starts.get(word + 1).is_some_and(|&start| start as usize <= first) {
                word += 1;
            }
            self.owner.push(word as u32);
        }
        let count = |word: u32| self.counts.get(word as usize).copied().unwrap_or(0);
        // Words lie by descending count, so equal counts at both ends are equal counts between.
        self.uniform = self
            .owner
            .windows(2)
            .map(|pair| if count(pair[0]) == count(pair[1]) { count(pair[0]) } else { 0 })
            .collect();
        self.uniform.push(0);
    }

    /// The count of the word at a position.
    #[inline]
    pub(super) fn count_at(&self, position: usize) -> u64 {
        let uniform = self.uniform[position / BLOCK];
        if uniform != 0 {
            return uniform;
        }
        let mut word = self.owner[position / BLOCK] as usize;
        while self.starts.get(word + 1).is_some_and(|&start| start as usize <= position) {
            word += 1;
        }
        self.counts[word]
    }

    /// The counts of the words, descending.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Calls `visit(position, left, right, count)` for every pair of neighbours, in order.
    #[inline]
    pub(super) fn for_each_pair(
        &self,
        spans: &[u32],
        interrupt: &Interrupt<'_>,
        mut visit: impl FnMut(usize, u32, u32, u64),
    ) -> Result<()> {
        let mut checked = 0;
        for (&start, &count) in self.starts.iter().zip(&self.counts) {
            if start >= checked + (1 << 20) {
                interrupt.check()?;
                checked = start;
            }
            let mut position = start as usize;
            let mut left = self.symbols[position];
            loop {
                let next = position + spans[left as usize] as usize;
                let right = self.symbols[next];
                if right == END {
                    break;
                }
                visit(position, left, right, count);
                (position, left) = (next, right);
            }
        }
        Ok(())
    }
}

/// Which bytes take part in training.
fn kept_bytes(words: &WordCounts, options: &TrainOptions) -> [bool; 256] {
    let Some(limit) = options.limit_alphabet else { return [true; 256] };
    let mut counts = [0u64; 256];
    for (word, count) in words.iter() {
        word.iter().for_each(|&byte| counts[byte as usize] += count);
    }
    let mut ranked: Vec<u8> =
        options.byte_order.bytes().into_iter().filter(|&byte| counts[byte as usize] > 0).collect();
    // A stable sort: equal counts stay in the byte order.
    ranked.sort_by_key(|&byte| (!options.keep.contains(&byte), std::cmp::Reverse(counts[byte as usize])));
    let mut kept = [false; 256];
    let forced = ranked.iter().take_while(|byte| options.keep.contains(byte)).count();
    ranked.iter().take(limit.max(forced)).for_each(|&byte| kept[byte as usize] = true);
    kept
}
