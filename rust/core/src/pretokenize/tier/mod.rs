//! What a processor adds to the kernel: looking at 64 bytes at once.
//!
//! The algebra of [`super::kernel`] is written once, on words of 64 bits. A tier supplies the few operations around it
//! that differ between processors; which one is used is found out at run time.
//!
//! Invariant: a value of a tier exists only on a processor that has its instructions, so its methods are safe to call.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod groups;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod pages;
mod portable;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod shuffle;

use super::class;
use super::scheme::{Cl100k, DeepseekV3, Family, Fixed, Gpt2, O200k, Qwen2, Qwen35, Starcoder, Tekken};
use super::window::{self, Room};
use crate::error::{Error, Result};

/// The operations on 64 bytes that a tier supplies. Bit `i` of a mask speaks of byte `i`.
pub(crate) trait Lanes: Copy {
    /// 64 stand-ins and their classes.
    type Block: Copy;

    /// Looks up the classes, as the scheme sees them. Only ASCII has them unless `stand_ins` is set.
    fn load<S: Fixed>(self, bytes: &[u8; 64], stand_ins: bool) -> Self::Block;

    /// The stand-ins that are of one of these classes.
    fn any_of(self, block: Self::Block, classes: u8) -> u64;

    /// The stand-ins that are this byte.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// Those that stand for themselves.
    fn ascii(self, block: Self::Block) -> u64;

    /// At least those that may follow the quote of a contraction; the less others, the less branches are mispredicted.
    #[inline]
    fn may_end_contraction(self, _: Self::Block) -> u64 {
        u64::MAX
    }

    /// The bytes that go on with a UTF-8 character (`0b10xx_xxxx`).
    fn continuations(self, bytes: &[u8; 64]) -> u64;

    /// One stand-in for every character of `text`, and the bits of the bytes that begin one. The number of characters,
    /// or `None` if the text is not UTF-8.
    ///
    /// `stream` has 72 bytes more than `text`, `leads` a word for every 64 of its bytes.
    #[inline]
    fn transcode(self, text: &[u8], stream: &mut [u8], leads: &mut [u64]) -> Option<usize> {
        let (blocks, rest) = text.as_chunks::<64>();
        for (lead, block) in leads.iter_mut().zip(blocks) {
            *lead = !self.continuations(block);
        }
        if !rest.is_empty() {
            let mut padded = [b' '; 64];
            padded[..rest.len()].copy_from_slice(rest);
            leads[blocks.len()] = !self.continuations(&padded) & ((1 << rest.len()) - 1);
        }
        portable::transcode(text, stream)
    }

    /// The bits of `bits`, from the lowest on, at the places of the bits of `mask`.
    fn deposit(self, bits: u64, mask: u64) -> u64;

    /// Writes `base` and the place of each bit to `places`, which has room for 64 of them.
    fn flatten(self, bits: u64, base: u32, places: &mut [u32; 64]);

    /// [`window::ends`] compiled for this tier.
    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize;
}

/// A way to cut, best first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tier {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(shuffle::Shuffled<avx2::Avx2>),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon(shuffle::Shuffled<neon::Neon>),
    Portable(portable::Portable),
    /// The readable twin, one piece after the other.
    Scalar,
}

impl Tier {
    /// The tiers of this processor, best first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::new().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::new().map(|lanes| Self::Avx2(shuffle::Shuffled(lanes))),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Some(Self::Neon(shuffle::Shuffled(neon::Neon))),
            Some(Self::Portable(portable::Portable)),
            Some(Self::Scalar),
        ]
        .into_iter()
        .flatten()
    }

    /// The name that the environment variable `TOKFAST_PRETOKENIZER` calls it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon(_) => "neon",
            Self::Portable(_) => "portable",
            Self::Scalar => "scalar",
        }
    }

    /// The tier of this name, if the processor has it.
    pub(crate) fn by_name(name: &str) -> Result<Self> {
        Self::all().find(|tier| tier.name() == name).ok_or_else(|| {
            Error::Argument(format!(
                "there is no pretokenizer kernel {name:?} on this processor (TOKFAST_PRETOKENIZER); its kernels are {}",
                Self::all().map(Self::name).collect::<Vec<_>>().join(", ")
            ))
        })
    }

    /// The best tier, or the one that the environment asks for.
    pub(crate) fn from_environment() -> Result<Self> {
        match std::env::var("TOKFAST_PRETOKENIZER") {
            Ok(name) if !name.is_empty() => Self::by_name(&name),
            _ => Ok(Self::all().next().unwrap_or(Self::Scalar)),
        }
    }

    /// Fills `room` with the ends of the pieces of `text`, as if it ended there. `None` if this tier cannot tell.
    #[inline]
    pub(crate) fn ends(self, family: Family, room: &mut Room, text: &[u8]) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(lanes) => Some(by_family(lanes, family, room, text)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(lanes) => Some(by_family(lanes, family, room, text)),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon(lanes) => Some(by_family(lanes, family, room, text)),
            Self::Portable(lanes) => Some(by_family(lanes, family, room, text)),
            Self::Scalar => None,
        }
    }
}

fn by_family<L: Lanes>(lanes: L, family: Family, room: &mut Room, text: &[u8]) -> usize {
    match family {
        Family::Gpt2 => lanes.ends::<Gpt2>(room, text),
        Family::Cl100k => lanes.ends::<Cl100k>(room, text),
        Family::O200k => lanes.ends::<O200k>(room, text),
        Family::Tekken => lanes.ends::<Tekken>(room, text),
        Family::Qwen2 => lanes.ends::<Qwen2>(room, text),
        Family::Qwen35 => lanes.ends::<Qwen35>(room, text),
        Family::DeepseekV3 => lanes.ends::<DeepseekV3>(room, text),
        Family::Starcoder => lanes.ends::<Starcoder>(room, text),
    }
}
