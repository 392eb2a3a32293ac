//! The tier of x86-64 processors with AVX2 and BMI2 (Intel Haswell, AMD Excavator, and later).
//!
//! Naive: [`super::portable`].
//! Idea: [`super::shuffle`] on two registers of 32 bytes; `pdep` takes bits from characters back to bytes.
//! Cost: 2.4 GB/s of English in cl100k, 1.0-1.6 in other scripts, where AVX-512 has 3.6 and 2.0-3.4, the scalar twin
//! 0.2-0.3 (`benches/pretokenize.rs`, Sapphire Rapids at 2.3 GHz, busy with other work). A `pdep` in microcode (AMD
//! before Zen 3) costs some 200 cycles for every 64 bytes of text that is not ASCII.

#![allow(unsafe_code)]
// An intrinsic is inlined only where the instructions are allowed, which is in `ends`: all between must end up there.
#![allow(clippy::inline_always)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_shuffle_epi8, _mm_storel_epi64, _mm256_add_epi32,
    _mm256_adds_epu8, _mm256_and_si256, _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_cvtepu8_epi32, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi8,
    _mm256_xor_si256, _pdep_u64,
};

use super::Fixed;
use super::shuffle::{Shuffled, Shuffles};
use super::window::{self, Room};

/// Proof that the processor has the instructions; only [`Avx2::new`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Itself, if the processor has AVX2 and BMI2.
    pub(super) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

/// Applies an instruction of one register to both.
macro_rules! both {
    ($one:ident, $($operand:expr),*) => {
        // SAFETY: the processor has these instructions, since an `Avx2` exists; they touch registers only.
        unsafe { [$one($($operand[0]),*), $one($($operand[1]),*)] }
    };
}

#[inline(always)]
fn broadcast(table: &[u8; 16]) -> [__m256i; 2] {
    // SAFETY: 16 readable bytes behind a reference, no alignment needed. Reached only through `Avx2`.
    let both = unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) };
    [both; 2]
}

#[inline(always)]
fn eight(bytes: &[u8; 8]) -> __m128i {
    // SAFETY: eight readable bytes behind a reference, no alignment needed. Reached only through `Avx2`.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

impl Shuffles for Avx2 {
    type Bytes = [__m256i; 2];

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> Self::Bytes {
        let from = bytes.as_ptr();
        // SAFETY: twice 32 of the 64 bytes behind the reference, no alignment needed; the processor has the
        // instruction, since `self` exists.
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
    }

    #[inline(always)]
    fn store(self, bytes: Self::Bytes, to: &mut [u8; 64]) {
        let to = to.as_mut_ptr();
        // SAFETY: as in `load`.
        unsafe {
            _mm256_storeu_si256(to.cast(), bytes[0]);
            _mm256_storeu_si256(to.add(32).cast(), bytes[1]);
        }
    }

    #[inline(always)]
    fn all(self, byte: u8) -> Self::Bytes {
        // SAFETY: the processor has the instruction, since `self` exists; registers only.
        [unsafe { _mm256_set1_epi8(byte as i8) }; 2]
    }

    #[inline(always)]
    fn and(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        both!(_mm256_and_si256, one, other)
    }

    #[inline(always)]
    fn or(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        both!(_mm256_or_si256, one, other)
    }

    #[inline(always)]
    fn xor(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        both!(_mm256_xor_si256, one, other)
    }

    #[inline(always)]
    fn minus(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        both!(_mm256_sub_epi8, one, other)
    }

    #[inline(always)]
    fn same(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        both!(_mm256_cmpeq_epi8, one, other)
    }

    #[inline(always)]
    fn less(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes {
        // Not less where the greater of both is the first.
        let not = self.same(both!(_mm256_max_epu8, one, other), one);
        self.xor(not, self.all(0xFF))
    }

    #[inline(always)]
    fn choose(self, by: Self::Bytes, yes: Self::Bytes, no: Self::Bytes) -> Self::Bytes {
        both!(_mm256_blendv_epi8, no, yes, by)
    }

    #[inline(always)]
    fn raise<const N: i32>(self, bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: the processor has the instruction, since `self` exists; registers only.
        bytes.map(|bytes| unsafe { _mm256_slli_epi16::<N>(bytes) })
    }

    #[inline(always)]
    fn bits(self, bytes: Self::Bytes) -> u64 {
        // SAFETY: the processor has the instruction, since `self` exists; registers only.
        let [low, high] = bytes.map(|bytes| unsafe { _mm256_movemask_epi8(bytes) });
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        both!(_mm256_shuffle_epi8, broadcast(table), bytes)
    }

    #[inline(always)]
    fn look_up_low(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        self.look_up(table, bytes)
    }

    #[inline(always)]
    fn look_up_high(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: the processor has the instruction, since `self` exists; registers only.
        let high = bytes.map(|bytes| unsafe { _mm256_srli_epi16::<4>(bytes) });
        self.look_up(table, self.and(high, self.all(15)))
    }

    #[inline(always)]
    fn look_up_page(self, page: &[u8; 64], bytes: Self::Bytes) -> Self::Bytes {
        let mut found = self.all(0);
        for (row, table) in page.as_chunks().0.iter().enumerate() {
            let place = self.xor(bytes, self.all(0x80 | (row as u8) << 4));
            // From 0x80 on where it lies in another row.
            let place = both!(_mm256_adds_epu8, place, self.all(0x70));
            found = self.or(found, self.look_up(table, place));
        }
        found
    }

    #[inline(always)]
    fn reorder(self, bytes: &[u8; 8], order: &[u8; 8], to: &mut [u8; 8]) {
        // SAFETY: the processor has these instructions, since `self` exists; the store goes to the eight bytes.
        unsafe { _mm_storel_epi64(to.as_mut_ptr().cast(), _mm_shuffle_epi8(eight(bytes), eight(order))) }
    }

    #[inline(always)]
    fn widen(self, numbers: &[u8; 8], base: u32, to: &mut [u32; 8]) {
        // SAFETY: the processor has these instructions, since `self` exists; the store goes to the eight numbers.
        unsafe {
            let sum = _mm256_add_epi32(_mm256_cvtepu8_epi32(eight(numbers)), _mm256_set1_epi32(base as i32));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), sum);
        }
    }

    #[inline(always)]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        // SAFETY: the processor has this instruction, since `self` exists.
        unsafe { _pdep_u64(bits, mask) }
    }

    #[inline(always)]
    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize {
        // SAFETY: the processor has these instructions, since `self` exists.
        unsafe { ends::<S>(self, room, text) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn ends<S: Fixed>(lanes: Avx2, room: &mut Room, text: &[u8]) -> usize {
    window::ends::<S, _>(Shuffled(lanes), room, text)
}
