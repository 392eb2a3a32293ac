//! The passes over a block of pieces: make keys and ask for lines, take what is there, write ids out.
//!
//! Naive: one look-up after the other, each with a branch on what it found.
//! Idea: every pass is one loop without a branch that text can surprise. The keys of a line are compared at once: words of 8
//! bytes give a bit each, and a table says which word of the line is the value. What is not there gives a word that is no
//! value, and its place is listed.
//! Cost: 21.5 million pieces of mixed text that were seen before are counted in 0.20 s, of which the look-ups are a quarter.
//! Measured: both loops wait for instructions more than for memory. 56 million pieces of source code, seen before, were
//! counted in 0.43 s with 37 instructions to ask and 27 to take; in 0.40 with one check for all windows of a block and one
//! register for all that a length gives, 0.38 without a word for small keys of its own, 0.35 with 26 and 22. Of these 2 % are
//! spent on not having to trust that ends grow.
//! Tried and dropped: an exit for each rare piece, and comparisons of 128 bits: 0.26 instead of 0.23 s when it was tried. A
//! list of what is not there written in the loop, at a place that depends on what was found: 0.22 s, and 0.37 when the
//! addresses of the list and of a table had their lower bits in common. A branch on where ids are: 0.22 s.
//! The ids of four values written at once, by a rotation and a compression of vectors: 0.30 s for 100 MB, as one by one.
//! Invariant: [`ask`] and [`take`] do the same on every processor.
//! Source: gigatoken's 15-byte keys; the comparison by lanes was measured in the experiments that this crate began with.

#![allow(unsafe_code)]
// The loops must end up in the functions that allow the instructions.
#![allow(clippy::inline_always)]

use super::lookup::Block;
use crate::cache::{self, BlockRoom, IDS, LINE, MANY, NO_VALUE, SMALL, VALUE, Window, Workspace};
use crate::prefetch::prefetch;

/// The word of a line where the value of a key lies, for each combination of words that are equal: of the four of its two
/// large keys, and its small one. The others are values, and do not count.
const WORD: [u8; 256] = {
    let mut word = [NO_VALUE; 256];
    let mut equal = 0;
    while equal < 256 {
        // One half of the other key may be equal, too: short pieces of one length differ in their first half only.
        if equal & 0b00011 == 0b00011 {
            word[equal] = VALUE[0];
        } else if equal & 0b01100 == 0b01100 {
            word[equal] = VALUE[1];
        } else if equal & 0b10000 != 0 {
            word[equal] = VALUE[2];
        }
        equal += 1;
    }
    word
};

/// So many pieces of 64 are listed without a look at how many there are.
const LISTED: usize = 4;

/// How the keys of a line are compared with one.
trait Compare: Copy {
    /// Which words of the two large keys are equal to those of a key, and whether the small one is to its lower half: a bit
    /// each. The other bits may be anything.
    fn equal(self, line: &[u8; LINE], key: &u128) -> u8;
}

/// On every processor.
#[derive(Clone, Copy)]
struct Portable;

impl Compare for Portable {
    #[inline(always)]
    fn equal(self, line: &[u8; LINE], key: &u128) -> u8 {
        let is = |at: usize, half: u64| u8::from(word(line, at) == half) << at;
        let [low, high] = [*key as u64, (*key >> 64) as u64];
        is(0, low) | is(1, high) | is(2, low) | is(3, high) | is(SMALL, low)
    }
}

/// Proof that the processor has AVX2, BMI1, BMI2 and POPCNT.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    #[inline]
    fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Compare for Avx2 {
    #[inline(always)]
    fn equal(self, line: &[u8; LINE], key: &u128) -> u8 {
        use std::arch::x86_64::{
            _mm_loadu_si128, _mm256_broadcastsi128_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256,
            _mm256_movemask_pd,
        };
        // SAFETY: the processor has these instructions, since `self` exists; 32 of 64 bytes, and the 16 of the key, are
        // read without any demand on where they lie.
        let equal = unsafe {
            let keys = _mm256_loadu_si256(line.as_ptr().cast());
            let key = _mm256_broadcastsi128_si256(_mm_loadu_si128(std::ptr::from_ref(key).cast()));
            _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(keys, key)))
        };
        equal.cast_unsigned() as u8 | u8::from(word(line, SMALL) == *key as u64) << SMALL
    }
}

/// Proof that the processor has AVX-512 F and DQ, and what [`Avx2`] proves.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    #[inline]
    fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
        Avx2::new().filter(|_| has).map(|_| Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Compare for Avx512 {
    #[inline(always)]
    fn equal(self, line: &[u8; LINE], key: &u128) -> u8 {
        use std::arch::x86_64::{_mm_loadu_si128, _mm512_broadcast_i32x4, _mm512_cmpeq_epi64_mask, _mm512_loadu_si512};
        // SAFETY: the processor has these instructions, since `self` exists; the 64 bytes of the line, and the 16 of the key,
        // are read without any demand on where they lie.
        unsafe {
            let key = _mm512_broadcast_i32x4(_mm_loadu_si128(std::ptr::from_ref(key).cast()));
            _mm512_cmpeq_epi64_mask(key, _mm512_loadu_si512(line.as_ptr().cast()))
        }
    }
}

/// A word of a line.
#[inline(always)]
fn word(line: &[u8; LINE], at: usize) -> u64 {
    let words: &[[u8; 8]] = line.as_chunks().0;
    u64::from_le_bytes(words[at & 7])
}

/// The value of a key in a line; a word that is no value where the key is not there.
#[inline(always)]
fn value(compare: impl Compare, line: &[u8; LINE], key: &u128) -> u64 {
    word(line, usize::from(WORD[usize::from(compare.equal(line, key))]))
}

/// Makes the keys of at most [`NEAR`] pieces of a block, from that place on, and asks for their lines; `from` is where the
/// first begins. Returns where the last one ends.
#[inline]
pub(super) fn ask(work: &mut Workspace, block: Block<'_>, place: usize, from: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Avx2::new().is_some() {
        // SAFETY: the processor has these instructions.
        return unsafe { ask_with_avx2(work, block, place, from) };
    }
    ask_any(work, block, place, from)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn ask_with_avx2(work: &mut Workspace, block: Block<'_>, place: usize, from: usize) -> usize {
    ask_any(work, block, place, from)
}

#[inline(always)]
fn ask_any(work: &mut Workspace, block: Block<'_>, place: usize, from: usize) -> usize {
    let lines = work.cache.lines().all();
    let BlockRoom { keys, homes, .. } = &mut work.room;
    let Block { text, base, .. } = block;
    let ends = &block.ends[place..];
    let ends = &ends[..ends.len().min(homes.len())];
    let pieces = ends.iter().zip(&mut keys[place..]).zip(homes);
    let make = |(key, home): (&mut u128, &mut u32), window: &Window, len: usize| {
        *key = cache::key_of(window, len);
        let line = cache::home(*key, lines.len());
        *home = line as u32;
        prefetch(lines, line);
    };
    // In this form in vectors.
    let furthest = ends.iter().fold(0, |furthest: u32, &end| furthest.max(end));
    let (text, mut start) = (&text[base..], from - base);
    // A window begins with each piece: here, and at all ends but the last one.
    if start.max(furthest as usize) + size_of::<Window>() <= text.len() {
        for ((&end, key), home) in pieces {
            // SAFETY: no end, and not the first start, is further than is looked at above, so the window is inside the text; it
            // may lie anywhere.
            let window = unsafe { &*text.as_ptr().add(start).cast::<Window>() };
            make((key, home), window, end as usize - start);
            start = end as usize;
        }
    } else {
        for ((&end, key), home) in pieces {
            let window = text.get(start..).and_then(|rest| rest.first_chunk().copied());
            let window = window.unwrap_or_else(|| cache::near_the_end(text, start).to_le_bytes());
            make((key, home), &window, end as usize - start);
            start = end as usize;
        }
    }
    base + start
}

/// Takes the values of the pieces that were asked for last, out of their lines: those from `place` on of `number`. The
/// places of those that are not there are listed in `some`, behind the first `rest`. Returns how many are listed now, and
/// how many ids the others have; values are kept where they are asked for.
#[inline]
pub(super) fn take<const KEEPS: bool>(
    work: &mut Workspace,
    place: usize,
    number: usize,
    rest: usize,
) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = Avx512::new() {
        // SAFETY: the processor has these instructions.
        return unsafe { take_with_avx512::<KEEPS>(avx512, work, place, number, rest) };
    } else if let Some(avx2) = Avx2::new() {
        // SAFETY: the processor has these instructions.
        return unsafe { take_with_avx2::<KEEPS>(avx2, work, place, number, rest) };
    }
    take_any::<KEEPS>(Portable, work, place, number, rest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn take_with_avx2<const KEEPS: bool>(
    avx2: Avx2,
    work: &mut Workspace,
    place: usize,
    number: usize,
    rest: usize,
) -> (usize, usize) {
    take_any::<KEEPS>(avx2, work, place, number, rest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx2,bmi1,bmi2,popcnt")]
fn take_with_avx512<const KEEPS: bool>(
    avx512: Avx512,
    work: &mut Workspace,
    place: usize,
    number: usize,
    rest: usize,
) -> (usize, usize) {
    take_any::<KEEPS>(avx512, work, place, number, rest)
}

#[inline(always)]
fn take_any<const KEEPS: bool>(
    compare: impl Compare,
    work: &mut Workspace,
    place: usize,
    number: usize,
    before: usize,
) -> (usize, usize) {
    let lines = work.cache.lines().all();
    let BlockRoom { keys, homes, some, values, .. } = &mut work.room;
    let (mut rest, mut sum) = (before, 0);
    for start in (place..number).step_by(64) {
        let end = number.min(start + 64);
        // Not a list at once: a store to a place that depends on what was found makes the next look-ups wait, where the
        // processor takes it for one of theirs.
        let mut absent = 0u64;
        let pieces = keys[start..end].iter().zip(&homes[start - place..]).zip(&mut values[start..end]);
        for (at, ((key, &home), kept)) in pieces.enumerate() {
            let line = &lines[home as usize];
            let value = value(compare, line, key);
            let found = if KEEPS {
                *kept = value;
                cache::is_found(cache::number(value))
            } else {
                let ids = cache::number_anywhere(value);
                sum += ids;
                ids != 0
            };
            absent |= u64::from(!found) << at;
        }
        let mut listed = some[rest..].iter_mut();
        rest += absent.count_ones() as usize;
        // Always a few: how many there are nobody can foresee.
        for place in listed.by_ref().take(LISTED) {
            *place = start as u32 + absent.trailing_zeros();
            absent &= absent.wrapping_sub(1);
        }
        while absent != 0 {
            if let Some(place) = listed.next() {
                *place = start as u32 + absent.trailing_zeros();
            }
            absent &= absent - 1;
        }
    }
    (rest, sum)
}

/// Writes the ids of values to the front of `ids`, up to the first value whose ids have no room; those that are not inside
/// their value lie in `more`. Returns how many ids, and how many values. `ids` has room for [`MANY`] ids of each value.
#[inline]
pub(super) fn emit(values: &[u64], more: &[u32], ids: &mut [u32]) -> (usize, usize) {
    let mut kept = 0;
    let stop = values.iter().position(|&value| {
        let number = cache::number(value);
        if cache::is_found(number) {
            ids[kept..kept + IDS].copy_from_slice(&cache::ids(value));
            kept += number;
            return false;
        }
        // Always as many are copied: a copy of a length that nobody can foresee costs more than these bytes.
        let Some((at, _)) = cache::place(value) else { return true };
        let Some((&number, after)) = more[at as usize..].split_first() else { return true };
        let Some(many) = after.first_chunk::<MANY>().filter(|_| number as usize <= MANY) else { return true };
        ids[kept..kept + MANY].copy_from_slice(many);
        kept += number as usize;
        false
    });
    (kept, stop.unwrap_or(values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{BLOCK, NEAR, Pool};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_processor_does_the_same(pieces in prop::collection::vec("[a-z]{1,3}|[a-z\\u{0}é]{1,20}", 1..BLOCK), kept in any::<u64>()) {
            let text = pieces.concat();
            let mut last = 0;
            let ends: Vec<u32> = pieces.iter().map(|piece| { last += piece.len() as u32; last }).collect();
            let block = Block { text: text.as_bytes(), base: 0, start: 0, ends: &ends };
            let pool = Pool::default();
            let (mut borrowed, _) = pool.borrow(1, crate::threads::Member::ALONE);
            let work = borrowed.workspace();
            for (at, piece) in pieces.iter().enumerate().filter(|(at, piece)| kept >> (at % 64) & 1 == 1 && piece.len() <= 15) {
                work.cache.put(cache::key(piece.as_bytes(), 0, piece.len()), &vec![at as u32; 1 + at % 6]);
            }
            let (mut from, mut listed) = (0, 0);
            for place in (0..pieces.len()).step_by(NEAR) {
                let end = ask_any(work, block, place, from);
                let room = &work.room;
                let asked = (room.keys.clone(), room.homes.clone());
                work.room.keys[place..].fill(0);
                work.room.homes.fill(0);
                prop_assert_eq!(ask(work, block, place, from), end);
                let number = pieces.len().min(place + NEAR);
                prop_assert_eq!(&asked.0[..number], &work.room.keys[..number]);
                prop_assert_eq!(&asked.1[..number - place], &work.room.homes[..number - place]);
                from = end;

                let taken = take_any::<true>(Portable, work, place, number, listed);
                let (values, some) = (work.room.values.clone(), work.room.some.clone());
                work.room.values[place..].fill(0);
                work.room.some[listed..].fill(0);
                prop_assert_eq!(take::<true>(work, place, number, listed), taken);
                prop_assert_eq!(&work.room.values[..number], &values[..number]);
                prop_assert_eq!(&work.room.some[..taken.0], &some[..taken.0]);
                let counted = take_any::<false>(Portable, work, place, number, listed);
                prop_assert_eq!(take::<false>(work, place, number, listed), counted);
                let numbers = |range: std::ops::Range<usize>| values[range].iter().map(|&value| cache::number_anywhere(value));
                prop_assert_eq!(counted.1, numbers(place..number).sum::<usize>());
                prop_assert_eq!(counted.0 - listed, numbers(place..number).filter(|&ids| ids == 0).count());
                #[cfg(target_arch = "x86_64")]
                if let Some(avx2) = Avx2::new() {
                    // SAFETY: the processor has these instructions.
                    prop_assert_eq!(unsafe { take_with_avx2::<false>(avx2, work, place, number, listed) }, counted);
                    // SAFETY: as above.
                    prop_assert_eq!(unsafe { take_with_avx2::<true>(avx2, work, place, number, listed) }, taken);
                    prop_assert_eq!(&work.room.values[..number], &values[..number]);
                }
                take_any::<true>(Portable, work, place, number, listed);
                listed = taken.0;
                // What has no value inside is listed, and nothing else is.
                let without: Vec<u32> = (0..number as u32)
                    .filter(|&at| !cache::is_found(cache::number(values[at as usize])))
                    .collect();
                prop_assert_eq!(&some[..listed], &without[..]);
            }
            prop_assert_eq!(from, text.len());
        }
    }
}
