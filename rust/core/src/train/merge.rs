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
//! Tried and dropped: positions and pairs looked at without asking for their lines beforehand, 0.49 s of CPU time
//! instead of 0.35 (100 MB of mixed text to 32k, one thread). Of what is left, the walk over positions takes most, then
//! the heap (perf, in the ratio 15 : 3).
//! Source: the lazy heap of Hugging Face tokenizers, `bpe/trainer.rs`; positions instead of word lists, neighbour
//! arrays and the threshold follow the project's own experiment (100 MB of mixed text to 32k: 468 ms, 1.45 s for the
//! word lists of gigabpe 0.1.0).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::base::Base;
use super::layout::{BLOCK, DEAD, END, Layout};
use super::neighbours::Neighbours;
use super::scan::{Found, scan, scan_bytes};
use super::{TrainOptions, Trained, TrainedMerge};
use crate::error::Result;
use crate::interrupt::{Interrupt, Phase};
use crate::prefetch::prefetch;
use crate::table::{PairTable, pair};

/// Merges between two looks at the clock.
const CHECK_EVERY: usize = 64;
/// How many positions ahead memory is asked for.
const AHEAD: usize = 16;

/// A pair that is at or above the threshold, or was.
#[derive(Debug, Clone, Copy, Default)]
struct Registered {
    live: u64,
    /// Which list of positions is its.
    list: u32,
}

/// All pairs at or above the threshold.
#[derive(Debug)]
struct Pairs {
    index: PairTable<Registered>,
    positions: Vec<Box<[u32]>>,
    /// Higher count first, then the smaller pair.
    heap: BinaryHeap<(u64, Reverse<u64>)>,
}

/// What decides whether a pair may be merged at all.
#[derive(Debug)]
pub(super) struct Rules {
    floor: u64,
    max_token_length: usize,
}

impl Rules {
    /// Single bytes may always be merged; longer ones only below the length limit (Hugging Face's rule).
    #[inline]
    pub(super) fn allow(&self, left: u32, right: u32, lengths: &[u32]) -> bool {
        (left < 256 && right < 256)
            || ((lengths[left as usize] + lengths[right as usize]) as usize) < self.max_token_length
    }
}

impl Pairs {
    fn new(found: Vec<Found>) -> Self {
        let mut pairs = Self {
            index: PairTable::with_capacity(found.len() + found.len() / 2),
            positions: Vec::with_capacity(found.len()),
            heap: BinaryHeap::new(),
        };
        let mut heap = Vec::with_capacity(found.len());
        for Found { key, count, positions } in found {
            *pairs.index.entry(key) = Registered { live: count, list: pairs.positions.len() as u32 };
            pairs.positions.push(positions);
            heap.push((count, Reverse(key)));
        }
        pairs.heap = heap.into();
        pairs
    }

    fn register(&mut self, key: u64, count: u64, positions: Box<[u32]>) {
        *self.index.entry(key) = Registered { live: count, list: self.positions.len() as u32 };
        self.positions.push(positions);
        self.heap.push((count, Reverse(key)));
    }
}

/// Finds the merges of a layout, after those of `base`.
pub(super) fn find(
    mut layout: Layout,
    base: Option<&Base>,
    options: &TrainOptions,
    interrupt: &Interrupt<'_>,
) -> Result<Trained> {
    let rules =
        Rules { floor: options.min_frequency.max(1), max_token_length: options.max_token_length.unwrap_or(usize::MAX) };
    let mut threshold = options.threshold.unwrap_or_else(|| guess_threshold(&layout, options.merges)).max(rules.floor);
    interrupt.begin(Phase::Merge, options.merges as u64);
    // The slots a symbol covers, which is also its length in bytes.
    let mut spans = base.map_or_else(|| vec![1u32; 256], |base| base.spans().to_vec());
    let mut merges: Vec<TrainedMerge> = Vec::with_capacity(options.merges.min(1 << 20));
    let mut taken = super::taken::Taken::new(options);
    let (mut lefts, mut rights) = (Neighbours::default(), Neighbours::default());
    let rescan = |layout: &Layout, spans: &[u32], threshold| -> Result<Pairs> {
        Ok(Pairs::new(scan(layout, spans, threshold, &rules, options.threads, interrupt)?))
    };
    let mut pairs = match base {
        None => Pairs::new(scan_bytes(&layout, threshold, options.threads, interrupt)?),
        Some(_) => rescan(&layout, &spans, threshold)?,
    };
    let mut reported = 0;
    while merges.len() < options.merges {
        if merges.len() >= reported + CHECK_EVERY {
            interrupt.detail(describe(&merges, options));
            interrupt.advance((merges.len() - reported) as u64)?;
            reported = merges.len();
        }
        let Some((count, Reverse(key))) = pairs.heap.pop() else {
            if threshold <= rules.floor {
                break;
            }
            interrupt.check()?;
            threshold = (threshold / 4).max(rules.floor);
            drop(pairs);
            pairs = rescan(&layout, &spans, threshold)?;
            continue;
        };
        let registered = pairs.index.entry(key);
        let Registered { live, list } = *registered;
        if live < threshold {
            continue;
        }
        if live != count {
            pairs.heap.push((live, Reverse(key)));
            continue;
        }
        registered.live = 0;
        let positions = std::mem::take(&mut pairs.positions[list as usize]);
        let (left, right) = ((key >> 32) as u32, key as u32);
        if !taken.allow(left, right) {
            continue;
        }
        let new = spans.len() as u32;
        spans.push(spans[left as usize] + spans[right as usize]);
        merges.push(TrainedMerge { left, right, count });
        lefts.resize(spans.len());
        rights.resize(spans.len());
        replace(&mut layout, &spans, (left, right, new), &positions, &mut lefts, &mut rights, interrupt)?;
        drop(positions);
        settle(
            &mut pairs,
            &mut rights,
            threshold,
            |other| rules.allow(new, other, &spans),
            |other| (pair(right, other), pair(new, other)),
        );
        settle(
            &mut pairs,
            &mut lefts,
            threshold,
            |other| rules.allow(other, new, &spans),
            |other| (pair(other, left), pair(other, new)),
        );
    }
    interrupt.advance((merges.len() - reported) as u64)?;
    drop(pairs);
    let frequencies = layout.frequencies(&spans, interrupt)?;
    Ok(Trained { merges, frequencies })
}

/// The token that was made last, and its count.
fn describe(merges: &[TrainedMerge], options: &TrainOptions) -> String {
    let (bytes, first) = (options.byte_order.bytes(), 256 + options.base.len());
    let Some(last) = merges.last() else { return String::new() };
    let (mut token, mut symbols) = (Vec::new(), vec![last.right, last.left]);
    while let Some(symbol) = symbols.pop() {
        match symbol as usize {
            byte @ 0..256 => token.push(bytes[byte]),
            base if base < first => symbols.extend([options.base[base - 256].1, options.base[base - 256].0]),
            made => symbols.extend([merges[made - first].right, merges[made - first].left]),
        }
        // Long enough to be known by, however long it is.
        if token.len() > 64 {
            break;
        }
    }
    format!("{:?} {}", String::from_utf8_lossy(&token), last.count)
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
    for (index, &position) in positions.iter().enumerate() {
        if let Some(&ahead) = positions.get(index + AHEAD) {
            prefetch(&layout.symbols, ahead as usize);
            prefetch(&layout.uniform, ahead as usize / BLOCK);
        }
        if index % (1 << 20) == 0 && index > 0 {
            interrupt.check()?;
        }
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
    Ok(())
}

/// Takes the neighbours of one side out of their old pairs, and registers their new ones. `keys` gives both.
fn settle(
    pairs: &mut Pairs,
    neighbours: &mut Neighbours,
    threshold: u64,
    allowed: impl Fn(u32) -> bool,
    keys: impl Fn(u32) -> (u64, u64),
) {
    let touched = neighbours.touched();
    for (index, &(other, total)) in touched.iter().enumerate() {
        if let Some(&(ahead, _)) = touched.get(index + AHEAD) {
            pairs.index.prefetch(keys(ahead).0);
        }
        if let Some(old) = pairs.index.get_mut(keys(other).0) {
            // The pair that is being merged has no count any more: its occurrences are gone.
            old.live = old.live.saturating_sub(total);
        }
    }
    neighbours.drain(
        |other, total| total >= threshold && allowed(other),
        |other, total, positions| pairs.register(keys(other).1, total, positions),
    );
}

/// A threshold a little below the count of the last merge. Word counts and merge counts fall alike: on English, code,
/// mixed and multilingual text (4k to 128k tokens) four fifths of the count of the word ranked 3/4 of the number of
/// merges lie at 0.1 to 0.9 of the last merge's count. A wrong guess costs time only.
fn guess_threshold(layout: &Layout, merges: usize) -> u64 {
    let count = layout.counts().get(merges - merges / 4).copied().unwrap_or(1);
    count - count / 5
}
