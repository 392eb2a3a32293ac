//! The tier of every processor: eight bytes in a word at a time.
//!
//! Naive: a loop over bytes that sets a bit in one of seven masks.
//! Idea: classes come from a table, eight of them make a word; "any of these bits" and "equal to this byte" are a few
//! operations on the word, and a multiplication gathers the eight answers.
//! Cost: a table look-up a byte, and some ten operations for every eight bytes and mask.
//! Source: Warren, Hacker's Delight, 6-1 (zero bytes).

use super::class;
use super::window::{self, Room};
use super::{Fixed, Lanes};

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// A processor of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Stand-ins and their classes, eight in a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    bytes: [u64; 8],
    classes: [u64; 8],
}

/// A bit for each byte whose highest bit is set in `word(i)`.
#[inline]
fn gather(word: impl Fn(usize) -> u64) -> u64 {
    let mut mask = 0;
    for number in (0..8).rev() {
        mask = mask << 8 | ((word(number) & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    }
    mask
}

/// The highest bit of each byte that is not zero.
#[inline]
fn nonzero(word: u64) -> u64 {
    ((word & !HIGH) + !HIGH) | word
}

/// The lowest of four bits at the places of another four, `[places][bits]`.
const DEPOSITED: [[u8; 16]; 16] = {
    let mut table = [[0; 16]; 16];
    let mut places = 0;
    while places < 16 {
        let mut bits = 0;
        while bits < 16 {
            let (mut place, mut from) = (0, 0);
            while place < 4 {
                if places >> place & 1 == 1 {
                    table[places][bits] |= ((bits >> from & 1) << place) as u8;
                    from += 1;
                }
                place += 1;
            }
            bits += 1;
        }
        places += 1;
    }
    table
};

/// [`Lanes::deposit`], four places at a time.
#[inline]
pub(super) fn deposit(mut bits: u64, mask: u64) -> u64 {
    let mut deposited = 0;
    for shift in (0..64).step_by(4) {
        let places = (mask >> shift & 15) as usize;
        deposited |= u64::from(DEPOSITED[places][(bits & 15) as usize]) << shift;
        bits >>= places.count_ones();
    }
    deposited
}

fn words(bytes: &[u8; 64]) -> [u64; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

impl Lanes for Portable {
    type Block = Block;

    #[inline]
    fn load<S: Fixed>(self, bytes: &[u8; 64], _: bool) -> Block {
        let classes = const { &S::SCHEME.classes };
        Block { bytes: words(bytes), classes: words(&bytes.map(|byte| classes[byte as usize])) }
    }

    #[inline]
    fn any_of(self, block: Block, classes: u8) -> u64 {
        gather(|number| nonzero(block.classes[number] & (u64::from(classes) * LOW)))
    }

    #[inline]
    fn equal(self, block: Block, byte: u8) -> u64 {
        gather(|number| !nonzero(block.bytes[number] ^ (u64::from(byte) * LOW)))
    }

    #[inline]
    fn ascii(self, block: Block) -> u64 {
        !gather(|number| block.bytes[number])
    }

    #[inline]
    fn continuations(self, bytes: &[u8; 64]) -> u64 {
        let words = words(bytes);
        gather(|number| words[number] & !(words[number] << 1))
    }

    #[inline]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        deposit(bits, mask)
    }

    #[inline]
    fn flatten(self, mut bits: u64, base: u32, places: &mut [u32; 64]) {
        for place in places {
            if bits == 0 {
                break;
            }
            *place = base + bits.trailing_zeros();
            bits &= bits - 1;
        }
    }

    fn ends<S: Fixed>(self, room: &mut Room, text: &[u8]) -> usize {
        window::ends::<S, _>(self, room, text)
    }
}

/// One stand-in for every character, and their number, or `None` if the text is not UTF-8.
#[inline]
pub(super) fn transcode(text: &[u8], stream: &mut [u8]) -> Option<usize> {
    let table = class::table();
    let (mut at, mut number) = (0, 0);
    while at < text.len() {
        if let Some(eight) = text[at..].first_chunk::<8>()
            && u64::from_le_bytes(*eight) & HIGH == 0
        {
            stream[number..number + 8].copy_from_slice(eight);
            at += 8;
            number += 8;
            continue;
        }
        let lead = text[at];
        if lead < 0x80 {
            stream[number] = lead;
            at += 1;
        } else {
            let (code, len) = class::decode(text, at)?;
            stream[number] = table.stand_in(code);
            at += len;
        }
        number += 1;
    }
    Some(number)
}
