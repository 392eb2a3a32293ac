//! The pretokenizer patterns of real models, as one set of parameters each.
//!
//! All of them are one grammar: contractions, words with an optional first character, numbers, other characters with
//! an optional space and a tail, white space. A model differs from the next in a handful of choices, named here. A
//! new model of the family is a new row of [`SCHEMES`].
//!
//! Source: the regular expressions published with tiktoken (`openai_public.py`) and the models' tokenizer.json files.

use std::sync::LazyLock;

use super::meaning;

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
}

/// Schemes that cut alike: each has a kernel of its own, made for its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Gpt2,
    Cl100k,
    O200k,
    Qwen2,
    Qwen35,
}

/// One pretokenizer pattern.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// The regular expression, in the spelling that tokenizers, tiktoken and fancy-regex all read alike.
    pub(crate) pattern: &'static str,
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

const GPT2: Scheme = Scheme {
    name: "gpt2",
    family: Family::Gpt2,
    pattern: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
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

/// Every named scheme.
pub(crate) static SCHEMES: [Scheme; 6] = [
    GPT2,
    CL100K,
    O200K,
    // The same pattern under the name that Llama 3 users look for.
    Scheme { name: "llama3", ..CL100K },
    QWEN2,
    QWEN35,
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
    Qwen2 = QWEN2;
    Qwen35 = QWEN35;
}

/// The scheme of this name, or whose regular expression this is.
pub(crate) fn find(name_or_pattern: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name == name_or_pattern).or_else(|| find_expression(name_or_pattern))
}

/// The scheme whose regular expression this is, in any spelling: see [`meaning`].
pub(crate) fn find_expression(pattern: &str) -> Option<&'static Scheme> {
    static FORMS: LazyLock<Vec<Option<meaning::Term>>> =
        LazyLock::new(|| SCHEMES.iter().map(|scheme| meaning::of(scheme.pattern)).collect());
    SCHEMES.iter().find(|scheme| scheme.pattern == pattern).or_else(|| {
        let form = meaning::of(pattern)?;
        SCHEMES.iter().zip(FORMS.iter()).find(|(_, known)| known.as_ref() == Some(&form)).map(|(scheme, _)| scheme)
    })
}
