//! The ids of short pieces, many on their way at once.
//!
//! Naive: a list of symbols, scanned for the smallest pair and shortened by one, until no pair is left.
//! Idea: a lane for each byte holds `rank << 6 | lane` of the pair that begins there, so the minimum of the lanes says
//! rank and place at once. Nothing is moved: a bit tells which symbols are left, and neighbours are found by counting
//! zeros. Both ends have a symbol that makes nothing with any other. What a merge waits for is the table of pairs,
//! which has left the nearer caches to the text's own: so [`AT_ONCE`] pieces take turns, a merge each, and the processor
//! works on the next ones while it waits; a piece that is done makes room for a new one.
//! Cost: two look-ups in the table of pairs a merge, and the minimum of at most [`PACKED`] lanes.
//! Invariant: the ids are those of the model's `merge_all`.
//! Measured: 100 MB of mixed text, 0.59 million new pieces, counted in 0.57 s. With a branch on whether a pair is there, as
//! compilers like to make of a choice, and lanes changed by a comparison with each lane's number, which they unroll without
//! vectors: 0.67 s.
//! Tried and dropped: a scan of an array that is shortened by each merge, for pieces of 17-96 bytes: quadratic moves.
//! Three pieces in lockstep until the last is done: 0.65 s. Sixteen at once: 0.59 (eight beside it: 0.57). Asking for pairs a
//! turn before they are looked at: 0.567 (without, beside it: 0.556).

#![allow(unsafe_code)]
// The loop must end up in the function that allows the instructions.
#![allow(clippy::inline_always)]

use super::pairs::NONE;
use super::{Merger, NO_SYMBOL, PACKED, SHIFT};

/// How many pieces are on their way at once.
const AT_ONCE: usize = 8;
/// The most bytes of a piece for each number of lanes.
const LONGEST: [usize; CLASSES] = [16, 32, PACKED];
/// How many numbers of lanes there are.
pub(crate) const CLASSES: usize = 3;

/// Which pieces are merged together: those that need the same number of lanes.
#[inline]
pub(crate) fn class(len: usize) -> usize {
    LONGEST.iter().map(|&longest| usize::from(len > longest)).sum::<usize>().min(CLASSES - 1)
}

/// Hands the ids of each piece to `done`, in any order. `piece` gives the bytes of a piece by its name: 1 to [`PACKED`],
/// all of one [`class`].
#[inline]
pub(super) fn merge<'t>(
    merger: &Merger,
    names: &[u32],
    piece: impl Fn(u32) -> &'t [u8],
    done: impl FnMut(u32, &[u32]),
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx512(merger, names, piece, done) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx2(merger, names, piece, done) };
    }
    any(merger, names, piece, done);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx512<'t>(merger: &Merger, names: &[u32], piece: impl Fn(u32) -> &'t [u8], done: impl FnMut(u32, &[u32])) {
    any(merger, names, piece, done);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx2<'t>(merger: &Merger, names: &[u32], piece: impl Fn(u32) -> &'t [u8], done: impl FnMut(u32, &[u32])) {
    any(merger, names, piece, done);
}

/// [`merge`] on every processor.
#[inline(always)]
pub(super) fn any<'t>(merger: &Merger, names: &[u32], piece: impl Fn(u32) -> &'t [u8], done: impl FnMut(u32, &[u32])) {
    let Some(&first) = names.first() else { return };
    match class(piece(first).len()) {
        0 => lanes::<16, 32>(merger, names, piece, done),
        1 => lanes::<32, 64>(merger, names, piece, done),
        _ => lanes::<64, 128>(merger, names, piece, done),
    }
}

/// A piece on its way.
struct State<const LANES: usize, const ROOM: usize> {
    /// What the pair that begins at each lane makes, and the lane.
    ranks: [u32; LANES],
    /// One place more on either side, for neighbours that are not there.
    symbols: [u32; ROOM],
    /// The symbols that are left.
    alive: u64,
    name: u32,
}

impl<const LANES: usize, const ROOM: usize> State<LANES, ROOM> {
    const EMPTY: Self = Self { ranks: [NONE; LANES], symbols: [NO_SYMBOL; ROOM], alive: 0, name: 0 };

    /// Begins with a piece.
    #[inline(always)]
    fn begin(&mut self, merger: &Merger, name: u32, piece: &[u8]) {
        let mut ranks = [NONE; LANES];
        self.symbols = [NO_SYMBOL; ROOM];
        for (symbol, &byte) in self.symbols[1..].iter_mut().zip(piece) {
            *symbol = u32::from(byte);
        }
        for (lane, (rank, two)) in ranks.iter_mut().zip(piece.windows(2)).enumerate() {
            *rank = merger.first[usize::from(two[0]) << 8 | usize::from(two[1])] | lane as u32;
        }
        self.ranks = ranks;
        self.alive = u64::MAX >> (64 - piece.len().clamp(1, 64));
        self.name = name;
    }

    /// Makes the merge of the smallest rank; says whether there was one.
    #[inline(always)]
    fn step(&mut self, merger: &Merger) -> bool {
        let Self { symbols, ranks, alive, .. } = self;
        let mut least = NONE;
        for &rank in &*ranks {
            least = least.min(rank);
        }
        if least == NONE {
            return false;
        }
        let pack = |left: u32, right: u32, lane: u32| {
            let made = merger.pairs.get(left, right);
            // What makes nothing has all bits, and keeps them.
            made << SHIFT | lane | (made.cast_signed() >> 31).cast_unsigned()
        };
        let inside = |place: u32| place as usize & (ROOM - 1);
        let (at, made) = (least & ((1 << SHIFT) - 1), least >> SHIFT);
        let right = at + 1 + (*alive >> at >> 1).trailing_zeros();
        *alive &= !(1u64 << (right & 63));
        // No symbol is left after the last: the place behind it all holds one that makes nothing.
        let after = (at + 1 + (*alive >> at >> 1).trailing_zeros()).min(LANES as u32 + 1);
        // One more than the lane before, or 0: then nothing is made, and written to the last lane, where no pair begins.
        let before = 64 - (*alive & ((1 << at) - 1)).leading_zeros();
        symbols[inside(at + 1)] = made;
        let new_at = pack(made, symbols[inside(after + 1)], at);
        let new_before = pack(symbols[inside(before)], made, before.wrapping_sub(1));
        ranks[right as usize & (LANES - 1)] = NONE;
        ranks[at as usize & (LANES - 1)] = new_at;
        ranks[before.wrapping_sub(1) as usize & (LANES - 1)] = new_before;
        true
    }

    /// Writes the ids; returns how many.
    #[inline(always)]
    fn finish(&self, merger: &Merger, ids: &mut [u32; PACKED]) -> usize {
        let (mut number, mut alive) = (0, self.alive);
        while alive != 0 {
            ids[number & (PACKED - 1)] = merger.ids[self.symbols[alive.trailing_zeros() as usize + 1] as usize];
            number += 1;
            alive &= alive - 1;
        }
        number
    }
}

/// [`any`] for pieces of at most `LANES` bytes; `ROOM` is twice `LANES`, so that a mask says that a place is inside.
#[inline(always)]
fn lanes<'t, const LANES: usize, const ROOM: usize>(
    merger: &Merger,
    names: &[u32],
    piece: impl Fn(u32) -> &'t [u8],
    mut done: impl FnMut(u32, &[u32]),
) {
    let mut states = [State::<LANES, ROOM>::EMPTY; AT_ONCE];
    let mut ids = [0; PACKED];
    let mut names = names.iter();
    let mut live = 0;
    for (state, &name) in states.iter_mut().zip(&mut names) {
        state.begin(merger, name, piece(name));
        live += 1;
    }
    while live > 0 {
        let mut turn = 0;
        while turn < live {
            let state = &mut states[turn];
            if state.step(merger) {
                turn += 1;
                continue;
            }
            let number = state.finish(merger, &mut ids);
            done(state.name, &ids[..number]);
            if let Some(&name) = names.next() {
                state.begin(merger, name, piece(name));
            } else {
                live -= 1;
                states.swap(turn, live);
            }
        }
    }
}
