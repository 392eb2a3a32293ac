//! What llama.cpp's names of pre-tokenizers mean.
//!
//! The expressions are those of the models that the names come from. Where llama.cpp cuts otherwise than the model's
//! own library (it approximates the classes of o200k and tekken), the model's library is right.
//!
//! Source: llama.cpp `src/llama-vocab.cpp`, `llm_tokenizer_bpe`.

use crate::normalize::Pattern;
use crate::pretokenize::{Behavior, Pretokenizer, Split};

const DIGITS: &str = r"\p{N}";
const THREE_DIGITS: &str = "[0-9][0-9][0-9]";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|`]+";
const CJK: &str = "[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The letters of deepseek-llm: of alphabetic scripts with two cases.
const LETTERS: &str = r"\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+";
const DEEPSEEK_PUNCTUATION: &str = r"\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+";

/// The splits behind a name, and whether a piece that is a token is that token.
pub(super) fn find(name: &str) -> Option<(Vec<Split>, bool)> {
    let scheme = |name: &str| Pretokenizer::new(Some(name)).ok().map(|pretokenizer| pretokenizer.splits());
    let isolated = |patterns: &[&str]| {
        let split = |pattern: &&str| Split::Split {
            pattern: Pattern::Regex((*pattern).into()),
            behavior: Behavior::Isolated,
            invert: false,
        };
        Some(patterns.iter().map(split).collect::<Vec<_>>())
    };
    let splits = match name {
        "gpt-2" | "mpt" | "olmo" | "jais" | "phi-2" | "trillion" => scheme("gpt2"),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" | "dbrx" | "chatglm-bpe" | "glm4" | "falcon3" | "pixtral" => {
            scheme("cl100k")
        }
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" => scheme("qwen2"),
        "qwen35" => scheme("qwen3.5"),
        "gpt-4o" | "llama4" => scheme("o200k"),
        "tekken" => isolated(&[TEKKEN]),
        "deepseek-v3" => scheme("deepseek-v3"),
        "deepseek-coder" => isolated(&[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, DIGITS]),
        "deepseek-llm" => isolated(&[r"[\r\n]", LETTERS, DEEPSEEK_PUNCTUATION, r"\s+$", CJK, r"\p{N}+"]),
        "starcoder" | "refact" | "command-r" | "smollm" | "codeshell" | "exaone" | "minerva-7b" => {
            isolated(&[DIGITS, GPT2])
        }
        "falcon" => isolated(&[PUNCTUATION, GPT2, THREE_DIGITS]),
        _ => None,
    };
    splits
        .map(|splits| (splits, matches!(name, "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral" | "tekken")))
}
