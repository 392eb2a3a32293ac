//! A piece of at most 15 bytes as a number of 16 bytes: its bytes, and its length on top.
//!
//! Naive: hash the bytes and compare them one by one. Idea: one load of 16 bytes, one mask by length, both without a branch
//! that depends on the text. Invariant: different pieces have different keys, wherever in a text they stand.

use crate::table::SHORT;

/// What is kept of the 16 bytes loaded for a piece of so many bytes; nothing of a piece that is too long.
const MASK: [u128; SHORT + 2] = {
    let mut mask = [0; SHORT + 2];
    let mut len = 1;
    while len <= SHORT {
        mask[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    mask
};

/// The top byte of a key: its length, never 0 (which marks an empty place). No key that is kept has length 0, so a piece
/// that is too long is never found.
const LENGTH: [u128; SHORT + 2] = {
    let mut length = [0x80 << 120; SHORT + 2];
    let mut len = 1;
    while len <= SHORT {
        length[len] = (0x80 | len as u128) << 120;
        len += 1;
    }
    length
};

/// The key of `text[start..end]`. Bytes need not be UTF-8: the length stands in the key.
#[inline]
pub(crate) fn key(text: &[u8], start: usize, end: usize) -> u128 {
    let window = match text.get(start..).and_then(|rest| rest.first_chunk()) {
        Some(window) => u128::from_le_bytes(*window),
        None => near_the_end(text, start),
    };
    key_of(window, end - start)
}

/// The key of a piece of so many bytes, out of the 16 bytes that begin with it.
#[inline]
pub(crate) fn key_of(window: u128, len: usize) -> u128 {
    let len = len.min(SHORT + 1);
    window & MASK[len] | LENGTH[len]
}

/// Whether a key is that of a piece of at most 15 bytes; the others hold a hash, or nothing.
#[inline]
pub(crate) fn is_short(key: u128) -> bool {
    key >> 120 != 0x80
}

/// The last bytes of a text as if zeros came after it.
#[inline]
pub(crate) fn near_the_end(text: &[u8], start: usize) -> u128 {
    let rest = text.get(start..).unwrap_or_default();
    match (text.last_chunk(), 16 - rest.len().min(16)) {
        (Some(last), behind @ ..16) => u128::from_le_bytes(*last) >> (8 * behind),
        _ => alone(rest),
    }
}

/// A short text by itself, as if zeros came after it: two loads, which have some of it in common, in place of a copy of
/// unforeseeable length.
fn alone(text: &[u8]) -> u128 {
    let joined = |first: u64, last: u64, len: usize| u128::from(first) | u128::from(last) << (8 * (text.len() - len));
    match text {
        [_, _, _, _, _, _, _, _, ..] => {
            let [first, last] =
                [text.first_chunk(), text.last_chunk()].map(|eight| u64::from_le_bytes(*eight.unwrap_or(&[0; 8])));
            joined(first, last, 8)
        }
        [_, _, _, _, ..] => {
            let [first, last] =
                [text.first_chunk(), text.last_chunk()].map(|four| u32::from_le_bytes(*four.unwrap_or(&[0; 4])));
            joined(u64::from(first), u64::from(last), 4)
        }
        _ => text.iter().rev().fold(0, |key, &byte| key << 8 | u128::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn keys_tell_all_pieces_apart_wherever_they_stand() {
        let text = b"ab\0\0\xFE\xFF\xFFcdefghijklmnopqrstuvwxyz\0";
        let mut seen = HashMap::new();
        for start in 0..text.len() {
            for end in start + 1..=text.len().min(start + SHORT) {
                let piece = &text[start..end];
                let key = key(text, start, end);
                assert_eq!(key, super::key(piece, 0, piece.len()));
                assert_eq!(seen.entry(key).or_insert_with(|| piece.to_vec()), piece);
                assert!(key != 0);
            }
            if start + SHORT < text.len() {
                assert_eq!(key(text, start, text.len()), 0x80 << 120, "too long");
            }
        }
    }
}
