//! Hugging Face's `tokenizer.json`: byte-level BPE, as GPT-2, Llama 3 and this library's own training write it.
//!
//! Its tokens are written in GPT-2's alphabet: each byte as one printable character. Special tokens are written as they
//! are, under `added_tokens`, and may stand in the vocabulary too.
//!
//! Source: Hugging Face tokenizers 0.23.3, `tokenizers/src/models/bpe/serialization.rs` and `pre_tokenizers/`.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::{Value, json};

use super::Fault;
use crate::model::Model;
use crate::pretokenize::Pretokenizer;
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    model: Bpe,
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
}

#[derive(Deserialize)]
struct Bpe {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Vocabulary,
    merges: Vec<MergeText>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// A merge as one string with a space, or as two strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum MergeText {
    Joined(String),
    Pair(String, String),
}

/// The vocabulary in the order of the file, repeated keys kept to be found out.
struct Vocabulary(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vocabulary;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of tokens with ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Vocabulary(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// GPT-2's alphabet: the character that stands for each byte.
fn alphabet() -> [char; 256] {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        if printable(byte as u8) {
            return byte as u8 as char;
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or_default()
    })
}

fn bytes_of(token: &str, byte_of: &HashMap<char, u8>) -> Result<Vec<u8>, String> {
    token
        .chars()
        .map(|character| {
            byte_of.get(&character).copied().ok_or_else(|| {
                format!("the token {token:?} holds {character:?}, which stands for no byte; only byte-level BPE (GPT-2's alphabet) is supported")
            })
        })
        .collect()
}

/// The kind of a part, for messages and matches.
fn kind(part: &Value) -> &str {
    part.get("type").and_then(Value::as_str).unwrap_or("(no type)")
}

/// The elements of a `Sequence`, of any depth a file can have, or the part itself; empty for null.
fn flatten<'v>(part: Option<&'v Value>, list: &str) -> Vec<&'v Value> {
    let mut parts = Vec::new();
    let mut pending: Vec<&Value> = part.into_iter().filter(|part| !part.is_null()).collect();
    while let Some(part) = pending.pop() {
        match part.get(list).and_then(Value::as_array) {
            Some(elements) if kind(part) == "Sequence" => pending.extend(elements.iter().rev()),
            _ => parts.push(part),
        }
    }
    parts
}

fn flag(part: &Value, name: &str, default: bool) -> bool {
    part.get(name).and_then(Value::as_bool).unwrap_or(default)
}

/// The pattern that the pre-tokenizer stands for; `None` for no cuts.
fn pattern(part: Option<&Value>) -> Result<Option<String>, String> {
    let parts = flatten(part, "pretokenizers");
    let (splits, rest) = parts.split_at(parts.len().saturating_sub(1));
    let [byte_level] = rest else {
        return Err("has no pre_tokenizer; byte-level BPE has one of type ByteLevel".into());
    };
    if kind(byte_level) != "ByteLevel" {
        return Err(format!(
            "the last pre_tokenizer is {:?}; byte-level BPE ends in ByteLevel, others are not supported",
            kind(byte_level)
        ));
    }
    if flag(byte_level, "add_prefix_space", true) {
        return Err("the pre_tokenizer ByteLevel has add_prefix_space = true, which is not supported".into());
    }
    let own_regex = flag(byte_level, "use_regex", true);
    match splits {
        [] if own_regex => Ok(Some("gpt2".into())),
        [] => Ok(None),
        [split] if kind(split) == "Split" && !own_regex => {
            let behavior = split.get("behavior").and_then(Value::as_str).unwrap_or_default();
            if behavior != "Isolated" || flag(split, "invert", false) {
                return Err(format!(
                    "the pre_tokenizer Split has behavior {behavior:?}, invert = {}; only \"Isolated\" without invert is supported",
                    flag(split, "invert", false)
                ));
            }
            let expression = split.pointer("/pattern/Regex").and_then(Value::as_str);
            expression
                .map(|text| Some(text.to_owned()))
                .ok_or_else(|| "the pre_tokenizer Split has no pattern of type Regex; others are not supported".into())
        }
        _ => {
            let kinds: Vec<&str> = parts.iter().map(|part| kind(part)).collect();
            Err(format!(
                "the pre_tokenizers {} in a row are not supported; one Split and ByteLevel, or ByteLevel alone, are",
                kinds.join(" + ")
            ))
        }
    }
}

/// The ids around a single text that the post-processor stands for.
fn template(part: Option<&Value>) -> Result<(Vec<u32>, Vec<u32>), String> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for part in flatten(part, "processors") {
        match kind(part) {
            "ByteLevel" => {}
            "TemplateProcessing" => {
                let mut seen = false;
                for element in part.get("single").and_then(Value::as_array).into_iter().flatten() {
                    if element.get("Sequence").is_some() {
                        seen = true;
                        continue;
                    }
                    let name = element.pointer("/SpecialToken/id").and_then(Value::as_str).unwrap_or_default();
                    let ids = part
                        .get("special_tokens")
                        .and_then(|tokens| tokens.get(name))
                        .and_then(|token| token.get("ids"));
                    let ids = ids
                        .and_then(Value::as_array)
                        .ok_or_else(|| format!("the post_processor names {name:?}, but not its ids"))?;
                    for id in ids {
                        let id = id
                            .as_u64()
                            .and_then(|id| u32::try_from(id).ok())
                            .ok_or_else(|| format!("the post_processor gives {name:?} the id {id}"))?;
                        if seen { after.push(id) } else { before.push(id) }
                    }
                }
            }
            other => {
                return Err(format!(
                    "the post_processor {other:?} is not supported; ByteLevel and TemplateProcessing are"
                ));
            }
        }
    }
    Ok((before, after))
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
    let file: File = serde_json::from_slice(bytes).map_err(|error| refusal(bytes, &error))?;
    if let Some(kind) = file.model.kind.as_ref().filter(|kind| *kind != "BPE") {
        return Err(Fault::File(format!("its model is {kind:?}; only \"BPE\" is supported")));
    }
    let refuse = |reason: &str| Err(Fault::File(format!("{reason} is not supported")));
    if let Some(part) = flatten(file.normalizer.as_ref(), "normalizers").first() {
        return refuse(&format!("the normalizer {:?}", kind(part)));
    }
    if file.model.dropout.is_some_and(|dropout| dropout > 0.0) {
        return refuse("BPE dropout");
    }
    if file.model.byte_fallback {
        return refuse("byte_fallback (SentencePiece-style BPE)");
    }
    for (name, text) in [
        ("continuing_subword_prefix", &file.model.continuing_subword_prefix),
        ("end_of_word_suffix", &file.model.end_of_word_suffix),
    ] {
        if text.as_ref().is_some_and(|text| !text.is_empty()) {
            return refuse(name);
        }
    }
    if let Some(token) = file.added_tokens.iter().find(|token| token.lstrip || token.rstrip || token.single_word) {
        return refuse(&format!("the added token {:?} with lstrip, rstrip or single_word", token.content));
    }
    let pretokenizer = Pretokenizer::new(pattern(file.pre_tokenizer.as_ref())?.as_deref())?;
    let specials: Vec<SpecialToken> = file
        .added_tokens
        .into_iter()
        .map(|token| SpecialToken { content: token.content, id: token.id, special: token.special })
        .collect();
    let model = read_model(file.model, &specials)?;
    Ok(Tokenizer::new(pretokenizer, model, specials, template(file.post_processor.as_ref())?)?)
}

fn read_model(bpe: Bpe, specials: &[SpecialToken]) -> Result<Model, String> {
    let byte_of: HashMap<char, u8> = alphabet().into_iter().zip(0..=255).collect();
    let merges: Vec<(String, String)> = bpe
        .merges
        .into_iter()
        .enumerate()
        .map(|(rank, merge)| match merge {
            MergeText::Pair(left, right) => Ok((left, right)),
            MergeText::Joined(text) => match text.split_once(' ') {
                Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
                None => Err(format!("merge {rank} is {text:?}, not two tokens with a space between")),
            },
        })
        .collect::<Result<_, _>>()?;
    let ids: HashMap<&str, u32> = bpe.vocab.0.iter().map(|(token, id)| (token.as_str(), *id)).collect();
    let id = |token: &str, rank: usize| {
        ids.get(token).copied().ok_or_else(|| format!("merge {rank} names {token:?}, which is not in the vocabulary"))
    };
    let pairs: Vec<(u32, u32)> = merges
        .iter()
        .enumerate()
        .map(|(rank, (left, right))| Ok((id(left, rank)?, id(right, rank)?)))
        .collect::<Result<_, String>>()?;
    // An added token that the vocabulary lists too is not written in the alphabet, unless merges make it.
    let added: HashSet<(&str, u32)> = specials.iter().map(|token| (token.content.as_str(), token.id)).collect();
    let made: HashSet<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    let mut tokens = Vec::with_capacity(bpe.vocab.0.len());
    for (token, id) in &bpe.vocab.0 {
        if added.contains(&(token.as_str(), *id)) && !made.contains(token) && token.chars().count() > 1 {
            continue;
        }
        tokens.push((bytes_of(token, &byte_of)?, *id));
    }
    Model::from_merges(&tokens, pairs, bpe.ignore_merges)
}

pub(super) fn write(tokenizer: &Tokenizer) -> Vec<u8> {
    let alphabet = alphabet();
    let text = |bytes: &[u8]| bytes.iter().map(|&byte| alphabet[byte as usize]).collect::<String>();
    let model = tokenizer.model();
    let token = |id: u32| text(model.token(id).unwrap_or_default());
    let specials = tokenizer.specials().tokens();
    let mut vocab = serde_json::Map::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        if let Some(bytes) = model.token(id) {
            vocab.insert(text(bytes), id.into());
        } else if let Some(special) = tokenizer.specials().get(id) {
            // Hugging Face numbers added tokens anew unless the vocabulary fixes their ids.
            vocab.insert(special.content.clone(), id.into());
        }
    }
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let pre_tokenizer = match tokenizer.pretokenizer().pattern() {
        None => byte_level(false),
        Some(pattern) => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            byte_level(false)
        ]}),
    };
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": specials.iter().map(|token| json!({
            "id": token.id, "content": token.content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": token.special
        })).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor(tokenizer),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": model.ignores_merges(),
            "vocab": vocab,
            "merges": model.merges().iter().map(|merge| format!("{} {}", token(merge.left), token(merge.right))).collect::<Vec<_>>()
        }
    });
    // Indented, one entry a line, as Hugging Face writes it: made for diffs.
    serde_json::to_vec_pretty(&file).unwrap_or_default()
}

fn post_processor(tokenizer: &Tokenizer) -> Value {
    let (before, after) = tokenizer.template();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    if before.is_empty() && after.is_empty() {
        return byte_level;
    }
    let content = |id: &u32| String::from_utf8_lossy(tokenizer.token_bytes(*id).unwrap_or_default()).into_owned();
    let part = |id: &u32| json!({"SpecialToken": {"id": content(id), "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let around = |name: &str| -> Vec<Value> {
        [before.iter().map(part).collect(), vec![text(name)], after.iter().map(part).collect()].concat()
    };
    let special_tokens: serde_json::Map<String, Value> = before
        .iter()
        .chain(after)
        .map(|id| (content(id), json!({"id": content(id), "ids": [id], "tokens": [content(id)]})))
        .collect();
    let pair = [around("A"), around("B")].concat();
    let template = json!({
        "type": "TemplateProcessing",
        "single": around("A"),
        "pair": pair,
        "special_tokens": special_tokens
    });
    json!({"type": "Sequence", "processors": [byte_level, template]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ByteOrder;

    #[test]
    fn the_byte_order_of_training_is_that_of_the_alphabet() {
        let mut bytes: Vec<u8> = (0..=255).collect();
        bytes.sort_by_key(|&byte| alphabet()[byte as usize]);
        assert_eq!(bytes, ByteOrder::HuggingFace.bytes());
    }
}
