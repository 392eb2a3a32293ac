//! The merges that training goes on from: a word's bytes -> its symbols under the merges of an earlier tokenizer.
//!
//! Naive: find the merge of the smallest rank by looking at all neighbours, again and again: quadratic in the word.
//! Idea: a heap of ranks, links between symbols, as in encoding long pieces.
//! Cost: O(n log n) for a word of n bytes, once a distinct word.
//! Invariant: a merged symbol has its id in the first and last of its slots, `DEAD` between (as in the layout).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::layout::DEAD;
use crate::table::{PairTable, pair};

/// Merges that were made before, in order.
#[derive(Debug)]
pub(super) struct Base {
    /// The rank of each pair; the merge of rank `r` makes the symbol `256 + r`.
    ranks: PairTable<u32>,
    spans: Vec<u32>,
}

impl Base {
    pub(super) fn new(merges: &[(u32, u32)]) -> Self {
        let (mut ranks, mut spans) = (PairTable::with_capacity(merges.len()), vec![1; 256]);
        for (rank, &(left, right)) in merges.iter().enumerate() {
            *ranks.entry(pair(left, right)) = rank as u32;
            spans.push(spans[left as usize] + spans[right as usize]);
        }
        Self { ranks, spans }
    }

    /// How many slots each symbol covers.
    pub(super) fn spans(&self) -> &[u32] {
        &self.spans
    }

    /// Merges the symbols of one word, which are single bytes.
    pub(super) fn merge(&self, slots: &mut [u32]) {
        let span = |symbol: u32| self.spans[symbol as usize] as usize;
        let candidate = |slots: &[u32], at: usize| {
            let left = slots[at];
            let right = *slots.get(at + span(left))?;
            self.ranks.get(pair(left, right)).map(|rank| Reverse((rank, at as u32, left, right)))
        };
        let mut heap: BinaryHeap<_> = (0..slots.len()).filter_map(|at| candidate(slots, at)).collect();
        while let Some(Reverse((rank, at, left, right))) = heap.pop() {
            let start = at as usize;
            let middle = start + span(left);
            // Stale: one of the two has been merged since. What begins at a slot only grows.
            if slots[start] != left || slots.get(middle) != Some(&right) {
                continue;
            }
            let end = middle + span(right);
            slots[middle - 1] = DEAD;
            slots[middle] = DEAD;
            slots[start] = 256 + rank;
            slots[end - 1] = 256 + rank;
            heap.extend(candidate(slots, start));
            if let Some(&before) = start.checked_sub(1).and_then(|last| slots.get(last)) {
                heap.extend(candidate(slots, start - span(before)));
            }
        }
    }
}
