//! GPT-2's pair of files: `vocab.json` (tokens with ids) and `merges.txt` (merges in order, after a line of version).
//!
//! Neither holds a pattern or says which tokens are special. The pattern is GPT-2's unless another is given; a token of
//! more than one byte that no merge makes is one that text never comes to, and so a special one.
//!
//! CLIP keeps its tokenizer in the same pair of files. Its vocabulary tells: each byte is there a second time, as the end
//! of a word (`!</w>`). Normalizer, pattern and template are then those that transformers gives such files.
//!
//! Source: GPT-2's `encoder.json` and `vocab.bpe`; Hugging Face tokenizers 0.23.3, `models/bpe/model.rs`; transformers
//! 5.23, `models/clip/tokenization_clip.py`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::bpe::{self, Bpe};
use super::{Fault, ReadOptions};
use crate::error::{Error, Result};
use crate::model::Alphabet;
use crate::normalize::{Normalizer, Pattern, Step};
use crate::pretokenize::{Behavior, Pretokenizer, Split, alphabet};
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

/// How CLIP writes the end of a word.
const END_OF_WORD: &str = "</w>";
/// CLIP's pattern; what it does not match is left out.
const CLIP_PATTERN: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Where the merges of a vocabulary lie: the file beside it.
pub(super) fn merges_beside(path: &Path) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("encoder.json") => path.with_file_name("vocab.bpe"),
        Some(name) if name.ends_with("vocab.json") => {
            path.with_file_name(format!("{}merges.txt", name.trim_end_matches("vocab.json")))
        }
        _ => path.with_file_name("merges.txt"),
    }
}

/// Whether a file of this name is a vocabulary with its merges beside it.
pub(super) fn is_named(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name == "encoder.json" || name.ends_with("vocab.json"))
}

pub(super) fn read(vocab: &[u8], merges: &[u8], options: &ReadOptions) -> Result<Tokenizer, Fault> {
    let vocab: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(vocab).map_err(|error| format!("is no object of tokens with ids: {error}"))?;
    let mut tokens: Vec<(Cow<'_, str>, u32)> = Vec::with_capacity(vocab.len());
    for (token, id) in vocab {
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let number = number.ok_or_else(|| format!("the token {token:?} has the id {id}"))?;
        tokens.push((Cow::Owned(token), number));
    }
    let merges = std::str::from_utf8(merges)
        .map_err(|error| format!("merges.txt is not UTF-8 at byte {}", error.valid_up_to()))?;
    let lines = merges
        .lines()
        .enumerate()
        .filter(|(number, line)| !(*number == 0 && line.starts_with("#version") || line.is_empty()));
    let merges: Vec<Cow<'_, str>> = lines.map(|(_, line)| Cow::Borrowed(line)).collect();
    let marks_words = {
        let known: HashSet<&str> = tokens.iter().map(|(token, _)| &**token).collect();
        alphabet().iter().all(|character| known.contains(format!("{character}{END_OF_WORD}").as_str()))
    };
    let specials: Vec<SpecialToken> = if let Some(given) = &options.special_tokens {
        given.iter().map(|(text, id)| SpecialToken::new(text.as_str(), *id, true)).collect()
    } else {
        let made: HashSet<String> = merges.iter().map(|merge| merge.replace(' ', "")).collect();
        let is_single = |token: &str| {
            let token = if marks_words { token.strip_suffix(END_OF_WORD).unwrap_or(token) } else { token };
            token.chars().nth(1).is_none()
        };
        let never_made = tokens.iter().filter(|(token, _)| !is_single(token) && !made.contains(&**token));
        never_made.map(|(token, id)| SpecialToken::new(token.as_ref(), *id, true)).collect()
    };
    let bpe = Bpe::new(tokens, merges);
    if marks_words {
        return clip(&bpe.with_suffix(END_OF_WORD), specials, options);
    }
    let model = bpe::read(&bpe, &specials, true)?;
    let pattern = options.pattern.as_deref().unwrap_or("gpt2");
    Ok(Tokenizer::new(Pretokenizer::new(Some(pattern))?, model, specials, (Vec::new(), Vec::new()))?)
}

/// CLIP's tokenizer, with what the files do not say.
fn clip(bpe: &Bpe<'_>, specials: Vec<SpecialToken>, options: &ReadOptions) -> Result<Tokenizer, Fault> {
    let model = bpe::read(bpe, &specials, true)?;
    let id = |content: &str| -> Vec<u32> {
        specials.iter().filter(|token| token.content == content).map(|token| token.id).collect()
    };
    let template = (id("<|startoftext|>"), id("<|endoftext|>"));
    let pretokenizer = match options.pattern.as_deref() {
        Some(pattern) => Pretokenizer::new(Some(pattern))?,
        None => Pretokenizer::from_splits(&[
            Split::Split { pattern: Pattern::Regex(CLIP_PATTERN.into()), behavior: Behavior::Removed, invert: true },
            Split::ByteLevel { use_regex: true },
        ])?,
    };
    let one_space = Step::Replace { pattern: Pattern::Regex(r"\s+".into()), content: " ".into() };
    let normalizer = Normalizer::new(vec![Step::Nfc, one_space, Step::Lowercase])?;
    let tokenizer = Tokenizer::new(pretokenizer, model, specials, template)?;
    Ok(tokenizer.with_normalizer(normalizer, Normalizer::default())?)
}

/// Both files: the vocabulary and the merges.
pub(super) fn write(tokenizer: &Tokenizer) -> Result<(Vec<u8>, Vec<u8>)> {
    let model = tokenizer.model();
    if *model.alphabet() != Alphabet::Bytes || !tokenizer.is_plain() {
        return Err(Error::TokenizerFile {
            origin: "vocab.json".into(),
            reason: "cannot hold a normalizer or a vocabulary of characters; save it as tokenizer.json".into(),
        });
    }
    let alphabet = alphabet();
    let text = |id: u32| -> String {
        model.token(id).unwrap_or_default().iter().map(|&byte| alphabet[byte as usize]).collect()
    };
    let mut vocab = serde_json::Map::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        if model.token(id).is_some() {
            vocab.insert(text(id), id.into());
        } else if let Some(special) = tokenizer.specials().get(id) {
            vocab.insert(special.content.clone(), id.into());
        }
    }
    let mut merges = String::from("#version: 0.2\n");
    for merge in model.merges() {
        // Writing to a String cannot fail.
        let _ = writeln!(merges, "{} {}", text(merge.left), text(merge.right));
    }
    let vocab = serde_json::to_vec(&vocab).map_err(|error| Error::Internal(error.to_string()))?;
    Ok((vocab, merges.into_bytes()))
}
