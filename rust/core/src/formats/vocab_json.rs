//! GPT-2's pair of files: `vocab.json` (tokens with ids) and `merges.txt` (merges in order, after a line of version).
//!
//! Neither holds a pattern or says which tokens are special. The pattern is GPT-2's unless another is given; a token of
//! more than one byte that no merge makes is one that text never comes to, and so a special one.
//!
//! Source: GPT-2's `encoder.json` and `vocab.bpe`; Hugging Face tokenizers 0.23.3, `models/bpe/model.rs`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::bpe::{self, Bpe};
use super::{Fault, ReadOptions};
use crate::error::{Error, Result};
use crate::model::Alphabet;
use crate::pretokenize::{Pretokenizer, alphabet};
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

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
    let specials: Vec<SpecialToken> = if let Some(given) = &options.special_tokens {
        given.iter().map(|(text, id)| SpecialToken::new(text.as_str(), *id, true)).collect()
    } else {
        let made: HashSet<String> = merges.iter().map(|merge| merge.replace(' ', "")).collect();
        let never_made = tokens.iter().filter(|(token, _)| token.chars().nth(1).is_some() && !made.contains(&**token));
        never_made.map(|(token, id)| SpecialToken::new(token.as_ref(), *id, true)).collect()
    };
    let model = bpe::read(&Bpe::new(tokens, merges), &specials, true)?;
    let pattern = options.pattern.as_deref().unwrap_or("gpt2");
    Ok(Tokenizer::new(Pretokenizer::new(Some(pattern))?, model, specials, (Vec::new(), Vec::new()))?)
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
