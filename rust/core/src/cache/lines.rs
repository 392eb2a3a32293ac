//! Pieces that were merged before, with their ids: one cache line a look-up, and no branch that text can surprise.
//!
//! Naive: merge every piece anew, or keep pieces in a hash map: text repeats itself (of 21.5 million pieces in 100 MB of
//! mixed text 0.65 million are distinct), but a map follows a pointer and branches on what it finds.
//! Idea: a piece of at most 15 bytes is its own key. A line of 64 bytes holds two keys and two values, each at most four
//! ids with their number on top. A key hashes to one line, which the caller prefetches for a block of pieces ahead; the
//! value is chosen by arithmetic, and one test tells "found" from all that is rare: not here, too long, more ids.
//! Those go to [`Cache::find`]: a full line has another one, by another hash, for what it has no room for.
//! More ids than four, and pieces of 16 bytes and more, lie in a ring of [`Records`].
//! Cost: about one cache line a piece. Memory: [`Cache::bytes`], fixed until [`Cache::grow`] is called.
//! Invariant: a hit compares all bytes of the piece. A cache is never emptied: a new piece takes the place of an old one.
//! Source: gigatoken's 15-byte keys and inline ids; two lines by two hashes as in R. Pagh and F. Rodler (2004).

use super::memory::Memory;
use super::records::Records;
use super::slots::{LONGEST, Slots};
use crate::prefetch::prefetch;
use crate::table::fold;

/// Two keys and their two values, 16 bytes each.
type Line = [u8; LINE];
/// Bytes of a line of the processor's caches.
pub(crate) const LINE: usize = 64;
const WAYS: usize = 2;
/// The most ids of one value.
pub(crate) const IDS: usize = 4;
/// Stands for their number in the value of a piece with more ids: the rest is a place in the records.
const MORE: u128 = 0x7F;
/// Ids of this and above do not fit beside the number.
const WIDE: u32 = 1 << 24;
/// Words of records for each line.
const WORDS: usize = 4;
/// Of so many pieces found in their other line one is moved home: mostly one that comes often.
const PROMOTE: usize = 8;
/// How many ids a value has; anything else for one that needs [`Cache::find`].
#[inline]
pub(crate) fn number(value: u128) -> usize {
    (value >> 120) as usize
}

/// The ids of a value; those beyond its number are zeros, but for the number itself.
#[inline]
pub(crate) fn ids(value: u128) -> [u32; IDS] {
    [value as u32, (value >> 32) as u32, (value >> 64) as u32, (value >> 96) as u32 & (WIDE - 1)]
}

/// Whether `number` is that of a value found with its ids inside.
#[inline]
pub(crate) fn is_found(number: usize) -> bool {
    number.wrapping_sub(1) < IDS
}

/// The four parts of a line.
#[inline]
fn parts(line: &Line) -> [u128; 2 * WAYS] {
    let parts: &[[u8; 16]] = line.as_chunks().0;
    std::array::from_fn(|part| u128::from_le_bytes(parts[part]))
}

/// The value that `line` has for `key`, or one that [`is_found`] refuses: a key, whose top byte is 0 or above 0x80.
#[inline]
pub(crate) fn probe(line: &Line, key: u128) -> u128 {
    let parts: &[[u8; 16]] = line.as_chunks().0;
    let [first, second] = [0, 1].map(|way: usize| u8::from(u128::from_le_bytes(parts[way]) == key));
    u128::from_le_bytes(parts[usize::from(first * 2 + second * 3) & 3])
}

/// A bounded table of pieces and their ids.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    memory: Memory,
    /// The number of lines.
    len: u32,
    records: Records,
    slots: Slots,
    /// How many places are taken.
    pub(crate) entries: usize,
    /// How many pieces were put since the table has this size.
    pub(crate) puts: usize,
    /// How many were found in their other line.
    finds: usize,
}

/// Where the ids of a piece were found.
#[derive(Debug)]
pub(crate) enum Found<'c> {
    /// In a line: a value.
    Value(u128),
    /// In the records.
    Record(&'c [u32]),
    /// So many, which were not asked for.
    Number(usize),
    /// Nowhere.
    Nothing,
}

impl Cache {
    /// Bytes of memory for one of so many lines.
    pub(crate) fn bytes_for(lines: usize) -> usize {
        lines * (LINE + 4 * WORDS) + Slots::bytes_for(lines / 2)
    }

    /// One of so many lines, at least 16.
    pub(crate) fn with_lines(lines: usize) -> Self {
        Self {
            memory: Memory::zeroed(lines * LINE),
            len: lines as u32,
            records: Records::with_words(lines * WORDS),
            slots: Slots::with_places(lines / 2),
            entries: 0,
            puts: 0,
            finds: 0,
        }
    }

    /// The number of lines.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// All lines; as many as `len`.
    #[inline]
    pub(crate) fn lines(&self) -> &[Line] {
        self.memory.bytes().as_chunks().0
    }

    /// The keys and the values of a line.
    fn line(&self, index: usize) -> [u128; 2 * WAYS] {
        parts(&self.lines()[index])
    }

    fn set(&mut self, index: usize, way: usize, (key, value): (u128, u128)) {
        let line: &mut [Line] = self.memory.bytes_mut().as_chunks_mut().0;
        let parts: &mut [[u8; 16]] = line[index].as_chunks_mut().0;
        parts[way] = key.to_le_bytes();
        parts[WAYS + way] = value.to_le_bytes();
    }

    /// The line of a key.
    #[inline]
    pub(crate) fn home(&self, key: u128) -> usize {
        self.spread(fold(key as u64 ^ 0x2D35_8DCC_AA6C_78A5, (key >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// The line that takes a key where its own is full.
    #[inline]
    fn other(&self, key: u128) -> usize {
        self.spread(fold((key >> 64) as u64 ^ 0x8BB8_4B93_962E_ACC9, key as u64 ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// Shares hashes out to the lines, whose number need not be a power of two.
    #[inline]
    fn spread(&self, hash: u64) -> usize {
        (((hash & 0xFFFF_FFFF) * u64::from(self.len)) >> 32) as usize
    }

    /// Asks for the other line of a key.
    #[inline]
    pub(crate) fn ask_other(&self, key: u128) {
        prefetch(self.lines(), self.other(key));
    }

    /// Whether a short piece is kept in either line.
    #[inline]
    pub(crate) fn contains(&self, key: u128) -> bool {
        [self.home(key), self.other(key)].into_iter().any(|index| self.line(index)[..WAYS].contains(&key))
    }

    /// The ids of a short piece that [`probe`] did not give; where they are not asked for, their number will do.
    pub(crate) fn find(&mut self, key: u128, ids: bool) -> Found<'_> {
        let home = self.home(key);
        for index in [home, self.other(key)] {
            let line = self.line(index);
            let Some(way) = (0..WAYS).find(|&way| line[way] == key) else { continue };
            let value = line[WAYS + way];
            if index != home {
                self.finds += 1;
                if self.finds.is_multiple_of(PROMOTE) {
                    self.promote(home, (index, way));
                }
            }
            return if value >> 120 == MORE && !ids {
                Found::Number((value >> 64) as u32 as usize)
            } else if value >> 120 == MORE {
                match self.records.get(value as u64, b"") {
                    Some(ids) => Found::Record(ids),
                    None => Found::Nothing,
                }
            } else {
                Found::Value(value)
            };
        }
        Found::Nothing
    }

    /// Moves what is often found in its other line home, if something there can go to its own other line.
    #[cold]
    fn promote(&mut self, home: usize, (index, way): (usize, usize)) {
        let (line, found) = (self.line(home), self.line(index));
        for at in (0..WAYS).rev() {
            let to = if line[at] == 0 { home } else { self.home(line[at]) ^ self.other(line[at]) ^ home };
            let Some(free) = (0..WAYS).find(|&free| self.line(to)[free] == 0 || (to, free) == (index, way)) else {
                continue;
            };
            self.set(index, way, (0, 0));
            if line[at] != 0 {
                self.set(to, free, (line[at], line[WAYS + at]));
            }
            self.set(home, at, (found[way], found[WAYS + way]));
            return;
        }
    }

    /// Keeps the ids of a short piece.
    pub(crate) fn put(&mut self, key: u128, ids: &[u32]) {
        let mut value = 0u128;
        if ids.len() > IDS || ids.get(IDS - 1).is_some_and(|&id| id >= WIDE) {
            let Some(at) = self.records.put(b"", ids) else { return };
            value = u128::from(at) | (ids.len() as u128) << 64 | MORE << 120;
        } else {
            for (place, &id) in ids.iter().enumerate() {
                value |= u128::from(id) << (32 * place);
            }
            value |= (ids.len() as u128) << 120;
        }
        self.put_value(key, value);
    }

    fn put_value(&mut self, key: u128, value: u128) {
        self.puts += 1;
        let home = self.home(key);
        for index in [home, self.other(key)] {
            let line = self.line(index);
            if let Some(way) = (0..WAYS).find(|&way| line[way] == key || line[way] == 0) {
                self.entries += usize::from(line[way] == 0);
                self.set(index, way, (key, value));
                return;
            }
        }
        // All four places are taken: the newest comes first at home, the older one there goes where it has room.
        let line = self.line(home);
        let (old_home, old_other) = (self.home(line[1]), self.other(line[1]));
        let to = if old_home == home { old_other } else { old_home };
        let way = if self.line(to)[1] == 0 { 1 } else { self.puts & 1 };
        if to != home {
            self.set(to, way, (line[1], line[WAYS + 1]));
        }
        self.set(home, 1, (line[0], line[WAYS]));
        self.set(home, 0, (key, value));
    }

    /// Keeps a value where there is room for it without moving anything.
    pub(crate) fn seed(&mut self, key: u128, id: u32) {
        let home = self.home(key);
        let line = self.line(home);
        if id < WIDE
            && line[0] != key
            && let Some(way) = (0..WAYS).find(|&way| line[way] == 0)
        {
            self.set(home, way, (key, u128::from(id) | 1 << 120));
            self.entries += 1;
        }
    }

    /// The hash of a long piece, 0 where it is too long to be kept; asks for its slots.
    #[inline]
    pub(crate) fn ask_long(&self, piece: &[u8]) -> u64 {
        self.slots.ask(piece)
    }

    /// Asks for the record of a long piece of this hash.
    #[inline]
    pub(crate) fn ask_record(&self, hash: u64) {
        if let Some(at) = self.slots.get(hash) {
            self.records.prefetch(at);
        }
    }

    /// Whether a long piece of this hash is kept.
    #[inline]
    pub(crate) fn contains_long(&self, hash: u64) -> bool {
        self.slots.get(hash).is_some()
    }

    /// The ids of a long piece.
    pub(crate) fn find_long(&self, hash: u64, piece: &[u8]) -> Option<&[u32]> {
        self.slots.get(hash).and_then(|at| self.records.get(at, piece))
    }

    /// Keeps the ids of a long piece.
    pub(crate) fn put_long(&mut self, hash: u64, piece: &[u8], ids: &[u32]) {
        if piece.len() > LONGEST {
            return;
        }
        self.puts += 1;
        if let Some(at) = self.records.put(piece, ids) {
            self.entries += usize::from(self.slots.put(hash, at));
        }
    }

    /// Takes over everything into more lines.
    pub(crate) fn grow(&mut self, lines: usize) {
        let mut old = std::mem::replace(self, Self::with_lines(lines));
        std::mem::swap(&mut self.records, &mut old.records);
        self.records.grow(lines * WORDS);
        for line in old.lines().iter().map(parts) {
            for way in (0..WAYS).rev().filter(|&way| line[way] != 0) {
                self.put_value(line[way], line[WAYS + way]);
            }
        }
        self.entries += self.slots.take_over(old.slots);
        self.puts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::key;
    use super::*;
    use crate::table::SHORT;
    use std::collections::HashMap;

    fn look(cache: &mut Cache, piece: &[u8]) -> Option<Vec<u32>> {
        if piece.len() > SHORT {
            return cache.find_long(cache.ask_long(piece), piece).map(<[u32]>::to_vec);
        }
        let key = key(piece, 0, piece.len());
        let value = probe(&cache.lines()[cache.home(key)], key);
        if is_found(number(value)) {
            return Some(ids(value)[..number(value)].to_vec());
        }
        let counted = match cache.find(key, false) {
            Found::Value(value) => Some(number(value)),
            Found::Number(number) => Some(number),
            Found::Record(_) | Found::Nothing => None,
        };
        match cache.find(key, true) {
            Found::Value(value) => Some(ids(value)[..number(value)].to_vec()),
            Found::Record(ids) => Some(ids.to_vec()),
            Found::Number(_) | Found::Nothing => None,
        }
        .inspect(|ids| assert_eq!(Some(ids.len()), counted))
    }

    #[test]
    fn what_is_kept_comes_back_and_nothing_else() {
        for lines in [16, 48, 64, 1 << 12] {
            let mut cache = Cache::with_lines(lines);
            let mut kept = HashMap::new();
            for number in 0..6000u32 {
                if number == 4000 {
                    cache.grow(lines * 4);
                }
                // Any bytes, also those that pad nothing: a piece and the same with a zero after it differ.
                let mut piece = number.to_le_bytes().repeat(1 + number as usize % 5);
                piece.truncate(piece.len() - number as usize % 3);
                let ids: Vec<u32> = (0..=number % 7).map(|index| (number * 7 + index) << (number % 14)).collect();
                if let Some(found) = look(&mut cache, &piece) {
                    assert_eq!(Some(&found), kept.get(&piece), "kept, and a different piece of the same bytes");
                }
                if piece.len() > SHORT {
                    let hash = cache.ask_long(&piece);
                    cache.put_long(hash, &piece, &ids);
                } else {
                    cache.put(key(&piece, 0, piece.len()), &ids);
                }
                assert_eq!(look(&mut cache, &piece).as_ref(), Some(&ids), "{number} in {lines} lines");
                kept.insert(piece, ids);
            }
            for _ in 0..2 {
                let found = kept
                    .iter()
                    .filter(|(piece, ids)| look(&mut cache, piece).inspect(|found| assert_eq!(found, *ids)).is_some());
                let found = found.count();
                assert!(found > lines && (lines < 1 << 12 || found > kept.len() * 8 / 10), "{found} in {lines}");
            }
            assert_eq!(look(&mut cache, b"never put"), None);
            assert_eq!(look(&mut cache, b""), None);
        }
    }

    #[test]
    fn every_seed_is_found_at_once() {
        let mut cache = Cache::with_lines(1 << 12);
        for id in 0..300u32 {
            let piece = id.to_string();
            cache.seed(key(piece.as_bytes(), 0, piece.len()), id);
        }
        for id in 0..300u32 {
            let key = key(id.to_string().as_bytes(), 0, id.to_string().len());
            let value = probe(&cache.lines()[cache.home(key)], key);
            assert_eq!((number(value), ids(value)[0]), (1, id));
        }
    }
}
