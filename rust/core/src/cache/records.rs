//! Ids that do not fit into a line, in a ring: the oldest record goes when there is no room for a new one.
//!
//! Naive: a vector that is emptied when it is full, with every pointer into it. Idea: places count up for ever, so a
//! pointer knows by itself whether what it points to is still there, and nothing has to be swept.
//! Cost: a copy of the bytes and the ids a record; memory is fixed.
//! Invariant: [`Records::get`] gives a record as it was put, or nothing.

use crate::prefetch::prefetch;

/// Words before the bytes of a record: how many bytes it has, how many ids.
const HEAD: usize = 2;

/// A ring of records: the bytes of a piece, which may be left out, and its ids.
#[derive(Debug, Default)]
pub(super) struct Records {
    words: Vec<u32>,
    /// Where the next record goes; counts up for ever. Its place in the ring is the remainder.
    next: u64,
    /// What lies before this was gone when the ring grew: the new room says nothing about it.
    oldest: u64,
}

/// The words that so many bytes take.
fn words_of(len: usize) -> usize {
    len.div_ceil(4)
}

/// The size of a ring: a power of two, so that each size divides every greater one.
fn room_for(words: usize) -> usize {
    1 << words.max(1).ilog2()
}

/// Four words of sixteen bytes.
#[inline]
fn four(bytes: &[u8; 16]) -> [u32; 4] {
    let [a, b, c, d] = bytes.as_chunks().0 else { return [0; 4] };
    [u32::from_le_bytes(*a), u32::from_le_bytes(*b), u32::from_le_bytes(*c), u32::from_le_bytes(*d)]
}

/// Whether words, four bytes each and the last filled up with zeros, spell these bytes. Sixteen are compared at once, those at
/// the end whatever they have in common with the ones before.
#[inline]
fn spell(words: &[u32], bytes: &[u8]) -> bool {
    let whole = bytes.len() / 4;
    let rest = &bytes[whole * 4..];
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    if !rest.is_empty() && words[whole] != u32::from_le_bytes(last) {
        return false;
    }
    let (bytes, words) = (&bytes[..whole * 4], &words[..whole]);
    let (Some(end), Some(words_at_end)) = (bytes.last_chunk(), words.last_chunk()) else {
        return bytes.as_chunks().0.iter().zip(words).all(|(&four, &word)| u32::from_le_bytes(four) == word);
    };
    let chunks = bytes.as_chunks().0.iter().zip(words.as_chunks().0);
    four(end) == *words_at_end && chunks.into_iter().all(|(chunk, words)| four(chunk) == *words)
}

impl Records {
    /// Bytes of memory for a ring of at most so many words.
    pub(super) fn bytes_for(words: usize) -> usize {
        4 * room_for(words)
    }

    /// A ring of at most so many words, at least half of them.
    pub(super) fn with_words(words: usize) -> Self {
        Self { words: vec![0; room_for(words)], next: 0, oldest: 0 }
    }

    /// Where a record goes that takes so many words: never around the end.
    fn place(&mut self, words: usize) -> Option<u64> {
        let room = self.words.len() as u64;
        // Half of the ring at most, so that one record does not drive all others out.
        if words as u64 * 2 > room {
            return None;
        }
        if self.next % room + words as u64 > room {
            self.next = self.next.next_multiple_of(room);
        }
        let at = self.next;
        self.next += words as u64;
        Some(at)
    }

    /// Keeps a record and says where; `None` where it is too large for this ring.
    pub(super) fn put(&mut self, bytes: &[u8], ids: &[u32]) -> Option<u64> {
        let at = self.place(HEAD + words_of(bytes.len()) + ids.len())?;
        let start = (at % self.words.len() as u64) as usize;
        self.words[start] = bytes.len() as u32;
        self.words[start + 1] = ids.len() as u32;
        let mut to = start + HEAD;
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words[to] = u32::from_le_bytes(word);
            to += 1;
        }
        self.words[to..to + ids.len()].copy_from_slice(ids);
        Some(at)
    }

    /// Asks for the record at `at`, which is looked at in a moment.
    #[inline]
    pub(super) fn prefetch(&self, at: u64) {
        prefetch(&self.words, at as usize & self.words.len().wrapping_sub(1));
    }

    /// The ids of the record at `at`, if it is still there and its bytes are these.
    #[inline]
    pub(super) fn get(&self, at: u64, bytes: &[u8]) -> Option<&[u32]> {
        let room = self.words.len() as u64;
        if at >= self.next || at < self.oldest || self.next - at > room {
            return None;
        }
        let start = at as usize & (self.words.len() - 1);
        let &[len, ids, ref rest @ ..] = &self.words[start..] else { return None };
        let words = words_of(bytes.len());
        let is_this = len as usize == bytes.len() && rest.get(..words).is_some_and(|words| spell(words, bytes));
        if is_this { rest.get(words..words + ids as usize) } else { None }
    }

    /// Moves everything that is still there into a larger ring, of at most so many words; pointers stay as they are.
    pub(super) fn grow(&mut self, words: usize) {
        let words = room_for(words);
        if words <= self.words.len() {
            return;
        }
        let old = std::mem::replace(&mut self.words, vec![0; words]);
        let (room, wide) = (old.len() as u64, words as u64);
        if room == 0 {
            return;
        }
        // A record never goes around the end of the small ring, so not around that of a multiple of it either.
        self.oldest = self.oldest.max(self.next.saturating_sub(room));
        let mut from = self.oldest;
        while from < self.next {
            let len = (room - from % room).min(self.next - from);
            let (old_at, new_at) = ((from % room) as usize, (from % wide) as usize);
            self.words[new_at..new_at + len as usize].copy_from_slice(&old[old_at..old_at + len as usize]);
            from += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_back_and_the_oldest_go() {
        let mut records = Records::with_words(64);
        let piece = |number: u32| format!("piece {number} {}", "x".repeat(number as usize % 7)).into_bytes();
        let ids = |number: u32| (0..number % 5).map(|index| number + index).collect::<Vec<u32>>();
        let (mut kept, mut places) = (Vec::new(), Vec::new());
        for number in 0..500 {
            match number {
                200 => records.grow(96),
                300 => records.grow(256),
                400 => records.grow(3 * 256),
                _ => {}
            }
            let nameless = records.put(b"", &[number; 3]).unwrap();
            assert_eq!(records.get(nameless, b""), Some(&[number; 3][..]));
            places.push(nameless);
            kept.push(records.put(&piece(number), &ids(number)).unwrap());
            let mut gone = false;
            for (number, &at) in kept.iter().enumerate().rev() {
                match records.get(at, &piece(number as u32)) {
                    Some(found) => {
                        assert_eq!(found, ids(number as u32));
                        assert!(!gone, "a record outlived a newer one");
                    }
                    None => gone = true,
                }
            }
            // Nothing but its place tells such a record from another.
            for (number, &at) in places.iter().enumerate() {
                assert!(records.get(at, b"").is_none_or(|found| found == [number as u32; 3]), "{number}");
            }
            assert_eq!(records.get(kept[number as usize], b"other"), None);
        }
        assert!(records.put(&[0; 4096], &[]).is_none());
        assert_eq!(records.get(u64::MAX, b""), None);
    }
}
