//! The ids of a very long run: a few bytes over and over again.
//!
//! Naive: merge all of it, like any piece.
//! Idea: an encoding is right exactly where each two neighbours in it are. The encoding of a shorter run of the same bytes
//! comes to the same token again after some bytes; what lies between, put in again and again, makes no new neighbours. So
//! the run is merged at a length that is short, and differs from its own by a multiple of these bytes.
//! Cost: a heap of a few thousand bytes; the rest is copied. Runs that are not found so, and pieces that are no runs, cost
//! a comparison.
//! Measured (cl100k, 1 MB of one character): 400 MB/s and more instead of 60-105, and no trie, which takes 36 ms to make.
//! Invariant: the ids are those of the piece. Every symbol is made of earlier ones, as in [`super::long`].

use super::Merger;
use crate::error::Result;
use crate::interrupt::Interrupt;

/// The most bytes that are repeated.
const PERIODS: usize = 8;
/// Bytes that are merged: room for some of the longest tokens that vocabularies have.
const SAMPLE: usize = 1 << 11;
/// The shortest run for which this pays.
pub(super) const LEAST: usize = 3 * SAMPLE;

/// Appends the ids of a run of at least [`LEAST`] bytes; `false`, and nothing appended, for other pieces.
pub(super) fn merge(merger: &Merger, piece: &[u8], ids: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<bool> {
    let repeats = |period: &usize| piece[*period..] == piece[..piece.len() - period];
    let Some(period) = (1..=PERIODS).find(repeats) else { return Ok(false) };
    let mut symbols = Vec::new();
    merger.merge_by_heap(&piece[..SAMPLE], &mut symbols, interrupt)?;
    let Some((_, _, bytes)) = cycle(merger, &symbols, period) else { return Ok(false) };
    // A run whose length differs from the piece's by a multiple of that comes to the same token as often.
    let sample = SAMPLE + (piece.len() - SAMPLE) % bytes;
    symbols.clear();
    merger.merge_by_heap(&piece[..sample], &mut symbols, interrupt)?;
    let Some((from, to, again)) = cycle(merger, &symbols, period).filter(|&(.., again)| again == bytes) else {
        return Ok(false);
    };
    symbols.iter_mut().for_each(|symbol| *symbol = merger.id(*symbol));
    let times = (piece.len() - sample) / again;
    ids.reserve(symbols.len() + times * (to - from));
    ids.extend_from_slice(&symbols[..from]);
    let (start, mut missing) = (ids.len(), times * (to - from));
    ids.extend_from_slice(&symbols[from..][..missing.min(to - from)]);
    missing -= ids.len() - start;
    while missing > 0 {
        let more = missing.min(ids.len() - start);
        ids.extend_from_within(start..start + more);
        missing -= more;
    }
    ids.extend_from_slice(&symbols[from..]);
    Ok(true)
}

/// Two places of the same symbol, amid the encoding of a run, and how many bytes they are apart: a multiple of the period.
fn cycle(merger: &Merger, symbols: &[u32], period: usize) -> Option<(usize, usize, usize)> {
    let from = symbols.len() / 4;
    let mut bytes = 0;
    for to in from + 1..symbols.len() {
        bytes += merger.length(symbols[to - 1]);
        if symbols[to] == symbols[from] && bytes % period == 0 {
            return Some((from, to, bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random_models;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn a_run_comes_to_the_ids_of_all_of_it() {
        let (found, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
        proptest!(ProptestConfig::with_cases(300), |((model, _) in random_models(), unit in "[abc]{1,8}", len in LEAST..LEAST * 2)| {
            let merger = Merger::new(&model).unwrap();
            prop_assume!(merger.ordered);
            let piece: Vec<u8> = unit.bytes().cycle().take(len).collect();
            let mut ids = vec![7];
            all.fetch_add(1, Relaxed);
            if merge(&merger, &piece, &mut ids, &Interrupt::never()).unwrap() {
                found.fetch_add(1, Relaxed);
                let mut symbols = Vec::new();
                merger.merge_by_heap(&piece, &mut symbols, &Interrupt::never()).unwrap();
                let expected: Vec<u32> = std::iter::once(7).chain(symbols.into_iter().map(|symbol| merger.id(symbol))).collect();
                prop_assert_eq!(ids, expected);
            } else {
                prop_assert_eq!(ids, [7]);
            }
        });
        let (found, all) = (found.into_inner(), all.into_inner());
        assert!(found * 10 > all * 9, "{found} of {all}");
    }

    #[test]
    fn what_is_no_run_is_left_to_others() {
        let model =
            crate::model::Model::from_ranks(&(0..=255u8).map(|byte| (vec![byte], u32::from(byte))).collect::<Vec<_>>());
        let merger = Merger::new(&model.unwrap()).unwrap();
        let mut piece = vec![b'a'; LEAST];
        piece.push(b'b');
        assert!(!merge(&merger, &piece, &mut Vec::new(), &Interrupt::never()).unwrap());
    }
}
