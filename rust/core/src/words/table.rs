//! How often each word was met, on one thread: the innermost loop of counting.
//!
//! Naive: `HashMap<Vec<u8>, u64>`: an allocation a word, two dependent cache misses a look-up, a mispredicted branch
//! a comparison.
//! Idea: a word of at most 15 bytes is its own key, 16 bytes with its length in the last. A line of 64 bytes, which
//! is what a processor fetches, holds three keys and four `u32` counts, the fourth being nobody's: where no key is
//! equal, *it* is counted up and the word goes to a list, so the common case has no branch at all. Words come in
//! blocks of 256: first all keys are made and their lines asked for, then they are looked at.
//! The line of a word is given by the top bits of its hash, and a full line runs over into the next, so the words lie
//! in the order of their hashes: growing is one walk from front to back, and tables are added up range by range.
//! Cost: 4-10 ns a word; 64 bytes for 1.8 words at most, twice that while growing. Worst case: words longer than 15
//! bytes, one hash of their bytes and one comparison each.
//! Invariant: the counts are exact: before a `u32` could overflow they are carried over to `u64` ones.
//! Tried and dropped (100 MB of mixed text, GPT-2's pattern, one thread, CPU time of counting): nothing asked for
//! beforehand, 0.99 s instead of 0.73; blocks of 32 or 2,048 words, 0.73 and 0.75 s.
//! Source: the project's own experiment; lines with a spare counter are its finding.

use hashbrown::HashTable;

use crate::prefetch::prefetch;
use crate::table::{SHORT, fold, short_key};

/// Words whose lines are asked for before the first is looked at.
const BLOCK: usize = 256;
/// Keys in a line.
const WAYS: usize = 3;
/// Lines of a new table: 64 kB.
const FIRST: usize = 1 << 10;
/// Words after which the `u32` counts are carried over.
const CARRY: u64 = 1 << 31;

#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    /// 0 marks a free place; no word is empty, so no key is 0.
    keys: [u128; WAYS],
    counts: [u32; WAYS + 1],
}

impl Line {
    /// Where the key lies, or [`WAYS`] where it does not: without a branch.
    #[inline]
    fn way(&self, key: u128) -> usize {
        let equal = self.keys.map(|other| usize::from(other == key));
        WAYS - 3 * equal[0] - 2 * equal[1] - equal[2]
    }
}

/// A word of more than [`SHORT`] bytes, in the arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct Long {
    pub(super) hash: u64,
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) count: u64,
}

/// Counts words.
#[derive(Debug)]
pub(super) struct CountTable {
    lines: Vec<Line>,
    /// How many bits of a hash are too many for `lines`.
    shift: u32,
    used: usize,
    seed: u64,
    /// Words that wait until there are enough to ask for all their lines: key and hash.
    waiting: Vec<(u128, u64)>,
    /// Words counted since the last carrying over.
    since_carry: u64,
    carry_at: u64,
    carried: HashTable<(u128, u64)>,
    long: HashTable<Long>,
    arena: Vec<u8>,
}

/// The hash of a key; the seed is that of all tables that are to be added up.
#[inline]
pub(super) fn hash_key(key: u128, seed: u64) -> u64 {
    fold(key as u64 ^ seed, (key >> 64) as u64 ^ 0xA076_1D64_78BD_642F)
}

fn hash_long(word: &[u8], seed: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
    hasher.write(word);
    hasher.finish()
}

impl CountTable {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            lines: vec![Line::default(); FIRST],
            shift: 64 - FIRST.trailing_zeros(),
            used: 0,
            seed,
            waiting: Vec::with_capacity(BLOCK),
            since_carry: 0,
            carry_at: CARRY,
            carried: HashTable::new(),
            long: HashTable::new(),
            arena: Vec::new(),
        }
    }

    /// Counts the word `text[start..end]`. The text around it lets the key be loaded at once.
    #[inline]
    pub(super) fn add(&mut self, text: &[u8], start: usize, end: usize) {
        if end - start > SHORT {
            self.add_long(&text[start..end]);
            return;
        }
        let key = short_key(text, start, end);
        let hash = hash_key(key, self.seed);
        prefetch(&self.lines, (hash >> self.shift) as usize);
        self.waiting.push((key, hash));
        if self.waiting.len() == BLOCK {
            self.settle();
        }
    }

    #[inline(never)]
    fn add_long(&mut self, word: &[u8]) {
        let hash = hash_long(word, self.seed);
        let Self { long, arena, .. } = self;
        let same = |entry: &Long| entry.hash == hash && arena[entry.start..entry.start + entry.len] == *word;
        match long.entry(hash, same, |entry| entry.hash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => entry.get_mut().count += 1,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(Long { hash, start: arena.len(), len: word.len(), count: 1 });
                arena.extend_from_slice(word);
            }
        }
    }

    /// Counts the words that wait.
    #[inline(never)]
    pub(super) fn settle(&mut self) {
        self.since_carry += self.waiting.len() as u64;
        if self.since_carry > self.carry_at {
            self.carry();
            self.since_carry = self.waiting.len() as u64;
        }
        let mut list = [0u16; BLOCK];
        let mut misses = 0;
        for (index, &(key, hash)) in self.waiting.iter().enumerate() {
            let line = &mut self.lines[(hash >> self.shift) as usize];
            let way = line.way(key);
            line.counts[way & WAYS] = line.counts[way & WAYS].wrapping_add(1);
            list[misses & (BLOCK - 1)] = index as u16;
            misses += usize::from(way == WAYS);
        }
        if misses > 0 {
            if (self.used + misses) * 5 > self.lines.len() * WAYS * 3 {
                self.grow();
            }
            for &index in &list[..misses] {
                let (key, hash) = self.waiting[usize::from(index)];
                self.used += usize::from(put(&mut self.lines, self.shift, key, hash, 1));
            }
        }
        self.waiting.clear();
    }

    fn grow(&mut self) {
        let doubled = vec![Line::default(); self.lines.len() * 2];
        let lines = std::mem::replace(&mut self.lines, doubled);
        self.shift -= 1;
        for line in lines {
            for (key, count) in line.keys.into_iter().zip(line.counts).filter(|entry| entry.0 != 0) {
                put(&mut self.lines, self.shift, key, hash_key(key, self.seed), count);
            }
        }
    }

    fn carry(&mut self) {
        let Self { lines, carried, seed, .. } = self;
        for line in lines.iter_mut() {
            for (key, count) in line.keys.into_iter().zip(&mut line.counts).filter(|entry| entry.0 != 0) {
                carried
                    .entry(hash_key(key, *seed), |entry| entry.0 == key, |entry| hash_key(entry.0, *seed))
                    .or_insert((key, 0))
                    .into_mut()
                    .1 += u64::from(std::mem::take(count));
            }
        }
    }

    /// Bytes of memory that the table holds.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
            + self.carried.capacity() * (size_of::<(u128, u64)>() + 1)
            + self.long.capacity() * (size_of::<Long>() + 1)
            + self.arena.capacity()
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.waiting.is_empty() && self.long.is_empty()
    }

    /// Calls `visit(key, hash, count)` for the words of at most 15 bytes whose hash has `range` as its top `bits` bits.
    /// A word may come twice, if it was carried over.
    pub(super) fn for_each_short(&self, range: usize, bits: u32, mut visit: impl FnMut(u128, u64, u64)) {
        let in_range = |hash: u64| bits == 0 || (hash >> (64 - bits)) as usize == range;
        let per_range = self.lines.len() >> bits;
        let first = range * per_range;
        for (step, index) in (first..).enumerate() {
            let line = &self.lines[index % self.lines.len()];
            for (key, count) in line.keys.into_iter().zip(line.counts).filter(|entry| entry.0 != 0) {
                let hash = hash_key(key, self.seed);
                if in_range(hash) && count > 0 {
                    visit(key, hash, u64::from(count));
                }
            }
            // Words of this range may have run over its end, up to the first line that is not full.
            if step + 1 >= per_range && (line.keys.contains(&0) || step + 1 >= self.lines.len()) {
                break;
            }
        }
        for &(key, count) in &self.carried {
            let hash = hash_key(key, self.seed);
            if in_range(hash) {
                visit(key, hash, count);
            }
        }
    }

    /// Calls `visit(word, entry)` for the longer words whose hash has `range` as its top `bits` bits.
    pub(super) fn for_each_long(&self, range: usize, bits: u32, mut visit: impl FnMut(&[u8], &Long)) {
        for entry in &self.long {
            if bits == 0 || (entry.hash >> (64 - bits)) as usize == range {
                visit(&self.arena[entry.start..entry.start + entry.len], entry);
            }
        }
    }
}

/// Adds to the count of a word; true where it is new.
fn put(lines: &mut [Line], shift: u32, key: u128, hash: u64, count: u32) -> bool {
    let home = (hash >> shift) as usize;
    let mut index = home;
    loop {
        let line = &mut lines[index];
        for way in 0..WAYS {
            if line.keys[way] == key {
                line.counts[way] += count;
                if index != home {
                    promote(lines, home, index, way);
                }
                return false;
            }
            if line.keys[way] == 0 {
                line.keys[way] = key;
                line.counts[way] = count;
                return true;
            }
        }
        index = if index + 1 == lines.len() { 0 } else { index + 1 };
    }
}

/// Swaps a word that ran over with the rarest of its home line, if that is rarer. Both stay reachable: every line
/// between is full.
fn promote(lines: &mut [Line], home: usize, index: usize, way: usize) {
    let (key, count) = (lines[index].keys[way], lines[index].counts[way]);
    let line = &mut lines[home];
    let rarest = (0..WAYS).min_by_key(|&other| line.counts[other]).unwrap_or(0);
    if line.counts[rarest] < count {
        let (old_key, old_count) = (line.keys[rarest], line.counts[rarest]);
        (line.keys[rarest], line.counts[rarest]) = (key, count);
        (lines[index].keys[way], lines[index].counts[way]) = (old_key, old_count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// All that a table holds, range by range.
    fn contents(table: &CountTable, bits: u32) -> HashMap<Vec<u8>, u64> {
        let mut words = HashMap::new();
        for range in 0..1 << bits {
            table.for_each_short(range, bits, |key, _, count| {
                let bytes = key.to_le_bytes();
                *words.entry(bytes[..usize::from(bytes[15])].to_vec()).or_insert(0) += count;
            });
            table.for_each_long(range, bits, |word, entry| {
                assert!(words.insert(word.to_vec(), entry.count).is_none());
            });
        }
        words
    }

    fn check(words: impl IntoIterator<Item = Vec<u8>>, carry_at: u64) {
        let mut table = CountTable::new(7);
        table.carry_at = carry_at;
        let mut expected: HashMap<Vec<u8>, u64> = HashMap::new();
        for word in words {
            // Once with text after it, once without: both ways of loading the key.
            table.add(&[&word[..], &[7; 20]].concat(), 0, word.len());
            table.add(&word, 0, word.len());
            *expected.entry(word).or_default() += 2;
        }
        table.settle();
        for bits in [0, 1, 4] {
            assert_eq!(contents(&table, bits), expected);
        }
    }

    proptest! {
        #[test]
        fn counts_equal_those_of_a_hash_map(words in prop::collection::vec(prop::collection::vec(0u8..4, 1..24), 0..900), carry_at in 1u64..3000) {
            check(words, carry_at);
        }
    }

    #[test]
    fn a_table_that_grows_keeps_its_counts() {
        // Frequent words among tens of thousands of rare ones, so that lines run over and words are promoted.
        check(
            (0..60_000u32)
                .map(|n| if n % 3 == 0 { vec![b'a'; n as usize % 15 + 1] } else { n.to_string().into_bytes() }),
            CARRY,
        );
    }

    #[test]
    fn a_full_last_line_runs_over_into_the_first() {
        let mut table = CountTable::new(1);
        let last = |key: u128| hash_key(key, 1) >> (64 - FIRST.trailing_zeros()) == FIRST as u64 - 1;
        let keys: Vec<u128> = (1u128..).filter(|&n| last(n | 15 << 120)).take(7).collect();
        for key in &keys {
            let bytes = (key | 15 << 120).to_le_bytes();
            table.add(&bytes, 0, 15);
        }
        table.settle();
        assert!(table.lines[1].keys[0] != 0);
        for bits in [0, 3] {
            assert_eq!(contents(&table, bits).len(), 7);
        }
    }
}
