//! A table of pieces of at most 15 bytes and their ids: one cache line a look-up, and no branch that text can surprise.
//!
//! Naive: a hash map: it follows a pointer and branches on what it finds.
//! Idea: such a piece is its own key. A line of 64 bytes holds two keys and two values, each at most four ids with their
//! number on top. A key hashes to one line, and the value is chosen by arithmetic: one test tells "found" from all that is
//! rare: not here, or more ids, which are elsewhere.
//! Cost: one cache line. Memory: 64 bytes a line, fixed.
//! Invariant: a hit compares all bytes of the piece.
//! Source: gigatoken's 15-byte keys and inline ids.

use super::memory::Memory;
use crate::prefetch::prefetch;
use crate::table::fold;

/// Two keys and their two values, 16 bytes each.
type Line = [u8; LINE];
/// Bytes of a line of the processor's caches.
pub(crate) const LINE: usize = 64;
pub(super) const WAYS: usize = 2;
/// The most ids of one value.
pub(crate) const IDS: usize = 4;
/// Stands for their number in a value that says where the ids are, and how many.
const MORE: u128 = 0x7F;
/// Ids of this and above do not fit beside the number.
const WIDE: u32 = 1 << 24;

/// The value of at most four ids; `None` where they do not fit.
pub(crate) fn value_of(ids: &[u32]) -> Option<u128> {
    let mut few = [0; IDS];
    few.get_mut(..ids.len())?.copy_from_slice(ids);
    value_of_few(&few, ids.len())
}

/// [`value_of`] the first ids, so many, of an array, without a branch on how many there are; `None` also where what follows
/// them would not fit.
#[inline]
pub(crate) fn value_of_few<const N: usize>(ids: &[u32; N], number: usize) -> Option<u128> {
    const MASK: [u128; IDS + 1] = [0, (1 << 32) - 1, (1 << 64) - 1, (1 << 96) - 1, (1 << 120) - 1];
    let &[a, b, c, d] = ids.first_chunk::<IDS>()?;
    let packed = u128::from(a) | u128::from(b) << 32 | u128::from(c) << 64 | u128::from(d) << 96;
    if number > IDS || d >= WIDE { None } else { Some(packed & MASK[number] | (number as u128) << 120) }
}

/// The value of so many ids that are kept elsewhere.
pub(crate) fn value_of_place(at: u64, number: usize) -> u128 {
    u128::from(at) | (number as u128) << 64 | MORE << 120
}

/// Where the ids are that are kept elsewhere, and how many.
#[inline]
pub(crate) fn place(value: u128) -> Option<(u64, usize)> {
    (value >> 120 == MORE).then_some((value as u64, (value >> 64) as u32 as usize))
}

/// How many ids a value has; anything above [`IDS`], or 0, for what is no value.
#[inline]
pub(crate) fn number(value: u128) -> usize {
    (value >> 120) as usize
}

/// The ids of a value; those beyond its number are zeros, but for the number itself.
#[inline]
pub(crate) fn ids(value: u128) -> [u32; IDS] {
    [value as u32, (value >> 32) as u32, (value >> 64) as u32, (value >> 96) as u32 & (WIDE - 1)]
}

/// Whether `number` is that of a value found with its ids inside. A key is refused: its top byte is 0 or above 0x80.
#[inline]
pub(crate) fn is_found(number: usize) -> bool {
    number.wrapping_sub(1) < IDS
}

/// The line of a key, of so many.
#[inline]
pub(crate) fn home(key: u128, lines: usize) -> usize {
    spread(fold(key as u64 ^ 0x2D35_8DCC_AA6C_78A5, (key >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15), lines)
}

/// Shares hashes out to lines, whose number need not be a power of two.
#[inline]
fn spread(hash: u64, lines: usize) -> usize {
    (((hash & 0xFFFF_FFFF) * lines as u64) >> 32) as usize
}

/// A table of a fixed number of lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    memory: Memory,
    len: usize,
}

impl Lines {
    /// So many, empty.
    pub(super) fn new(len: usize) -> Self {
        Self { memory: Memory::zeroed(len * LINE), len }
    }

    /// Their number.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All of them.
    #[inline]
    pub(crate) fn all(&self) -> &[Line] {
        &self.memory.bytes().as_chunks().0[..self.len]
    }

    /// The keys and the values of a line.
    #[inline]
    pub(super) fn get(&self, index: usize) -> [u128; 2 * WAYS] {
        let [a, b, c, d] = self.all()[index].as_chunks().0 else { return [0; 4] };
        [u128::from_le_bytes(*a), u128::from_le_bytes(*b), u128::from_le_bytes(*c), u128::from_le_bytes(*d)]
    }

    #[inline]
    pub(super) fn set(&mut self, index: usize, way: usize, (key, value): (u128, u128)) {
        let line: &mut [Line] = self.memory.bytes_mut().as_chunks_mut().0;
        let parts: &mut [[u8; 16]] = line[index].as_chunks_mut().0;
        parts[way] = key.to_le_bytes();
        parts[WAYS + way] = value.to_le_bytes();
    }

    /// The line of a key.
    #[inline]
    pub(super) fn home(&self, key: u128) -> usize {
        home(key, self.len)
    }

    /// The line that takes a key where its own is full.
    #[inline]
    pub(super) fn other(&self, key: u128) -> usize {
        spread(fold((key >> 64) as u64 ^ 0x8BB8_4B93_962E_ACC9, key as u64 ^ 0x9E37_79B9_7F4A_7C15), self.len)
    }

    /// Asks for a line.
    #[inline]
    pub(super) fn ask(&self, index: usize) {
        prefetch(self.all(), index);
    }

    /// Where a key has a free place, or itself, in a line.
    pub(super) fn room(&self, index: usize, key: u128) -> Option<usize> {
        let line = self.get(index);
        // Which of the two it is nobody can foresee: no branch on it.
        let taken = |way: usize| u8::from(line[way] != key) & u8::from(line[way] != 0);
        (taken(0) & taken(1) == 0).then_some(usize::from(taken(0)))
    }
}
