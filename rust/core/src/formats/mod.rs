//! Tokenizer files, in and out. One file a format; nothing else in the crate knows of any format.
//!
//! Invariant: what a reader does not support it refuses and names; it never approximates. A file of n bytes takes at
//! most a few times n bytes of memory to read, or to refuse.

mod bpe;
mod directory;
mod gguf;
mod sentencepiece;
mod tekken;
mod tiktoken;
mod tokenizer_json;
mod verify;
mod vocab_json;

use std::path::Path;

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::normalize::Step;
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Hugging Face's `tokenizer.json`.
    TokenizerJson,
    /// tiktoken's ranks: tokens only, no pattern and no special tokens.
    Tiktoken,
    /// GPT-2's `vocab.json` with `merges.txt` beside it.
    VocabJson,
    /// Mistral's `tekken.json`.
    Tekken,
    /// `SentencePiece`'s `.model`.
    SentencePiece,
    /// The vocabulary of a llama.cpp model file.
    Gguf,
}

impl Format {
    const ALL: [(&'static str, Self); 6] = [
        ("tokenizer.json", Self::TokenizerJson),
        ("tiktoken", Self::Tiktoken),
        ("vocab.json", Self::VocabJson),
        ("tekken.json", Self::Tekken),
        ("sentencepiece", Self::SentencePiece),
        ("gguf", Self::Gguf),
    ];

    /// The format of this name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            Error::TokenizerFile {
                origin: name.into(),
                reason: format!("is no format this library knows; pass one of: {}", Self::names()),
            }
        })
    }

    fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    /// The format that a path's ending stands for.
    pub fn from_path(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") if vocab_json::is_named(path) => Ok(Self::VocabJson),
            Some("json") if path.file_name().is_some_and(|name| name == "tekken.json") => Ok(Self::Tekken),
            Some("model") => Ok(Self::SentencePiece),
            Some("gguf") => Ok(Self::Gguf),
            Some("json") => Ok(Self::TokenizerJson),
            Some("tiktoken") => Ok(Self::Tiktoken),
            _ => Err(Error::TokenizerFile {
                origin: path.display().to_string(),
                reason: format!(
                    "the ending says nothing of the format; use .json or .tiktoken (or .gguf, or vocab.json), or pass format= one of: {}",
                    Self::names()
                ),
            }),
        }
    }

    /// The format of these bytes, by how they begin.
    fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(gguf::MAGIC) {
            return Some(Self::Gguf);
        }
        if sentencepiece::begins(bytes) {
            return Some(Self::SentencePiece);
        }
        let first = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if bytes[first] == b'{' {
            return Some(if tekken::begins(bytes) { Self::Tekken } else { Self::TokenizerJson });
        }
        let line = bytes[first..].split(|&byte| byte == b'\n').next()?;
        tiktoken::parse_line(line, &mut Vec::new()).is_ok().then_some(Self::Tiktoken)
    }
}

/// What a file does not say about its tokenizer.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The pattern's name or regular expression, for formats that carry none.
    pub pattern: Option<String>,
    /// Special tokens, for formats that carry none.
    pub special_tokens: Option<Vec<(String, u32)>>,
}

/// Reads a tokenizer from bytes; `origin` stands in messages, `None` as format: by how the bytes begin.
pub fn read(bytes: &[u8], format: Option<Format>, origin: &str, options: &ReadOptions) -> Result<Tokenizer> {
    let fault = |reason: String| Error::TokenizerFile { origin: origin.into(), reason };
    let format = format.or_else(|| Format::sniff(bytes)).ok_or_else(|| {
        fault(match bytes {
            [0x1F, 0x8B, ..] | [b'P', b'K', 3, 4, ..] => "is compressed; unpack it first".into(),
            _ if bytes.starts_with(b"#version") => {
                "holds the merges of a pair of files; name the vocab.json beside it".into()
            }
            _ => format!(
                "is in no format this library knows ({}); if it is one of them, it is damaged at its beginning",
                Format::names()
            ),
        })
    })?;
    let carries_all = |name: &str| {
        if options.pattern.is_some() || options.special_tokens.is_some() {
            return Err(fault(format!(
                "a {name} carries its pattern and special tokens; leave pattern= and special_tokens= out"
            )));
        }
        Ok(())
    };
    let outcome = match format {
        Format::TokenizerJson => {
            carries_all("tokenizer.json")?;
            tokenizer_json::read(bytes)
        }
        Format::Tekken => {
            carries_all("tekken.json")?;
            tekken::read(bytes)
        }
        Format::SentencePiece => {
            carries_all("SentencePiece model")?;
            sentencepiece::read(bytes)
        }
        Format::Gguf => gguf::read(std::io::Cursor::new(bytes), options),
        Format::VocabJson => {
            return Err(fault(
                "a vocab.json is half of a tokenizer, its merges are in a file beside it; read it by its path".into(),
            ));
        }
        Format::Tiktoken => {
            let pattern = options.pattern.as_deref().ok_or_else(|| {
                fault("a .tiktoken file holds tokens only; pass pattern= (a name such as \"cl100k\" or a regular expression) and special_tokens=".into())
            })?;
            let specials = options.special_tokens.iter().flatten();
            let specials = specials.map(|(content, id)| SpecialToken::new(content.as_str(), *id, true)).collect();
            tiktoken::read(bytes, pattern, specials)
        }
    };
    outcome.map_err(|error| located(error, origin))
}

/// What a format's reader found wrong: a fault of the file, still without its name, or any other error.
enum Fault {
    File(String),
    Other(Error),
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::File(reason.into())
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::File(reason)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn located(fault: Fault, origin: &str) -> Error {
    match fault {
        Fault::File(reason) => Error::TokenizerFile { origin: origin.into(), reason },
        Fault::Other(error) => Error::TokenizerFile { origin: origin.into(), reason: error.to_string() },
    }
}

/// Reads a tokenizer from a file, or from a directory with one of the names that tokenizers have there.
pub fn read_file(path: &Path, format: Option<Format>, options: &ReadOptions) -> Result<Tokenizer> {
    let origin = path.display().to_string();
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut magic = [0; 4];
    let begun = std::io::Read::read(&mut file, &mut magic).map_err(Error::io(path))?;
    if format == Some(Format::Gguf) || format.is_none() && magic[..begun] == *gguf::MAGIC {
        // A model file may be larger than memory; only its header is read.
        return gguf::read(file, options).map_err(|error| located(error, &origin));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    if format == Some(Format::VocabJson) || format.is_none() && vocab_json::is_named(path) {
        let beside = vocab_json::merges_beside(path);
        let merges = std::fs::read(&beside).map_err(Error::io(&beside))?;
        return vocab_json::read(&bytes, &merges, options).map_err(|error| located(error, &origin));
    }
    read(&bytes, format, &origin, options)
}

/// The tokenizer as bytes of a format.
pub fn write(tokenizer: &Tokenizer, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::TokenizerJson => tokenizer_json::write(tokenizer),
        Format::Tiktoken => tiktoken::write(tokenizer),
        Format::Gguf => gguf::write(tokenizer),
        Format::VocabJson => vocab_json::write(tokenizer).map(|(vocab, _)| vocab),
        Format::Tekken | Format::SentencePiece => Err(Error::TokenizerFile {
            origin: Format::ALL.iter().find(|(_, known)| *known == format).map_or("", |(name, _)| name).into(),
            reason: "is read, but not written; save it as tokenizer.json".into(),
        }),
    }
}

/// Writes a tokenizer to a file, atomically, or to a directory as transformers keeps it. `verify`: reads the bytes back first, and
/// refuses where their tokens, parts or ids of a sample text are not those of this tokenizer.
pub fn write_file(tokenizer: &Tokenizer, path: &Path, format: Option<Format>, verify: bool) -> Result<()> {
    if format.is_none() && path.is_dir() && Format::from_path(path).is_err() {
        write_file(tokenizer, &path.join("tokenizer.json"), None, verify)?;
        return directory::write_configuration(tokenizer, path);
    }
    let format = format.map_or_else(|| Format::from_path(path), Ok)?;
    let bytes = write(tokenizer, format)?;
    let says_first = |step: &Step| matches!(step, Step::PrependFirst { .. });
    if verify && format == Format::TokenizerJson && tokenizer.normalizer().steps().any(says_first) {
        return Err(Error::TokenizerFile {
            origin: path.display().to_string(),
            reason:
                "a tokenizer.json cannot put a space in front of the whole text only, before tokens that are always \
                     found; keep the SentencePiece model, or pass verify=False to write it for this library alone"
                    .into(),
        });
    }
    let merges = match format {
        Format::VocabJson => Some(vocab_json::write(tokenizer)?.1),
        _ => None,
    };
    if verify {
        let specials = tokenizer.specials().tokens().iter().map(|token| (token.content.clone(), token.id)).collect();
        let options = match format {
            Format::Tiktoken | Format::VocabJson => ReadOptions {
                pattern: tokenizer.pretokenizer().pattern().map(Into::into),
                special_tokens: Some(specials),
            },
            _ => ReadOptions::default(),
        };
        let origin = path.display().to_string();
        let back = match &merges {
            Some(merges) => vocab_json::read(&bytes, merges, &options).map_err(|error| located(error, &origin))?,
            None => read(&bytes, Some(format), &origin, &options)?,
        };
        let remedy =
            if format == Format::TokenizerJson { "keep the file it comes from" } else { "save it as tokenizer.json" };
        verify::same(tokenizer, &back).map_err(|reason| Error::TokenizerFile {
            origin,
            reason: format!(
                "this format cannot hold this tokenizer: {reason}; {remedy}, or pass verify=False to write it all the same"
            ),
        })?;
    }
    if let Some(merges) = merges {
        write_atomically(&vocab_json::merges_beside(path), &merges)?;
    }
    write_atomically(path, &bytes)
}
