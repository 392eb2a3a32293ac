//! Text -> how often each pretoken ("word") occurs. All that training needs to know of a corpus.
//!
//! Naive: one `HashMap<Vec<u8>, u64>` and one thread.
//! Rooms: [`counter`] takes text apart and spreads it over threads; [`table`] is the innermost loop; [`rows`] adds
//! tables up and sorts them; [`runs`] writes sorted words to files and merges them, which is how counts are kept and
//! how counting stays inside a limit of memory.
//! Invariant: the result depends on the text alone, not on threads, block sizes or limits; it is sorted by descending
//! count, then by bytes.

mod counter;
mod rows;
mod runs;
mod table;

use std::path::Path;

pub use counter::WordCounter;
use rows::Shard;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::table::ByteTable;

/// What a pretoken may not reach across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A whole document or file.
    #[default]
    Document,
    /// A line, its line feed included (what Hugging Face's `train(files)` sees).
    Line,
}

/// Where counts come from. Only counts of one kind can be added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Corpus {
    /// How the text was cut; `None` for not at all.
    pub pattern: Option<String>,
    /// What no word reaches across.
    pub unit: Unit,
    /// What was cut out of the text and not counted.
    pub special_tokens: Vec<String>,
    /// How many documents were counted.
    pub documents: u64,
    /// How many bytes of text they have.
    pub bytes: u64,
}

/// How often each word occurs, by descending count, then by bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordCounts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    counts: Vec<u64>,
    /// `None` for counts that were made elsewhere.
    corpus: Option<Corpus>,
}

impl WordCounts {
    /// How many distinct words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The word and its count at `index`, which is below [`Self::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> (&[u8], u64) {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.bytes[start..self.ends[index]], self.counts[index])
    }

    /// The words with their counts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// All words one after the other, where each ends, and how often each occurs.
    #[must_use]
    pub fn columns(&self) -> (&[u8], &[usize], &[u64]) {
        (&self.bytes, &self.ends, &self.counts)
    }

    /// Where the counts come from, if that is known.
    #[must_use]
    pub fn corpus(&self) -> Option<&Corpus> {
        self.corpus.as_ref()
    }

    /// The same counts, said to come from this corpus.
    #[must_use]
    pub fn with_corpus(mut self, corpus: Option<Corpus>) -> Self {
        self.corpus = corpus;
        self
    }

    /// Adds up words with their counts; empty words and counts of 0 are left out.
    ///
    /// # Example: counts made elsewhere
    /// ```
    /// use tokfast::{Interrupt, WordCounts};
    /// let counts = [(&b"low"[..], 5), (b"lower", 2), (b"low", 1)];
    /// let counts = WordCounts::from_counts(counts, &Interrupt::never())?;
    /// assert_eq!(counts.iter().collect::<Vec<_>>(), [(&b"low"[..], 6), (b"lower", 2)]);
    /// # Ok::<(), tokfast::Error>(())
    /// ```
    pub fn from_counts<'w>(
        counts: impl IntoIterator<Item = (&'w [u8], u64)>,
        interrupt: &Interrupt<'_>,
    ) -> Result<Self> {
        let mut table = ByteTable::<u64>::default();
        for (index, (word, count)) in counts.into_iter().enumerate() {
            if index % (1 << 16) == 0 {
                interrupt.check()?;
            }
            if !word.is_empty() && count > 0 {
                let sum = table.entry(word, 0, word.len());
                *sum = rows::add(*sum, count, word)?;
            }
        }
        let mut shard = Shard::default();
        table.for_each(|word, count| shard.push(word, count));
        rows::gather(vec![shard], 1, interrupt)
    }

    /// The sum of both counts, which must have been made alike.
    pub fn merge(&self, other: &Self, interrupt: &Interrupt<'_>) -> Result<Self> {
        let corpus = match (&self.corpus, &other.corpus) {
            (Some(mine), Some(theirs)) => Some(mine.merge(theirs)?),
            // Counts made elsewhere take the word of the others.
            (Some(corpus), None) | (None, Some(corpus)) => Some(corpus.clone()),
            (None, None) => None,
        };
        let sum = Self::from_counts(self.iter().chain(other.iter()), interrupt)?;
        Ok(sum.with_corpus(corpus))
    }

    /// Writes the counts to a file that [`Self::load`] reads.
    pub fn save(&self, path: &Path, interrupt: &Interrupt<'_>) -> Result<()> {
        let written = crate::files::write_atomically_with(path, |file| runs::save(self, file, interrupt));
        interrupt.check()?;
        written
    }

    /// Reads counts that [`Self::save`] wrote.
    pub fn load(path: &Path, interrupt: &Interrupt<'_>) -> Result<Self> {
        runs::load(path, interrupt)
    }
}

impl Corpus {
    /// The parts in which the two differ, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.pattern != other.pattern {
            Some(format!("one was cut by the pattern {:?}, the other by {:?}", self.pattern, other.pattern))
        } else if self.unit != other.unit {
            Some(format!("one was counted by {:?}, the other by {:?}", self.unit, other.unit))
        } else if self.special_tokens != other.special_tokens {
            Some(format!(
                "from one the special tokens {:?} were cut out, from the other {:?}",
                self.special_tokens, other.special_tokens
            ))
        } else {
            None
        }
    }

    fn merge(&self, other: &Self) -> Result<Self> {
        match self.difference(other) {
            Some(difference) => Err(Error::Training(format!(
                "these word counts cannot be added up: {difference}; count both in one way"
            ))),
            None => Ok(Self {
                documents: self.documents + other.documents,
                bytes: self.bytes + other.bytes,
                ..self.clone()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_beyond_u32_add_up() {
        let never = Interrupt::never();
        let a = WordCounts::from_counts([(&b"x"[..], 1 << 40), (b"y", 3), (b"", 9), (b"z", 0)], &never).unwrap();
        let b = WordCounts::from_counts([(&b"x"[..], 1 << 40), (b"a longer word than sixteen", 3)], &never).unwrap();
        let sum = a.merge(&b, &never).unwrap();
        let expected = [(&b"x"[..], 1 << 41), (b"a longer word than sixteen", 3), (b"y", 3)];
        assert_eq!(sum.iter().collect::<Vec<_>>(), expected);
        assert!(WordCounts::from_counts([(&b"x"[..], u64::MAX), (b"x", 1)], &never).is_err());
        assert!(WordCounts::from_counts([(&b"xyz"[..], u64::MAX)], &never).is_err());
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let never = Interrupt::never();
        let corpus = Corpus { pattern: Some("gpt2".into()), documents: 3, bytes: 99, ..Corpus::default() };
        let words: Vec<(Vec<u8>, u64)> =
            (0..5000u64).map(|n| (format!("{:b} {}", n, n % 7).into_bytes(), n * n * n + 1)).collect();
        let counts = WordCounts::from_counts(words.iter().map(|(word, count)| (&word[..], *count)), &never).unwrap();
        let counts = counts.with_corpus(Some(corpus));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counts");
        counts.save(&path, &never).unwrap();
        assert!(WordCounts::load(&path, &never).unwrap() == counts);
        // Any byte that changes, and any end that comes early, is noticed.
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(101).chain([0, 21, 30, bytes.len() - 33, bytes.len() - 1]) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            std::fs::write(&path, &broken).unwrap();
            assert!(matches!(WordCounts::load(&path, &never), Err(Error::Training(_))), "{at}");
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(matches!(WordCounts::load(&path, &never), Err(Error::Training(_))), "{at}");
        }
        std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        assert!(WordCounts::load(&path, &never).is_err());
    }

    #[test]
    fn only_counts_of_one_kind_are_added_up() {
        let never = Interrupt::never();
        let counts = WordCounts::from_counts([(&b"ab"[..], 1)], &never).unwrap();
        let with = |pattern: &str| {
            counts.clone().with_corpus(Some(Corpus { pattern: Some(pattern.into()), bytes: 2, ..Corpus::default() }))
        };
        assert_eq!(with("gpt2").merge(&with("gpt2"), &never).unwrap().corpus().unwrap().bytes, 4);
        assert_eq!(with("gpt2").merge(&counts, &never).unwrap().corpus().unwrap().bytes, 2);
        let message = with("gpt2").merge(&with("o200k"), &never).unwrap_err().to_string();
        assert!(message.contains("gpt2") && message.contains("o200k"), "{message}");
    }
}
