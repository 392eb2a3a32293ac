//! Hugging Face's `tokenizer.json`: every BPE pipeline that real models use.
//!
//! Tokens of a byte-level model are written in GPT-2's alphabet: each byte as one printable character. Special tokens
//! are written as they are, under `added_tokens`, and may stand in the vocabulary too.
//!
//! Naive: parse to a tree of values, then look every string up in maps of strings: 6 allocations a merge. Idea: strings
//! are borrowed from the file, and looked up once, as bytes, in the table that the model keeps anyway.
//! Cost: one pass over the file, three look-ups a merge; about 3 times the file in memory.
//! Invariant: a part that is not understood is refused by its name, never left out.
//!
//! Source: Hugging Face tokenizers 0.23.3, `models/bpe/serialization.rs`, `pre_tokenizers/`, `normalizers/`,
//! `processors/` and `decoders/`.

mod pipeline;
mod write;

use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use super::bpe::{self, Bpe};
use crate::pretokenize::{Pretokenizer, Split};
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

pub(super) use write::write;

#[derive(Deserialize)]
struct File<'f> {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    #[serde(borrow)]
    model: Bpe<'f>,
}

// The flags of the file, each on its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
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

impl From<Added> for SpecialToken {
    fn from(added: Added) -> Self {
        Self {
            single_word: added.single_word,
            lstrip: added.lstrip,
            rstrip: added.rstrip,
            normalized: added.normalized.unwrap_or(!added.special),
            ..Self::new(added.content, added.id, added.special)
        }
    }
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
    let normalizer = pipeline::normalizer(file.normalizer.as_ref())?;
    let (preparation, splits) = pipeline::pre_tokenizer(file.pre_tokenizer.as_ref())?;
    let byte_level = splits.iter().any(|split| matches!(split, Split::ByteLevel { .. }));
    let decoder = pipeline::decoder(file.decoder.as_ref(), byte_level)?;
    let specials: Vec<SpecialToken> = file.added_tokens.into_iter().map(Into::into).collect();
    let model = bpe::read(&file.model, &specials, byte_level)?;
    let template = pipeline::template(file.post_processor.as_ref())?;
    let tokenizer = Tokenizer::new(Pretokenizer::from_splits(&splits)?, model, specials, template)?;
    let tokenizer = tokenizer.with_normalizer(normalizer, preparation)?;
    Ok(match decoder {
        Some(decoder) => tokenizer.with_decoder(decoder),
        None => tokenizer,
    })
}
