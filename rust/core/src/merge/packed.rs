//! The ids of short pieces, many on their way at once.
//!
//! Naive: a list of symbols, scanned for the smallest pair and shortened by one, until no pair is left.
//! Idea: a lane for each byte holds `rank << 6 | lane` of the pair that begins there, so the minimum of the lanes says
//! rank and place at once. Nothing is moved: a bit tells which symbols are left, and neighbours are found by counting
//! zeros. Both ends have a symbol that makes nothing with any other. What a merge waits for is the table of pairs,
//! which has left the nearer caches to the text's own: so [`AT_ONCE`] pieces take turns, a merge each, and the processor
//! works on the next ones while it waits; a piece that is done makes room for a new one.
//! A merge asks for the two pairs it makes, and the piece's next turn looks at them.
//! Cost: two look-ups in the table of pairs a merge, and the minimum of at most [`PACKED`] lanes.
//! Invariant: the ids are those of the model's `merge_all`.
//! Measured: 100 MB of mixed text, 0.55 million new pieces, counted in 0.43 s. When it took 0.46 s: pairs looked at in the
//! turn that asks for them: 5 % more; all ids looked up, though most are the symbols: 6 % more. When it took 0.57 s, a branch
//! on whether a pair is there, as compilers like to make of a choice, and lanes changed by a comparison with each lane's
//! number, which they unroll without vectors, made it 0.67.
//! Tried and dropped: a scan of an array that is shortened by each merge, for pieces of 17-96 bytes: quadratic moves.
//! Three pieces in lockstep until the last is done, sixteen at once, twelve: no gain over eight. Asking a turn ahead while
//! six or seven pieces came together: no gain; it came with pieces of four times as much text.

#![allow(unsafe_code)]
// The loop must end up in the function that allows the instructions.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
use super::abreast;
use super::pairs::{Asked, NONE};
use super::{Merger, NO_SYMBOL, PACKED, SHIFT};

/// How many pieces are on their way at once.
const AT_ONCE: usize = 8;
/// So many ids are written without a look at how many there are.
const FEW: usize = 4;
/// The most bytes of a piece for each number of lanes.
const LONGEST: [usize; CLASSES] = [16, 32, PACKED];
/// How many numbers of lanes there are.
pub(crate) const CLASSES: usize = 3;

/// Which pieces are merged together: those that need the same number of lanes.
#[inline]
pub(crate) fn class(len: usize) -> usize {
    LONGEST.iter().map(|&longest| usize::from(len > longest)).sum::<usize>().min(CLASSES - 1)
}

/// Hands the ids of pieces of a text to `done`, in any order, and a bit for each byte of the piece that begins a token.
/// `span` says where each lies, by its name: 1 to [`PACKED`] bytes, all of one [`class`].
#[inline]
pub(super) fn merge(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    #[cfg(target_arch = "x86_64")]
    if names.len() >= abreast::LEAST && abreast::is_there() {
        let (start, end) = span(names[0]);
        match class(end - start) {
            // SAFETY: the processor has these instructions.
            0 => return unsafe { abreast::merge::<16, 32>(merger, text, names, span, done) },
            // SAFETY: as above.
            1 => return unsafe { abreast::merge::<32, 64>(merger, text, names, span, done) },
            _ => {}
        }
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx512(merger, text, names, span, done) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has these instructions.
        return unsafe { with_avx2(merger, text, names, span, done) };
    }
    any(merger, text, names, span, done);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx512(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    any(merger, text, names, span, done);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx2(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    any(merger, text, names, span, done);
}

/// [`merge`] on every processor.
#[inline(always)]
pub(super) fn any(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    let Some((start, end)) = names.first().map(|&first| span(first)) else { return };
    match class(end - start) {
        0 => lanes::<16, 32>(merger, text, names, span, done),
        1 => lanes::<32, 64>(merger, text, names, span, done),
        _ => lanes::<64, 128>(merger, text, names, span, done),
    }
}

/// The first bytes of a piece and what follows it; zeros beyond the text.
#[inline(always)]
fn window<const LANES: usize>(text: &[u8], start: usize) -> [u8; LANES] {
    let rest = text.get(start..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut window = [0; LANES];
        window[..rest.len()].copy_from_slice(rest);
        window
    })
}

/// A piece on its way.
struct State<const LANES: usize, const ROOM: usize> {
    /// What the pair that begins at each lane makes, and the lane.
    ranks: [u32; LANES],
    /// One place more on either side, for neighbours that are not there.
    symbols: [u32; ROOM],
    /// The symbols that are left.
    alive: u64,
    /// The two pairs that the last merge made, and their lanes.
    asked: [(Asked, u32); 2],
    name: u32,
}

/// Before the first merge; no pair begins at the last lane.
const NOTHING: [(Asked, u32); 2] = [(Asked::NOTHING, PACKED as u32 - 1); 2];

impl<const LANES: usize, const ROOM: usize> State<LANES, ROOM> {
    const EMPTY: Self = Self { ranks: [NONE; LANES], symbols: [NO_SYMBOL; ROOM], alive: 0, asked: NOTHING, name: 0 };

    /// Begins with a piece. All lanes are filled, whatever the length: loops over it end where nobody can foresee it.
    #[inline(always)]
    fn begin(&mut self, merger: &Merger, name: u32, text: &[u8], (start, end): (usize, usize)) {
        let len = end - start;
        let mut bytes = window::<LANES>(text, start);
        for (lane, byte) in bytes.iter_mut().enumerate() {
            *byte = if lane < len { *byte } else { 0 };
        }
        self.symbols = [NO_SYMBOL; ROOM];
        for (lane, (symbol, byte)) in self.symbols[1..].iter_mut().zip(bytes).enumerate() {
            *symbol = if lane < len { u32::from(byte) } else { NO_SYMBOL };
        }
        let rights = bytes[1..].iter().chain(&[0]);
        for (lane, (rank, (&left, &right))) in self.ranks.iter_mut().zip(bytes.iter().zip(rights)).enumerate() {
            let made = merger.first[usize::from(left) << 8 | usize::from(right)];
            *rank = if lane + 1 < len { made | lane as u32 } else { NONE };
        }
        self.alive = u64::MAX >> (64 - len.clamp(1, 64));
        self.asked = NOTHING;
        self.name = name;
    }

    /// Makes the merge of the smallest rank; says whether there was one.
    ///
    /// What its neighbours make is asked for, and looked at in the next turn.
    #[inline(always)]
    fn step(&mut self, merger: &Merger) -> bool {
        let Self { symbols, ranks, alive, asked, .. } = self;
        let pack = |(asked, lane): (Asked, u32)| {
            let made = merger.pairs.take(asked);
            // What makes nothing has all bits, and keeps them.
            made << SHIFT | lane | (made.cast_signed() >> 31).cast_unsigned()
        };
        let new = asked.map(pack);
        // Not by way of the lanes: a vector that was just written to in parts has to wait.
        let mut least = new[0].min(new[1]);
        for &rank in &*ranks {
            least = least.min(rank);
        }
        for (&(_, lane), new) in asked.iter().zip(new) {
            ranks[lane as usize & (LANES - 1)] = new;
        }
        if least == NONE {
            return false;
        }
        let inside = |place: u32| place as usize & (ROOM - 1);
        let (at, made) = (least & ((1 << SHIFT) - 1), least >> SHIFT);
        let right = at + 1 + (*alive >> at >> 1).trailing_zeros();
        *alive &= !(1u64 << (right & 63));
        // No symbol is left after the last: the place behind it all holds one that makes nothing.
        let after = (at + 1 + (*alive >> at >> 1).trailing_zeros()).min(LANES as u32 + 1);
        // One more than the lane before, or 0: then nothing is made, and written to the last lane, where no pair begins.
        let before = 64 - (*alive & ((1 << at) - 1)).leading_zeros();
        symbols[inside(at + 1)] = made;
        for lane in [right, at, before.wrapping_sub(1)] {
            ranks[lane as usize & (LANES - 1)] = NONE;
        }
        *asked = [
            (merger.pairs.ask(symbols[inside(before)], made), before.wrapping_sub(1)),
            (merger.pairs.ask(made, symbols[inside(after + 1)]), at),
        ];
        true
    }

    /// Writes the ids; returns a bit for each byte that begins a token.
    #[inline(always)]
    fn finish(&self, merger: &Merger, ids: &mut [u32; PACKED]) -> u64 {
        let mut alive = self.alive;
        // The first symbol is always left: it stands in where there are fewer.
        let mut next = || {
            let lane = alive.trailing_zeros() & 63;
            alive &= alive.wrapping_sub(1);
            merger.id(self.symbols[lane as usize + 1])
        };
        let (few, more) = ids.split_at_mut(FEW);
        few.fill_with(&mut next);
        let number = self.alive.count_ones() as usize;
        more[..number.saturating_sub(FEW)].fill_with(next);
        self.alive
    }
}

/// [`any`] for pieces of at most `LANES` bytes; `ROOM` is twice `LANES`, so that a mask says that a place is inside.
#[inline(always)]
fn lanes<const LANES: usize, const ROOM: usize>(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    mut done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    let mut states = [State::<LANES, ROOM>::EMPTY; AT_ONCE];
    let mut ids = [0; PACKED];
    let mut names = names.iter();
    let mut live = 0;
    for (state, &name) in states.iter_mut().zip(&mut names) {
        state.begin(merger, name, text, span(name));
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
            let begins = state.finish(merger, &mut ids);
            done(state.name, &ids, begins);
            if let Some(&name) = names.next() {
                state.begin(merger, name, text, span(name));
            } else {
                live -= 1;
                states.swap(turn, live);
            }
        }
    }
}
