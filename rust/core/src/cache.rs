//! Pieces that were merged a moment ago, with their ids.
//!
//! Naive: merge every piece anew. Text repeats itself: of 21.5 million pieces in 100 MB of mixed text, 0.65 million are
//! distinct.
//! Idea: one 64-byte line holds two pieces of at most 15 bytes and up to four ids each. A piece hashes to one line; a
//! new one takes the first place and moves the piece there to the second, so the older of two goes.
//! Cost: one cache line a look-up. Memory is fixed when the cache is made, at most [`MOST_LINES`] lines (4 MiB); it lives
//! as long as the call that made it, so calls share nothing.
//! Invariant: a hit compares all bytes of the piece; an id of 2^24 or more, a fifth id or a longer piece is not kept.

use crate::table::{SHORT, fold, short_key};

/// The most lines of one cache.
const MOST_LINES: usize = 1 << 16;
/// The most ids of one piece.
const IDS: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    keys: [u128; 2],
    /// The number of ids stands in the top byte of the last one.
    ids: [[u32; IDS]; 2],
}

/// A bounded table of pieces and their ids.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    lines: Vec<Line>,
}

impl Cache {
    /// As large as is worth filling for `len` bytes of text; none at all for a short text.
    pub(crate) fn for_text(len: usize) -> Self {
        let lines = if len < 4096 { 0 } else { (len / 32).next_power_of_two().min(MOST_LINES) };
        Self { lines: vec![Line::default(); lines] }
    }

    /// The key of a piece and its line; `None` where it is too long or there is no cache.
    #[inline]
    pub(crate) fn key(&self, text: &[u8], start: usize, end: usize) -> Option<(u128, usize)> {
        if end - start > SHORT || self.lines.is_empty() {
            return None;
        }
        let key = short_key(text, start, end);
        let hash = fold(key as u64 ^ 0x2D35_8DCC_AA6C_78A5, (key >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15);
        Some((key, hash as usize & (self.lines.len() - 1)))
    }

    /// The ids of a piece that was kept, as four places and how many of them count.
    #[inline]
    pub(crate) fn get(&self, (key, line): (u128, usize)) -> Option<([u32; IDS], usize)> {
        let line = &self.lines[line];
        let way = if line.keys[0] == key {
            0
        } else if line.keys[1] == key {
            1
        } else {
            return None;
        };
        let mut ids = line.ids[way];
        let len = (ids[IDS - 1] >> 24) as usize;
        ids[IDS - 1] &= 0xFF_FFFF;
        Some((ids, len))
    }

    /// Keeps the ids of a piece, if they fit.
    #[inline]
    pub(crate) fn put(&mut self, (key, line): (u128, usize), ids: &[u32]) {
        if ids.len() > IDS || ids.get(IDS - 1).is_some_and(|&id| id >> 24 != 0) {
            return;
        }
        let line = &mut self.lines[line];
        line.keys[1] = line.keys[0];
        line.ids[1] = line.ids[0];
        line.keys[0] = key;
        line.ids[0] = [0; IDS];
        line.ids[0][..ids.len()].copy_from_slice(ids);
        line.ids[0][IDS - 1] |= (ids.len() as u32) << 24;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_nothing_else() {
        let mut cache = Cache::for_text(5000);
        let mut kept = std::collections::HashMap::new();
        for number in 0..3000u32 {
            let piece = format!("p{number}");
            let ids: Vec<u32> = (0..number % 6).map(|index| number * 7 + index).collect();
            let key = cache.key(piece.as_bytes(), 0, piece.len()).unwrap();
            assert_eq!(cache.get(key), None, "a new piece is not there");
            cache.put(key, &ids);
            kept.insert(piece, ids);
        }
        let mut hits = 0;
        for (piece, ids) in &kept {
            let key = cache.key(piece.as_bytes(), 0, piece.len()).unwrap();
            if let Some((found, len)) = cache.get(key) {
                hits += 1;
                assert_eq!(&found[..len], ids);
            }
        }
        assert!(hits > 100 && hits <= 2 * cache.lines.len(), "{hits}");
        assert!(cache.key(b"sixteen bytes...", 0, 16).is_none());
        assert!(Cache::for_text(100).key(b"a", 0, 1).is_none());
    }

    #[test]
    fn great_ids_are_not_kept() {
        let mut cache = Cache::for_text(5000);
        let key = cache.key(b"abc", 0, 3).unwrap();
        cache.put(key, &[1, 2, 3, 1 << 24]);
        assert_eq!(cache.get(key), None);
        cache.put(key, &[1 << 24, 2, 3]);
        assert_eq!(cache.get(key), Some(([1 << 24, 2, 3, 0], 3)));
    }
}
