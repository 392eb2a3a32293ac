//! GGUF: the vocabulary of a llama.cpp model file. The header is read as a stream; weights are never touched.
//!
//! Naive: map or read the file. Idea: all of the vocabulary stands in the key-value part at the beginning; keys that do
//! not matter are skipped, so a model of any size costs as much as its vocabulary.
//! Cost: about twice the vocabulary in memory. Worst case: lengths in the file are believed only as far as bytes follow.
//! Invariant: the pre-tokenizer has a name in the file and no pattern; a name that is not known is refused.
//!
//! Source: the GGUF specification (ggml-org/ggml `docs/gguf.md`), llama.cpp `src/llama-vocab.cpp` for what the names
//! mean. Read with an own parser: no kept crate reads the header without the tensors' data or a copy of all arrays.

mod header;
mod patterns;
mod write;

use std::borrow::Cow;
use std::io::{Read, Seek};

use super::bpe::{self, Bpe};
use super::sentencepiece::{self, Kind, Piece};
use super::{Fault, ReadOptions};
use crate::decode::{Change, Decoder};
use crate::normalize::{Normalizer, Pattern, Step};
use crate::pretokenize::{Behavior, Pretokenizer, Split};
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;
use header::{Header, Texts};

pub(super) use header::MAGIC;
pub(super) use write::write;

/// The names of the keys that matter.
const PREFIX: &str = "tokenizer.ggml.";

pub(super) fn read(reader: impl Read + Seek, options: &ReadOptions) -> Result<Tokenizer, Fault> {
    let mut header = Header::read(reader, |key| key.starts_with(PREFIX))?;
    let model = header.text("model")?.ok_or("has no tokenizer.ggml.model; it holds no vocabulary")?;
    let tokens = header.texts("tokens")?.ok_or("has no tokenizer.ggml.tokens; it holds no vocabulary")?;
    let kinds = kinds(&mut header, tokens.len())?;
    let template = template(&header, &model, tokens.len())?;
    let tokenizer = match model.as_str() {
        "llama" => {
            let scores = header.floats("scores")?.ok_or("has no tokenizer.ggml.scores")?;
            if scores.len() != tokens.len() {
                return Err(Fault::File(format!("has {} tokens and {} scores", tokens.len(), scores.len())));
            }
            if header.flag("remove_extra_whitespaces").unwrap_or(false) {
                return Err(Fault::File("remove_extra_whitespaces is not supported".into()));
            }
            let fallback = kinds.contains(&Kind::Byte);
            let prefix = header.flag("add_space_prefix").unwrap_or(true);
            let pieces = tokens.iter().zip(scores).zip(kinds);
            let pieces = pieces.map(|((text, score), kind)| Piece { text: text.into(), score, kind }).collect();
            sentencepiece::build(pieces, fallback, prefix, false)?
        }
        "gpt2" | "gemma4" => merged(&mut header, &model, &tokens, &kinds, options)?,
        other => {
            return Err(Fault::File(format!(
                "its tokenizer model is {other:?}; only BPE (\"gpt2\", \"llama\" and \"gemma4\") is supported"
            )));
        }
    };
    Ok(tokenizer.with_template(template)?)
}

fn kinds(header: &mut Header, tokens: usize) -> Result<Vec<Kind>, String> {
    let Some(numbers) = header.integers("token_type")? else { return Ok(vec![Kind::Normal; tokens]) };
    if numbers.len() != tokens {
        return Err(format!("has {tokens} tokens and {} token types", numbers.len()));
    }
    let kind = |(id, number): (usize, i64)| {
        let kind = i32::try_from(number).ok().and_then(Kind::from_number);
        kind.ok_or_else(|| format!("token {id} has the unknown type {number}"))
    };
    numbers.into_iter().enumerate().map(kind).collect()
}

/// The ids around a text.
fn template(header: &Header, model: &str, tokens: usize) -> Result<(Vec<u32>, Vec<u32>), String> {
    let id = |wanted: &str, default: bool, key: &str| -> Result<Vec<u32>, String> {
        let Some(id) = header.integer(key).filter(|_| header.flag(wanted).unwrap_or(default)) else {
            return Ok(Vec::new());
        };
        match u32::try_from(id).ok().filter(|&id| (id as usize) < tokens) {
            Some(id) => Ok(vec![id]),
            None => Err(format!("{PREFIX}{key} is {id}, but there are {tokens} tokens")),
        }
    };
    Ok((id("add_bos_token", model == "llama", "bos_token_id")?, id("add_eos_token", false, "eos_token_id")?))
}

/// A vocabulary with merges.
fn merged(
    header: &mut Header,
    model: &str,
    tokens: &Texts,
    kinds: &[Kind],
    options: &ReadOptions,
) -> Result<Tokenizer, Fault> {
    let merges = header.texts("merges")?.ok_or("has no tokenizer.ggml.merges")?;
    let mut specials = Vec::new();
    for ((id, text), kind) in (0u32..).zip(tokens.iter()).zip(kinds) {
        let special = match kind {
            Kind::Control | Kind::Unknown => true,
            Kind::UserDefined => false,
            Kind::Normal | Kind::Unused | Kind::Byte => continue,
        };
        specials.push(SpecialToken::new(text, id, special));
    }
    let unused = |id: &u32| kinds[*id as usize] == Kind::Unused;
    let merges = merges.iter().map(Cow::Borrowed).collect();
    let used = (0u32..).zip(tokens.iter()).filter(|(id, _)| !unused(id));
    let listed = used.map(|(id, text)| (Cow::Borrowed(text), id)).collect();
    let none = (Vec::new(), Vec::new());
    if model == "gemma4" {
        let unknown = header.integer("unknown_token_id").and_then(|id| tokens.get(usize::try_from(id).ok()?));
        let bpe = Bpe::new(listed, merges).with_byte_fallback(unknown.map(Into::into));
        let model = bpe::read(&bpe, &specials, false)?;
        let lines = Split::Split {
            pattern: Pattern::Regex("[^\n]+|[\n]+".into()),
            behavior: Behavior::Isolated,
            invert: false,
        };
        let space = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let (pattern, content) = space(" ", "\u{2581}");
        let normalizer = Normalizer::new(vec![Step::Replace { pattern: Pattern::String(pattern), content }])?;
        let (pattern, content) = space("\u{2581}", " ");
        let decoder = Decoder { each: vec![Change::Replace { pattern, content }], byte_fallback: true, whole: vec![] };
        let tokenizer = Tokenizer::new(Pretokenizer::from_splits(&[lines])?, model, specials, none)?;
        return Ok(tokenizer.with_normalizer(normalizer, Normalizer::default())?.with_decoder(decoder));
    }
    let name = header.text("pre")?;
    let (splits, ignore_merges) = match (&options.pattern, &name) {
        (Some(pattern), name) => {
            let ignores = name.as_ref().and_then(|name| patterns::find(name)).is_some_and(|found| found.1);
            (Pretokenizer::new(Some(pattern))?.splits(), ignores)
        }
        (None, Some(name)) => patterns::find(name).ok_or_else(|| {
            format!("its pre-tokenizer is called {name:?}, which is not known here; pass pattern= with its regular expression")
        })?,
        (None, None) => {
            return Err(Fault::File(
                "has no tokenizer.ggml.pre, the name of its pre-tokenizer; pass pattern= with its regular expression".into(),
            ));
        }
    };
    let bpe = Bpe::new(listed, merges).ignoring_merges(ignore_merges);
    let model = bpe::read(&bpe, &specials, true)?;
    Ok(Tokenizer::new(Pretokenizer::from_splits(&splits)?, model, specials, none)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn lengths_are_believed_only_as_far_as_bytes_follow() {
        let mut bytes = Vec::from(*MAGIC);
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
        for len in [u64::MAX, 1 << 40, 1 << 20] {
            let mut damaged = bytes.clone();
            damaged.extend(len.to_le_bytes());
            damaged.extend(b"tokenizer.ggml.model");
            assert!(read(Cursor::new(damaged), &ReadOptions::default()).is_err());
        }
        let Err(Fault::File(message)) = read(Cursor::new(&bytes[..10]), &ReadOptions::default()) else {
            unreachable!()
        };
        assert!(message.contains("ends"), "{message}");
    }
}
