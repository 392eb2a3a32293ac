//! Pieces that were merged before, with their ids, in memory of a fixed size.
//!
//! Naive: merge every piece anew, or keep pieces in a hash map: text repeats itself (of 21.5 million pieces in 100 MB of
//! mixed text 0.65 million are distinct), but a map that holds them all has left the near caches.
//! Idea: a table of [`Lines`] for short pieces; a line that is full has another one, by another hash, for what it has no
//! room for. More ids than three, and pieces of 16 bytes and more, lie in a ring of [`Records`].
//! Cost: about one cache line a piece. Memory: [`Cache::bytes_for`], fixed until [`Cache::grow`] is called.
//! Invariant: a hit compares all bytes of the piece. A cache is never emptied: a new piece takes the place of an old one.
//! Measured, 100 MB of mixed text seen before, counted with 60 and with 30 MiB: 0.204 and 0.235 s; with two places a line, of
//! 16 bytes a value, 0.213 and 0.284. 490 MB of text, 1.8 million distinct pieces: 2.1 s at first sight and 1.5 when it was
//! seen before; with two places a line, 2.2 and 2.2.
//! Tried and dropped: a table of 1 MiB in front, for what came lately: 0.33 instead of 0.26 s. Moving home by force, and new
//! pieces that leave the old ones alone: three times the misses with 30 MiB, for 3 % less time; up to five pieces moved on to
//! make room for one: 0.35 s. Pieces without room kept only where a bit of their hash says that they came before: of the 490
//! MB seen before one thread missed a seventh more, two as many. One table for all threads of a call, which they fill
//! without locks (a value takes a place by compare-and-swap, the key follows; what has more ids stays with each thread),
//! beside a small one each: two threads then take 0.75 instead of 0.55 s of processor time for the 100 MB at first sight,
//! 0.38 instead of 0.27 when they were seen before, 3.4 instead of 2.6 for the 490 MB: keys are compared word by word, and
//! lines go back and forth between the cores.
//! Source: two lines by two hashes as in R. Pagh and F. Rodler, *Cuckoo hashing* (2004).

use super::key::is_small;
use super::lines::{LINE, Lines, WAYS, place, value_of, value_of_place};
use super::records::Records;
use super::slots::{LONGEST, Slots};

/// Words of records for each line.
const WORDS: usize = 4;
/// Of so many pieces found in their other line one is moved home: mostly one that comes often.
const PROMOTE: usize = 32;

/// Whether a key may be at that place of a line.
fn fits(key: u128, way: usize) -> bool {
    way < WAYS - 1 || is_small(key)
}

/// A bounded table of pieces and their ids.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    lines: Lines,
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
    Value(u64),
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
        lines * LINE + Records::bytes_for(lines * WORDS) + Slots::bytes_for(lines / 2)
    }

    /// One of so many lines, at least 16.
    pub(crate) fn with_lines(lines: usize) -> Self {
        Self {
            lines: Lines::new(lines),
            records: Records::with_words(lines * WORDS),
            slots: Slots::with_places(lines / 2),
            ..Self::default()
        }
    }

    /// The number of lines.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines of short pieces.
    #[inline]
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Asks for the line of a key.
    #[inline]
    pub(crate) fn ask(&self, key: u128) {
        self.lines.ask(self.lines.home(key));
    }

    /// Asks for the other line of a key.
    #[inline]
    pub(crate) fn ask_other(&self, key: u128) {
        self.lines.ask(self.lines.other(key));
    }

    /// Asks for the record at a place.
    #[inline]
    pub(crate) fn ask_place(&self, place: u64) {
        self.records.prefetch(place);
    }

    /// The ids of a short piece whose line says that they are there, unless they are gone.
    #[inline]
    pub(crate) fn at(&self, place: u64) -> Option<&[u32]> {
        self.records.get(place, b"")
    }

    /// The ids of a short piece, wherever they are; where they are not asked for, their number will do.
    pub(crate) fn find(&mut self, key: u128, ids: bool) -> Found<'_> {
        match self.lines.value(self.lines.home(key), key) {
            0 => self.find_other(key, ids),
            value => self.found(value, ids),
        }
    }

    /// The same for a piece that is not in its own line.
    #[inline]
    pub(crate) fn find_other(&mut self, key: u128, ids: bool) -> Found<'_> {
        let other = self.lines.other(key);
        let value = self.lines.value(other, key);
        if value == 0 {
            return Found::Nothing;
        }
        self.finds += 1;
        if self.finds.is_multiple_of(PROMOTE) {
            self.promote(key, other);
        }
        self.found(value, ids)
    }

    #[inline]
    fn found(&self, value: u64, ids: bool) -> Found<'_> {
        match place(value) {
            None => Found::Value(value),
            Some((_, number)) if !ids => Found::Number(number),
            Some((at, _)) => self.at(at).map_or(Found::Nothing, Found::Record),
        }
    }

    /// Moves what is often found in its other line home, if something there can go to its own other line.
    #[cold]
    fn promote(&mut self, key: u128, index: usize) {
        let (home, others) = (self.lines.home(key), self.lines.get(index));
        let Some(way) = others.iter().position(|&(other, _)| other == key && index != home) else { return };
        let (line, found) = (self.lines.get(home), others[way]);
        for at in (0..WAYS).rev().filter(|&at| fits(found.0, at)) {
            let there = line[at];
            let (to, free) = if there.0 == 0 {
                (index, way)
            } else {
                let to = self.lines.home(there.0) ^ self.lines.other(there.0) ^ home;
                let is_free = |&free: &usize| self.lines.get(to)[free].0 == 0 || (to, free) == (index, way);
                let Some(free) = (0..WAYS).filter(|&free| fits(there.0, free)).find(is_free) else { continue };
                (to, free)
            };
            self.lines.set(index, way, (0, 0));
            self.lines.set(to, free, there);
            self.lines.set(home, at, found);
            return;
        }
    }

    /// Keeps the ids of a short piece.
    pub(crate) fn put(&mut self, key: u128, ids: &[u32]) {
        let value = value_of(ids).or_else(|| value_of_place(self.records.put(b"", ids)?, ids.len()));
        if let Some(value) = value {
            self.put_value(key, value);
        }
    }

    /// Keeps the value of a short piece.
    #[inline]
    pub(crate) fn put_value(&mut self, key: u128, value: u64) {
        self.puts += 1;
        let lines = &mut self.lines;
        let home = lines.home(key);
        for index in [home, lines.other(key)] {
            if let Some((way, free)) = lines.room(index, key) {
                self.entries += usize::from(free);
                lines.set(index, way, (key, value));
                return;
            }
        }
        self.make_room(key, value);
    }

    /// Keeps the value of a short piece where something else has to go: at home, where the older one goes to its other line.
    #[cold]
    fn make_room(&mut self, key: u128, value: u64) {
        let lines = &mut self.lines;
        let home = lines.home(key);
        let line = lines.get(home);
        let leaves = if is_small(key) { line[WAYS - 1] } else { line[1] };
        let (old_home, old_other) = (lines.home(leaves.0), lines.other(leaves.0));
        let to = if old_home == home { old_other } else { old_home };
        if to != home {
            let any = if is_small(leaves.0) { WAYS - 1 } else { self.puts & 1 };
            lines.set(to, lines.room(to, leaves.0).map_or(any, |(way, _)| way), leaves);
        }
        if is_small(key) {
            lines.set(home, WAYS - 1, (key, value));
        } else {
            lines.set(home, 1, line[0]);
            lines.set(home, 0, (key, value));
        }
    }

    /// Keeps a value where there is room for it without moving anything.
    pub(crate) fn seed(&mut self, key: u128, id: u32) {
        let Some(value) = value_of(&[id]) else { return };
        let home = self.lines.home(key);
        if let Some((way, true)) = self.lines.room(home, key) {
            self.lines.set(home, way, (key, value));
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
        for index in 0..old.lines.len() {
            let line = old.lines.get(index);
            for &(key, value) in line.iter().rev().filter(|(key, _)| *key != 0) {
                self.put_value(key, value);
            }
        }
        self.entries += self.slots.take_over(old.slots);
        self.puts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::key;
    use super::super::lines::{ids, number};
    use super::*;
    use crate::table::SHORT;
    use std::collections::HashMap;

    fn look(cache: &mut Cache, piece: &[u8]) -> Option<Vec<u32>> {
        if piece.len() > SHORT {
            return cache.find_long(cache.ask_long(piece), piece).map(<[u32]>::to_vec);
        }
        let key = key(piece, 0, piece.len());
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
            let mut kept: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            for number in 0..6000u32 {
                // Sizes need not be multiples of one another.
                if let Some(times) = [(2000, 2), (4000, 3), (5000, 8)].into_iter().find(|&(at, _)| at == number) {
                    cache.grow(lines * times.1);
                    for (piece, ids) in &kept {
                        assert!(look(&mut cache, piece).is_none_or(|found| found == *ids), "{number}: {piece:?}");
                    }
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
            let line = cache.lines.get(cache.lines.home(key));
            let (_, value) = line.into_iter().find(|&(other, _)| other == key).unwrap();
            assert_eq!((number(value), ids(value)[0]), (1, id));
        }
    }
}
