//! Documents and files -> tables of counted words, on several threads.
//!
//! Naive: one thread reads and hands lines to the others.
//! Idea: each thread finds its own blocks in a file ([`blocks`]), cut at places where a piece begins whatever surrounds
//! it ([`Pretokenizer::is_cut`]). So nothing is counted twice or split, no reader feeds the others, and no block depends
//! on who took it. Each thread counts into a table of its own.
//! Cost: O(bytes); memory is one block and one table a thread. With a limit, a table that reaches its share is written
//! to a file as a sorted run, and all runs are merged at the end. Worst case: text without any cut (no pretokenizer, a
//! regular expression, one long word) is one block, read and counted by one thread.
//! Invariant: as for [`WordCounts`].

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::CountTable;
use super::{Corpus, Unit, WordCounts, rows, runs};
use crate::blocks::{self, BLOCK};
use crate::error::{Error, Result};
use crate::interrupt::{Interrupt, Phase};
use crate::pretokenize::{Ends, Pretokenizer};
use crate::special::Finder;
use crate::threads;

/// The least memory a thread's table can work in.
const LEAST: usize = 256 << 10;

/// What one thread keeps between blocks.
#[derive(Debug)]
struct Worker {
    table: CountTable,
    text: Vec<u8>,
    ends: Ends,
}

/// Where tables go that have reached their limit.
#[derive(Debug)]
struct Spill {
    /// Bytes that one thread's table may have.
    share: usize,
    directory: PathBuf,
    /// Removes the directory at the end, if it is ours.
    _ours: Option<tempfile::TempDir>,
}

/// The blocks of files, in order.
#[derive(Debug)]
pub struct Blocks<'f> {
    blocks: Vec<(&'f Path, u64, u64)>,
    /// Bytes in all files.
    pub bytes: u64,
}

impl Blocks<'_> {
    /// How many blocks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// Counts the words of documents and files, batch after batch.
#[derive(Debug)]
pub struct WordCounter {
    pretokenizer: Pretokenizer,
    specials: Finder,
    special_tokens: Vec<String>,
    unit: Unit,
    threads: usize,
    /// All tables hash alike, so that they can be added up range by range.
    seed: u64,
    /// What no thread uses just now.
    workers: Mutex<Vec<Worker>>,
    spill: Option<Spill>,
    /// Sorted runs that were written, by this counter or one before it.
    runs: Mutex<Vec<PathBuf>>,
    documents: AtomicU64,
    bytes: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WordCounter {
    /// Special tokens are cut out of the text and not counted.
    pub fn new(pretokenizer: Pretokenizer, special_tokens: &[String], unit: Unit, threads: usize) -> Result<Self> {
        Ok(Self {
            pretokenizer,
            specials: Finder::new(special_tokens.iter().map(|token| (token.as_str(), 0)))?,
            special_tokens: special_tokens.to_vec(),
            unit,
            threads: threads.max(1),
            seed: crate::table::seed(),
            workers: Mutex::default(),
            spill: None,
            runs: Mutex::default(),
            documents: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Keeps the tables of all threads together within so many bytes, by writing sorted runs to files. One block of
    /// text a thread and the final counts come on top.
    ///
    /// The files go to `directory` and stay there, or to a temporary directory that is removed.
    pub fn with_memory_limit(mut self, limit: Option<usize>, directory: Option<&Path>) -> Result<Self> {
        let share = limit.map_or(usize::MAX, |limit| limit / self.threads);
        if share < LEAST {
            return Err(Error::MemoryLimit { limit: limit.unwrap_or(0), least: LEAST * self.threads });
        }
        let ours = if directory.is_some() {
            None
        } else {
            Some(tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))?)
        };
        let directory = match (directory, &ours) {
            (Some(directory), _) => directory.to_path_buf(),
            (None, Some(ours)) => ours.path().to_path_buf(),
            (None, None) => std::env::temp_dir(),
        };
        self.spill = Some(Spill { share, directory, _ours: ours });
        Ok(self)
    }

    /// Counts documents that are in memory.
    pub fn add_documents(&self, documents: &[&[u8]], interrupt: &Interrupt<'_>) -> Result<()> {
        let mut jobs = Vec::new();
        let mut pending = 0;
        for (index, document) in documents.iter().enumerate() {
            let mut start = 0;
            while start < document.len() {
                let end = blocks::first_cut(document, start + BLOCK, |text, at| self.is_cut(text, at));
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
        self.documents.fetch_add(documents.len() as u64, Relaxed);
        self.run(jobs.len(), |worker, job| {
            jobs[job]
                .iter()
                .try_for_each(|&(index, start, end)| self.count(worker, &documents[index][start..end], interrupt))
        })
    }

    /// The blocks of files; each file is a document.
    pub fn blocks<'f>(&self, files: &'f [PathBuf]) -> Result<Blocks<'f>> {
        let mut blocks = Blocks { blocks: Vec::new(), bytes: 0 };
        for file in files {
            let metadata = std::fs::metadata(file).map_err(Error::io(file))?;
            blocks.bytes += metadata.len();
            // What is no regular file (a pipe) cannot be cut before it is read.
            let n = if metadata.is_file() && self.may_cut() { metadata.len().div_ceil(BLOCK as u64).max(1) } else { 1 };
            blocks.blocks.extend((0..n).map(|block| (file.as_path(), block, n)));
        }
        Ok(blocks)
    }

    /// Counts some blocks of files.
    pub fn add_blocks(&self, blocks: &Blocks<'_>, range: Range<usize>, interrupt: &Interrupt<'_>) -> Result<()> {
        let range = range.start.min(blocks.len())..range.end.min(blocks.len());
        self.run(range.len(), |worker, job| {
            let (file, block, of) = blocks.blocks[range.start + job];
            if block == 0 {
                self.documents.fetch_add(1, Relaxed);
            }
            let mut text = std::mem::take(&mut worker.text);
            text.clear();
            if of == 1 {
                File::open(file).and_then(|mut file| file.read_to_end(&mut text)).map(|_| ())
            } else {
                // A cut is judged by the byte before it and by special tokens that reach across it.
                let margin = self.special_tokens.iter().map(String::len).max().unwrap_or(1).max(1);
                blocks::read_block(file, block, margin, |text, at| self.is_cut(text, at), &mut text)
            }
            .map_err(Error::io(file))?;
            self.count(worker, &text, interrupt)?;
            // The room of an ordinary block is kept for the next one.
            if text.capacity() <= 2 * BLOCK {
                worker.text = text;
            }
            Ok(())
        })
    }

    /// Counts files, each a document.
    pub fn add_files(&self, files: &[PathBuf], interrupt: &Interrupt<'_>) -> Result<()> {
        let blocks = self.blocks(files)?;
        interrupt.begin(Phase::Count, blocks.bytes);
        self.add_blocks(&blocks, 0..blocks.len(), interrupt)
    }

    /// Writes all that was counted to sorted runs, and forgets it. Returns the files of all runs.
    pub fn flush(&self, interrupt: &Interrupt<'_>) -> Result<Vec<PathBuf>> {
        let workers: Vec<_> = std::mem::take(&mut *lock(&self.workers)).into_iter().map(Mutex::new).collect();
        threads::run(
            self.threads,
            workers.len(),
            |_| (),
            |(), index| self.spill(&mut lock(&workers[index]).table, interrupt),
        )?;
        lock(&self.workers)
            .extend(workers.into_iter().map(|worker| worker.into_inner().unwrap_or_else(PoisonError::into_inner)));
        Ok(lock(&self.runs).clone())
    }

    /// Adds what an earlier counter has written: its runs, how many documents and how many bytes they stand for.
    pub fn add_runs(&self, runs: Vec<PathBuf>, documents: u64, bytes: u64) {
        lock(&self.runs).extend(runs);
        self.documents.fetch_add(documents, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// How many documents and bytes were counted.
    #[must_use]
    pub fn counted(&self) -> (u64, u64) {
        (self.documents.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// The counts of all that was added.
    pub fn finish(self, interrupt: &Interrupt<'_>) -> Result<WordCounts> {
        let corpus = Corpus {
            pattern: self.pretokenizer.pattern().map(Into::into),
            unit: self.unit,
            special_tokens: self.special_tokens.clone(),
            documents: self.documents.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        };
        let counts = if lock(&self.runs).is_empty() {
            let mut workers = std::mem::take(&mut *lock(&self.workers));
            workers.iter_mut().for_each(|worker| worker.table.settle());
            let tables: Vec<_> = workers.into_iter().map(|worker| worker.table).collect();
            let shards = rows::sum(&tables, self.threads, interrupt)?;
            drop(tables);
            rows::gather(shards, self.threads, interrupt)?
        } else {
            runs::combine(self.flush(interrupt)?, interrupt)?
        };
        Ok(counts.with_corpus(Some(corpus)))
    }

    fn spill(&self, table: &mut CountTable, interrupt: &Interrupt<'_>) -> Result<()> {
        let Some(spill) = &self.spill else {
            return Err(Error::Internal("words are to be written, and no directory is given".into()));
        };
        table.settle();
        let table = std::mem::replace(table, CountTable::new(self.seed));
        if table.is_empty() {
            return Ok(());
        }
        for shard in rows::sum(std::slice::from_ref(&table), 1, interrupt)? {
            let mut runs = lock(&self.runs);
            // A name that no run has, of this process or of one that was killed.
            let mut number = runs.len();
            let name = |number: usize| spill.directory.join(format!("{number:06}.words"));
            while name(number).exists() || runs.contains(&name(number)) {
                number += 1;
            }
            let path = name(number);
            runs.push(path.clone());
            drop(runs);
            runs::spill(shard, &path, interrupt)?;
        }
        Ok(())
    }

    fn run(&self, jobs: usize, work: impl Fn(&mut Worker, usize) -> Result<()> + Sync) -> Result<()> {
        let new = || Worker { table: CountTable::new(self.seed), text: Vec::new(), ends: Ends::default() };
        let used = threads::run(self.threads, jobs, |_| lock(&self.workers).pop().unwrap_or_else(new), work)?;
        lock(&self.workers).extend(used);
        Ok(())
    }

    fn count(&self, worker: &mut Worker, text: &[u8], interrupt: &Interrupt<'_>) -> Result<()> {
        self.specials.split(
            worker,
            text,
            |worker, start, end| {
                let part = &text[start..end];
                match self.unit {
                    Unit::Document => self.count_unit(worker, part, interrupt),
                    Unit::Line => {
                        let mut start = 0;
                        for end in memchr::memchr_iter(b'\n', part).map(|at| at + 1).chain([part.len()]) {
                            self.count_unit(worker, &part[start..end], interrupt)?;
                            start = end;
                        }
                        Ok(())
                    }
                }
            },
            |_, _, _, _| (),
        )?;
        if let Some(spill) = &self.spill
            && worker.table.bytes() > spill.share / 2
        {
            self.spill(&mut worker.table, interrupt)?;
        }
        self.bytes.fetch_add(text.len() as u64, Relaxed);
        interrupt.advance(text.len() as u64)
    }

    fn count_unit(&self, worker: &mut Worker, text: &[u8], interrupt: &Interrupt<'_>) -> Result<()> {
        let Worker { table, ends, .. } = worker;
        let mut checked = 0;
        self.pretokenizer.split_batches(ends, text, |base, ends| {
            let mut start = base;
            for &end in ends {
                let end = base + end as usize;
                table.add(text, start, end);
                start = end;
            }
            if start - checked > BLOCK {
                checked = start;
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
        cut && self.special_tokens.iter().all(|special| {
            let from = at.saturating_sub(special.len() - 1);
            (from..at).all(|start| !text[start..].starts_with(special.as_bytes()))
        })
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
        counter.finish(&interrupt).unwrap()
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
        WordCounts::from_counts(words.into_iter().map(|word| (word, 1)), &Interrupt::never()).unwrap()
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
                assert!(counted.with_corpus(None) == expected, "{pattern:?} {unit:?} {threads} {as_file}");
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
    fn a_limit_changes_nothing() {
        // 400,000 distinct words, short and long: far more than 256 kB a thread hold.
        let words: Vec<String> =
            (0..800_000u32).map(|n| format!(" {} word-that-is-long-{}", n % 200_000, n % 210_000)).collect();
        let text = words.concat();
        let count = |threads, limit| {
            let pretokenizer = Pretokenizer::new(Some("gpt2")).unwrap();
            let counter = WordCounter::new(pretokenizer, &[], Unit::Document, threads).unwrap();
            let counter = if limit { counter.with_memory_limit(Some(LEAST * threads), None).unwrap() } else { counter };
            let never = Interrupt::never();
            let mut file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            counter.add_files(&[file.path().to_path_buf()], &never).unwrap();
            let runs = lock(&counter.runs).len();
            assert_eq!(runs > 0, limit, "{runs}");
            counter.finish(&never).unwrap()
        };
        let expected = count(1, false);
        assert!(count(1, true) == expected);
        assert!(count(3, true) == expected);
        let pretokenizer = Pretokenizer::new(None).unwrap();
        let counter = WordCounter::new(pretokenizer, &[], Unit::Document, 2).unwrap();
        assert!(matches!(counter.with_memory_limit(Some(1000), None), Err(Error::MemoryLimit { .. })));
    }

    #[test]
    fn runs_of_an_earlier_counter_are_counted() {
        let never = Interrupt::never();
        let directory = tempfile::tempdir().unwrap();
        let counter = || {
            let pretokenizer = Pretokenizer::new(Some("gpt2")).unwrap();
            let counter = WordCounter::new(pretokenizer, &[], Unit::Document, 2).unwrap();
            counter.with_memory_limit(None, Some(directory.path())).unwrap()
        };
        let first = counter();
        first.add_documents(&[b"a bb a", b"ccc"], &never).unwrap();
        let runs = first.flush(&Interrupt::never()).unwrap();
        drop(first);
        let second = counter();
        second.add_runs(runs, 2, 9);
        second.add_documents(&[b"a"], &never).unwrap();
        let counts = second.finish(&never).unwrap();
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(&b"a"[..], 2), (b" a", 1), (b" bb", 1), (b"ccc", 1)]);
        assert_eq!((counts.corpus().unwrap().documents, counts.corpus().unwrap().bytes), (3, 10));
    }
}
