//! Finds the merges, most frequent first, without ever recounting.
//!
//! Naive: count all pairs, merge the best everywhere, count again: O(merges x text).
//! ```text
//! repeat: best = most frequent pair; replace it in every word; recount every pair
//! ```
//! Idea: only the neighbours of a merged pair change. Every pair has the list of its positions and its live count. A
//! merge walks its positions, adds the counts of its neighbours up in two arrays indexed by symbol, and then updates
//! each *distinct* neighbour pair once. A heap gives the best pair; an entry whose count has fallen is put back with
//! its live count. Pairs below a threshold have no list at all; when the heap runs dry, the threshold is lowered and
//! the symbols are scanned once more.
//!
//! Why that is exact:
//! - A pair that holds a new symbol has all its occurrences the moment the symbol is made. From then on its count only
//!   falls, so a heap entry is never too small, and a pair below the threshold never rises to it.
//! - Every pair at or above the threshold is in the heap, so one below it can never be the best.
//! - Positions are ascending, so "aaa" is merged from the left, and a position is stale exactly if it no longer begins
//!   with the left symbol followed by the right one.
//! - Right neighbours are settled before left ones: in "abab" the left neighbour of the second "ab" is the new symbol
//!   itself, whose pair with "a" was counted on the right side in this very step.
//!
//! Cost: O(occurrences of merged pairs + distinct neighbour pairs x log heap), about 25-40 ns an occurrence. Memory:
//! 4 bytes a position, 40 a pair. Worst case: a threshold far too low (lists nobody needs) or too high (more scans).
//! Source: the lazy heap of Hugging Face tokenizers, `bpe/trainer.rs`; positions instead of word lists, neighbour
//! arrays and the threshold follow the project's own experiment (100 MB of mixed text to 32k: 468 ms, 1.45 s for the
//! word lists of gigabpe 0.1.0).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::layout::{DEAD, END, Layout};
use super::{TrainOptions, TrainedMerge};
use crate::error::Result;
use crate::interrupt::{Interrupt, Phase};
use crate::table::{PairTable, pair};

/// A pair in the heap: higher count first, then the smaller pair.
type Candidate = (u64, Reverse<u64>, u32);

/// Merges between two looks at the clock.
const CHECK_EVERY: usize = 64;

/// Neighbours of one merge on one side: for each symbol the sum of counts and the positions of its pair.
#[derive(Debug, Default)]
struct Neighbours {
    totals: Vec<u64>,
    positions: Vec<Vec<u32>>,
    touched: Vec<u32>,
}

impl Neighbours {
    #[inline]
    fn add(&mut self, symbol: u32, count: u64, position: u32) {
        let total = &mut self.totals[symbol as usize];
        if *total == 0 {
            self.touched.push(symbol);
        }
        *total += count;
        self.positions[symbol as usize].push(position);
    }

    fn resize(&mut self, symbols: usize) {
        self.totals.resize(symbols, 0);
        self.positions.resize_with(symbols, Vec::new);
    }
}

/// All pairs at or above the threshold.
struct Pairs {
    index: PairTable<u32>,
    live: Vec<u64>,
    positions: Vec<Vec<u32>>,
    heap: BinaryHeap<Candidate>,
}

/// What decides whether a pair may be merged at all.
struct Rules {
    floor: u64,
    max_token_length: usize,
}

impl Rules {
    /// Single bytes may always be merged; longer ones only below the length limit (Hugging Face's rule).
    #[inline]
    fn allow(&self, left: u32, right: u32, lengths: &[u32]) -> bool {
        (left < 256 && right < 256)
            || ((lengths[left as usize] + lengths[right as usize]) as usize) < self.max_token_length
    }
}

/// Finds the merges of a layout.
pub(super) fn find(mut layout: Layout, options: &TrainOptions, interrupt: &Interrupt<'_>) -> Result<Vec<TrainedMerge>> {
    let rules =
        Rules { floor: options.min_frequency.max(1), max_token_length: options.max_token_length.unwrap_or(usize::MAX) };
    let mut threshold = options.threshold.unwrap_or_else(|| guess_threshold(&layout, options.merges)).max(rules.floor);
    interrupt.begin(Phase::Merge, options.merges as u64);
    // The slots a symbol covers, which is also its length in bytes.
    let mut spans = vec![1u32; 256];
    let mut merges = Vec::with_capacity(options.merges.min(1 << 20));
    let (mut lefts, mut rights) = (Neighbours::default(), Neighbours::default());
    let mut pairs = scan(&layout, &spans, threshold, &rules, interrupt)?;
    let mut reported = 0;
    while merges.len() < options.merges {
        if merges.len() >= reported + CHECK_EVERY {
            interrupt.advance((merges.len() - reported) as u64)?;
            reported = merges.len();
        }
        let Some((count, Reverse(key), index)) = pairs.heap.pop() else {
            if threshold <= rules.floor {
                break;
            }
            interrupt.check()?;
            threshold = (threshold / 8).max(rules.floor);
            pairs = scan(&layout, &spans, threshold, &rules, interrupt)?;
            continue;
        };
        let live = pairs.live[index as usize];
        if live < threshold {
            continue;
        }
        if live != count {
            pairs.heap.push((live, Reverse(key), index));
            continue;
        }
        let (left, right) = ((key >> 32) as u32, key as u32);
        let new = spans.len() as u32;
        spans.push(spans[left as usize] + spans[right as usize]);
        merges.push(TrainedMerge { left, right, count });
        lefts.resize(spans.len());
        rights.resize(spans.len());
        pairs.live[index as usize] = 0;
        let positions = std::mem::take(&mut pairs.positions[index as usize]);
        replace(&mut layout, &spans, (left, right, new), &positions, &mut lefts, &mut rights, interrupt)?;
        settle(&mut pairs, &mut rights, (right, new), threshold, |other| rules.allow(new, other, &spans), pair);
        settle(
            &mut pairs,
            &mut lefts,
            (left, new),
            threshold,
            |other| rules.allow(other, new, &spans),
            |symbol, other| pair(other, symbol),
        );
    }
    interrupt.advance((merges.len() - reported) as u64)?;
    Ok(merges)
}

/// Replaces every `left right` at `positions` by `new`, and adds its neighbours up.
fn replace(
    layout: &mut Layout,
    spans: &[u32],
    (left, right, new): (u32, u32, u32),
    positions: &[u32],
    lefts: &mut Neighbours,
    rights: &mut Neighbours,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    let (left_span, right_span) = (spans[left as usize] as usize, spans[right as usize] as usize);
    for block in positions.chunks(1 << 20) {
        for &position in block {
            let start = position as usize;
            let middle = start + left_span;
            if layout.symbols[start] != left || layout.symbols[middle] != right {
                continue;
            }
            let end = middle + right_span;
            let count = layout.count_at(start);
            let symbols = &mut layout.symbols;
            let (before, after) = (symbols[start - 1], symbols[end]);
            // In this order it is right for symbols of one slot too, whose first slot is their last.
            symbols[middle - 1] = DEAD;
            symbols[middle] = DEAD;
            symbols[start] = new;
            symbols[end - 1] = new;
            if before != END {
                lefts.add(before, count, position - spans[before as usize]);
            }
            if after != END {
                rights.add(after, count, position);
            }
        }
        interrupt.check()?;
    }
    Ok(())
}

/// Takes the neighbours of one side out of the pairs with the `old` symbol, and puts them in pairs with the `new` one.
fn settle(
    pairs: &mut Pairs,
    neighbours: &mut Neighbours,
    (old, new): (u32, u32),
    threshold: u64,
    allowed: impl Fn(u32) -> bool,
    key: impl Fn(u32, u32) -> u64,
) {
    while let Some(other) = neighbours.touched.pop() {
        let total = std::mem::take(&mut neighbours.totals[other as usize]);
        let positions = &mut neighbours.positions[other as usize];
        if let Some(index) = pairs.index.get(key(old, other)) {
            // The pair that is being merged has no count any more: its occurrences are gone.
            let live = &mut pairs.live[index as usize];
            *live = live.saturating_sub(total);
        }
        if total >= threshold && allowed(other) {
            pairs.register(key(new, other), total, std::mem::take(positions));
        } else {
            positions.clear();
        }
    }
}

impl Pairs {
    fn register(&mut self, key: u64, count: u64, positions: Vec<u32>) {
        let index = self.live.len() as u32;
        *self.index.entry(key) = index;
        self.live.push(count);
        self.positions.push(positions);
        self.heap.push((count, Reverse(key), index));
    }
}

/// Counts all pairs of the layout, and lists the positions of those at or above the threshold.
fn scan(layout: &Layout, spans: &[u32], threshold: u64, rules: &Rules, interrupt: &Interrupt<'_>) -> Result<Pairs> {
    let mut totals = PairTable::<(u64, u32)>::with_capacity(1 << 16);
    layout.for_each_pair(spans, interrupt, |_, left, right, count| {
        let entry = totals.entry(pair(left, right));
        entry.0 += count;
        entry.1 += 1;
    })?;
    let mut pairs = Pairs {
        index: PairTable::with_capacity(1 << 16),
        live: Vec::new(),
        positions: Vec::new(),
        heap: BinaryHeap::new(),
    };
    for (key, (count, occurrences)) in totals.iter() {
        if count >= threshold && rules.allow((key >> 32) as u32, key as u32, spans) {
            pairs.register(key, count, Vec::with_capacity(occurrences as usize));
        }
    }
    drop(totals);
    layout.for_each_pair(spans, interrupt, |position, left, right, _| {
        if let Some(index) = pairs.index.get(pair(left, right)) {
            pairs.positions[index as usize].push(position as u32);
        }
    })?;
    Ok(pairs)
}

/// A threshold a little below the count of the last merge: the count of the word whose rank is about that of the last
/// token. A wrong guess costs time only.
fn guess_threshold(layout: &Layout, merges: usize) -> u64 {
    let counts = layout.counts();
    counts.get(merges + merges / 2).copied().unwrap_or(1)
}
