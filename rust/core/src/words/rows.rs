//! Counted words of several tables -> one list, by descending count, then by bytes.
//!
//! Naive: add one table to the other, word by word, on one thread, and sort at the end.
//! Idea: words are shared out by the top bits of their hash: one thread adds up one range of all tables in a small
//! table that stays in its cache, and sorts it; the sorted ranges are then merged. A word of at most 15 bytes is sorted
//! as two numbers that compare as its bytes do.
//! Cost: 25-60 ns a word and table, shared by the threads; 32 bytes a word. Worst case: the last merge is serial.
//! Invariant: as for [`WordCounts`].

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashTable;

use super::WordCounts;
use super::table::CountTable;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::table::SHORT;
use crate::threads;

/// Marks a row whose word is its key.
const SHORT_WORD: u64 = u64::MAX;

/// A word and its count while it is sorted.
#[derive(Debug, Clone, Copy)]
struct Row {
    count: u64,
    /// The first 15 bytes of the word, and its length (16 for more than 15): comparing them compares the bytes.
    key: [u64; 2],
    /// Where a longer word lies in the arena, behind its length; else [`SHORT_WORD`].
    at: u64,
}

/// Rows with the bytes of their longer words.
#[derive(Debug, Default)]
pub(super) struct Shard {
    rows: Vec<Row>,
    arena: Vec<u8>,
}

/// The sum of two counts of one word.
pub(super) fn add(a: u64, b: u64, word: &[u8]) -> Result<u64> {
    a.checked_add(b).ok_or_else(|| {
        Error::Training(format!(
            "the counts of {:?} add up to more than a u64 holds; divide them all by one number",
            String::from_utf8_lossy(word)
        ))
    })
}

/// A key of a table, as numbers that compare as the bytes do.
fn comparable(key: u128) -> [u64; 2] {
    let key = key.swap_bytes();
    [(key >> 64) as u64, key as u64]
}

impl Shard {
    /// Adds a word that is not in the shard yet.
    pub(super) fn push(&mut self, word: &[u8], count: u64) {
        let mut first = [0; 16];
        let len = word.len().min(SHORT);
        first[..len].copy_from_slice(&word[..len]);
        first[SHORT] = word.len().min(SHORT + 1) as u8;
        let at = if word.len() > SHORT {
            let at = self.arena.len() as u64;
            self.arena.extend_from_slice(&(word.len() as u64).to_le_bytes());
            self.arena.extend_from_slice(word);
            at
        } else {
            SHORT_WORD
        };
        self.rows.push(Row { count, key: comparable(u128::from_le_bytes(first)), at });
    }

    fn long(&self, row: &Row) -> &[u8] {
        let start = row.at as usize;
        let len = self.arena[start..start + 8].iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
        &self.arena[start + 8..start + 8 + len]
    }

    /// Appends the bytes of a row's word.
    fn extend(&self, row: &Row, bytes: &mut Vec<u8>) {
        if row.at == SHORT_WORD {
            let key = (u128::from(row.key[0]) << 64 | u128::from(row.key[1])).to_be_bytes();
            bytes.extend_from_slice(&key[..usize::from(key[SHORT])]);
        } else {
            bytes.extend_from_slice(self.long(row));
        }
    }

    fn compare_bytes(&self, row: &Row, other: &Self, theirs: &Row) -> Ordering {
        row.key.cmp(&theirs.key).then_with(|| {
            if row.at == SHORT_WORD || theirs.at == SHORT_WORD {
                Ordering::Equal
            } else {
                self.long(row).cmp(other.long(theirs))
            }
        })
    }

    fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| self.compare_bytes(a, self, b)));
        self.rows = rows;
    }

    /// Calls `visit` with every word in the order of bytes.
    pub(super) fn for_each_by_bytes(mut self, mut visit: impl FnMut(&[u8], u64) -> Result<()>) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| self.compare_bytes(a, &self, b));
        let mut word = Vec::new();
        rows.iter().try_for_each(|row| {
            word.clear();
            self.extend(row, &mut word);
            visit(&word, row.count)
        })
    }
}

/// Adds up the words of one range of hashes.
fn sum_range(tables: &[CountTable], range: usize, bits: u32) -> Result<Shard> {
    let mut shard = Shard::default();
    // One table has each word once, unless some were carried over.
    let mut short = HashTable::<(u64, u128, u64)>::new();
    let mut long = HashTable::<(u64, usize)>::new();
    let mut outcome = Ok(());
    for table in tables {
        table.for_each_short(range, bits, |key, hash, count| {
            let entry = short.entry(hash, |entry| entry.1 == key, |entry| entry.0).or_insert((hash, key, 0));
            let sum = &mut entry.into_mut().2;
            match add(*sum, count, &key.to_le_bytes()[..SHORT]) {
                Ok(added) => *sum = added,
                Err(error) => outcome = Err(error),
            }
        });
        table.for_each_long(range, bits, |word, entry| {
            let Shard { rows, .. } = &shard;
            let known = long.find(entry.hash, |&(hash, row)| hash == entry.hash && shard.long(&rows[row]) == word);
            if let Some(&(_, row)) = known {
                match add(shard.rows[row].count, entry.count, word) {
                    Ok(added) => shard.rows[row].count = added,
                    Err(error) => outcome = Err(error),
                }
            } else {
                long.insert_unique(entry.hash, (entry.hash, shard.rows.len()), |entry| entry.0);
                shard.push(word, entry.count);
            }
        });
    }
    outcome?;
    shard.rows.extend(short.iter().map(|&(_, key, count)| Row { count, key: comparable(key), at: SHORT_WORD }));
    Ok(shard)
}

/// The words of all tables, each once, in shards.
pub(super) fn sum(tables: &[CountTable], threads: usize, interrupt: &Interrupt<'_>) -> Result<Vec<Shard>> {
    let bits = if threads == 1 { 0 } else { (threads * 4).next_power_of_two().trailing_zeros().min(8) };
    let shards = threads::run(
        threads,
        1 << bits,
        |_| Vec::new(),
        |shards, range| {
            shards.push(sum_range(tables, range, bits)?);
            interrupt.check()
        },
    )?;
    Ok(shards.into_iter().flatten().collect())
}

/// The front of one sorted shard.
struct Front<'s> {
    shard: &'s Shard,
    next: usize,
}

impl Front<'_> {
    fn row(&self) -> &Row {
        &self.shard.rows[self.next]
    }
}

impl Ord for Front<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (row, theirs) = (self.row(), other.row());
        theirs.count.cmp(&row.count).then_with(|| self.shard.compare_bytes(row, other.shard, theirs))
    }
}

impl PartialOrd for Front<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Front<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Front<'_> {}

/// All words of the shards, none of which is in two of them, in order.
pub(super) fn gather(shards: Vec<Shard>, threads: usize, interrupt: &Interrupt<'_>) -> Result<WordCounts> {
    let shards: Vec<_> = shards.into_iter().map(std::sync::Mutex::new).collect();
    threads::run(
        threads,
        shards.len(),
        |_| (),
        |(), index| {
            shards[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner).sort();
            interrupt.check()
        },
    )?;
    let shards: Vec<_> =
        shards.into_iter().map(|shard| shard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)).collect();
    let words = shards.iter().map(|shard| shard.rows.len()).sum();
    let mut counts = WordCounts {
        bytes: Vec::with_capacity(words * 8),
        ends: Vec::with_capacity(words),
        counts: Vec::with_capacity(words),
        corpus: None,
    };
    let mut total = 0u128;
    let mut fronts: BinaryHeap<_> =
        shards.iter().filter(|shard| !shard.rows.is_empty()).map(|shard| Reverse(Front { shard, next: 0 })).collect();
    while let Some(mut front) = fronts.peek_mut() {
        if counts.ends.len().is_multiple_of(1 << 16) {
            interrupt.check()?;
        }
        let Front { shard, next } = &mut front.0;
        let row = &shard.rows[*next];
        let start = counts.bytes.len();
        shard.extend(row, &mut counts.bytes);
        counts.ends.push(counts.bytes.len());
        counts.counts.push(row.count);
        total += u128::from(row.count) * (counts.bytes.len() - start) as u128;
        *next += 1;
        if *next == shard.rows.len() {
            std::collections::binary_heap::PeekMut::pop(front);
        }
    }
    check_total(total)?;
    Ok(counts)
}

/// Refuses counts that stand for more bytes of text than can be counted: no sum of theirs can overflow after this.
pub(super) fn check_total(bytes: u128) -> Result<()> {
    if bytes > u128::from(u64::MAX) {
        return Err(Error::Training(format!(
            "the counts stand for {bytes} bytes of text, more than a u64 holds; divide them all by one number"
        )));
    }
    Ok(())
}
