//! Words with their counts in files: in the order of their bytes, so that files are merged without being held.
//!
//! Naive: one record a word, its bytes in full.
//! Idea: sorted words share beginnings; a record holds how many bytes it shares with the word before it, the rest of
//! its bytes, and the count. Files merge by a heap of their next words, so any number of counts are added up in the
//! memory of one buffer a file.
//! Format: a line `tokfast word counts 1`, a line of JSON that says where the counts come from (`null` where unknown),
//! the records (three variable-length integers and bytes: shared, rest, rest's bytes, count), an empty record, and the
//! SHA-256 of all before it. One corpus gives one file, byte for byte.
//! Cost: about 5 bytes a word on disk, 40-100 ns to write or to merge one.
//! Invariant: a file that is damaged or cut short is refused, never read in part.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::rows::{self, Shard};
use super::{Corpus, WordCounts};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

const FIRST_LINE: &[u8] = b"tokfast word counts 1\n";
/// Files that are merged at once: each holds a descriptor and a buffer.
const MERGED_AT_ONCE: usize = 64;
/// Bytes a reader holds.
const BUFFER: usize = 64 << 10;
/// The longest line of JSON and the longest word that are believed before they are read.
const LONGEST: u64 = 1 << 40;

/// Writes words in ascending order.
struct RunWriter<W: Write> {
    out: BufWriter<W>,
    digest: Sha256,
    previous: Vec<u8>,
    record: Vec<u8>,
}

fn push_number(record: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        record.push(number as u8 | 0x80);
        number >>= 7;
    }
    record.push(number as u8);
}

impl<W: Write> RunWriter<W> {
    fn new(out: W, corpus: Option<&Corpus>) -> std::io::Result<Self> {
        let (out, digest) = (BufWriter::with_capacity(BUFFER, out), Sha256::new());
        let mut writer = Self { out, digest, previous: Vec::new(), record: FIRST_LINE.to_vec() };
        serde_json::to_writer(&mut writer.record, &corpus)?;
        writer.record.push(b'\n');
        writer.flush_record()?;
        Ok(writer)
    }

    fn flush_record(&mut self) -> std::io::Result<()> {
        self.digest.update(&self.record);
        self.out.write_all(&self.record)?;
        self.record.clear();
        Ok(())
    }

    fn push(&mut self, word: &[u8], count: u64) -> std::io::Result<()> {
        let shared = word.iter().zip(&self.previous).take_while(|(a, b)| a == b).count();
        push_number(&mut self.record, shared as u64);
        push_number(&mut self.record, (word.len() - shared) as u64);
        self.record.extend_from_slice(&word[shared..]);
        push_number(&mut self.record, count);
        self.previous.truncate(shared);
        self.previous.extend_from_slice(&word[shared..]);
        // The digest takes large pieces faster than small ones.
        if self.record.len() >= 1 << 14 { self.flush_record() } else { Ok(()) }
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.record.extend_from_slice(&[0, 0]);
        self.flush_record()?;
        let digest = self.digest.finalize();
        self.out.write_all(&digest)?;
        self.out.flush()
    }
}

/// Reads words in ascending order.
struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
    digest: Sha256,
    corpus: Option<Corpus>,
    /// The word that was read last.
    word: Vec<u8>,
    count: u64,
    read: Vec<u8>,
}

impl RunReader {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let mut reader = Self {
            path: path.into(),
            file: BufReader::with_capacity(BUFFER, file),
            digest: Sha256::new(),
            corpus: None,
            word: Vec::new(),
            count: 0,
            read: Vec::new(),
        };
        let mut first = vec![0; FIRST_LINE.len()];
        reader.fill(&mut first)?;
        if first != FIRST_LINE {
            return Err(reader.refuse("it does not begin with the line \"tokfast word counts 1\""));
        }
        let mut json = Vec::new();
        while reader.byte()? != b'\n' {
            json.extend(reader.read.last());
            if json.len() > 64 << 20 {
                return Err(reader.refuse("its second line has no end"));
            }
        }
        reader.corpus = serde_json::from_slice(&json).map_err(|error| {
            reader.refuse(&format!("its second line does not say where the counts come from: {error}"))
        })?;
        Ok(reader)
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::Training(format!(
            "{} holds no word counts of tokfast, or is damaged: {reason}; count again and save the counts anew",
            self.path.display()
        ))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact(bytes).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                self.refuse("it ends too early")
            } else {
                Error::io(&self.path)(error)
            }
        })?;
        self.read.extend_from_slice(bytes);
        if self.read.len() >= 1 << 14 {
            self.digest.update(&self.read);
            self.read.clear();
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.fill(&mut byte)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.refuse("a number is too large"))
    }

    /// Goes to the next word; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let (shared, rest) = (self.number()?, self.number()?);
        if (shared, rest) == (0, 0) {
            return self.end().map(|()| false);
        }
        if shared > self.word.len() as u64 || rest > LONGEST {
            return Err(self.refuse("a record is longer than it can be"));
        }
        let shared = shared as usize;
        let before = self.word.get(shared).copied();
        self.word.truncate(shared);
        // Read in pieces: a length that lies must not reserve memory.
        let mut missing = rest as usize;
        while missing > 0 {
            let piece = missing.min(BUFFER);
            let mut bytes = vec![0; piece];
            self.fill(&mut bytes)?;
            self.word.extend_from_slice(&bytes);
            missing -= piece;
        }
        if before.is_some_and(|before| self.word.get(shared).is_none_or(|&byte| byte <= before)) {
            return Err(self.refuse("its words are not in order"));
        }
        self.count = self.number()?;
        if self.count == 0 {
            return Err(self.refuse("a count is 0"));
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<()> {
        self.digest.update(&self.read);
        self.read.clear();
        let computed = self.digest.clone().finalize();
        let mut digest = [0; 32];
        self.fill(&mut digest)?;
        if digest[..] != computed[..] {
            return Err(self.refuse("its SHA-256 is not the one it was written with"));
        }
        if self.file.read(&mut [0]).map_err(Error::io(&self.path))? > 0 {
            return Err(self.refuse("bytes follow its end"));
        }
        Ok(())
    }
}

/// Writes counts to an open file.
pub(super) fn save(counts: &WordCounts, file: &mut File, interrupt: &Interrupt<'_>) -> std::io::Result<()> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_unstable_by_key(|&index| counts.get(index).0);
    let mut writer = RunWriter::new(file, counts.corpus())?;
    for (step, index) in order.into_iter().enumerate() {
        let (word, count) = counts.get(index);
        writer.push(word, count)?;
        if step.is_multiple_of(1 << 16) && interrupt.check().is_err() {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
    }
    writer.finish()
}

/// Reads counts that were saved.
pub(super) fn load(path: &Path, interrupt: &Interrupt<'_>) -> Result<WordCounts> {
    let corpus = RunReader::open(path)?.corpus;
    Ok(combine(vec![path.into()], interrupt)?.with_corpus(corpus))
}

/// Writes the words of shards, none of which is in two of them, to a new file.
pub(super) fn spill(shard: Shard, path: &Path, interrupt: &Interrupt<'_>) -> Result<()> {
    let write = |path: &Path| -> std::io::Result<RunWriter<File>> { RunWriter::new(File::create(path)?, None) };
    let mut writer = write(path).map_err(Error::io(path))?;
    let mut step = 0u32;
    shard.for_each_by_bytes(|word, count| {
        step = step.wrapping_add(1);
        if step.is_multiple_of(1 << 16) {
            interrupt.check()?;
        }
        writer.push(word, count).map_err(Error::io(path))
    })?;
    writer.finish().map_err(Error::io(path))
}

/// Calls `visit` with every word of all files and the sum of its counts, in the order of bytes.
fn merge(paths: &[PathBuf], interrupt: &Interrupt<'_>, mut visit: impl FnMut(&[u8], u64) -> Result<()>) -> Result<()> {
    let mut readers = paths.iter().map(|path| RunReader::open(path)).collect::<Result<Vec<_>>>()?;
    let mut heap = BinaryHeap::new();
    for (index, reader) in readers.iter_mut().enumerate() {
        if reader.advance()? {
            heap.push(Reverse((reader.word.clone(), index)));
        }
    }
    let (mut word, mut count, mut words) = (Vec::new(), 0, 0u64);
    while let Some(Reverse((next, index))) = heap.pop() {
        words += 1;
        if words.is_multiple_of(1 << 14) {
            interrupt.check()?;
        }
        let reader = &mut readers[index];
        if next == word {
            count = rows::add(count, reader.count, &word)?;
        } else {
            if count > 0 {
                visit(&word, count)?;
            }
            word.clone_from(&next);
            count = reader.count;
        }
        if reader.advance()? {
            // The allocation of the word that was taken serves the one that follows.
            let mut buffer = next;
            buffer.clone_from(&reader.word);
            heap.push(Reverse((buffer, index)));
        }
    }
    if count > 0 { visit(&word, count) } else { Ok(()) }
}

/// The sum of the counts in files.
pub(super) fn combine(mut paths: Vec<PathBuf>, interrupt: &Interrupt<'_>) -> Result<WordCounts> {
    let mut made = Vec::new();
    while paths.len() > MERGED_AT_ONCE {
        let rest = paths.split_off(MERGED_AT_ONCE);
        let path = paths[0].with_extension(format!("merged-{}", made.len()));
        let create = |path: &Path| -> std::io::Result<RunWriter<File>> { RunWriter::new(File::create(path)?, None) };
        let mut writer = create(&path).map_err(Error::io(&path))?;
        merge(&paths, interrupt, |word, count| writer.push(word, count).map_err(Error::io(&path)))?;
        writer.finish().map_err(Error::io(&path))?;
        paths = rest;
        paths.push(path.clone());
        made.push(path);
    }
    let mut sorted = WordCounts::default();
    let mut total = 0u128;
    merge(&paths, interrupt, |word, count| {
        sorted.bytes.extend_from_slice(word);
        sorted.ends.push(sorted.bytes.len());
        sorted.counts.push(count);
        total += u128::from(count) * word.len() as u128;
        Ok(())
    })?;
    for path in made {
        std::fs::remove_file(&path).map_err(Error::io(&path))?;
    }
    rows::check_total(total)?;
    let mut order: Vec<usize> = (0..sorted.len()).collect();
    // Stable: words of one count stay in the order of their bytes.
    order.sort_by_key(|&index| Reverse(sorted.counts[index]));
    let mut counts = WordCounts { bytes: Vec::with_capacity(sorted.bytes.len()), ..WordCounts::default() };
    for (step, index) in order.into_iter().enumerate() {
        if step.is_multiple_of(1 << 16) {
            interrupt.check()?;
        }
        let (word, count) = sorted.get(index);
        counts.bytes.extend_from_slice(word);
        counts.ends.push(counts.bytes.len());
        counts.counts.push(count);
    }
    Ok(counts)
}
