//! Merges symbols one pair after the other, of any model.
//!
//! Naive: look for the smallest rank among all neighbours, again and again: quadratic in the symbols.
//! Idea: a heap of ranks, and links between the symbols that are left. An entry whose symbols have changed is stale.
//! Cost: O(n log n), 60 bytes a symbol. Worst case: the same.
//! Invariant: the symbols left are those of the model's `merge_all`.
//! Source: Hugging Face `Word::merge_all`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Model;
use crate::error::Result;
use crate::interrupt::Interrupt;

/// Merges `symbols` until no pair is left, and returns the pair that was merged last.
pub(crate) fn merge_by_heap(
    model: &Model,
    symbols: &mut Vec<u32>,
    interrupt: &Interrupt<'_>,
) -> Result<Option<(u32, u32)>> {
    /// The end of the links.
    const NOWHERE: usize = usize::MAX;
    /// A symbol that was merged into its left neighbour.
    const GONE: u32 = u32::MAX;

    let mut next: Vec<usize> = (1..symbols.len()).chain([NOWHERE]).collect();
    let mut previous: Vec<usize> = std::iter::once(NOWHERE).chain(0..symbols.len().saturating_sub(1)).collect();
    // Rank, position, and the symbols expected there: an entry whose symbols have changed is stale.
    let entry = |symbols: &[u32], at: usize, right: usize| {
        model
            .step(symbols[at], symbols[right])
            .map(|step| Reverse((step.rank, at, step.product, symbols[at], symbols[right])))
    };
    let mut heap: BinaryHeap<_> = (1..symbols.len()).filter_map(|right| entry(symbols, right - 1, right)).collect();
    let (mut pops, mut last) = (0u32, None);
    while let Some(Reverse((_, at, product, left, right))) = heap.pop() {
        pops = pops.wrapping_add(1);
        if pops.is_multiple_of(1 << 16) {
            interrupt.check()?;
        }
        let after = next[at];
        if symbols[at] != left || after == NOWHERE || symbols[after] != right {
            continue;
        }
        last = Some((left, right));
        symbols[at] = product;
        symbols[after] = GONE;
        next[at] = next[after];
        if next[at] != NOWHERE {
            previous[next[at]] = at;
            heap.extend(entry(symbols, at, next[at]));
        }
        if previous[at] != NOWHERE {
            heap.extend(entry(symbols, previous[at], at));
        }
    }
    symbols.retain(|&id| id != GONE);
    Ok(last)
}
