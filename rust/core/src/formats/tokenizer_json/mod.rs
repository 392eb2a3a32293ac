//! Hugging Face's `tokenizer.json`: every BPE pipeline that real models use.
//!
//! Tokens of a byte-level model are written in GPT-2's alphabet: each byte as one printable character. Special tokens
//! are written as they are, under `added_tokens`, and may stand in the vocabulary too.
//!
//! Naive: parse to a tree of values, then look every string up in maps of strings: 6 allocations a merge. Idea: strings
//! are borrowed from the file, and looked up once, as bytes, in the table that the model keeps anyway.
//! Cost: one pass over the file and one more over the merges, three look-ups a merge.
//! Invariant: a part that is not understood is refused by its name, never left out.
//!
//! Source: Hugging Face tokenizers 0.23.3, `models/bpe/serialization.rs`, `pre_tokenizers/`, `normalizers/`,
//! `processors/` and `decoders/`.

mod pipeline;
mod write;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Fault;
use super::bpe::{self, Bpe};
use crate::pretokenize::{Pretokenizer, Split};
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

pub(super) use write::write;

#[derive(Deserialize)]
struct File<'f> {
    #[serde(borrow, default)]
    added_tokens: Vec<Added<'f>>,
    #[serde(borrow)]
    normalizer: Option<&'f RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'f RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'f RawValue>,
    #[serde(borrow)]
    decoder: Option<&'f RawValue>,
    #[serde(borrow)]
    model: Bpe<'f>,
}

// The flags of the file, each on its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Deserialize)]
struct Added<'f> {
    id: u32,
    #[serde(borrow)]
    content: Cow<'f, str>,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    special: bool,
    /// Missing: as Hugging Face sets it, true for all but special tokens.
    normalized: Option<bool>,
}

impl From<Added<'_>> for SpecialToken {
    fn from(added: Added<'_>) -> Self {
        Self {
            single_word: added.single_word,
            lstrip: added.lstrip,
            rstrip: added.rstrip,
            normalized: added.normalized.unwrap_or(!added.special),
            ..Self::new(added.content.into_owned(), added.id, added.special)
        }
    }
}

/// The longest description of a part, in bytes: what stands around a model is a few lines, and parsed it takes many times
/// its size.
const LONGEST_PART: usize = 1 << 16;

fn part(name: &str, written: Option<&RawValue>) -> Result<Option<Value>, Fault> {
    let Some(written) = written.map(RawValue::get) else { return Ok(None) };
    if written.len() > LONGEST_PART {
        let len = written.len();
        return Err(Fault::File(format!("its {name} has {len} bytes; at most {LONGEST_PART} are read")));
    }
    serde_json::from_str(written).map(Some).map_err(|error| Fault::File(format!("its {name} is damaged: {error}")))
}

/// Why a file that is not read at all is refused: not JSON, or not BPE.
fn refusal(bytes: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Outline {
        model: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    match serde_json::from_slice::<Outline>(bytes) {
        Ok(Outline { model: Kind { kind: Some(kind) } }) if kind != "BPE" => {
            format!("its model is {kind:?}; only \"BPE\" is supported")
        }
        _ => format!("is not a tokenizer.json of a BPE model: {error}"),
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, Fault> {
    // Checked once, strings need no check of their own.
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 at byte {}; tokenizer.json is text", error.valid_up_to()))?;
    let file: File<'_> = serde_json::from_str(text).map_err(|error| refusal(bytes, &error))?;
    if let Some(kind) = file.model.kind().filter(|kind| *kind != "BPE") {
        return Err(Fault::File(format!("its model is {kind:?}; only \"BPE\" is supported")));
    }
    let normalizer = pipeline::normalizer(part("normalizer", file.normalizer)?.as_ref())?;
    let (preparation, splits) = pipeline::pre_tokenizer(part("pre_tokenizer", file.pre_tokenizer)?.as_ref())?;
    let byte_level = splits.iter().any(|split| matches!(split, Split::ByteLevel { .. }));
    let decoder = pipeline::decoder(part("decoder", file.decoder)?.as_ref(), byte_level)?;
    // Refused before they are copied, where there may be millions.
    let most = file.model.len() * 4 + 100_000;
    if let Some(token) = file.added_tokens.iter().find(|token| token.id as usize > most) {
        let Added { content, id, .. } = token;
        return Err(Fault::File(format!(
            "special token {content:?}: its id {id} is far beyond the {} ids of the vocabulary; ids must be nearly dense",
            file.model.len()
        )));
    }
    let specials: Vec<SpecialToken> = file.added_tokens.into_iter().map(Into::into).collect();
    let model = bpe::read(&file.model, &specials, byte_level)?;
    let template = pipeline::template(part("post_processor", file.post_processor)?.as_ref())?;
    let tokenizer = Tokenizer::new(Pretokenizer::from_splits(&splits)?, model, specials, template)?;
    let tokenizer = tokenizer.with_normalizer(normalizer, preparation)?;
    Ok(match decoder {
        Some(decoder) => tokenizer.with_decoder(decoder),
        None => tokenizer,
    })
}
