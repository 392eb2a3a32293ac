//! The tier of aarch64 processors: NEON, which all of them have.
//!
//! Naive: [`super::portable`].
//! Idea: [`super::shuffle`] on four registers of 16 bytes. A page of 64 characters is one look-up; the bits of 64 bytes
//! are gathered by adding neighbours, after each was weighed by its place in eight.
//! Cost: not measured on such a processor: what is tested here ran in an emulator.

#![allow(unsafe_code)]
#![allow(clippy::inline_always)]

use std::arch::aarch64::{
    uint8x16_t, uint8x16x4_t, vaddq_u32, vandq_u8, vbslq_u8, vceqq_u8, vcltq_u8, vcltzq_s8, vdupq_n_u8, vdupq_n_u32,
    veorq_u8, vget_low_u16, vgetq_lane_u64, vld1_u8, vld1q_u8, vmovl_high_u16, vmovl_u8, vmovl_u16, vorrq_u8,
    vpaddq_u8, vqtbl1q_u8, vqtbl4q_u8, vreinterpretq_s8_u8, vreinterpretq_u64_u8, vshlq_n_u8, vshrq_n_u8, vst1_u8,
    vst1q_u8, vst1q_u32, vsubq_u8, vtbl1_u8,
};

use super::shuffle::{Shuffled, Shuffles};
use super::window::{self, Room};
use super::{Fixed, portable};

/// Aarch64 with NEON, which belongs to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon;

type Bytes = [uint8x16_t; 4];

/// Instructions that touch registers only.
macro_rules! registers {
    ($code:expr) => {
        // SAFETY: every aarch64 processor that this is compiled for has NEON, and no memory is touched.
        unsafe { $code }
    };
}

/// Applies an instruction of one register to all four.
macro_rules! each {
    ($one:ident, $($operand:expr),*) => {
        registers!([
            $one($($operand[0]),*),
            $one($($operand[1]),*),
            $one($($operand[2]),*),
            $one($($operand[3]),*)
        ])
    };
}

#[inline(always)]
fn sixteen(table: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the processor has NEON; 16 readable bytes behind a reference, no alignment needed.
    unsafe { vld1q_u8(table.as_ptr()) }
}

impl Shuffles for Neon {
    type Bytes = Bytes;

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> Bytes {
        let (parts, _) = bytes.as_chunks();
        std::array::from_fn(|number| sixteen(&parts[number]))
    }

    #[inline(always)]
    fn store(self, bytes: Bytes, to: &mut [u8; 64]) {
        for (to, bytes) in to.as_chunks_mut::<16>().0.iter_mut().zip(bytes) {
            // SAFETY: the processor has NEON; 16 writable bytes behind a reference, no alignment needed.
            unsafe { vst1q_u8(to.as_mut_ptr(), bytes) }
        }
    }

    #[inline(always)]
    fn all(self, byte: u8) -> Bytes {
        registers!([vdupq_n_u8(byte); 4])
    }

    #[inline(always)]
    fn and(self, one: Bytes, other: Bytes) -> Bytes {
        each!(vandq_u8, one, other)
    }

    #[inline(always)]
    fn or(self, one: Bytes, other: Bytes) -> Bytes {
        each!(vorrq_u8, one, other)
    }

    #[inline(always)]
    fn xor(self, one: Bytes, other: Bytes) -> Bytes {
        each!(veorq_u8, one, other)
    }

    #[inline(always)]
    fn minus(self, one: Bytes, other: Bytes) -> Bytes {
        each!(vsubq_u8, one, other)
    }

    #[inline(always)]
    fn same(self, one: Bytes, other: Bytes) -> Bytes {
        each!(vceqq_u8, one, other)
    }

    #[inline(always)]
    fn less(self, one: Bytes, other: Bytes) -> Bytes {
        each!(vcltq_u8, one, other)
    }

    #[inline(always)]
    fn choose(self, by: Bytes, yes: Bytes, no: Bytes) -> Bytes {
        let mask = by.map(|by| registers!(vcltzq_s8(vreinterpretq_s8_u8(by))));
        each!(vbslq_u8, mask, yes, no)
    }

    #[inline(always)]
    fn raise<const N: i32>(self, bytes: Bytes) -> Bytes {
        bytes.map(|bytes| registers!(vshlq_n_u8::<N>(bytes)))
    }

    #[inline(always)]
    fn bits(self, bytes: Bytes) -> u64 {
        const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        let weights = sixteen(&WEIGHTS);
        let [a, b, c, d] = bytes.map(|bytes| registers!(vandq_u8(vcltzq_s8(vreinterpretq_s8_u8(bytes)), weights)));
        let sums = registers!(vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d)));
        registers!(vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums))))
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], bytes: Bytes) -> Bytes {
        let table = sixteen(table);
        bytes.map(|bytes| registers!(vqtbl1q_u8(table, bytes)))
    }

    #[inline(always)]
    fn look_up_low(self, table: &[u8; 16], bytes: Bytes) -> Bytes {
        self.look_up(table, self.and(bytes, self.all(0x8F)))
    }

    #[inline(always)]
    fn look_up_high(self, table: &[u8; 16], bytes: Bytes) -> Bytes {
        self.look_up(table, bytes.map(|bytes| registers!(vshrq_n_u8::<4>(bytes))))
    }

    #[inline(always)]
    fn look_up_page(self, page: &[u8; 64], bytes: Bytes) -> Bytes {
        let [a, b, c, d] = self.load(page);
        self.and(bytes, self.all(0x3F)).map(|bytes| registers!(vqtbl4q_u8(uint8x16x4_t(a, b, c, d), bytes)))
    }

    #[inline(always)]
    fn reorder(self, bytes: &[u8; 8], order: &[u8; 8], to: &mut [u8; 8]) {
        // SAFETY: the processor has NEON; eight bytes behind each reference, no alignment needed.
        unsafe { vst1_u8(to.as_mut_ptr(), vtbl1_u8(vld1_u8(bytes.as_ptr()), vld1_u8(order.as_ptr()))) }
    }

    #[inline(always)]
    fn widen(self, numbers: &[u8; 8], base: u32, to: &mut [u32; 8]) {
        let base = registers!(vdupq_n_u32(base));
        // SAFETY: the processor has NEON; eight bytes and eight numbers behind the references, no alignment needed.
        unsafe {
            let wide = vmovl_u8(vld1_u8(numbers.as_ptr()));
            vst1q_u32(to.as_mut_ptr(), vaddq_u32(base, vmovl_u16(vget_low_u16(wide))));
            vst1q_u32(to.as_mut_ptr().add(4), vaddq_u32(base, vmovl_high_u16(wide)));
        }
    }

    #[inline(always)]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        portable::deposit(bits, mask)
    }

    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize {
        window::ends::<S, _>(Shuffled(self), room, text)
    }
}
