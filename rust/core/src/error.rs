//! Every way a call can fail, as one enum.
//!
//! Variants hold data; the message is made when it is shown. It names the fault, the value, and the remedy. The
//! Python binding maps each variant in one exhaustive `match`, so a new variant does not compile until it is mapped.

use std::path::{Path, PathBuf};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the value at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A tokenizer file does not hold what its format asks for.
    #[error("{origin}: {reason}")]
    TokenizerFile {
        /// The file's path, or the format's name where the bytes came from memory.
        origin: String,
        /// What is wrong, where, and what was expected.
        reason: String,
    },
    /// An id that is not in the vocabulary.
    #[error(
        "token id {id} at position {position} is not in the vocabulary (ids 0 to {}{}); decode with the tokenizer \
         that made the ids",
        vocab_size.saturating_sub(1), if (0..*vocab_size as i128).contains(id) { ", with holes" } else { "" }
    )]
    TokenId {
        /// The id.
        id: i128,
        /// Its index among the ids given.
        position: usize,
        /// One more than the greatest id.
        vocab_size: usize,
    },
    /// A regular expression that cannot be compiled, or gave up on a text.
    #[error("pattern {}: {reason}", shortened(pattern))]
    Pattern {
        /// The regular expression or the name asked for.
        pattern: String,
        /// Why it was refused.
        reason: String,
    },
    /// A special token's spelling stands in a text where it is disallowed.
    #[error(
        "the text holds the special token {token:?} at byte {position}, which is in disallowed_special. To encode it \
         as the special token, pass allowed_special={{{token:?}}}; to encode its characters as ordinary text, leave \
         it out of disallowed_special; to refuse it, catch this error"
    )]
    DisallowedSpecial {
        /// The special token.
        token: String,
        /// The byte offset of its first byte.
        position: usize,
    },
    /// A set of special tokens that cannot be used.
    #[error("special token {token:?}: {reason}")]
    SpecialToken {
        /// The special token.
        token: String,
        /// Why it was refused.
        reason: String,
    },
    /// Training was asked for something it cannot give.
    #[error("{0}")]
    Training(String),
    /// A limit of memory in which nothing can be done.
    #[error(
        "memory_limit is {limit} bytes, but counting on this many threads needs at least {least}; pass more, or fewer threads"
    )]
    MemoryLimit {
        /// The limit that was asked for.
        limit: usize,
        /// The least that works.
        least: usize,
    },
    /// A number that cannot be met.
    #[error("{0}")]
    Argument(String),
    /// The caller asked to stop (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
    /// A fault of this library.
    #[error("internal error: {0}; this is a bug in tokfast, please report it with the input that caused it")]
    Internal(String),
}

/// A text for a message: as it is, or its beginning.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl Error {
    /// An [`Error::Io`] for `path`, in the shape `map_err` takes.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }
}
