//! What stands around the model: normalizer, pre-tokenizer, post-processor, decoder.

use serde_json::Value;

use crate::decode::{Change, Decoder};
use crate::normalize::{Normalizer, Pattern, Step};
use crate::pretokenize::{Behavior, Split};

/// The kind of a part, for messages and matches.
fn kind(part: &Value) -> &str {
    part.get("type").and_then(Value::as_str).unwrap_or("(no type)")
}

/// The most elements of a `Sequence`; real files have up to 6, and each is one more pass over every text.
const MOST_PARTS: usize = 32;

/// The elements of a `Sequence`, of any depth a file can have, or the part itself; empty for null.
fn flatten<'v>(part: Option<&'v Value>, list: &str) -> Result<Vec<&'v Value>, String> {
    let mut parts = Vec::new();
    let mut pending: Vec<&Value> = part.into_iter().filter(|part| !part.is_null()).collect();
    while let Some(part) = pending.pop() {
        match part.get(list).and_then(Value::as_array) {
            Some(elements) if kind(part) == "Sequence" => pending.extend(elements.iter().rev()),
            _ => parts.push(part),
        }
    }
    if parts.len() > MOST_PARTS {
        return Err(format!("its {list} are {} in a row; at most {MOST_PARTS} are supported", parts.len()));
    }
    Ok(parts)
}

fn flag(part: &Value, name: &str, default: bool) -> bool {
    part.get(name).and_then(Value::as_bool).unwrap_or(default)
}

fn text<'v>(part: &'v Value, name: &str, default: &'v str) -> &'v str {
    part.get(name).and_then(Value::as_str).unwrap_or(default)
}

fn unsupported(what: &str, part: &Value, supported: &str) -> String {
    format!("the {what} {:?} is not supported; {supported} are", kind(part))
}

fn damaged(what: &str, part: &Value, error: &serde_json::Error) -> String {
    format!("the {what} {:?} is not as it should be: {error}", kind(part))
}

pub(super) fn normalizer(part: Option<&Value>) -> Result<Normalizer, String> {
    const SUPPORTED: &str = "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Replace, Prepend and Sequence";
    let steps = flatten(part, "normalizers")?.into_iter().map(|part| match kind(part) {
        "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "Strip" | "Replace" | "Prepend" | "PrependFirst" => {
            serde_json::from_value(part.clone()).map_err(|error| damaged("normalizer", part, &error))
        }
        _ => Err(unsupported("normalizer", part, SUPPORTED)),
    });
    Normalizer::new(steps.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

/// What is done to text between special tokens, and how it is cut.
pub(super) fn pre_tokenizer(part: Option<&Value>) -> Result<(Normalizer, Vec<Split>), String> {
    const SUPPORTED: &str = "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, Metaspace and Sequence";
    let (mut preparation, mut splits) = (Vec::new(), Vec::new());
    for (index, part) in flatten(part, "pretokenizers")?.into_iter().enumerate() {
        let only_first = |why: &str| {
            if index == 0 {
                Ok(())
            } else {
                Err(format!("the pre_tokenizer {:?} {why} after another is not supported", kind(part)))
            }
        };
        splits.push(match kind(part) {
            "ByteLevel" => {
                if flag(part, "add_prefix_space", true) {
                    only_first("with add_prefix_space")?;
                    preparation.push(Step::PrependOnce { prepend: " ".into(), first: false });
                }
                Split::ByteLevel { use_regex: flag(part, "use_regex", true) }
            }
            "Digits" => Split::Digits { individual_digits: flag(part, "individual_digits", false) },
            "Punctuation" if part.get("behavior").is_none() => Split::Punctuation { behavior: Behavior::Isolated },
            "Split" | "Punctuation" | "Whitespace" | "WhitespaceSplit" => {
                serde_json::from_value(part.clone()).map_err(|error| damaged("pre_tokenizer", part, &error))?
            }
            "CharDelimiterSplit" => Split::Split {
                pattern: Pattern::String(text(part, "delimiter", "").into()),
                behavior: Behavior::Removed,
                invert: false,
            },
            "Metaspace" => {
                only_first("(which changes the text)")?;
                let replacement = text(part, "replacement", "\u{2581}").to_owned();
                let old_flag = if flag(part, "add_prefix_space", true) { "always" } else { "never" };
                let scheme = text(part, "prepend_scheme", old_flag);
                let space = Pattern::String(" ".into());
                preparation.push(Step::Replace { pattern: space, content: replacement.clone() });
                match scheme {
                    "never" => {}
                    "always" | "first" => preparation
                        .push(Step::PrependOnce { prepend: replacement.clone(), first: scheme == "first" }),
                    other => return Err(format!("the pre_tokenizer Metaspace has prepend_scheme {other:?}; always, first and never are known")),
                }
                if !flag(part, "split", true) {
                    continue;
                }
                let pattern = Pattern::String(replacement);
                Split::Split { pattern, behavior: Behavior::MergedWithNext, invert: false }
            }
            _ => return Err(unsupported("pre_tokenizer", part, SUPPORTED)),
        });
    }
    Ok((Normalizer::new(preparation).map_err(|error| error.to_string())?, splits))
}

fn id_of(value: Option<&Value>, whose: &str) -> Result<u32, String> {
    let id = value.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| format!("the post_processor gives {whose:?} the id {}", value.unwrap_or(&Value::Null)))
}

/// The ids around a single text that the post-processor stands for.
pub(super) fn template(part: Option<&Value>) -> Result<(Vec<u32>, Vec<u32>), String> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for part in flatten(part, "processors")? {
        let (outer_before, outer_after) = match kind(part) {
            "ByteLevel" => continue,
            "TemplateProcessing" => template_processing(part)?,
            "RobertaProcessing" | "BertProcessing" => {
                let pair = |name: &str| id_of(part.get(name).and_then(|pair| pair.get(1)), name);
                (vec![pair("cls")?], vec![pair("sep")?])
            }
            _ => {
                return Err(unsupported(
                    "post_processor",
                    part,
                    "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing and Sequence",
                ));
            }
        };
        // Each one works on what the one before it made.
        before.splice(..0, outer_before);
        after.extend(outer_after);
    }
    Ok((before, after))
}

fn template_processing(part: &Value) -> Result<(Vec<u32>, Vec<u32>), String> {
    let (mut before, mut after, mut texts) = (Vec::new(), Vec::new(), 0);
    for element in part.get("single").and_then(Value::as_array).into_iter().flatten() {
        if element.get("Sequence").is_some() {
            texts += 1;
            continue;
        }
        let name = element.pointer("/SpecialToken/id").and_then(Value::as_str).unwrap_or_default();
        let ids = part.get("special_tokens").and_then(|tokens| tokens.get(name)).and_then(|token| token.get("ids"));
        let ids = ids.and_then(Value::as_array);
        let ids = ids.ok_or_else(|| format!("the post_processor names {name:?}, but not its ids"))?;
        for id in ids {
            let id = id_of(Some(id), name)?;
            if texts > 0 { after.push(id) } else { before.push(id) }
        }
    }
    if texts == 1 {
        Ok((before, after))
    } else {
        Err(format!("the post_processor puts the text into its template {texts} times; only once is supported"))
    }
}

/// How tokens become text; `None` where they are bytes.
pub(super) fn decoder(part: Option<&Value>, byte_level: bool) -> Result<Option<Decoder>, String> {
    let (mut decoder, mut fused) = (Decoder::default(), false);
    for part in flatten(part, "decoders")? {
        let change = match kind(part) {
            "ByteLevel" if byte_level => continue,
            _ if byte_level => {
                return Err(unsupported("decoder", part, "with a ByteLevel pre_tokenizer ByteLevel and none"));
            }
            "ByteFallback" => {
                decoder.byte_fallback = true;
                continue;
            }
            "Fuse" => {
                fused = true;
                continue;
            }
            "Replace" => match part.pointer("/pattern/String").and_then(Value::as_str) {
                Some(pattern) if !pattern.is_empty() => {
                    Change::Replace { pattern: pattern.into(), content: text(part, "content", "").into() }
                }
                _ => return Err("the decoder Replace has no pattern of type String; others are not supported".into()),
            },
            "Strip" => {
                let count = |name: &str| part.get(name).and_then(Value::as_u64).unwrap_or(0) as usize;
                let content = text(part, "content", " ").chars().next().unwrap_or(' ');
                Change::Strip { content, start: count("start"), stop: count("stop") }
            }
            "Metaspace" => {
                let replacement = text(part, "replacement", "\u{2581}").to_owned();
                let old_flag = if flag(part, "add_prefix_space", true) { "always" } else { "never" };
                if text(part, "prepend_scheme", old_flag) != "never" {
                    decoder.each.extend(replacement.chars().next().map(Change::DropInFirst));
                }
                Change::Replace { pattern: replacement, content: " ".into() }
            }
            "BPEDecoder" => {
                // The last word of a text has no space behind it.
                decoder.whole.push(Change::Strip { content: ' ', start: 0, stop: 1 });
                Change::Replace { pattern: text(part, "suffix", "</w>").into(), content: " ".into() }
            }
            _ => {
                return Err(unsupported(
                    "decoder",
                    part,
                    "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder and Sequence",
                ));
            }
        };
        if fused { decoder.whole.push(change) } else { decoder.each.push(change) }
    }
    Ok((!byte_level).then_some(decoder))
}
