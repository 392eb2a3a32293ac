//! A vocabulary as a GGUF file without weights, which llama.cpp loads with `vocab_only`.
//!
//! llama.cpp knows pre-tokenizers by name, and for o200k and tekken it approximates their classes of characters; a
//! tokenizer that it would cut otherwise is refused. Token types and special ids are always written, and in range.

use crate::error::{Error, Result};
use crate::pretokenize::alphabet;
use crate::tokenizer::Tokenizer;

use super::header::MAGIC;
use crate::formats::directory::end_of_text;

/// Which name says what a pattern says; the scheme, llama.cpp's name where pieces are looked up first, and the other.
const NAMES: [(&str, &str, Option<&str>); 5] = [
    ("gpt2", "gpt-2", None),
    ("cl100k", "smaug-bpe", Some("llama-bpe")),
    ("qwen2", "qwen2", None),
    ("qwen3.5", "qwen35", None),
    ("deepseek-v3", "deepseek-v3", None),
];

/// Keys and values, one after the other.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    count: u64,
}

impl Keys {
    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        self.text(key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn put_text(&mut self, key: &str, text: &str) {
        self.key(key, 8);
        self.text(text);
    }

    fn put_u32(&mut self, key: &str, number: u32) {
        self.key(key, 4);
        self.bytes.extend(number.to_le_bytes());
    }

    fn put_flag(&mut self, key: &str, flag: bool) {
        self.key(key, 7);
        self.bytes.push(u8::from(flag));
    }

    fn put_texts(&mut self, key: &str, texts: &[String]) {
        self.key(key, 9);
        self.bytes.extend(8u32.to_le_bytes());
        self.bytes.extend((texts.len() as u64).to_le_bytes());
        texts.iter().for_each(|text| self.text(text));
    }

    fn put_types(&mut self, key: &str, types: &[i32]) {
        self.key(key, 9);
        self.bytes.extend(5u32.to_le_bytes());
        self.bytes.extend((types.len() as u64).to_le_bytes());
        types.iter().for_each(|kind| self.bytes.extend(kind.to_le_bytes()));
    }
}

fn refuse(reason: &str) -> Error {
    Error::TokenizerFile {
        origin: "gguf".into(),
        reason: format!("a GGUF vocabulary cannot hold this tokenizer: {reason}; save it as tokenizer.json"),
    }
}

/// llama.cpp's name for how this tokenizer cuts text.
fn pre_name(tokenizer: &Tokenizer) -> Result<&'static str> {
    let pattern = tokenizer.pretokenizer().pattern();
    for (scheme, name, lookup_first) in NAMES {
        let known = crate::pretokenize::Pretokenizer::new(Some(scheme))?;
        if pattern.is_some() && known.pattern() == pattern {
            return match (tokenizer.model().ignores_merges() && tokenizer.model().has_unreachable(), lookup_first) {
                (false, _) => Ok(name),
                (true, Some(name)) => Ok(name),
                (true, None) => Err(refuse(&format!(
                    "some tokens are reached by looking pieces up only, and llama.cpp's {name:?} does not do that"
                ))),
            };
        }
    }
    Err(refuse(match pattern {
        None => "llama.cpp has no name for no pattern at all",
        Some(pattern) if pattern.contains(r"\p{Lu}") => {
            "llama.cpp only approximates the classes of letters in the patterns of o200k and tekken (\"gpt-4o\", \"tekken\") and gives other ids for combining marks"
        }
        Some(_) => "llama.cpp knows pre-tokenizers by name, and has none for this pattern",
    }))
}

pub(in crate::formats) fn write(tokenizer: &Tokenizer) -> Result<Vec<u8>> {
    let model = tokenizer.model();
    if !tokenizer.is_plain() {
        return Err(refuse(
            "llama.cpp has no place for its normalizer, its vocabulary of characters, or special tokens that take white space along",
        ));
    }
    let pre = pre_name(tokenizer)?;
    let alphabet = alphabet();
    let spelled = |id: u32| -> Option<String> {
        model.token(id).map(|bytes| bytes.iter().map(|&byte| alphabet[byte as usize]).collect())
    };
    let (mut tokens, mut types) = (Vec::new(), Vec::new());
    for id in 0..tokenizer.vocab_size() as u32 {
        let special = tokenizer.specials().get(id);
        types.push(match special {
            Some(token) if token.special => 3,
            Some(_) => 4,
            None if model.token(id).is_some() => 1,
            None => 5,
        });
        let content = special.map(|token| token.content.clone());
        tokens.push(content.or_else(|| spelled(id)).unwrap_or_else(|| format!("[PAD{id}]")));
    }
    let merges: Vec<String> = model
        .merges()
        .iter()
        .map(|merge| {
            format!("{} {}", spelled(merge.left).unwrap_or_default(), spelled(merge.right).unwrap_or_default())
        })
        .collect();
    let (before, after) = tokenizer.template();
    if before.len() > 1 || after.len() > 1 {
        return Err(refuse("it adds several ids around a text, and llama.cpp adds at most one at each end"));
    }
    let first_special = tokenizer.specials().tokens().first().map(|token| token.id);
    let end = end_of_text(tokenizer).or(first_special);
    let mut keys = Keys::default();
    // The least that llama.cpp asks of a model; no weights are described by it.
    keys.put_text("general.architecture", "llama");
    keys.put_text("general.name", tokenizer.name().unwrap_or("tokfast vocabulary"));
    for key in ["context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"] {
        keys.put_u32(&format!("llama.{key}"), 1);
    }
    keys.key("llama.attention.layer_norm_rms_epsilon", 6);
    keys.bytes.extend(1e-5f32.to_le_bytes());
    keys.put_text("tokenizer.ggml.model", "gpt2");
    keys.put_text("tokenizer.ggml.pre", pre);
    keys.put_texts("tokenizer.ggml.tokens", &tokens);
    keys.put_types("tokenizer.ggml.token_type", &types);
    keys.put_texts("tokenizer.ggml.merges", &merges);
    // Left out, llama.cpp takes id 11 for both, which may be any token or none.
    keys.put_u32("tokenizer.ggml.bos_token_id", before.first().copied().or(end).unwrap_or(0));
    keys.put_u32("tokenizer.ggml.eos_token_id", end.or(before.first().copied()).unwrap_or(0));
    keys.put_flag("tokenizer.ggml.add_bos_token", !before.is_empty());
    keys.put_flag("tokenizer.ggml.add_eos_token", !after.is_empty());
    keys.put_flag("tokenizer.ggml.add_space_prefix", false);
    let mut file = Vec::with_capacity(keys.bytes.len() + 64);
    file.extend(MAGIC);
    file.extend(3u32.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(keys.count.to_le_bytes());
    file.extend(keys.bytes);
    // The data, of which there is none, begins at a multiple of 32.
    file.resize(file.len().next_multiple_of(32), 0);
    Ok(file)
}
