//! A table of pieces of at most 15 bytes and their ids: one cache line a look-up, and no branch that text can surprise.
//!
//! Naive: a hash map: it follows a pointer and branches on what it finds.
//! Idea: such a piece is its own key. A line of 64 bytes has three places: two for keys of 16 bytes, one for the lower half
//! of a key, which alone tells a piece of at most 7 bytes; and three values of 8 bytes, each at most three ids of
//! 20 bits with their number on top. A key hashes to one line, and the value is chosen by arithmetic: one test tells "found"
//! from all that is rare: not here, or more ids or larger ones, which are elsewhere.
//! Cost: one cache line. Memory: 64 bytes a line, fixed.
//! Invariant: a hit compares all bytes of the piece.
//! Source: gigatoken's 15-byte keys and inline ids.

use super::key::is_small;
use super::memory::Memory;
use crate::prefetch::prefetch;
use crate::table::fold;

/// Eight words: two keys of two words, a key of one word, and the values of the third, the first and the second.
type Line = [u8; LINE];
/// Bytes of a line of the processor's caches.
pub(crate) const LINE: usize = 64;
/// Places of a line; the last one is for pieces of at most 7 bytes.
pub(super) const WAYS: usize = 3;
/// Where in a line the value of each place is.
pub(crate) const VALUE: [u8; WAYS] = [6, 7, 5];
/// A word of a line that is no value: the lower half of a key.
pub(crate) const NO_VALUE: u8 = 0;
/// Where in a line the key of one word is.
pub(crate) const SMALL: usize = 4;

/// The most ids of one value.
pub(crate) const IDS: usize = 3;
/// Bits of an id in a value.
const BITS: u32 = 20;
const MASK: u64 = (1 << BITS) - 1;
/// Where in a value the number of its ids is.
const NUMBER: u32 = 60;
/// Stands for the number in a value that says where the ids are.
const MORE: u64 = 7;
/// Where in such a value the number of the ids is.
const ELSEWHERE: u32 = 56;

/// The value of at most three ids; `None` where they do not fit.
pub(crate) fn value_of(ids: &[u32]) -> Option<u64> {
    let mut few = [0; IDS];
    few.get_mut(..ids.len())?.copy_from_slice(ids);
    value_of_few(&few, ids.len())
}

/// [`value_of`] the first ids, so many, of an array, without a branch on how many there are; `None` also where what follows
/// them would not fit.
#[inline]
pub(crate) fn value_of_few<const N: usize>(ids: &[u32; N], number: usize) -> Option<u64> {
    const KEPT: [u64; IDS + 1] = [0, MASK, MASK << BITS | MASK, MASK << (2 * BITS) | MASK << BITS | MASK];
    let &[a, b, c] = ids.first_chunk::<IDS>()?;
    let packed = u64::from(a) | u64::from(b) << BITS | u64::from(c) << (2 * BITS);
    if number > IDS || (a | b | c) >> BITS != 0 {
        None
    } else {
        Some(packed & KEPT[number] | (number as u64) << NUMBER)
    }
}

/// The value of ids that are kept elsewhere: where, below 2^56, and how many, below 16. `None` where that is too much.
pub(crate) fn value_of_place(at: u64, number: usize) -> Option<u64> {
    let fits = at >> ELSEWHERE == 0 && number < 1 << (NUMBER - ELSEWHERE);
    fits.then_some(at | (number as u64) << ELSEWHERE | MORE << NUMBER)
}

/// Where the ids are that are kept elsewhere, and how many.
#[inline]
pub(crate) fn place(value: u64) -> Option<(u64, usize)> {
    let number = (value >> ELSEWHERE) as usize % (1 << (NUMBER - ELSEWHERE));
    (value >> NUMBER == MORE).then_some((value % (1 << ELSEWHERE), number))
}

/// How many ids a value has; anything above [`IDS`], or 0, for what is no value.
#[inline]
pub(crate) fn number(value: u64) -> usize {
    (value >> NUMBER) as usize
}

/// How many ids a value has, wherever they are; 0 for what is no value. A table, since where they are nobody can foresee.
#[inline]
pub(crate) fn number_anywhere(value: u64) -> usize {
    const NUMBERS: [u8; 256] = {
        let mut numbers = [0; 256];
        let mut top = 0;
        while top < 256 {
            let (number, elsewhere) = ((top >> (NUMBER - ELSEWHERE)) as u8, (top % 16) as u8);
            numbers[top] = if number as usize <= IDS {
                number
            } else if number as u64 == MORE {
                elsewhere
            } else {
                0
            };
            top += 1;
        }
        numbers
    };
    usize::from(NUMBERS[(value >> ELSEWHERE) as usize])
}

/// The ids of a value; those beyond its number are zeros.
#[inline]
pub(crate) fn ids(value: u64) -> [u32; IDS] {
    [0, BITS, 2 * BITS].map(|shift| (value >> shift & MASK) as u32)
}

/// Whether `number` is that of a value found with its ids inside. A key is refused: its top four bits are 0 or 8.
#[inline]
pub(crate) fn is_found(number: usize) -> bool {
    number.wrapping_sub(1) < IDS
}

/// The line of a key, of so many.
#[inline]
pub(crate) fn home(key: u128, lines: usize) -> usize {
    // The lower half is never 0, and mixed with nothing therefore.
    spread(fold(key as u64, (key >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15), lines)
}

/// Shares hashes out to lines, whose number need not be a power of two.
#[inline]
fn spread(hash: u64, lines: usize) -> usize {
    (((hash & 0xFFFF_FFFF) * lines as u64) >> 32) as usize
}

/// A key and its value; both 0 where a place is free.
pub(super) type Entry = (u128, u64);

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

    /// What is at the places of a line.
    #[inline]
    pub(super) fn get(&self, index: usize) -> [Entry; WAYS] {
        let words: &[[u8; 8]] = self.all()[index].as_chunks().0;
        let word = |at: u8| u64::from_le_bytes(words[usize::from(at & 7)]);
        let key = |low: u8| u128::from(word(low)) | u128::from(word(low + 1)) << 64;
        [(key(0), word(VALUE[0])), (key(2), word(VALUE[1])), (u128::from(word(SMALL as u8)), word(VALUE[2]))]
    }

    #[inline]
    pub(super) fn set(&mut self, index: usize, way: usize, (key, value): Entry) {
        let lines: &mut [Line] = self.memory.bytes_mut().as_chunks_mut().0;
        let words: &mut [[u8; 8]] = lines[index].as_chunks_mut().0;
        if way == WAYS - 1 {
            words[SMALL] = (key as u64).to_le_bytes();
        } else {
            words[2 * way] = (key as u64).to_le_bytes();
            words[2 * way + 1] = ((key >> 64) as u64).to_le_bytes();
        }
        words[usize::from(VALUE[way])] = value.to_le_bytes();
    }

    /// The value of a key in a line, or 0: in which place it is nobody can foresee, so there is no branch on it.
    #[inline]
    pub(super) fn value(&self, index: usize, key: u128) -> u64 {
        self.get(index)
            .iter()
            .map(|&(other, value)| value & u64::from(other == key).wrapping_neg())
            .fold(0, |a, b| a | b)
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

    /// Where a key has itself in a line, or a free place, the one for small keys first, where it is one of them; and whether
    /// it is free.
    #[inline]
    pub(super) fn room(&self, index: usize, key: u128) -> Option<(usize, bool)> {
        // Which of them it is nobody can foresee: no branch on it.
        let bits = |wanted: u128| {
            let [first, second, small] = self.get(index).map(|(other, _)| u32::from(other == wanted));
            small & u32::from(is_small(key)) | first << 1 | second << 2
        };
        let (own, free) = (bits(key), bits(0));
        let some = if own == 0 { free } else { own };
        (some != 0).then_some(((some.trailing_zeros() as usize + WAYS - 1) % WAYS, own == 0))
    }
}
