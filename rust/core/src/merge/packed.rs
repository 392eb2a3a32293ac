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

/// Appends nothing: writes the ids of `piece`, of at most [`PACKED`] bytes, to the front of `ids`; returns how many.
#[inline]
pub(super) fn merge(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
    {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx2(merger, piece, ids) };
    }
    any(merger, piece, ids)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn with_avx2(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    any(merger, piece, ids)
}

/// The same on every processor.
#[inline(always)]
pub(super) fn any(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    match piece.len() {
        0..=9 => lanes::<8, 11>(merger, piece, ids),
        10..=17 => lanes::<16, 19>(merger, piece, ids),
        18..=33 => lanes::<32, 35>(merger, piece, ids),
        _ => lanes::<64, 67>(merger, piece, ids),
    }
}

/// Merges at most `LANES` + 1 bytes; `ROOM` is two more than these.
#[inline(always)]
fn lanes<const LANES: usize, const ROOM: usize>(merger: &Merger, piece: &[u8], ids: &mut [u32; PACKED]) -> usize {
    // One place more on either side, for neighbours that are not there.
    let mut symbols = [NO_SYMBOL; ROOM];
    // Lane `i` is at `i + 1`.
    let mut ranks = [NONE; ROOM];
    for (symbol, &byte) in symbols[1..].iter_mut().zip(piece) {
        *symbol = u32::from(byte);
    }
    for (lane, (rank, two)) in ranks[1..].iter_mut().zip(piece.windows(2)).enumerate() {
        *rank = merger.first[usize::from(two[0]) << 8 | usize::from(two[1])] | lane as u32;
    }
    let pack = |left: u32, right: u32, lane: u32| {
        let made = merger.pairs.get(left, right);
        if made == NONE { NONE } else { made << SHIFT | lane }
    };
    let len = piece.len() as u32;
    let mut alive = u64::MAX >> (64 - len);
    loop {
        let mut least = NONE;
        for &rank in &ranks[1..=LANES] {
            least = least.min(rank);
        }
        if least == NONE {
            break;
        }
        let (at, made) = (least & ((1 << SHIFT) - 1), least >> SHIFT);
        let right = at + 1 + (alive >> at >> 1).trailing_zeros();
        alive &= !(1 << right);
        let after = (at + 1 + (alive >> at >> 1).trailing_zeros()).min(len);
        // One more than the lane before, or 0.
        let before = 64 - (alive & ((1 << at) - 1)).leading_zeros();
        symbols[at as usize + 1] = made;
        ranks[right as usize + 1] = NONE;
        ranks[at as usize + 1] = pack(made, symbols[after as usize + 1], at);
        ranks[before as usize] = pack(symbols[before as usize], made, before.wrapping_sub(1));
    }
    let mut number = 0;
    while alive != 0 {
        ids[number] = merger.ids[symbols[alive.trailing_zeros() as usize + 1] as usize];
        number += 1;
        alive &= alive - 1;
    }
    number
}
