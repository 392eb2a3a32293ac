//! The ids of short pieces, sixteen abreast: a piece a lane of vectors.
//!
//! Naive: one piece after the other, as [`super::packed`] does, which takes the instructions of a merge for each of them.
//! Idea: the steps of `packed`, for sixteen pieces at once. What it has in an array a piece is here an array of vectors: rank
//! and symbol of the first byte of all pieces, of the second, and so on. So the smallest rank of each piece is the minimum of
//! as many vectors as a piece has bytes, two gathers find the neighbours, and three a pair what they make, out of a table
//! whose hashes are multiplications of 32 bits for this. A piece that is done makes room for the next one in its lane.
//! Cost: as in `packed`, with a sixteenth of the instructions, while all lanes have pieces; of a few pieces `packed` is sooner
//! done. Needs AVX-512.
//! Invariant: the ids are those of the model's `merge_all`.
//! Measured: 100 MB of mixed text, 0.55 million new pieces, counted at first sight in 0.37 instead of 0.43 s by `packed`, of
//! which 0.19 are for what was seen before.
//! Tried and dropped: one vector of pieces on its way, while nothing else goes on when it waits: 0.40 s. Asking for what pairs
//! make a turn ahead, as `packed` does: no gain, for two scatters more.
//! Source: the steps are those of `packed`.

#![allow(unsafe_code)]

#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use super::pairs::{BITS, BITS_FROM, DISPLACEMENT, DOWN, NONE, Pairs};
use super::{MOST, Merger, NO_SYMBOL, PACKED, SHIFT};

/// Lanes of a vector.
const ABREAST: usize = 16;
/// So many vectors of pieces take turns: while one waits for the table of pairs, the other goes on.
const GROUPS: usize = 2;
/// Of fewer pieces each by itself is merged sooner.
pub(super) const LEAST: usize = 4;

/// One word of each piece.
type Row = [u32; ABREAST];

/// Whether the processor has what this file needs.
#[inline]
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// The bytes of a text from a place on; zeros beyond the text, for which there is `room`.
#[inline]
fn bytes_at<'b>(text: &'b [u8], start: usize, room: &'b mut [u8; PACKED]) -> &'b [u8; PACKED] {
    let rest = text.get(start..).unwrap_or_default();
    rest.first_chunk().unwrap_or_else(|| {
        *room = [0; PACKED];
        room[..rest.len()].copy_from_slice(rest);
        room
    })
}

#[target_feature(enable = "avx512f")]
fn all(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

/// 0, 1, 2 and so on.
#[target_feature(enable = "avx512f")]
fn lanes() -> __m512i {
    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

#[target_feature(enable = "avx512f")]
fn load(row: &Row) -> __m512i {
    // SAFETY: all 64 bytes of the row are read.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(row: &mut Row, words: __m512i) {
    // SAFETY: all 64 bytes of the row are written.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), words) }
}

/// Where in so many rows, one after the other, a power of two, words are whose row and lane are given: never outside.
#[target_feature(enable = "avx512f")]
fn places(rows: usize, row: __m512i, lane: __m512i) -> __m512i {
    let (row, lane) = (_mm512_and_si512(row, all(rows as u32 - 1)), _mm512_and_si512(lane, all(ABREAST as u32 - 1)));
    _mm512_or_si512(_mm512_slli_epi32::<4>(row), lane)
}

/// The words of rows, a power of two, that lie at rows and lanes: each lane's own, or a column.
#[target_feature(enable = "avx512f")]
fn gather<const ROWS: usize>(rows: &[Row; ROWS], row: __m512i, lane: __m512i) -> __m512i {
    const { assert!(ROWS.is_power_of_two()) }
    // SAFETY: every place is inside the rows.
    unsafe { _mm512_i32gather_epi32::<4>(places(ROWS, row, lane), rows.as_ptr().cast()) }
}

/// Writes words where [`gather`] reads them, of those lanes.
#[target_feature(enable = "avx512f")]
fn scatter<const ROWS: usize>(
    rows: &mut [Row; ROWS],
    some: __mmask16,
    (row, lane): (__m512i, __m512i),
    words: __m512i,
) {
    const { assert!(ROWS.is_power_of_two()) }
    // SAFETY: every place is inside the rows.
    unsafe {
        _mm512_mask_i32scatter_epi32::<4>(rows.as_mut_ptr().cast(), some, places(ROWS, row, lane), words);
    }
}

/// The number of the highest bit, or -1 where there is none.
#[target_feature(enable = "avx512f,avx512cd")]
fn number_of(bit: __m512i) -> __m512i {
    _mm512_sub_epi32(all(31), _mm512_lzcnt_epi32(bit))
}

#[target_feature(enable = "avx512f")]
fn lowest(bits: __m512i) -> __m512i {
    _mm512_and_si512(bits, _mm512_sub_epi32(_mm512_setzero_si512(), bits))
}

/// What pairs of symbols make, shifted by [`SHIFT`] and with `lane` below, or [`NONE`]: [`Pairs::get`].
#[target_feature(enable = "avx512f,avx512vl")]
fn look(pairs: &Pairs, left: __m512i, right: __m512i, lane: __m512i) -> __m512i {
    let hashing = &pairs.hashing;
    let [a, b, c, d, mix] = hashing.factors;
    let sum = |a: u32, b: u32| _mm512_add_epi32(_mm512_mullo_epi32(left, all(a)), _mm512_mullo_epi32(right, all(b)));
    let first = sum(a, b);
    let first = _mm512_xor_si512(first, _mm512_srli_epi32::<DOWN>(first));
    let (mixed, sum) = (_mm512_mullo_epi32(first, all(mix)), sum(c, d));
    let bucket = _mm512_srl_epi32(mixed, _mm_set_epi64x(0, i64::from(hashing.bucket_shift)));
    // SAFETY: a bucket has as many bits as the number of buckets.
    let bucket = unsafe { _mm512_i32gather_epi32::<4>(bucket, pairs.buckets.as_ptr().cast()) };
    let bit = _mm512_sllv_epi32(all(1 << BITS_FROM), _mm512_and_si512(mixed, all(BITS - 1)));
    let there = _mm512_test_epi32_mask(bucket, bit);
    let displacement = _mm512_and_si512(bucket, all(DISPLACEMENT));
    let place = _mm512_add_epi32(sum, _mm512_mullo_epi32(_mm512_or_si512(mixed, all(1)), displacement));
    let slot = _mm512_srl_epi32(place, _mm_set_epi64x(0, i64::from(hashing.slot_shift)));
    let half = |left: __m256i, right: __m256i, slot: __m256i, there: __mmask8| {
        let key = _mm512_or_si512(_mm512_slli_epi64::<20>(_mm512_cvtepu32_epi64(left)), _mm512_cvtepu32_epi64(right));
        let nothing = _mm512_set1_epi64(-1);
        // SAFETY: a slot has as many bits as the number of slots.
        let entry = unsafe { _mm512_mask_i32gather_epi64::<8>(nothing, there, slot, pairs.slots.as_ptr().cast()) };
        let is = _mm512_cmpeq_epi64_mask(_mm512_srli_epi64::<20>(entry), key);
        (_mm512_cvtepi64_epi32(entry), is)
    };
    let lower = |words: __m512i| _mm512_castsi512_si256(words);
    let upper = |words: __m512i| _mm512_extracti64x4_epi64::<1>(words);
    let (first, is_first) = half(lower(left), lower(right), lower(slot), there as u8);
    let (second, is_second) = half(upper(left), upper(right), upper(slot), (there >> 8) as u8);
    let made = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second);
    let made = _mm512_slli_epi32::<SHIFT>(_mm512_and_si512(made, all(MOST as u32)));
    let is = __mmask16::from(is_first) | __mmask16::from(is_second) << 8;
    _mm512_mask_or_epi32(all(NONE), is, made, lane)
}

/// Sixteen pieces on their way, of at most `BYTES` bytes; `ROWS` is twice as many.
struct Pieces<const BYTES: usize, const ROWS: usize> {
    /// What the pair that begins at each byte makes, and the number of the byte.
    ranks: [Row; BYTES],
    /// Before the first byte, and behind the last, are symbols that make nothing.
    symbols: [Row; ROWS],
    /// The symbols that are left, a bit each.
    alive: Row,
    names: Row,
    /// The lanes that have a piece.
    busy: __mmask16,
}

impl<const BYTES: usize, const ROWS: usize> Pieces<BYTES, ROWS> {
    const EMPTY: Self = Self {
        ranks: [[NONE; ABREAST]; BYTES],
        symbols: [[NO_SYMBOL; ABREAST]; ROWS],
        alive: [0; ABREAST],
        names: [0; ABREAST],
        busy: 0,
    };

    /// Puts a piece into a lane.
    #[target_feature(enable = "avx512f,avx512vl")]
    fn begin(&mut self, merger: &Merger, lane: usize, name: u32, text: &[u8], (start, end): (usize, usize)) {
        let (mut room, len) = ([0; PACKED], end - start);
        let bytes = bytes_at(text, start, &mut room);
        for first in (0..BYTES).step_by(ABREAST) {
            // SAFETY: 16 of the bytes from `first + 1` on are there: `first` is at most 16.
            let [left, right] = [first, first + 1]
                .map(|at| unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes[at..at + ABREAST].as_ptr().cast())) });
            let places = _mm512_add_epi32(lanes(), all(first as u32));
            // A column is written where the others are rows.
            let column = all(lane as u32);
            let inside = _mm512_cmplt_epu32_mask(places, all(len as u32));
            let before_last = _mm512_cmplt_epu32_mask(places, all(len as u32 - 1));
            let two = _mm512_or_si512(_mm512_slli_epi32::<8>(left), right);
            // SAFETY: there are 2^16 pairs of bytes.
            let made =
                unsafe { _mm512_mask_i32gather_epi32::<4>(all(NONE), before_last, two, merger.first.as_ptr().cast()) };
            let symbol = _mm512_mask_mov_epi32(all(NO_SYMBOL), inside, left);
            let ranks = _mm512_or_si512(made, places);
            scatter(&mut self.ranks, __mmask16::MAX, (places, column), ranks);
            let places = _mm512_add_epi32(places, all(1));
            scatter(&mut self.symbols, __mmask16::MAX, (places, column), symbol);
        }
        self.alive[lane] = u32::MAX >> (32 - len.clamp(1, 32));
        self.names[lane] = name;
        self.busy |= 1 << lane;
    }

    /// The pair of the smallest rank of each piece, or [`NONE`].
    #[target_feature(enable = "avx512f")]
    fn least(&self) -> __m512i {
        let mut least = all(NONE);
        for row in &self.ranks {
            least = _mm512_min_epu32(least, load(row));
        }
        least
    }

    /// Makes the merges of the smallest ranks, of those lanes that have one.
    #[target_feature(enable = "avx512f,avx512vl,avx512cd")]
    fn step(&mut self, merger: &Merger, least: __m512i, open: __mmask16) {
        let at = _mm512_and_si512(least, all((1 << SHIFT) - 1));
        let made = _mm512_srli_epi32::<SHIFT>(least);
        let alive = load(&self.alive);
        let above = _mm512_and_si512(alive, _mm512_sllv_epi32(all(u32::MAX - 1), at));
        let right = lowest(above);
        let beyond = _mm512_andnot_si512(right, above);
        let none_beyond = _mm512_testn_epi32_mask(beyond, beyond);
        let after = _mm512_mask_mov_epi32(number_of(lowest(beyond)), none_beyond, all(BYTES as u32));
        let up_to = _mm512_sub_epi32(_mm512_sllv_epi32(all(1), at), all(1));
        let before = number_of(_mm512_and_si512(alive, up_to));
        // The symbol of a byte lies one row further.
        let row_of = |byte: __m512i| _mm512_add_epi32(byte, all(1));
        let left_symbol = gather(&self.symbols, row_of(before), lanes());
        let right_symbol = gather(&self.symbols, row_of(after), lanes());
        let with_left = look(&merger.pairs, left_symbol, made, before);
        let with_right = look(&merger.pairs, made, right_symbol, at);
        scatter(&mut self.symbols, open, (row_of(at), lanes()), made);
        scatter(&mut self.ranks, open, (number_of(right), lanes()), all(NONE));
        scatter(&mut self.ranks, open, (at, lanes()), with_right);
        let has_left = open & _mm512_cmpgt_epi32_mask(before, all(u32::MAX));
        scatter(&mut self.ranks, has_left, (before, lanes()), with_left);
        store(&mut self.alive, _mm512_mask_andnot_epi32(alive, open, right, alive));
    }

    /// Writes the ids of the piece in a lane; returns a bit for each byte that begins a token.
    #[target_feature(enable = "avx512f,avx512vl,popcnt")]
    fn finish(&mut self, merger: &Merger, lane: usize, ids: &mut [u32; PACKED]) -> u64 {
        self.busy &= !(1 << lane);
        let mut number = 0;
        for first in (0..BYTES).step_by(ABREAST) {
            let rows = _mm512_add_epi32(lanes(), all(first as u32 + 1));
            let symbols = gather(&self.symbols, rows, all(lane as u32));
            let left = (self.alive[lane] >> first) as __mmask16;
            let differ = left & _mm512_cmplt_epu32_mask(symbols, all(merger.same_from));
            // SAFETY: a symbol that is left has an id.
            let found =
                unsafe { _mm512_mask_i32gather_epi32::<4>(symbols, differ, symbols, merger.ids.as_ptr().cast()) };
            let found = _mm512_maskz_compress_epi32(left, found);
            let room: &mut [u32] = &mut ids[number..number + ABREAST];
            // SAFETY: all 64 bytes of the room are written.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), found) }
            number += left.count_ones() as usize;
        }
        u64::from(self.alive[lane])
    }
}

/// [`super::packed::merge`] for pieces of at most `BYTES` bytes.
#[target_feature(enable = "avx512f,avx512vl,avx512cd,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn merge<const BYTES: usize, const ROWS: usize>(
    merger: &Merger,
    text: &[u8],
    names: &[u32],
    span: impl Fn(u32) -> (usize, usize),
    mut done: impl FnMut(u32, &[u32; PACKED], u64),
) {
    let mut groups = [Pieces::<BYTES, ROWS>::EMPTY; GROUPS];
    let mut ids = [0; PACKED];
    let mut names = names.iter();
    for lane in 0..ABREAST {
        for pieces in &mut groups {
            if let Some(&name) = names.next() {
                pieces.begin(merger, lane, name, text, span(name));
            }
        }
    }
    while groups.iter().any(|pieces| pieces.busy != 0) {
        for pieces in &mut groups {
            let least = pieces.least();
            let open = _mm512_cmpneq_epi32_mask(least, all(NONE));
            if open != 0 {
                pieces.step(merger, least, open);
            }
            let mut finished = pieces.busy & !open;
            while finished != 0 {
                let lane = finished.trailing_zeros() as usize;
                finished &= finished - 1;
                let begins = pieces.finish(merger, lane, &mut ids);
                done(pieces.names[lane], &ids, begins);
                if let Some(&name) = names.next() {
                    pieces.begin(merger, lane, name, text, span(name));
                }
            }
        }
    }
}
