//! Pages of 64 characters, which differ in their last byte only, and those of them that a text uses.
//!
//! Naive: look up each page that a block has characters of, one after the other: the number of rounds is a branch that
//! is mispredicted in most blocks.
//! Idea: the pages met before in this window are looked up in every block, whether it needs them or not; only others
//! are looked for. What is learned is forgotten with the window, so a change of script costs little.

#![allow(clippy::inline_always)]

use super::class;
use super::shuffle::Shuffles;

/// Pages that are looked up in every block of a window from then on where a character of them was met.
const PAGES: usize = 8;
/// The block of `len` bytes at `at` with the four bytes before it, zeros beyond the text: where they are, or copied.
#[inline(always)]
pub(super) fn around<'a>(text: &'a [u8], at: usize, len: usize, copy: &'a mut [u8; 68]) -> &'a [u8; 68] {
    if let Some(Some(around)) = text.get(at.wrapping_sub(4)..).map(<[u8]>::first_chunk) {
        return around;
    }
    let before = at.min(4);
    copy[4 - before..4 + len].copy_from_slice(&text[at - before..at + len]);
    copy
}

/// What a window has taught. After the first two pages, every so many `MISSES` one more is learned: a page in vain costs
/// less than the mispredicted branches of one met by itself, and how much less depends on the processor.
#[derive(Debug)]
pub(super) struct Pages<const MISSES: usize> {
    list: [Page; PAGES],
    learned: usize,
    misses: usize,
}

impl<const MISSES: usize> Pages<MISSES> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { list: [Page::NONE; PAGES], learned: 0, misses: 0 }
    }

    /// The pages to look up in every block.
    #[inline(always)]
    pub(super) fn learned(&self) -> &[Page] {
        &self.list[..self.learned.min(PAGES)]
    }

    /// A character of this page, which is not among [`Self::learned`], was met.
    #[inline(always)]
    pub(super) fn missed(&mut self, page: Page) {
        if self.misses < 2 || self.misses.is_multiple_of(MISSES) {
            self.list[self.learned % PAGES] = page;
            self.learned += 1;
        }
        self.misses += 1;
    }
}

/// 64 characters that differ in their last byte only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) second_last: u8,
    pub(super) third_last: u8,
    /// 0 where any third last byte will do, since the character has two; else 0xFF.
    pub(super) third_mask: u8,
    /// Of characters of four bytes.
    pub(super) fourth_last: Option<u8>,
    pub(super) stand_ins: &'static [u8; 64],
}

impl Page {
    const NONE: Self = Self { second_last: 0, third_last: 0, third_mask: 0, fourth_last: None, stand_ins: &[0; 64] };

    /// The page of the character that ends at `around[4 + at]`, if it is valid.
    #[inline(always)]
    pub(super) fn of(around: &[u8; 68], at: usize) -> Option<Self> {
        let [fourth_last, third_last, second_last, ..] = *around.get(at + 1..)? else { return None };
        let low = |byte: u8| usize::from(byte & 0x3F);
        let (number, third, fourth_last) = if second_last >= 0xC2 {
            (usize::from(second_last & 0x1F), None, None)
        } else if third_last >= 0xE0 {
            if (third_last == 0xE0 && second_last < 0xA0) || (third_last == 0xED && second_last >= 0xA0) {
                return None;
            }
            (usize::from(third_last & 15) << 6 | low(second_last), Some(third_last), None)
        } else {
            let valid = match fourth_last {
                0xF0 => third_last >= 0x90,
                0xF1..=0xF3 => true,
                0xF4 => third_last < 0x90,
                _ => false,
            };
            if !valid {
                return None;
            }
            let number = usize::from(fourth_last & 7) << 12 | low(third_last) << 6 | low(second_last);
            (number, Some(third_last), Some(fourth_last))
        };
        Some(Self {
            second_last,
            third_last: third.unwrap_or_default(),
            third_mask: if third.is_some() { 0xFF } else { 0 },
            fourth_last,
            stand_ins: class::table().page_of_64(number)?,
        })
    }

    /// 0xFF where a character of the page ends, but for the fourth last byte.
    #[inline(always)]
    pub(super) fn members<P: Shuffles>(&self, lanes: P, second: P::Bytes, third: P::Bytes) -> P::Bytes {
        let second = lanes.same(second, lanes.all(self.second_last));
        let third = lanes.same(lanes.and(third, lanes.all(self.third_mask)), lanes.all(self.third_last));
        lanes.and(second, third)
    }
}
