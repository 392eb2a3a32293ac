//! The pretokenizer patterns of real models, as one set of parameters each.
//!
//! All of them are one grammar: contractions, words with an optional first character, numbers, other characters with
//! an optional space and a tail, white space. A model differs from the next in a handful of choices, named here. A
//! new model of the family is a new row of [`SCHEMES`].
//!
//! Some models split twice or thrice: first numbers off, or runs of Han and Kana, then the rest by such a pattern. That
//! is a parameter, too ([`Apart`]); as a chain of regular expressions the same takes 11-57 MB/s instead of 1.3-3.2 GB/s.
//!
//! Source: the regular expressions published with tiktoken (`openai_public.py`) and the models' tokenizer.json files.

use std::sync::LazyLock;

use super::chain::{Behavior, Split};
use super::class::classes;
use super::meaning;
use crate::normalize::Pattern;

/// What a word is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// `\p{L}+`
    Letters,
    /// `[\p{L}\p{M}]+`
    LettersAndMarks,
    /// Upper case before lower case; a word ends where upper case begins again (o200k).
    Cased,
}

/// What may stand before a word as part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// One space; also before a number (gpt2).
    Space,
    /// One character that is no letter, number or line break.
    Any,
    /// The same but for symbols and punctuation, of which those of ASCII may stand before a run of ASCII letters
    /// (deepseek-v3).
    NoSymbol,
}

/// Where `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d` go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contractions {
    /// A piece of their own, in lower case only.
    Exact,
    /// A piece of their own, in any case.
    AnyCase,
    /// The end of the word before them, in any case.
    Suffix,
    /// They are nothing special.
    None,
}

/// What is split off before the rest is looked at, so that the text ends for the pattern where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    Nothing,
    Numbers,
    NumbersHanAndKana,
}

/// Schemes that cut alike: each has a kernel of its own, made for its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Gpt2,
    Cl100k,
    O200k,
    Tekken,
    Qwen2,
    Qwen35,
    DeepseekV3,
    Starcoder,
}

/// One pretokenizer pattern.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// The regular expression, in the spelling that tokenizers, tiktoken and fancy-regex all read alike; of several
    /// splits, all isolated, their JSON.
    pub(crate) pattern: &'static str,
    /// How it sees each stand-in.
    pub(crate) classes: [u8; 256],
    pub(crate) apart: Apart,
    pub(crate) words: Words,
    pub(crate) prefix: Prefix,
    pub(crate) contractions: Contractions,
    /// How many digits a piece holds; `usize::MAX` for all of them.
    pub(crate) digits: usize,
    /// What is taken along after other characters: `[\r\n]*` and the like.
    pub(crate) tail: &'static [u8],
    /// Whether white space is cut after its last line break (`\s*[\r\n]+`).
    pub(crate) newlines: bool,
}

impl Scheme {
    /// Whether it cuts the text several times.
    pub(crate) fn is_chain(&self) -> bool {
        self.apart != Apart::Nothing
    }

    /// The splits of a chain.
    pub(crate) fn splits(&self) -> Vec<Split> {
        serde_json::from_str(self.pattern).unwrap_or_default()
    }
}

macro_rules! contractions_any_case {
    () => {
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    };
}
macro_rules! white_space {
    () => {
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    };
}
macro_rules! upper {
    () => {
        r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
    };
}
macro_rules! lower {
    () => {
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    };
}

const CL100K: Scheme = Scheme {
    name: "cl100k",
    family: Family::Cl100k,
    pattern: concat!(
        contractions_any_case!(),
        r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|",
        white_space!()
    ),
    classes: classes(false, false),
    apart: Apart::Nothing,
    words: Words::Letters,
    prefix: Prefix::Any,
    contractions: Contractions::AnyCase,
    digits: 3,
    tail: b"\r\n",
    newlines: true,
};

const O200K: Scheme = Scheme {
    name: "o200k",
    family: Family::O200k,
    pattern: concat!(
        r"[^\r\n\p{L}\p{N}]?",
        upper!(),
        "*",
        lower!(),
        "+",
        contractions_any_case!(),
        r"?|[^\r\n\p{L}\p{N}]?",
        upper!(),
        "+",
        lower!(),
        "*",
        contractions_any_case!(),
        r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
        white_space!()
    ),
    words: Words::Cased,
    contractions: Contractions::Suffix,
    tail: b"\r\n/",
    ..CL100K
};

/// Mistral's.
const TEKKEN: Scheme = Scheme {
    name: "tekken",
    family: Family::Tekken,
    pattern: concat!(
        r"[^\r\n\p{L}\p{N}]?",
        upper!(),
        "*",
        lower!(),
        r"+|[^\r\n\p{L}\p{N}]?",
        upper!(),
        "+",
        lower!(),
        r"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
        white_space!()
    ),
    contractions: Contractions::None,
    digits: 1,
    ..O200K
};

const GPT2: Scheme = Scheme {
    name: "gpt2",
    family: Family::Gpt2,
    pattern: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    classes: classes(false, false),
    apart: Apart::Nothing,
    words: Words::Letters,
    prefix: Prefix::Space,
    contractions: Contractions::Exact,
    digits: usize::MAX,
    tail: b"",
    newlines: false,
};

const QWEN2: Scheme = Scheme {
    name: "qwen2",
    family: Family::Qwen2,
    pattern: concat!(
        contractions_any_case!(),
        r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|",
        white_space!()
    ),
    digits: 1,
    ..CL100K
};

const QWEN35: Scheme = Scheme {
    name: "qwen3.5",
    family: Family::Qwen35,
    pattern: concat!(
        contractions_any_case!(),
        r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|",
        white_space!()
    ),
    words: Words::LettersAndMarks,
    digits: 1,
    ..CL100K
};

macro_rules! isolated {
    ($($pattern:expr),*) => {
        concat!("[", isolated!(@ $($pattern),*), "]")
    };
    (@ $first:expr) => {
        concat!(r#"{"type":"Split","pattern":{"Regex":""#, $first, r#""},"behavior":"Isolated","invert":false}"#)
    };
    (@ $first:expr, $($pattern:expr),*) => {
        concat!(isolated!(@ $first), ",", isolated!(@ $($pattern),*))
    };
}

/// Of `DeepSeek` V3 and V4.
const DEEPSEEK_V3: Scheme = Scheme {
    name: "deepseek-v3",
    family: Family::DeepseekV3,
    pattern: isolated!(
        r"\\p{N}{1,3}",
        "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
        concat!(
            r##"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"##,
            r"[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|",
            r"\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
        )
    ),
    classes: classes(true, true),
    apart: Apart::NumbersHanAndKana,
    words: Words::LettersAndMarks,
    prefix: Prefix::NoSymbol,
    contractions: Contractions::None,
    ..CL100K
};

/// Of `StarCoder` and those that follow it: single digits, then [`GPT2`].
const STARCODER: Scheme = Scheme {
    name: "starcoder",
    family: Family::Starcoder,
    pattern: isolated!(r"\\p{N}", r"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
    apart: Apart::Numbers,
    digits: 1,
    ..GPT2
};

/// Every named scheme.
pub(crate) static SCHEMES: [Scheme; 9] = [
    GPT2,
    CL100K,
    O200K,
    // The same pattern under the name that Llama 3 users look for.
    Scheme { name: "llama3", ..CL100K },
    QWEN2,
    QWEN35,
    TEKKEN,
    DEEPSEEK_V3,
    STARCODER,
];

/// A scheme known at compile time, for kernels made for one.
pub(crate) trait Fixed {
    const SCHEME: Scheme;
}

macro_rules! fixed {
    ($($name:ident = $scheme:expr;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;
        impl Fixed for $name {
            const SCHEME: Scheme = $scheme;
        }
    )*};
}
fixed! {
    Gpt2 = GPT2;
    Cl100k = CL100K;
    O200k = O200K;
    Tekken = TEKKEN;
    Qwen2 = QWEN2;
    Qwen35 = QWEN35;
    DeepseekV3 = DEEPSEEK_V3;
    Starcoder = STARCODER;
}

/// The scheme of this name, or whose regular expression this is.
pub(crate) fn find(name_or_pattern: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name == name_or_pattern).or_else(|| find_expression(name_or_pattern))
}

/// The scheme whose regular expression this is, in any spelling: see [`meaning`].
pub(crate) fn find_expression(pattern: &str) -> Option<&'static Scheme> {
    static FORMS: LazyLock<Vec<(&Scheme, Option<meaning::Term>)>> = LazyLock::new(|| {
        SCHEMES.iter().filter(|scheme| !scheme.is_chain()).map(|scheme| (scheme, meaning::of(scheme.pattern))).collect()
    });
    SCHEMES.iter().find(|scheme| scheme.pattern == pattern && !scheme.is_chain()).or_else(|| {
        let form = meaning::of(pattern)?;
        FORMS.iter().find(|(_, known)| known.as_ref() == Some(&form)).map(|(scheme, _)| *scheme)
    })
}

/// The scheme that is these splits, in any spelling.
pub(crate) fn find_chain(splits: &[&Split]) -> Option<&'static Scheme> {
    type Forms = Vec<(&'static Scheme, Option<Vec<meaning::Term>>)>;
    static FORMS: LazyLock<Forms> = LazyLock::new(|| {
        let chains = SCHEMES.iter().filter(|scheme| scheme.is_chain());
        chains.map(|scheme| (scheme, scheme.splits().iter().map(meaning_of_split).collect())).collect()
    });
    let form = Some(splits.iter().map(|split| meaning_of_split(split)).collect::<Option<Vec<_>>>()?);
    FORMS.iter().find(|(_, known)| *known == form).map(|(scheme, _)| *scheme)
}

/// What a split isolates, if it does that.
fn meaning_of_split(split: &Split) -> Option<meaning::Term> {
    match split {
        Split::Split { pattern: Pattern::Regex(text), behavior: Behavior::Isolated, invert: false } => {
            meaning::of(text)
        }
        Split::ByteLevel { use_regex: true } => meaning::of(GPT2.pattern),
        Split::Digits { individual_digits: true } => meaning::of(r"\p{N}"),
        _ => None,
    }
}
