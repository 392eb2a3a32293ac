//! Files -> the number of ids of each, on several threads.
//!
//! Naive: read one file after the other, then count them all: all threads but one wait while one reads, and one large
//! file keeps one thread busy.
//! Idea: each thread opens, reads and counts files of its own. A large file is counted in blocks ([`blocks`]) between
//! places where a piece begins whatever surrounds it, so threads share it, and its count is the sum of theirs.
//! Cost: O(bytes); memory is a block a thread. Worst case: a file that cannot be cut (no pretokenizer, a regular
//! expression, a normalizer, one long word) is read whole and counted by one thread.
//! Invariant: the count of a file is [`Tokenizer::count`] of its bytes.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::{EncodeOptions, Encoder, Tokenizer};
use crate::blocks::{self, BLOCK};
use crate::encode::Count;
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt::{Interrupt, Phase};
use crate::threads;

/// Bytes of small files that make one piece of work.
const GROUP: u64 = 256 << 10;

/// Bytes of a file that is read at once, before it is known whether it is text.
const SMALL: usize = 64 << 10;

/// Files whose sizes are asked for at a time.
const STATS: usize = 64;

/// What one file holds.
#[derive(Debug)]
pub enum FileCount {
    /// So many tokens, in so many bytes.
    Text {
        /// Tokens.
        tokens: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// A NUL stands in the first 8 kB, and binary files were not asked for.
    Binary,
    /// It cannot be read.
    Failed(Error),
}

/// What a thread does at a time.
enum Job {
    /// Small files, or one that cannot be cut.
    Whole(Range<usize>),
    /// A block of a large one.
    Block(usize, u64),
}

/// What is known of a file; sums grow while its blocks are counted.
#[derive(Default)]
struct Tally {
    size: AtomicU64,
    blocks: AtomicU64,
    tokens: AtomicU64,
    bytes: AtomicU64,
    other: Mutex<Option<FileCount>>,
}

impl Tally {
    fn set(&self, other: FileCount) {
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
    }
}

impl Tokenizer {
    /// How many ids each file has, as ordinary text. `binary`: for each file, whether it is counted even if it is binary.
    pub fn count_files(
        &self,
        files: &[PathBuf],
        binary: &[bool],
        threads: usize,
        interrupt: &Interrupt<'_>,
    ) -> Result<Vec<FileCount>> {
        let tallies: Vec<Tally> = files.iter().map(|_| Tally::default()).collect();
        let may_cut = self.may_cut();
        let is_wanted = |index: usize| binary.get(index).copied().unwrap_or(false);
        threads::run(
            threads,
            files.len().div_ceil(STATS),
            |_| (),
            |(), group| {
                for index in group * STATS..files.len().min((group + 1) * STATS) {
                    let Ok(metadata) = std::fs::metadata(&files[index]) else { continue };
                    // What is no regular file (a pipe) has no size to go by, and cannot be cut before it is read.
                    let size = if metadata.is_file() { metadata.len() } else { 0 };
                    tallies[index].size.store(size, Relaxed);
                    if may_cut && size > 2 * BLOCK as u64 {
                        if !is_wanted(index) && files::is_binary(&files[index]) {
                            tallies[index].set(FileCount::Binary);
                        } else {
                            tallies[index].blocks.store(size.div_ceil(BLOCK as u64), Relaxed);
                        }
                    }
                }
                interrupt.check()
            },
        )?;
        let jobs = jobs(&tallies);
        let total = tallies.iter().map(|tally| tally.size.load(Relaxed)).sum();
        interrupt.begin(Phase::Encode, total);
        let state = |member| (self.encoder(&EncodeOptions::default(), total as usize, member), Vec::new());
        threads::run_apart(threads, jobs.len(), state, |(encoder, room), job| match &jobs[job] {
            Job::Whole(range) => range.clone().try_for_each(|index| {
                let size = tallies[index].size.load(Relaxed) as usize;
                let read = |room: &mut Vec<u8>| read_whole(&files[index], is_wanted(index), size, room);
                self.count_part(&tallies[index], &files[index], read, encoder, room, interrupt)
            }),
            &Job::Block(index, block) => {
                let is_cut = |text: &[u8], at: usize| self.pretokenizer.is_cut(text, at);
                let read = |room: &mut Vec<u8>| {
                    room.clear();
                    blocks::read_block(&files[index], block, 1, is_cut, room).map(|()| Some(room.len()))
                };
                self.count_part(&tallies[index], &files[index], read, encoder, room, interrupt)
            }
        })?;
        Ok(tallies
            .into_iter()
            .map(|tally| {
                let sum = FileCount::Text { tokens: tally.tokens.into_inner(), bytes: tally.bytes.into_inner() };
                tally.other.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(sum)
            })
            .collect())
    }

    /// Whether text may be cut where the pretokenizer says so: nothing else looks at more than a piece, and no token
    /// that is found before cutting has such a place inside.
    fn may_cut(&self) -> bool {
        self.is_plain()
            && self.pretokenizer.is_cut(b"a b", 1)
            && self.specials.tokens().iter().all(|token| {
                let text = token.content.as_bytes();
                token.special || !(1..text.len()).any(|at| self.pretokenizer.is_cut(text, at))
            })
    }

    /// Counts what `read` puts at the front of `room`, if it gives text, and adds it to the tally.
    fn count_part(
        &self,
        tally: &Tally,
        path: &Path,
        read: impl FnOnce(&mut Vec<u8>) -> std::io::Result<Option<usize>>,
        encoder: &mut Encoder<'_>,
        room: &mut Vec<u8>,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        let mut done = 0;
        match read(room) {
            Err(error) => tally.set(FileCount::Failed(Error::io(path)(error))),
            Ok(None) => tally.set(FileCount::Binary),
            Ok(Some(len)) => {
                let mut count = Count::default();
                self.encode_into(&room[..len], &EncodeOptions::default(), encoder, &mut count, interrupt)?;
                tally.tokens.fetch_add(count.number, Relaxed);
                tally.bytes.fetch_add(len as u64, Relaxed);
                done = len as u64;
            }
        }
        // The room of an ordinary block is kept for the next one.
        if room.capacity() > 4 * BLOCK {
            *room = Vec::new();
        }
        interrupt.advance(done)
    }
}

/// Reads a file to the front of `room`, whose bytes are kept so that small files clear none, and says how many there are;
/// none, and no more than [`SMALL`] bytes are read, where it is binary and that is not wanted.
///
/// `size`: what it should have, 0 where nobody knows. Where so much comes and not the byte that was asked for beyond it,
/// that was all: small files take one question to the system, each of which takes as long as counting 100 bytes.
fn read_whole(path: &Path, binary: bool, size: usize, room: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let mut file = File::open(path)?;
    let (mut len, mut is_wanted) = (0, binary);
    loop {
        let asked = if len <= size { size + 1 } else { 2 * len };
        let end = if is_wanted || size <= SMALL { asked.max(files::BINARY_PROBE) } else { files::BINARY_PROBE };
        if room.len() < end {
            room.try_reserve(end - room.len())?;
            room.resize(end, 0);
        }
        let read = match file.read(&mut room[len..end]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        len += read;
        let is_all = read == 0 || len == size && len < end;
        if !is_wanted && (is_all || len >= files::BINARY_PROBE) {
            if room[..len.min(files::BINARY_PROBE)].contains(&0) {
                return Ok(None);
            }
            is_wanted = true;
        }
        if is_all {
            return Ok(Some(len));
        }
    }
}

/// The work on all files, in their order.
fn jobs(tallies: &[Tally]) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut group = 0..0;
    let mut size = 0;
    for (index, tally) in tallies.iter().enumerate() {
        let blocks = tally.blocks.load(Relaxed);
        let is_known = tally.other.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if blocks > 0 || is_known || size >= GROUP {
            jobs.extend((!group.is_empty()).then(|| Job::Whole(group.clone())));
            (group, size) = (index..index, 0);
        }
        if blocks > 0 || is_known {
            jobs.extend((0..blocks).map(|block| Job::Block(index, block)));
            group = index + 1..index + 1;
        } else {
            group.end = index + 1;
            size += tally.size.load(Relaxed).max(4 << 10); // opening a file takes as long as counting so much
        }
    }
    jobs.extend((!group.is_empty()).then_some(Job::Whole(group)));
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::pretokenize::Pretokenizer;
    use crate::special::SpecialToken;

    fn tokenizer(pattern: Option<&str>, specials: Vec<SpecialToken>) -> Tokenizer {
        let bytes = (0..=255u8).map(|byte| (vec![byte], u32::from(byte)));
        let merges = [(b'a', b'b'), (b' ', b'a'), (b'e', b'r')];
        let pairs = merges.iter().zip(256..).map(|(&(left, right), id)| (vec![left, right], id));
        let model = Model::from_ranks(&bytes.chain(pairs).collect::<Vec<_>>()).unwrap();
        Tokenizer::new(Pretokenizer::new(pattern).unwrap(), model, specials, (Vec::new(), Vec::new())).unwrap()
    }

    #[test]
    fn a_file_counts_as_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let long = (0..250_000u32).map(|n| format!("{n:x} ab er\n")).collect::<Vec<_>>().concat();
        let word = "a".repeat(3 << 20);
        let mut contents: Vec<Vec<u8>> = vec![long.into_bytes(), word.into_bytes(), b"a\0b".to_vec(), Vec::new()];
        contents.extend((0..300).map(|n| format!("file {n} ab ab").repeat(n).into_bytes()));
        contents.push([b"x".repeat(8191), b"\0".to_vec()].concat());
        contents.push([b"x ".repeat(3 << 19), b"\0\xFF".to_vec()].concat());
        let paths: Vec<PathBuf> = (0..contents.len()).map(|n| folder.path().join(format!("{n:03}"))).collect();
        for (path, content) in paths.iter().zip(&contents) {
            std::fs::write(path, content).unwrap();
        }
        let never = Interrupt::never();
        let added = |text: &str| SpecialToken::new(text, 300, false);
        for (pattern, specials) in [
            (Some("cl100k"), vec![]),
            (Some("gpt2"), vec![added("ab er")]), // has a cut inside
            (Some("[a-z]+|."), vec![]),
            (None, vec![]),
        ] {
            let tokenizer = tokenizer(pattern, specials);
            for threads in [1, 3] {
                for binary in [false, true] {
                    let counts = tokenizer.count_files(&paths, &vec![binary; paths.len()], threads, &never).unwrap();
                    for (count, content) in counts.iter().zip(&contents) {
                        let is_binary = content.iter().take(files::BINARY_PROBE).any(|&byte| byte == 0);
                        match count {
                            FileCount::Text { tokens, bytes } => {
                                assert_eq!(*bytes, content.len() as u64);
                                assert_eq!(
                                    *tokens,
                                    tokenizer.count(content, &EncodeOptions::default(), &never).unwrap()
                                );
                            }
                            FileCount::Binary => assert!(is_binary && !binary),
                            FileCount::Failed(error) => panic!("{error}"),
                        }
                        assert!(binary || !is_binary || matches!(count, FileCount::Binary));
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_is_read_whole_whatever_its_size_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut room = Vec::new();
        for len in [0, 1, 5000, 8191, 8192, 8193, SMALL, SMALL + 1, 300_000] {
            for nul in [None, Some(8191), Some(8192)].into_iter().filter(|nul| nul.is_none_or(|at| at < len)) {
                let mut content: Vec<u8> = (0..len).map(|at| b'a' + (at % 23) as u8).collect();
                content.extend(nul.map(|_| 0));
                if let Some(at) = nul {
                    content.swap_remove(at);
                }
                std::fs::write(&path, &content).unwrap();
                for size in [len, 0, 1, len / 2, len + 1, 2 * len, len.saturating_sub(1)] {
                    for binary in [false, true] {
                        let read = read_whole(&path, binary, size, &mut room).unwrap();
                        let is_refused = !binary && nul == Some(8191);
                        assert_eq!(read, (!is_refused).then_some(len), "{len} {nul:?} {size} {binary}");
                        assert!(is_refused || room[..len] == content);
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_stands_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), b"ab").unwrap();
        let paths = [folder.path().join("none"), folder.path().join("a"), folder.path().to_path_buf()];
        let counts = tokenizer(Some("gpt2"), vec![]).count_files(&paths, &[], 2, &Interrupt::never()).unwrap();
        assert!(matches!(
            counts[..],
            [FileCount::Failed(_), FileCount::Text { tokens: 1, bytes: 2 }, FileCount::Failed(_)]
        ));
    }
}
