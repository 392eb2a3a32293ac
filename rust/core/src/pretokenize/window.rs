//! A text, cut a window at a time by the bit-parallel kernel.
//!
//! Naive: masks for the whole text: memory in proportion to it, and out of every cache.
//! Idea: a window of 8 KiB is cut as if the text ended with it. A pattern has no look-behind, so every piece but those
//! whose end depends on what follows is right; the next window begins where the first doubtful piece does. No place to
//! cut has to be searched for, so text without spaces is as good as any. ASCII is read in place; other windows are
//! transcoded to one stand-in byte a character, and the start bits mapped back.
//! Cost: O(bytes); two pieces of every window are cut twice. Worst case: pieces longer than a window are cut by the
//! scalar twin, each such window at most once by both; a window of bytes that are not all UTF-8 is transcoded one character
//! after the other.
//! Measured: an encode of ten characters, 50,000 different ones in turn, takes 281 ns by the kernel and 315 by the twin, whose
//! branches only one text again and again lets a processor foresee. 1 MB of random bytes is encoded at 32 MB/s; at 29 where a
//! lead and the byte after it are two comparisons, at 21 by the twin.
//! Invariant: all pieces but the last two of a text stay the same whatever is appended to it. What ends a piece is the
//! character after it, except that white space after a line break is doubtful together with that line break (two
//! pieces), capitals after a letter without case together with that letter (two), and a word before a quote together
//! with the quote (two).

use super::class;
use super::kernel;
use super::scheme::{Fixed, Scheme};
use super::tier::{Lanes, Tier};

/// Bytes of a window: masks, stand-ins and ends of one stay in the first-level cache.
const WINDOW: usize = 8192;
/// Pieces at the end of a text that may change when it goes on.
const DOUBTFUL: usize = 2;
/// Shorter texts are cut faster one piece after the other.
const SHORT: usize = 4;

/// Room for one window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// Where pieces end, counted from the start of the window.
    pub(crate) ends: Vec<u32>,
    /// A stand-in for every character, if not all are ASCII.
    stream: Vec<u8>,
    /// The bytes that begin a character.
    leads: Vec<u64>,
    /// The characters at which a piece begins.
    starts: Vec<u64>,
}

/// Fills the first of `room.ends` with the ends of some pieces of `text`, and returns how many: 0 only if the first
/// piece is too long for a `u32`.
pub(crate) fn next_ends(tier: Tier, scheme: &Scheme, room: &mut Room, text: &[u8]) -> usize {
    let mut len = text.len().min(WINDOW);
    if len > SHORT {
        let whole = len == text.len();
        if !whole {
            // Not inside a character.
            len -= (0..4).find(|&back| text[len - back] & 0xC0 != 0x80).unwrap_or(0);
        }
        if let Some(pieces) = tier.ends(scheme.family, room, &text[..len]) {
            let sure = if whole { pieces } else { pieces.saturating_sub(DOUBTFUL) };
            if sure > 0 {
                return sure;
            }
        }
    }
    let mut count = 0;
    let _ = scheme.split(text, |_, end| {
        let end = u32::try_from(end).map_err(|_| ())?;
        match room.ends.get_mut(count) {
            Some(place) => *place = end,
            None => room.ends.push(end),
        }
        count += 1;
        if end as usize >= len { Err(()) } else { Ok(()) }
    });
    count
}

/// Fills `room.ends` with the ends of the pieces of `text` and returns their number.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn ends<S: Fixed, L: Lanes>(lanes: L, room: &mut Room, text: &[u8]) -> usize {
    let blocks = text.len().div_ceil(64);
    if room.ends.len() < text.len() + 64 {
        room.ends.resize(text.len() + 64, 0);
    }
    if room.starts.len() < blocks + 2 {
        room.starts.resize(blocks + 2, 0);
    }
    let mut count = 0;
    if text.is_ascii() {
        kernel::starts::<S, L>(lanes, text, false, &mut room.starts);
        room.starts[0] &= !1;
        for (block, &bits) in room.starts[..blocks].iter().enumerate() {
            count = list(lanes, bits, block, &mut room.ends, count);
        }
    } else {
        if room.stream.len() < text.len() + 72 {
            room.stream.resize(text.len() + 72, 0);
            room.leads.resize(blocks, 0);
        }
        let characters = match lanes.transcode(text, &mut room.stream, &mut room.leads) {
            Some(characters) => characters,
            None => transcode_any(text, &mut room.stream, &mut room.leads[..blocks]),
        };
        kernel::starts::<S, L>(lanes, &room.stream[..characters], true, &mut room.starts);
        room.starts[0] &= !1;
        let mut character = 0;
        for (block, &leads) in room.leads[..blocks].iter().enumerate() {
            let [low, high] = [room.starts[character / 64], room.starts[character / 64 + 1]];
            let bits = low >> (character % 64) | high << 1 << (63 - character % 64);
            count = list(lanes, lanes.deposit(bits, leads), block, &mut room.ends, count);
            character += leads.count_ones() as usize;
        }
    }
    room.ends[count] = text.len() as u32;
    count + 1
}

/// [`Lanes::transcode`] of any bytes, one character after the other.
#[inline(never)]
fn transcode_any(text: &[u8], stream: &mut [u8], leads: &mut [u64]) -> usize {
    leads.fill(u64::MAX);
    if let Some(last) = leads.last_mut() {
        *last >>= text.len().wrapping_neg() % 64;
    }
    let (mut at, mut number) = (0, 0);
    while at < text.len() {
        let (lead, next) = (text[at], text.get(at + 1).copied().unwrap_or_default());
        // A lead with a byte that may follow it, in one comparison: bytes at random seldom are.
        if u16::from_be_bytes([lead, next]) & 0xC0C0 == 0xC080 {
            let (stand_in, len) = class::at(text, at);
            stream[number] = stand_in;
            for inside in at + 1..at + len {
                leads[inside / 64] &= !(1 << (inside % 64));
            }
            at += len;
        } else {
            stream[number] = if lead < 0x80 { lead } else { class::INVALID };
            at += 1;
        }
        number += 1;
    }
    number
}

/// Writes where the bits of a block stand after the first `count` of `ends`; returns how many there are then.
#[allow(clippy::inline_always)]
#[inline(always)]
fn list<L: Lanes>(lanes: L, bits: u64, block: usize, ends: &mut [u32], count: usize) -> usize {
    if let Some(places) = ends[count..].first_chunk_mut() {
        lanes.flatten(bits, (block * 64) as u32, places);
    }
    count + bits.count_ones() as usize
}
