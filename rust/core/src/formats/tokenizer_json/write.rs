//! A tokenizer as tokenizer.json, with the parts that Hugging Face would write.

use serde_json::{Value, json};

use crate::decode::{Change, Decoder};
use crate::error::Error;
use crate::model::Alphabet;
use crate::normalize::{Normalizer, Step};
use crate::pretokenize::{Pretokenizer, Split, alphabet};
use crate::tokenizer::Tokenizer;

pub(in crate::formats) fn write(tokenizer: &Tokenizer) -> Result<Vec<u8>, Error> {
    let alphabet = alphabet();
    let model = tokenizer.model();
    let byte_level = !matches!(model.alphabet(), Alphabet::Characters { .. });
    // A token as the file spells it; one that no text comes to is spelled as it is.
    let text = |id: u32| {
        let bytes = model.token(id).unwrap_or_default();
        if byte_level && model.id(bytes) == Some(id) {
            bytes.iter().map(|&byte| alphabet[byte as usize]).collect()
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    let specials = tokenizer.specials().tokens();
    let mut vocab = serde_json::Map::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        if model.token(id).is_some() {
            vocab.insert(text(id), id.into());
        } else if let Some(special) = tokenizer.specials().get(id) {
            // Hugging Face numbers added tokens anew unless the vocabulary fixes their ids.
            vocab.insert(special.content.clone(), id.into());
        }
    }
    let (mut unknown_token, mut fuse, mut fallback, mut suffix) = (None, false, false, None);
    match model.alphabet() {
        Alphabet::Bytes => {}
        Alphabet::MarkedBytes(mark) => suffix = Some(mark),
        Alphabet::Characters { unknown, fuse_unknown, byte_fallback } => {
            let written = |id: u32| String::from_utf8_lossy(tokenizer.written(id).unwrap_or_default()).into_owned();
            (unknown_token, fuse, fallback) = (unknown.map(written), *fuse_unknown, *byte_fallback);
        }
    }
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": specials.iter().map(|token| json!({
            "id": token.id, "content": token.content, "single_word": token.single_word, "lstrip": token.lstrip,
            "rstrip": token.rstrip, "normalized": token.normalized, "special": token.special
        })).collect::<Vec<_>>(),
        "normalizer": normalizer(tokenizer.normalizer())?,
        "pre_tokenizer": pre_tokenizer(tokenizer, byte_level)?,
        "post_processor": post_processor(tokenizer, byte_level),
        "decoder": tokenizer.decoder().map_or_else(|| byte_level_part(false, true), decoder),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown_token, "continuing_subword_prefix": null,
            "end_of_word_suffix": suffix, "fuse_unk": fuse, "byte_fallback": fallback,
            "ignore_merges": model.ignores_merges(),
            "vocab": vocab,
            "merges": model.merges().iter().map(|merge| merge_text(&text(merge.left), &text(merge.right))).collect::<Vec<_>>()
        }
    });
    // Indented, one entry a line, as Hugging Face writes it: made for diffs.
    serde_json::to_vec_pretty(&file).map_err(|error| Error::Internal(error.to_string()))
}

/// Two tokens with a space between, or apart where one of them holds a space.
fn merge_text(left: &str, right: &str) -> Value {
    if left.contains(' ') || right.contains(' ') { json!([left, right]) } else { format!("{left} {right}").into() }
}

fn byte_level_part(add_prefix_space: bool, use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex})
}

/// The one part, several as a `Sequence`, or null.
fn sequence(mut parts: Vec<Value>, list: &str) -> Value {
    match parts.len() {
        0 => Value::Null,
        1 => parts.remove(0),
        _ => json!({"type": "Sequence", list: parts}),
    }
}

fn values<T: serde::Serialize>(parts: impl IntoIterator<Item = T>) -> Result<Vec<Value>, Error> {
    let parts = parts.into_iter().map(serde_json::to_value);
    parts.collect::<Result<_, _>>().map_err(|error| Error::Internal(error.to_string()))
}

fn normalizer(normalizer: &Normalizer) -> Result<Value, Error> {
    Ok(sequence(values(normalizer.steps())?, "normalizers"))
}

fn pre_tokenizer(tokenizer: &Tokenizer, byte_level: bool) -> Result<Value, Error> {
    let steps: Vec<&Step> = tokenizer.preparation().steps().collect();
    let mut splits = tokenizer.pretokenizer().splits();
    if !byte_level {
        let Some(Step::Replace { content, .. }) = steps.first() else {
            return Ok(sequence(values(splits)?, "pretokenizers"));
        };
        let scheme = match steps.get(1) {
            Some(Step::PrependOnce { first: true, .. }) => "first",
            Some(_) => "always",
            None => "never",
        };
        let split = !splits.is_empty();
        if split {
            splits.remove(0);
        }
        let metaspace = json!({"type": "Metaspace", "replacement": content, "prepend_scheme": scheme, "split": split});
        return Ok(sequence([vec![metaspace], values(splits)?].concat(), "pretokenizers"));
    }
    let by_gpt2 = Pretokenizer::new(Some("gpt2")).is_ok_and(|gpt2| gpt2.splits() == splits);
    if !steps.is_empty() && by_gpt2 {
        splits = vec![Split::ByteLevel { use_regex: true }];
    }
    if !splits.iter().any(|split| matches!(split, Split::ByteLevel { .. })) {
        splits.push(Split::ByteLevel { use_regex: false });
    }
    let mut parts = Vec::new();
    let mut prefix = !steps.is_empty();
    // A space in front comes before all cuts.
    if prefix && !matches!(splits.first(), Some(Split::ByteLevel { .. })) {
        return Err(Error::TokenizerFile {
            origin: "tokenizer.json".into(),
            reason: "a space in front of the text together with a pattern of its own cannot be written".into(),
        });
    }
    for (split, value) in splits.iter().zip(values(&splits)?) {
        parts.push(match split {
            Split::ByteLevel { use_regex } => byte_level_part(std::mem::take(&mut prefix), *use_regex),
            _ => value,
        });
    }
    Ok(sequence(parts, "pretokenizers"))
}

fn decoder(decoder: &Decoder) -> Value {
    let change = |change: &Change| match change {
        Change::Replace { pattern, content } => {
            Some(json!({"type": "Replace", "pattern": {"String": pattern}, "content": content}))
        }
        Change::Strip { content, start, stop } => {
            Some(json!({"type": "Strip", "content": content, "start": start, "stop": stop}))
        }
        Change::DropInFirst(_) => None,
    };
    let metaspace = decoder.each.iter().find_map(|change| match change {
        Change::DropInFirst(replacement) => Some(*replacement),
        _ => None,
    });
    if let Some(replacement) = metaspace {
        return json!({"type": "Metaspace", "replacement": replacement, "prepend_scheme": "always", "split": true});
    }
    let mut parts: Vec<Value> = decoder.each.iter().filter_map(change).collect();
    if decoder.byte_fallback {
        parts.push(json!({"type": "ByteFallback"}));
    }
    parts.push(json!({"type": "Fuse"}));
    parts.extend(decoder.whole.iter().filter_map(change));
    sequence(parts, "decoders")
}

fn post_processor(tokenizer: &Tokenizer, byte_level: bool) -> Value {
    let (before, after) = tokenizer.template();
    let byte_level = byte_level
        .then(|| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true}));
    if before.is_empty() && after.is_empty() {
        return byte_level.unwrap_or_default();
    }
    let content = |id: &u32| String::from_utf8_lossy(tokenizer.written(*id).unwrap_or_default()).into_owned();
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
    sequence(byte_level.into_iter().chain([template]).collect(), "processors")
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
