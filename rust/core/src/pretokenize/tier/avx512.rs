//! The tier of x86-64 processors with AVX-512 VBMI2 (Intel Ice Lake, AMD Zen 4, and later).
//!
//! Naive: [`super::portable`].
//! Idea: 64 bytes are one register. The classes of ASCII are one permutation of a table in two registers; a class test
//! gives its mask at once; `vpcompressb` drops what is not the last byte of a character, and lists the places of bits;
//! `pdep` takes bits from characters back to bytes. A page of 64 characters is one register: the characters of a block
//! that end in it are looked up at once. The scripts of one text lie in a few pages, which are remembered
//! ([`super::pages`]), and one test finds most letters without case.
//! Cost: a text of 100 bytes of English takes 116-144 ns, the scalar twin 385-876 (best of five on a machine busy with
//! other work, `benches/pretokenize.rs --short`). Worst case: a block whose characters all lie in different pages takes
//! a round of a dozen instructions for each.
//! Tried and dropped, MB/s of cl100k, Hindi / Russian / Chinese / Japanese / French / Vietnamese: pages of 256, each
//! looked for where it is met, 2698 / 2503 / 2103 / 2621 / 1648 / 1413; pages of 64 (kept), one more remembered every
//! 12 misses 3400 / 2955 / 3207 / 2641 / 2259 / 1959, every 3 (kept) 3423 / 2972 / 3248 / 2788 / 2250 / 2151, every one
//! alike. Masks left where the compiler puts them, in mask registers: 4-8 % slower in every scheme.
//! Source: Lemire and Clausecker, "Transcoding Unicode characters with AVX-512 instructions" (2022), for compressing.

#![allow(unsafe_code)]
// An intrinsic is inlined only where the instructions are allowed, which is in `ends`: all between must end up there.
#![allow(clippy::inline_always)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m512i, _mm512_add_epi32, _mm512_and_si512, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
    _mm512_cmpge_epu8_mask, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_loadu_si512,
    _mm512_mask_cmpeq_epi8_mask, _mm512_mask_permutexvar_epi8, _mm512_mask_test_epi8_mask, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_storeu_si512, _mm512_test_epi8_mask, _pdep_u64,
};

use super::class::{CASELESS_STAND_INS, LONG_S_STAND_IN};
use super::pages::{Page, Pages, around};
use super::window::{self, Room};
use super::{Fixed, Lanes};

/// Proof that the processor has the instructions; only [`Avx512::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Itself, if the processor has AVX-512 VBMI2.
    pub(super) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

/// Stand-ins and their classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    bytes: __m512i,
    classes: __m512i,
}

/// The 64 bytes of a table from a place on; zeros beyond its end.
const fn part(table: &[u8], from: usize) -> [u8; 64] {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 && from + at < table.len() {
        bytes[at] = table[from + at];
        at += 1;
    }
    bytes
}

/// For three-byte characters: a lead (its low six bits) and a second byte that have a bit in common here and in
/// [`SECOND`] are letters without case, whatever the third byte: most Han and Hangul.
const LEAD: [u8; 64] = {
    let mut table = [0; 64];
    table[0x24] = 2;
    let mut lead = 0x25;
    while lead <= 0x2C {
        table[lead] = 1;
        lead += 1;
    }
    table[0x29] = 16;
    table[0x2A] = 4;
    table[0x2D] = 8;
    table
};
/// Han has one stand-in from U+4E00 (E4 B8) to 9F7F (E9 BD), what is around is looked up;
/// Hangul is U+AC00..D77F (EA B0 to ED 9D).
const SECOND: [u8; 64] = {
    let mut table = [1; 64];
    let mut second = 0;
    while second < 64 {
        if second >= 0x38 {
            table[second] |= 2;
        }
        if second >= 0x30 {
            table[second] |= 4;
        }
        if second <= 0x1D {
            table[second] |= 8;
        }
        if second <= 0x3D {
            table[second] |= 16;
        }
        second += 1;
    }
    table
};

/// The stand-in of such a letter, by its lead.
const STAND_IN: [u8; 64] = {
    let mut table = [0; 64];
    let mut lead = 0;
    while lead < 16 {
        table[0x20 + lead] = CASELESS_STAND_INS[lead];
        lead += 1;
    }
    table
};

/// The letters that may follow the quote of a contraction, and the stand-in of U+017F, by their low six bits.
const CONTRACTED: [u8; 64] = {
    let mut table = [0; 64];
    let letters = *b"dlmrstvDLMRSTV";
    let mut number = 0;
    while number < letters.len() {
        table[(letters[number] & 63) as usize] = 1;
        number += 1;
    }
    table[(LONG_S_STAND_IN & 63) as usize] = 1;
    table
};

#[inline(always)]
fn register(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes behind a reference; the load needs no alignment. Reached only through `Avx512`.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The 64 bytes from `at` on, zeros beyond the end.
#[inline(always)]
fn bytes_from(text: &[u8], at: usize) -> __m512i {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => register(bytes),
        // SAFETY: the mask lets only the bytes of `rest` be read, and masked bytes do not fault. Reached only through
        // `Avx512`.
        None => unsafe { _mm512_maskz_loadu_epi8((1 << rest.len()) - 1, rest.as_ptr().cast()) },
    }
}

impl Lanes for Avx512 {
    type Block = Block;

    #[inline(always)]
    fn load<S: Fixed>(self, bytes: &[u8; 64], stand_ins: bool) -> Block {
        let bytes = register(bytes);
        let low = const { &part(&S::SCHEME.classes, 0) };
        let high = const { &part(&S::SCHEME.classes, 64) };
        let beyond = const { &part(&S::SCHEME.classes, 128) };
        // SAFETY: the processor has these instructions, since `self` exists; they touch registers only.
        let classes = unsafe {
            let ascii = _mm512_permutex2var_epi8(register(low), bytes, register(high));
            if stand_ins {
                _mm512_mask_permutexvar_epi8(ascii, _mm512_movepi8_mask(bytes), bytes, register(beyond))
            } else {
                ascii
            }
        };
        Block { bytes, classes }
    }

    #[inline(always)]
    fn any_of(self, block: Block, classes: u8) -> u64 {
        // SAFETY: the processor has these instructions, since `self` exists; they touch registers only.
        number(unsafe { _mm512_test_epi8_mask(block.classes, _mm512_set1_epi8(classes as i8)) })
    }

    #[inline(always)]
    fn equal(self, block: Block, byte: u8) -> u64 {
        // SAFETY: the processor has these instructions, since `self` exists; they touch registers only.
        number(unsafe { _mm512_cmpeq_epi8_mask(block.bytes, _mm512_set1_epi8(byte as i8)) })
    }

    #[inline(always)]
    fn ascii(self, block: Block) -> u64 {
        // SAFETY: the processor has this instruction, since `self` exists; it touches registers only.
        !number(unsafe { _mm512_movepi8_mask(block.bytes) })
    }

    #[inline(always)]
    fn may_end_contraction(self, block: Block) -> u64 {
        // SAFETY: the processor has these instructions, since `self` exists; they touch registers only.
        unsafe {
            let found = _mm512_permutexvar_epi8(block.bytes, register(&CONTRACTED));
            number(_mm512_test_epi8_mask(found, found))
        }
    }

    #[inline(always)]
    fn continuations(self, bytes: &[u8; 64]) -> u64 {
        let bytes = register(bytes);
        // SAFETY: the processor has these instructions, since `self` exists; they touch registers only.
        unsafe { _mm512_movepi8_mask(bytes) & !_mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(0xC0_u8 as i8)) }
    }

    #[inline(always)]
    fn transcode(self, text: &[u8], stream: &mut [u8], leads: &mut [u64]) -> Option<usize> {
        let (mut number, mut expected, mut pages) = (0, 0, Pages::<3>::new());
        for (block, lead) in leads.iter_mut().enumerate().take(text.len().div_ceil(64)) {
            let at = block * 64;
            let len = (text.len() - at).min(64);
            let inside = u64::MAX >> (64 - len);
            let bytes = bytes_from(text, at);
            let room: &mut [u8; 64] = stream.get_mut(number..)?.first_chunk_mut()?;
            // SAFETY: the processor has these instructions, since `self` exists. They touch registers only, but for the
            // stores to the 64 bytes behind `room`.
            unsafe {
                let beyond = _mm512_movepi8_mask(bytes);
                if beyond | expected == 0 {
                    _mm512_storeu_si512(room.as_mut_ptr().cast(), bytes);
                    *lead = inside;
                    number += len;
                    continue;
                }
                let two = _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(0xC0_u8 as i8));
                let three = _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(0xE0_u8 as i8));
                let four = _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(0xF0_u8 as i8));
                if beyond & !two != two << 1 | three << 2 | four << 3 | expected {
                    return None;
                }
                expected = two >> 63 | three >> 62 | four >> 61;
                *lead = !(beyond & !two) & inside;
                let next_begins = text.get(at + 64).is_none_or(|byte| byte & 0xC0 != 0x80);
                let ends = *lead >> 1 | u64::from(next_begins) << (len - 1);

                let mut copy = [0; 68];
                let around = around(text, at, len, &mut copy);
                let second = register(around[3..].first_chunk()?);
                let third = register(around[2..].first_chunk()?);
                let caseless = _mm512_mask_test_epi8_mask(
                    _mm512_cmpge_epu8_mask(third, _mm512_set1_epi8(0xE0_u8 as i8)),
                    _mm512_permutexvar_epi8(third, register(&LEAD)),
                    _mm512_permutexvar_epi8(second, register(&SECOND)),
                );
                let mut out = _mm512_mask_permutexvar_epi8(bytes, caseless, third, register(&STAND_IN));
                let mut known = caseless;
                for page in pages.learned() {
                    let group = members(page, second, third);
                    known |= group;
                    out = _mm512_mask_permutexvar_epi8(out, group, bytes, register(page.stand_ins));
                }
                let mut rest = ends & beyond & !known;
                while rest != 0 {
                    let page = Page::of(around, rest.trailing_zeros() as usize)?;
                    let mut group = members(&page, second, third);
                    if let Some(byte) = page.fourth_last {
                        group = is(register(around[1..].first_chunk()?), byte, group);
                    } else {
                        pages.missed(page);
                    }
                    out = _mm512_mask_permutexvar_epi8(out, group, bytes, register(page.stand_ins));
                    rest &= !group;
                }
                _mm512_storeu_si512(room.as_mut_ptr().cast(), _mm512_maskz_compress_epi8(ends, out));
                number += ends.count_ones() as usize;
            }
        }
        (expected == 0).then_some(number)
    }

    #[inline(always)]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        // SAFETY: the processor has this instruction, since `self` exists.
        unsafe { _pdep_u64(bits, mask) }
    }

    #[inline(always)]
    fn flatten(self, bits: u64, base: u32, places: &mut [u32; 64]) {
        // SAFETY: the processor has these instructions, since `self` exists. The stores go to the 64 values behind
        // `places`, 16 at a time.
        unsafe {
            let bytes = _mm512_maskz_compress_epi8(bits, register(&COUNT));
            let base = _mm512_set1_epi32(base as i32);
            let to = places.as_mut_ptr();
            _mm512_storeu_si512(to.cast(), widen(base, _mm512_castsi512_si128(bytes)));
            _mm512_storeu_si512(to.add(16).cast(), widen(base, _mm512_extracti32x4_epi32::<1>(bytes)));
            if bits.count_ones() > 32 {
                _mm512_storeu_si512(to.add(32).cast(), widen(base, _mm512_extracti32x4_epi32::<2>(bytes)));
                _mm512_storeu_si512(to.add(48).cast(), widen(base, _mm512_extracti32x4_epi32::<3>(bytes)));
            }
        }
    }

    #[inline(always)]
    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize {
        // SAFETY: the processor has these instructions, since `self` exists.
        unsafe { ends::<S>(self, room, text) }
    }
}

/// The mask in an ordinary register. Left alone, the compiler does the algebra on masks in mask registers, whose
/// operations take up to four cycles each.
#[inline(always)]
fn number(mut mask: u64) -> u64 {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) mask, options(pure, nomem, nostack, preserves_flags)) };
    mask
}

/// 16 bytes, each added to a number.
#[inline(always)]
fn widen(base: __m512i, sixteen: __m128i) -> __m512i {
    // SAFETY: reached only through `Avx512`; registers only.
    unsafe { _mm512_add_epi32(_mm512_cvtepu8_epi32(sixteen), base) }
}

/// Those `among` bytes that are this one.
#[inline(always)]
fn is(bytes: __m512i, byte: u8, among: u64) -> u64 {
    // SAFETY: reached only through `Avx512`; registers only.
    unsafe { _mm512_mask_cmpeq_epi8_mask(among, bytes, _mm512_set1_epi8(byte as i8)) }
}

/// Where characters of a page end, but for the fourth last byte.
#[inline(always)]
fn members(page: &Page, second: __m512i, third: __m512i) -> u64 {
    // SAFETY: reached only through `Avx512`; registers only.
    let third = unsafe { _mm512_and_si512(third, _mm512_set1_epi8(page.third_mask as i8)) };
    is(third, page.third_last, is(second, page.second_last, u64::MAX))
}

/// 0 to 63.
const COUNT: [u8; 64] = {
    let mut count = [0; 64];
    let mut number = 0;
    while number < 64 {
        count[number] = number as u8;
        number += 1;
    }
    count
};

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
fn ends<S: Fixed>(lanes: Avx512, room: &mut Room, text: &[u8]) -> usize {
    window::ends::<S, _>(lanes, room, text)
}
