//! The ids of a short piece, in two small arrays.
//!
//! Naive: a list of symbols, scanned for the smallest pair and shortened by one, until no pair is left.
//! Idea: a lane for each byte holds `rank << 6 | lane` of the pair that begins there, so the minimum of the lanes says
//! rank and place at once, and comes from a few vector instructions. Nothing is moved: a bit tells which symbols are
//! left, and neighbours are found by counting zeros. Both ends have a symbol that makes nothing with any other, and one
//! lane too many takes what would be written before the first, so the loop has no branch but its end.
//! Cost: two look-ups in the table of pairs a merge, and the minimum of at most [`PACKED`] lanes.
//! Invariant: the ids are those of the model's `merge_all`.
//! Tried and dropped: a scan of an array that is shortened by each merge, for pieces of 17-96 bytes: quadratic moves.

#![allow(unsafe_code)]
// The loop must end up in the function that allows the instructions.
#![allow(clippy::inline_always)]

use super::pairs::NONE;
use super::{Merger, NO_SYMBOL, PACKED, SHIFT};

/// How many pieces are merged together: what one waits for in the table of pairs, the others work in.
pub(crate) const TOGETHER: usize = 3;
/// The most bytes of a piece for each number of lanes.
const LONGEST: [usize; CLASSES] = [9, 17, 33, PACKED];
/// How many numbers of lanes there are.
pub(crate) const CLASSES: usize = 4;

/// Which pieces are best merged together: those that need the same number of lanes.
#[inline]
pub(crate) fn class(len: usize) -> usize {
    LONGEST.iter().map(|&longest| usize::from(len > longest)).sum::<usize>().min(CLASSES - 1)
}

/// Writes the ids of each piece, of at most [`PACKED`] bytes, to the front of its room; returns how many.
#[inline]
pub(super) fn merge(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx2(merger, piece, ids) };
    }
    any(merger, piece, ids)
}

/// The same for several pieces.
#[inline]
pub(super) fn merge_together(
    merger: &Merger,
    pieces: [&[u8]; TOGETHER],
    ids: &mut [[u32; PACKED]; TOGETHER],
) -> [usize; TOGETHER] {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the processor has these instructions.
        return unsafe { together_with_avx2(merger, pieces, ids) };
    }
    any_together(merger, pieces, ids)
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn with_avx2(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    any(merger, piece, ids)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn together_with_avx2(
    merger: &Merger,
    pieces: [&[u8]; TOGETHER],
    ids: &mut [[u32; PACKED]; TOGETHER],
) -> [usize; TOGETHER] {
    any_together(merger, pieces, ids)
}

/// [`merge`] on every processor.
#[inline(always)]
pub(super) fn any(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    let [number] = choose(merger, [piece], std::array::from_mut(ids));
    number
}

/// [`merge_together`] on every processor.
#[inline(always)]
pub(super) fn any_together(
    merger: &Merger,
    pieces: [&[u8]; TOGETHER],
    ids: &mut [[u32; PACKED]; TOGETHER],
) -> [usize; TOGETHER] {
    choose(merger, pieces, ids)
}

#[inline(always)]
fn choose<const N: usize>(merger: &Merger, pieces: [&[u8]; N], ids: &mut [[u32; PACKED]; N]) -> [usize; N] {
    match pieces.iter().map(|piece| class(piece.len())).max() {
        Some(0) => lanes::<8, 11, N>(merger, pieces, ids),
        Some(1) => lanes::<16, 19, N>(merger, pieces, ids),
        Some(2) => lanes::<32, 35, N>(merger, pieces, ids),
        _ => lanes::<64, 67, N>(merger, pieces, ids),
    }
}

/// A piece on its way.
struct State<const ROOM: usize> {
    /// One place more on either side, for neighbours that are not there.
    symbols: [u32; ROOM],
    /// Lane `i` is at `i + 1`.
    ranks: [u32; ROOM],
    /// The symbols that are left.
    alive: u64,
    len: u32,
}

impl<const ROOM: usize> State<ROOM> {
    #[inline(always)]
    fn new(merger: &Merger, piece: &[u8]) -> Self {
        let mut symbols = [NO_SYMBOL; ROOM];
        let mut ranks = [NONE; ROOM];
        for (symbol, &byte) in symbols[1..].iter_mut().zip(piece) {
            *symbol = u32::from(byte);
        }
        for (lane, (rank, two)) in ranks[1..].iter_mut().zip(piece.windows(2)).enumerate() {
            *rank = merger.first[usize::from(two[0]) << 8 | usize::from(two[1])] | lane as u32;
        }
        let len = piece.len() as u32;
        Self { symbols, ranks, alive: u64::MAX >> (64 - len), len }
    }

    /// Makes the merge of the smallest rank; says whether there was one.
    #[inline(always)]
    fn step<const LANES: usize>(&mut self, merger: &Merger) -> bool {
        let mut least = NONE;
        for &rank in &self.ranks[1..=LANES] {
            least = least.min(rank);
        }
        if least == NONE {
            return false;
        }
        let pack = |left: u32, right: u32, lane: u32| {
            let made = merger.pairs.get(left, right);
            if made == NONE { NONE } else { made << SHIFT | lane }
        };
        let Self { symbols, ranks, alive, len } = self;
        let (at, made) = (least & ((1 << SHIFT) - 1), least >> SHIFT);
        let right = at + 1 + (*alive >> at >> 1).trailing_zeros();
        *alive &= !(1 << right);
        let after = (at + 1 + (*alive >> at >> 1).trailing_zeros()).min(*len);
        // One more than the lane before, or 0.
        let before = 64 - (*alive & ((1 << at) - 1)).leading_zeros();
        symbols[at as usize + 1] = made;
        ranks[right as usize + 1] = NONE;
        ranks[at as usize + 1] = pack(made, symbols[after as usize + 1], at);
        ranks[before as usize] = pack(symbols[before as usize], made, before.wrapping_sub(1));
        true
    }

    #[inline(always)]
    fn finish(mut self, merger: &Merger, ids: &mut [u32; PACKED]) -> usize {
        let mut number = 0;
        while self.alive != 0 {
            ids[number] = merger.ids[self.symbols[self.alive.trailing_zeros() as usize + 1] as usize];
            number += 1;
            self.alive &= self.alive - 1;
        }
        number
    }
}

/// Merges `N` pieces of at most `LANES` + 1 bytes; `ROOM` is two more than these.
#[inline(always)]
fn lanes<const LANES: usize, const ROOM: usize, const N: usize>(
    merger: &Merger,
    pieces: [&[u8]; N],
    ids: &mut [[u32; PACKED]; N],
) -> [usize; N] {
    let mut states = pieces.map(|piece| State::<ROOM>::new(merger, piece));
    loop {
        let mut any = false;
        for state in &mut states {
            any |= state.step::<LANES>(merger);
        }
        if !any {
            break;
        }
    }
    let mut ids = ids.iter_mut();
    states.map(|state| ids.next().map_or(0, |ids| state.finish(merger, ids)))
}
