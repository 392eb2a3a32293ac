//! Mistral's `tekken.json`: ranks in JSON, a pattern, and special tokens before them.
//!
//! The first ids are special tokens; a token's id is its rank after them. Only as many ranks count as the vocabulary
//! has room for. Files of version 3 list no special tokens: they are those that mistral-common names, and the places
//! left over are `<SPECIAL_20>` and so on.
//!
//! Source: mistral-common 1.13.1, `tokens/tokenizers/tekken.py`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Fault;
use crate::model::Model;
use crate::pretokenize::Pretokenizer;
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct File<'f> {
    config: Config,
    #[serde(borrow)]
    vocab: Vec<Token<'f>>,
    special_tokens: Option<Vec<Special>>,
}

#[derive(Deserialize)]
struct Config {
    pattern: String,
    default_vocab_size: u32,
    default_num_special_tokens: u32,
}

#[derive(Deserialize)]
struct Token<'f> {
    rank: u32,
    token_bytes: &'f str,
}

#[derive(Deserialize)]
struct Special {
    rank: u32,
    token_str: String,
}

/// The special tokens of files that list none.
const SPECIAL_TOKENS: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// The most places for special tokens; real files have 1,000.
const MOST_RESERVED: u32 = 1 << 16;

/// Whether this JSON begins like a tekken.json.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    memchr::memmem::find(head, b"\"default_num_special_tokens\"").is_some()
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, Fault> {
    let file: File<'_> = serde_json::from_slice(bytes).map_err(|error| format!("is no tekken.json: {error}"))?;
    let Config { pattern, default_vocab_size: size, default_num_special_tokens: reserved } = file.config;
    let kept = size.checked_sub(reserved).filter(|&kept| kept as usize <= file.vocab.len()).ok_or_else(|| {
        format!("default_vocab_size is {size} with {reserved} special tokens, but {} ranks are there", file.vocab.len())
    })?;
    let mut tokens = Vec::with_capacity(kept as usize);
    for token in file.vocab.iter().filter(|token| token.rank < kept) {
        let bytes = STANDARD.decode(token.token_bytes);
        let bytes = bytes.map_err(|error| format!("the token of rank {} is not base64: {error}", token.rank))?;
        tokens.push((bytes, token.rank + reserved));
    }
    let mut specials: Vec<SpecialToken> = match file.special_tokens {
        Some(listed) => listed.into_iter().map(|token| SpecialToken::new(token.token_str, token.rank, true)).collect(),
        None => SPECIAL_TOKENS.iter().zip(0..).map(|(&text, id)| SpecialToken::new(text, id, true)).collect(),
    };
    if let Some(token) = specials.iter().find(|token| token.id >= reserved) {
        return Err(Fault::File(format!(
            "the special token {:?} has rank {}, but only {reserved} places are for special tokens",
            token.content, token.id
        )));
    }
    let listed: std::collections::HashSet<u32> = specials.iter().map(|token| token.id).collect();
    // A file of a few bytes must not ask for gigabytes.
    if reserved > MOST_RESERVED {
        return Err(Fault::File(format!(
            "default_num_special_tokens is {reserved}; at most {MOST_RESERVED} places are kept"
        )));
    }
    let fillers = (0..reserved).filter(|id| !listed.contains(id));
    specials.extend(fillers.map(|id| SpecialToken::new(format!("<SPECIAL_{id}>"), id, true)));
    let model = Model::from_ranks(&tokens)?;
    Ok(Tokenizer::new(Pretokenizer::new(Some(&pattern))?, model, specials, (Vec::new(), Vec::new()))?)
}
