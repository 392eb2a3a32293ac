//! Text -> how often each pretoken ("word") occurs. All that training needs to know of a corpus.
//!
//! Naive: one `HashMap<Vec<u8>, u64>` and one thread.
//! Idea: a table a thread ([`ByteTable`]), filled from blocks of text that are cut where a piece begins whatever
//! surrounds it ([`Pretokenizer::is_cut`]), so blocks are counted apart and nothing is counted twice or split. Each
//! thread finds its own blocks in a file: block k holds what lies between the first cut at or after `k * BLOCK` and the
//! first at or after `(k + 1) * BLOCK`. No reader feeds the others, and no block depends on who took it.
//! Cost: O(bytes); memory is one block a thread and 16-64 bytes a distinct word. Worst case: text without any cut (no
//! pretokenizer, a regular expression, one long word) is one block, read and counted by one thread.
//! Invariant: the result depends on the text alone, not on threads or block sizes; it is sorted by descending count,
//! then by bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, Phase};
use crate::pretokenize::Pretokenizer;
use crate::special::Finder;
use crate::table::ByteTable;
use crate::threads;

/// Bytes of text that one thread takes at a time.
const BLOCK: usize = 4 << 20;

/// What a pretoken may not reach across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// A whole document or file.
    #[default]
    Document,
    /// A line, its line feed included (what Hugging Face's `train(files)` sees).
    Line,
}

/// How often each word occurs, by descending count, then by bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordCounts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    counts: Vec<u64>,
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

    /// Adds up words with their counts; empty words and counts of 0 are left out.
    ///
    /// # Example: counts made elsewhere
    /// ```
    /// let counts = tokfast::WordCounts::from_counts([(&b"low"[..], 5), (b"lower", 2), (b"low", 1)])?;
    /// assert_eq!(counts.iter().collect::<Vec<_>>(), [(&b"low"[..], 6), (b"lower", 2)]);
    /// # Ok::<(), tokfast::Error>(())
    /// ```
    pub fn from_counts<'w>(counts: impl IntoIterator<Item = (&'w [u8], u64)>) -> Result<Self> {
        let mut table = ByteTable::default();
        for (word, count) in counts {
            add(&mut table, word, count)?;
        }
        Self::from_table(&table)
    }

    /// The sum of both counts.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        Self::from_counts(self.iter().chain(other.iter()))
    }

    fn from_table(table: &ByteTable<u64>) -> Result<Self> {
        /// A word while it is sorted: most are told apart by count and first bytes alone.
        struct Row {
            count: u64,
            first: u64,
            start: usize,
            end: usize,
        }
        let (mut arena, mut rows) = (Vec::new(), Vec::with_capacity(table.len()));
        let mut total = 0u128;
        table.for_each(|word, count| {
            let mut first = [0; 8];
            let len = word.len().min(8);
            first[..len].copy_from_slice(&word[..len]);
            let start = arena.len();
            arena.extend_from_slice(word);
            total += u128::from(count) * word.len() as u128;
            rows.push(Row { count, first: u64::from_be_bytes(first), start, end: arena.len() });
        });
        if total > u128::from(u64::MAX) {
            return Err(Error::Training(format!(
                "the counts stand for {total} bytes of text, more than a u64 holds; divide them all by one number"
            )));
        }
        rows.sort_unstable_by(|a, b| {
            (b.count, a.first).cmp(&(a.count, b.first)).then_with(|| arena[a.start..a.end].cmp(&arena[b.start..b.end]))
        });
        let mut bytes = Vec::with_capacity(arena.len());
        let ends = rows
            .iter()
            .map(|row| {
                bytes.extend_from_slice(&arena[row.start..row.end]);
                bytes.len()
            })
            .collect();
        Ok(Self { bytes, ends, counts: rows.iter().map(|row| row.count).collect() })
    }
}

fn add(table: &mut ByteTable<u64>, word: &[u8], count: u64) -> Result<()> {
    if word.is_empty() || count == 0 {
        return Ok(());
    }
    let sum = table.entry(word, 0, word.len());
    *sum = sum.checked_add(count).ok_or_else(|| {
        Error::Training(format!("the counts of {:?} add up to more than a u64 holds", String::from_utf8_lossy(word)))
    })?;
    Ok(())
}

/// Counts the words of documents and files, batch after batch.
#[derive(Debug)]
pub struct WordCounter {
    pretokenizer: Pretokenizer,
    specials: Finder,
    special_texts: Vec<Vec<u8>>,
    unit: Unit,
    threads: usize,
    /// Tables that no thread uses just now.
    tables: Mutex<Vec<ByteTable<u64>>>,
}

impl WordCounter {
    /// Special tokens are cut out of the text and not counted.
    pub fn new(pretokenizer: Pretokenizer, special_tokens: &[String], unit: Unit, threads: usize) -> Result<Self> {
        Ok(Self {
            pretokenizer,
            specials: Finder::new(special_tokens.iter().map(|token| (token.as_str(), 0)))?,
            special_texts: special_tokens.iter().map(|token| token.clone().into_bytes()).collect(),
            unit,
            threads: threads.max(1),
            tables: Mutex::default(),
        })
    }

    /// Counts documents that are in memory.
    pub fn add_documents(&self, documents: &[&[u8]], interrupt: &Interrupt<'_>) -> Result<()> {
        let mut jobs = Vec::new();
        let mut pending = 0;
        for (index, document) in documents.iter().enumerate() {
            let mut start = 0;
            while start < document.len() {
                let end = self.first_cut(document, start + BLOCK / 4);
                // Small documents share a job.
                if pending == 0 || pending + (end - start) > BLOCK / 4 {
                    jobs.push(Vec::new());
                    pending = 0;
                }
                pending += end - start;
                if let Some(job) = jobs.last_mut() {
                    job.push((index, start, end));
                }
                start = end;
            }
        }
        self.run(jobs.len(), |table, job| {
            jobs[job]
                .iter()
                .try_for_each(|&(index, start, end)| self.count(table, &documents[index][start..end], interrupt))
        })
    }

    /// Counts files, each a document.
    pub fn add_files(&self, files: &[PathBuf], interrupt: &Interrupt<'_>) -> Result<()> {
        let (mut jobs, mut total) = (Vec::new(), 0);
        for file in files {
            let metadata = std::fs::metadata(file).map_err(Error::io(file))?;
            total += metadata.len();
            // What is no regular file (a pipe) cannot be cut before it is read.
            let blocks = if metadata.is_file() && self.may_cut() { metadata.len().div_ceil(BLOCK as u64) } else { 1 };
            jobs.extend((0..blocks).map(|block| (file.as_path(), block, blocks)));
        }
        interrupt.begin(Phase::Count, total);
        self.run(jobs.len(), |table, job| {
            let (file, block, blocks) = jobs[job];
            let text = if blocks == 1 { std::fs::read(file) } else { self.read_block(file, block) }
                .map_err(Error::io(file))?;
            self.count(table, &text, interrupt)
        })
    }

    /// The counts of all that was added.
    pub fn finish(self) -> Result<WordCounts> {
        let mut tables = self.tables.into_inner().unwrap_or_else(PoisonError::into_inner);
        tables.sort_by_key(ByteTable::len);
        let mut sum = tables.pop().unwrap_or_default();
        for table in tables {
            let mut outcome = Ok(());
            table.for_each(|word, count| {
                if outcome.is_ok() {
                    outcome = add(&mut sum, word, count);
                }
            });
            outcome?;
        }
        WordCounts::from_table(&sum)
    }

    fn run(&self, jobs: usize, work: impl Fn(&mut ByteTable<u64>, usize) -> Result<()> + Sync) -> Result<()> {
        let lock = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let used = threads::run(self.threads, jobs, || lock().pop().unwrap_or_default(), work)?;
        lock().extend(used);
        Ok(())
    }

    fn count(&self, table: &mut ByteTable<u64>, text: &[u8], interrupt: &Interrupt<'_>) -> Result<()> {
        self.specials.split(
            table,
            text,
            |table, start, end| {
                let part = &text[start..end];
                match self.unit {
                    Unit::Document => self.count_unit(table, part, interrupt),
                    Unit::Line => {
                        let mut start = 0;
                        for end in memchr::memchr_iter(b'\n', part).map(|at| at + 1).chain([part.len()]) {
                            self.count_unit(table, &part[start..end], interrupt)?;
                            start = end;
                        }
                        Ok(())
                    }
                }
            },
            |_, _| (),
        )?;
        interrupt.advance(text.len() as u64)
    }

    fn count_unit(&self, table: &mut ByteTable<u64>, text: &[u8], interrupt: &Interrupt<'_>) -> Result<()> {
        let mut checked = 0;
        self.pretokenizer.split(text, |start, end| {
            *table.entry(text, start, end) += 1;
            if end - checked > BLOCK / 4 {
                checked = end;
                interrupt.check()?;
            }
            Ok(())
        })
    }

    /// Whether text can be cut at all before it is all there.
    fn may_cut(&self) -> bool {
        self.unit == Unit::Line || self.pretokenizer.is_cut(b"a b", 1)
    }

    /// Whether `text` can be cut before `at` and no word, line or special token is torn.
    fn is_cut(&self, text: &[u8], at: usize) -> bool {
        let cut = match self.unit {
            Unit::Line => at > 0 && text[at - 1] == b'\n',
            Unit::Document => self.pretokenizer.is_cut(text, at),
        };
        cut && self.special_texts.iter().all(|special| {
            let from = at.saturating_sub(special.len() - 1);
            (from..at).all(|start| !text[start..].starts_with(special))
        })
    }

    /// The first cut at or after `from`, or the end of the text.
    fn first_cut(&self, text: &[u8], from: usize) -> usize {
        (from..text.len()).find(|&at| self.is_cut(text, at)).unwrap_or(text.len())
    }

    /// The text between the first cut at or after `block * BLOCK` and the first at or after the next multiple.
    fn read_block(&self, path: &Path, block: u64) -> std::io::Result<Vec<u8>> {
        // A cut is judged by the byte before it and by special tokens that reach across it.
        let margin = self.special_texts.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let from = block * BLOCK as u64;
        let base = from.saturating_sub(margin as u64);
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(base))?;
        let mut text = Vec::with_capacity(BLOCK + (64 << 10));
        let mut read_to = |text: &mut Vec<u8>, len: usize| -> std::io::Result<()> {
            let missing = len.saturating_sub(text.len()) as u64;
            (&mut file).take(missing).read_to_end(text).map(|_| ())
        };
        let first = (from - base) as usize;
        let next = first + BLOCK;
        read_to(&mut text, next + margin)?;
        let start = if block == 0 {
            0
        } else {
            match (first..next.min(text.len())).find(|&at| self.is_cut(&text, at)) {
                Some(start) => start,
                // No cut in this block: all of it belongs to an earlier one.
                None => return Ok(Vec::new()),
            }
        };
        let mut at = next;
        loop {
            // Candidates that can be judged with what has been read.
            while at + margin <= text.len() {
                if self.is_cut(&text, at) {
                    text.truncate(at);
                    text.drain(..start);
                    return Ok(text);
                }
                at += 1;
            }
            let known = text.len();
            read_to(&mut text, known + known.max(64 << 10))?;
            if text.len() == known {
                // The end of the file: judge the last candidates, else take all.
                let end = self.first_cut(&text, at.min(known));
                text.truncate(end);
                text.drain(..start);
                return Ok(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(
        text: &[u8],
        pattern: Option<&str>,
        specials: &[String],
        unit: Unit,
        threads: usize,
        as_file: bool,
    ) -> WordCounts {
        let pretokenizer = Pretokenizer::new(pattern).unwrap();
        let counter = WordCounter::new(pretokenizer, specials, unit, threads).unwrap();
        let interrupt = Interrupt::never();
        if as_file {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file, text).unwrap();
            counter.add_files(&[file.path().to_path_buf()], &interrupt).unwrap();
        } else {
            counter.add_documents(&[text], &interrupt).unwrap();
        }
        counter.finish().unwrap()
    }

    /// Counts with no table, no blocks and no threads.
    fn naive(text: &[u8], pattern: Option<&str>, special: &str, unit: Unit) -> WordCounts {
        let pretokenizer = Pretokenizer::new(pattern).unwrap();
        let mut words: Vec<&[u8]> = Vec::new();
        let text = std::str::from_utf8(text).unwrap();
        for part in text.split(special) {
            let units: Vec<&str> = if unit == Unit::Line { part.split_inclusive('\n').collect() } else { vec![part] };
            for unit in units {
                pretokenizer
                    .split(unit.as_bytes(), |start, end| {
                        words.push(&unit.as_bytes()[start..end]);
                        Ok(())
                    })
                    .unwrap();
            }
        }
        WordCounts::from_counts(words.into_iter().map(|word| (word, 1))).unwrap()
    }

    #[test]
    fn blocks_threads_and_sources_change_nothing() {
        // 13 MB: several blocks, with stretches where no cut is to be had.
        let mut text = String::new();
        let mut state = 1u32;
        while text.len() < 13 << 20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 28 {
                0 => text.push_str("<|end of text|>"),
                1 => text.push_str(" \n\n  "),
                2 => text.extend(std::iter::repeat_n("\u{4E2D}\u{6587}", state as usize % 50)),
                3 if state & 0xFFF0 == 0 => text.extend(std::iter::repeat_n('x', 9 << 20)),
                _ => text.extend([" word", &((state >> 8) % 500).to_string(), " it's"]),
            }
        }
        let special = "<|end of text|>".to_string();
        for (pattern, unit) in
            [(Some("gpt2"), Unit::Document), (Some("o200k"), Unit::Document), (Some("gpt2"), Unit::Line)]
        {
            let expected = naive(text.as_bytes(), pattern, &special, unit);
            for (threads, as_file) in [(1, true), (3, true), (2, false)] {
                let counted = count(text.as_bytes(), pattern, std::slice::from_ref(&special), unit, threads, as_file);
                assert!(counted == expected, "{pattern:?} {unit:?} {threads} {as_file}");
            }
        }
    }

    #[test]
    fn text_without_cuts_is_one_word() {
        let text = vec![b'a'; (9 << 20) + 5];
        for as_file in [false, true] {
            let counted = count(&text, Some("cl100k"), &[], Unit::Document, 2, as_file);
            assert_eq!(counted.iter().map(|(word, count)| (word.len(), count)).collect::<Vec<_>>(), [(text.len(), 1)]);
        }
        assert!(count(b"", Some("cl100k"), &[], Unit::Document, 2, true).is_empty());
    }

    #[test]
    fn counts_beyond_u32_add_up() {
        let a = WordCounts::from_counts([(&b"x"[..], 1 << 40), (b"y", 3), (b"", 9), (b"z", 0)]).unwrap();
        let b = WordCounts::from_counts([(&b"x"[..], 1 << 40), (b"a longer word than sixteen", 3)]).unwrap();
        let sum = a.merge(&b).unwrap();
        let expected = [(&b"x"[..], 1 << 41), (b"a longer word than sixteen", 3), (b"y", 3)];
        assert_eq!(sum.iter().collect::<Vec<_>>(), expected);
        assert!(WordCounts::from_counts([(&b"x"[..], u64::MAX), (b"x", 1)]).is_err());
        assert!(WordCounts::from_counts([(&b"xyz"[..], u64::MAX)]).is_err());
    }
}
