//! Words -> one array of symbols, in which merges are found.
//!
//! Naive: a vector of symbols a word, each with its own allocation and links to its neighbours.
//! Idea: one `u32` array, `END word END word ... END`. A symbol that covers several slots has its id in its first and
//! its last slot, so both neighbours are one load away, and no links are kept. A position needs the count of its word:
//! words lie by descending count, so most blocks of 32 slots hold words of one count, noted once a block.
//! Cost: 4 bytes a byte of distinct words, 12 bytes a word, 12 bytes a block.
//! Invariant: `symbols` begins and ends with END; DEAD marks the inside of a symbol.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::TrainOptions;
use super::base::Base;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::threads;
use crate::words::WordCounts;

/// Stands before, between and after the words.
pub(super) const END: u32 = u32::MAX;
/// A slot inside a symbol.
pub(super) const DEAD: u32 = u32::MAX - 1;
/// Slots that share one entry of `uniform`.
pub(super) const BLOCK: usize = 32;
/// Words that one thread lays out at a time, and between two looks at the clock.
const CHUNK: usize = 1 << 14;

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
    pub(super) uniform: Vec<u64>,
    /// How often each single byte is a word: such words have no pair, and are not laid out.
    pub(super) alone: Vec<u64>,
}

/// What one thread fills: the slots of a chunk of words.
struct Part<'s> {
    words: Range<usize>,
    /// Where the chunk begins in all slots.
    at: usize,
    slots: &'s mut [u32],
    starts: &'s mut [u32],
    counts: &'s mut [u64],
}

impl Layout {
    pub(super) fn new(
        words: &WordCounts,
        base: Option<&Base>,
        options: &TrainOptions,
        interrupt: &Interrupt<'_>,
    ) -> Result<Self> {
        let mut id_of_byte = [END; 256];
        let keeps = kept_bytes(words, options);
        let all_kept = keeps.iter().all(|&kept| kept);
        for (id, &byte) in options.byte_order.bytes().iter().enumerate() {
            if keeps[byte as usize] {
                id_of_byte[byte as usize] = id as u32;
            }
        }
        let symbols_of = |word: &[u8]| {
            if all_kept { word.len() } else { word.iter().filter(|&&byte| id_of_byte[byte as usize] != END).count() }
        };
        // How many words and slots each chunk needs; a word of one symbol has no pair.
        let (mut sizes, mut alone) = (Vec::new(), vec![0; 256]);
        let (mut slots, mut laid_out) = (1, 0);
        for chunk in (0..words.len()).step_by(CHUNK) {
            interrupt.check()?;
            let (slots_before, words_before) = (slots, laid_out);
            for index in chunk..words.len().min(chunk + CHUNK) {
                let (word, count) = words.get(index);
                match symbols_of(word) {
                    0 => {}
                    1 => {
                        let symbol = word.iter().map(|&byte| id_of_byte[byte as usize]).find(|&id| id != END);
                        alone[symbol.unwrap_or(0) as usize] += count;
                    }
                    symbols => {
                        slots += symbols + 1;
                        laid_out += 1;
                    }
                }
            }
            sizes.push((slots - slots_before, laid_out - words_before));
        }
        if slots > DEAD as usize {
            return Err(Error::Training(format!(
                "the distinct words have {slots} bytes, more than the 4 GiB one training run can lay out; use a \
                 pretokenizer, or train on a sample"
            )));
        }
        let mut layout = Self {
            symbols: vec![END; slots],
            starts: vec![0; laid_out],
            counts: vec![0; laid_out],
            owner: Vec::with_capacity(slots / BLOCK + 1),
            uniform: Vec::new(),
            alone,
        };
        let mut parts = Vec::new();
        let (mut at, mut slots) = (1, &mut layout.symbols[1..]);
        let (mut starts, mut counts) = (&mut layout.starts[..], &mut layout.counts[..]);
        for (chunk, &(chunk_slots, chunk_words)) in sizes.iter().enumerate() {
            let (mine, rest) = slots.split_at_mut(chunk_slots);
            let (my_starts, rest_starts) = starts.split_at_mut(chunk_words);
            let (my_counts, rest_counts) = counts.split_at_mut(chunk_words);
            let words = chunk * CHUNK..words.len().min((chunk + 1) * CHUNK);
            parts.push(Mutex::new(Part { words, at, slots: mine, starts: my_starts, counts: my_counts }));
            (at, slots, starts, counts) = (at + chunk_slots, rest, rest_starts, rest_counts);
        }
        threads::run(
            options.threads,
            parts.len(),
            |_| (),
            |(), index| {
                let mut part = parts[index].lock().unwrap_or_else(PoisonError::into_inner);
                part.fill(words, &id_of_byte, base);
                interrupt.check()
            },
        )?;
        drop(parts);
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

    /// How many words are laid out.
    pub(super) fn words(&self) -> usize {
        self.starts.len()
    }

    /// As [`Self::for_each_pair`] for a range of words, while all symbols are single bytes.
    #[inline]
    pub(super) fn for_each_pair_of_bytes(
        &self,
        words: Range<usize>,
        interrupt: &Interrupt<'_>,
        mut visit: impl FnMut(usize, u32, u32, u64),
    ) -> Result<()> {
        for (index, word) in words.enumerate() {
            if index % CHUNK == CHUNK - 1 {
                interrupt.check()?;
            }
            let (start, count) = (self.starts[word] as usize, self.counts[word]);
            let end = self.starts.get(word + 1).map_or(self.symbols.len(), |&next| next as usize) - 1;
            for (offset, pair) in self.symbols[start..end].windows(2).enumerate() {
                visit(start + offset, pair[0], pair[1], count);
            }
        }
        Ok(())
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

    /// How often each symbol occurs in the text, as it is cut now.
    pub(super) fn frequencies(&self, spans: &[u32], interrupt: &Interrupt<'_>) -> Result<Vec<u64>> {
        let mut frequencies = self.alone.clone();
        frequencies.resize(spans.len(), 0);
        for (index, (&start, &count)) in self.starts.iter().zip(&self.counts).enumerate() {
            if index % CHUNK == 0 {
                interrupt.check()?;
            }
            let mut position = start as usize;
            while self.symbols[position] != END {
                let symbol = self.symbols[position] as usize;
                frequencies[symbol] += count;
                position += spans[symbol] as usize;
            }
        }
        Ok(frequencies)
    }
}

impl Part<'_> {
    fn fill(&mut self, words: &WordCounts, id_of_byte: &[u32; 256], base: Option<&Base>) {
        let (mut at, mut laid_out) = (0, 0);
        for index in self.words.clone() {
            let (word, count) = words.get(index);
            let start = at;
            // No word writes beyond the slots of its chunk: they were counted by the same rule, but for single bytes.
            for &byte in word {
                let id = id_of_byte[byte as usize];
                if id != END && at < self.slots.len() {
                    self.slots[at] = id;
                    at += 1;
                }
            }
            if at - start < 2 {
                self.slots[start..at].fill(END);
                at = start;
                continue;
            }
            if let Some(base) = base {
                base.merge(&mut self.slots[start..at]);
            }
            self.slots[at] = END;
            at += 1;
            self.starts[laid_out] = (self.at + start) as u32;
            self.counts[laid_out] = count;
            laid_out += 1;
        }
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
