//! What the tiers share whose registers look up 16 bytes at a time: AVX2 and NEON.
//!
//! Naive: [`super::portable`].
//! Idea: a class is a property of a row and a column of the ASCII table, so two look-ups by half a byte and an `and`
//! find it; the stand-ins beyond ASCII take a third. A character's stand-in is looked up at its *last* byte, the place
//! in a page of 64 characters, all at once that lie in one page: the scripts of one text lie in a few pages, and most
//! letters without case are known by the two bytes before. What is no last byte is squeezed out, eight bytes at a time,
//! by a table that also lists the places of the bits of a mask.
//! Cost: see [`super::avx2`]. Worst case: a block whose characters all lie in different pages takes a round of some
//! thirty instructions for each.
//! Tried and dropped, MB/s of cl100k on AVX2, Hindi / Russian / Chinese / Japanese / French / Vietnamese, noisy:
//!
//! | pages | |
//! |---|---|
//! | a round for each that is met, none remembered | 1211 / 1253 / 1342 / 821 / 1184 / - |
//! | the last 8 remembered | 1374 / 1195 / 1283 / 1087 / 1092 / - |
//! | the last 4 | 1377 / 1222 / 1313 / 1120 / 1101 / 989 |
//! | one more every 12 misses (kept) | 1391 / 1274 / 1338 / 1098 / 1107 / 1025 |
//!
//! Masks put together as numbers, `beyond & begins`, instead of in registers: half as
//! fast (the compiler made vectors of 32 single bits of them).
//! Source: Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019), for classes by halves of a byte;
//! Lemire's `despacing` for the table that squeezes.

// An intrinsic is inlined only where the instructions are allowed, which is in `ends`: all between must end up there.
#![allow(clippy::inline_always, clippy::trivially_copy_pass_by_ref)]

use super::class::{self, LONG_S_STAND_IN, LOOSE, NEWLINE, SPACE};
use super::groups::{COLUMNS, DIGIT, LINE, MARKS, MORE_COLUMNS, MORE_ROWS, ROWS, SPLIT, TAB, beyond, groups};
use super::pages::{Page, Pages, around};
use super::window::Room;
use super::{Fixed, Lanes};

/// The operations on 64 bytes in registers that a processor supplies.
pub(crate) trait Shuffles: Copy {
    type Bytes: Copy;

    fn load(self, bytes: &[u8; 64]) -> Self::Bytes;
    fn store(self, bytes: Self::Bytes, to: &mut [u8; 64]);
    fn all(self, byte: u8) -> Self::Bytes;
    fn and(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    fn or(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    fn xor(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    /// The difference of each byte, wrapping.
    fn minus(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    /// 0xFF where the bytes are equal, else 0.
    fn same(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    /// 0xFF where the byte is less (without sign), else 0.
    fn less(self, one: Self::Bytes, other: Self::Bytes) -> Self::Bytes;
    /// `yes` where the highest bit of `by` is set, else `no`.
    fn choose(self, by: Self::Bytes, yes: Self::Bytes, no: Self::Bytes) -> Self::Bytes;
    /// Each byte with the bit `7 - N` as its highest; the lower bits are any.
    fn raise<const N: i32>(self, bytes: Self::Bytes) -> Self::Bytes;
    /// The highest bit of each byte.
    fn bits(self, bytes: Self::Bytes) -> u64;
    /// The entry of the table at each byte that is less than 16, zero at each from 0x80 on.
    fn look_up(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes;
    /// [`Self::look_up`] by the low half of each byte that is less than 0x80.
    fn look_up_low(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes;
    /// [`Self::look_up`] by the high half of each byte.
    fn look_up_high(self, table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes;
    /// The entry of the page at the low six bits of each byte from 0x80 to 0xBF.
    fn look_up_page(self, page: &[u8; 64], bytes: Self::Bytes) -> Self::Bytes;
    /// Eight bytes, each where `order` says.
    fn reorder(self, bytes: &[u8; 8], order: &[u8; 8], to: &mut [u8; 8]);
    /// Eight numbers, each added to `base`.
    fn widen(self, numbers: &[u8; 8], base: u32, to: &mut [u32; 8]);
    /// [`Lanes::deposit`].
    fn deposit(self, bits: u64, mask: u64) -> u64;
    /// [`Lanes::ends`].
    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize;
}

/// The tier of a processor with [`Shuffles`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shuffled<P>(pub(super) P);

/// Stand-ins, and for each the groups it is in, of the first kind and of the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<B> {
    bytes: B,
    groups: B,
    more: B,
}

/// For the lead of three bytes (its low half): the second bytes after which a letter without case follows whatever the
/// third is, where they begin, how many there are, and the stand-in of these. Han from U+4E00 (E4 B8) to 9F7F (E9 BD),
/// Hangul from U+AC00 (EA B0) to D77F (ED 9D).
const FIRST: [u8; 16] = [0, 0, 0, 0, 0xB8, 0x80, 0x80, 0x80, 0x80, 0x80, 0xB0, 0x80, 0x80, 0x80, 0, 0];
const COUNT: [u8; 16] = [0, 0, 0, 0, 8, 64, 64, 64, 64, 0x3E, 16, 64, 64, 0x1E, 0, 0];
const STAND_IN: [u8; 16] = class::CASELESS_STAND_INS;

/// The columns of the ASCII table in which the letters d, l, m, r, s, t and v stand.
const CONTRACTED: [u8; 16] = [0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0];

/// The places of the bits of each byte, in order.
static PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0_u8, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][count] = bit;
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

impl<P: Shuffles> Shuffled<P> {
    /// The stand-ins that are in a group of these classes.
    #[inline(always)]
    fn grouped(self, block: Block<P::Bytes>, classes: u8) -> u64 {
        let lanes = self.0;
        let any = |bytes, among| !lanes.bits(lanes.same(lanes.and(bytes, lanes.all(among)), lanes.all(0)));
        match groups(classes) {
            (MARKS, 0) => lanes.bits(block.groups),
            (LINE, 0) => lanes.bits(lanes.raise::<1>(block.groups)),
            (TAB, 0) => lanes.bits(lanes.raise::<2>(block.groups)),
            (DIGIT, 0) => lanes.bits(lanes.raise::<3>(block.groups)),
            (among, 0) => any(block.groups, among),
            (0, SPLIT) => lanes.bits(lanes.raise::<5>(block.more)),
            (0, among) => any(block.more, among),
            (groups, more) => any(block.groups, groups) | any(block.more, more),
        }
    }
}

impl<P: Shuffles> Lanes for Shuffled<P> {
    type Block = Block<P::Bytes>;

    #[inline(always)]
    fn load<S: Fixed>(self, bytes: &[u8; 64], stand_ins: bool) -> Self::Block {
        let lanes = self.0;
        let bytes = lanes.load(bytes);
        let mut groups = lanes.and(lanes.look_up_low(&COLUMNS, bytes), lanes.look_up_high(&ROWS, bytes));
        let mut more = lanes.and(lanes.look_up_low(&MORE_COLUMNS, bytes), lanes.look_up_high(&MORE_ROWS, bytes));
        if stand_ins {
            let number = lanes.xor(bytes, lanes.all(0x80));
            groups = lanes.or(groups, lanes.look_up(const { &beyond(&S::SCHEME.classes, false) }, number));
            more = lanes.or(more, lanes.look_up(const { &beyond(&S::SCHEME.classes, true) }, number));
        }
        Block { bytes, groups, more }
    }

    #[inline(always)]
    fn any_of(self, block: Self::Block, classes: u8) -> u64 {
        // Of space, tabs are in a group; of what is loose, tabs and line breaks are in the same rows.
        let mask = if classes & SPACE == 0 { 0 } else { self.equal(block, b' ') };
        let mask = mask | self.grouped(block, classes);
        if classes & LOOSE == 0 { mask } else { mask & !self.grouped(block, SPACE | NEWLINE) }
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        self.0.bits(self.0.same(block.bytes, self.0.all(byte)))
    }

    #[inline(always)]
    fn ascii(self, block: Self::Block) -> u64 {
        !self.0.bits(block.bytes)
    }

    #[inline(always)]
    fn may_end_contraction(self, block: Self::Block) -> u64 {
        let lanes = self.0;
        let long_s = lanes.same(block.bytes, lanes.all(LONG_S_STAND_IN));
        !lanes.bits(lanes.same(lanes.or(lanes.look_up_low(&CONTRACTED, block.bytes), long_s), lanes.all(0)))
    }

    #[inline(always)]
    fn continuations(self, bytes: &[u8; 64]) -> u64 {
        let bytes = self.0.load(bytes);
        !self.0.bits(self.0.or(self.0.xor(bytes, self.0.all(0x80)), self.0.raise::<1>(bytes)))
    }

    #[inline(always)]
    fn transcode(self, text: &[u8], stream: &mut [u8], leads: &mut [u64]) -> Option<usize> {
        let lanes = self.0;
        let (mut number, mut expected) = (0, 0);
        let mut pages = Pages::<12>::new();
        for (block, lead) in leads.iter_mut().enumerate().take(text.len().div_ceil(64)) {
            let at = block * 64;
            let len = (text.len() - at).min(64);
            let inside = u64::MAX >> (64 - len);
            let mut copy = [0; 68];
            let around = around(text, at, len, &mut copy);
            let last = lanes.load(around[4..].first_chunk()?);
            let beyond = lanes.bits(last);
            let room: &mut [u8; 72] = stream.get_mut(number..)?.first_chunk_mut()?;
            if beyond | expected == 0 {
                lanes.store(last, room.first_chunk_mut()?);
                *lead = inside;
                number += len;
                continue;
            }
            // Of masks made apart and put together later, the compiler makes vectors of single bits.
            let two = lanes.and(last, lanes.raise::<1>(last));
            let three = lanes.and(two, lanes.raise::<2>(last));
            let four = lanes.bits(lanes.and(three, lanes.raise::<3>(last)));
            let (two, three) = (lanes.bits(two), lanes.bits(three));
            if beyond & !two != two << 1 | three << 2 | four << 3 | expected {
                return None;
            }
            expected = two >> 63 | three >> 62 | four >> 61;
            *lead = !(beyond & !two) & inside;
            let next_begins = text.get(at + 64).is_none_or(|byte| byte & 0xC0 != 0x80);
            let ends = *lead >> 1 | u64::from(next_begins) << (len - 1);

            let second = lanes.load(around[3..].first_chunk()?);
            let third = lanes.load(around[2..].first_chunk()?);
            // 0 to 15 for a lead of three bytes, then 0x70 more; all others from 0x80 on.
            let row = lanes.xor(third, lanes.all(0xE0));
            let row = lanes.or(row, lanes.less(lanes.all(15), row));
            let place = lanes.minus(second, lanes.look_up(&FIRST, row));
            let caseless = lanes.less(place, lanes.look_up(&COUNT, row));
            let mut out = lanes.and(caseless, lanes.look_up(&STAND_IN, row));
            let mut known = caseless;
            for page in pages.learned() {
                let group = page.members(lanes, second, third);
                known = lanes.or(known, group);
                out = lanes.or(out, lanes.and(group, lanes.look_up_page(page.stand_ins, last)));
            }
            let mut rest = ends & beyond & !lanes.bits(known);
            while rest != 0 {
                let page = Page::of(around, rest.trailing_zeros() as usize)?;
                let mut group = page.members(lanes, second, third);
                if let Some(byte) = page.fourth_last {
                    let fourth = lanes.load(around[1..].first_chunk()?);
                    group = lanes.and(group, lanes.same(fourth, lanes.all(byte)));
                } else {
                    pages.missed(page);
                }
                out = lanes.or(out, lanes.and(group, lanes.look_up_page(page.stand_ins, last)));
                rest &= !lanes.bits(group);
            }
            let mut bytes = [0; 64];
            lanes.store(lanes.choose(last, out, last), &mut bytes);
            let mut count = 0;
            for (number, eight) in bytes.as_chunks().0.iter().enumerate() {
                let keep = (ends >> (number * 8)) as u8;
                // `count` is less than 64 here; the compiler sees it so.
                lanes.reorder(eight, &PLACES[keep as usize], room[count & 63..].first_chunk_mut()?);
                count += keep.count_ones() as usize;
            }
            number += count;
        }
        (expected == 0).then_some(number)
    }

    #[inline(always)]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        self.0.deposit(bits, mask)
    }

    #[inline(always)]
    fn flatten(self, bits: u64, base: u32, places: &mut [u32; 64]) {
        let mut count = 0;
        for (number, byte) in bits.to_le_bytes().into_iter().enumerate() {
            if let Some(to) = places.get_mut(count..).and_then(<[u32]>::first_chunk_mut) {
                self.0.widen(&PLACES[byte as usize], base + number as u32 * 8, to);
            }
            count += byte.count_ones() as usize;
        }
    }

    #[inline(always)]
    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize {
        self.0.ends::<S>(room, text)
    }
}
