//! Special tokens: strings with an id of their own, found in text only where the caller says so.
//!
//! Text is data: the spelling of a special token is ordinary text unless it is allowed, so that nobody can smuggle a
//! control token in through a document. Naive: one search per token. Idea: one Aho-Corasick automaton for all.
//! Where two tokens begin at the same place, the longer one wins.
//! Cost: one pass over the text, none where nothing is looked for.
//! Invariant: an added token that is not special (`special: false` in tokenizer.json) is always found, as in Hugging
//! Face: it is a word of the vocabulary that must not be split.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{Error, Result};
use crate::normalize::{Normalizer, first_character, last_character};

/// A string with an id of its own.
// The flags of the file, each on its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its spelling in text.
    pub content: String,
    /// Its id.
    pub id: u32,
    /// `false` where it is always found in text.
    pub special: bool,
    /// Whether it takes the white space before it along.
    pub lstrip: bool,
    /// Whether it takes the white space after it along.
    pub rstrip: bool,
    /// Whether it is found only where no letter or digit touches it.
    pub single_word: bool,
    /// Whether it is looked for in normalized text, spelled as the normalizer leaves it.
    pub normalized: bool,
}

impl SpecialToken {
    /// One that is found as it is spelled, and takes nothing else along.
    #[must_use]
    pub fn new(content: impl Into<String>, id: u32, special: bool) -> Self {
        Self {
            content: content.into(),
            id,
            special,
            lstrip: false,
            rstrip: false,
            single_word: false,
            normalized: false,
        }
    }
}

/// The special tokens of a tokenizer to be trained, each once; none may be empty or a single byte.
pub fn for_training(tokens: &[String]) -> Result<Vec<String>> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token.len() < 2 {
            return Err(Error::SpecialToken {
                token: token.clone(),
                reason: format!(
                    "has {} bytes, but single bytes are always in the vocabulary; give it at least two characters",
                    token.len()
                ),
            });
        }
        if !kept.contains(token) {
            kept.push(token.clone());
        }
    }
    Ok(kept)
}

/// Which special tokens are meant.
#[derive(Debug, Clone, Copy, Default)]
pub enum Which<'a> {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// These; a name that is no special token is an error.
    These(&'a [String]),
}

/// What a found token does to the text around it.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    lstrip: bool,
    rstrip: bool,
    single_word: bool,
}

/// Finds some of the special tokens in text.
#[derive(Debug, Clone, Default)]
pub struct Finder {
    automaton: Option<AhoCorasick>,
    ids: Vec<(u32, Reach)>,
}

impl Finder {
    /// One that finds `tokens`.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self> {
        let tokens = tokens.into_iter().map(|(content, id)| (content.as_bytes().into(), id, Reach::default()));
        Self::build(tokens.collect())
    }

    /// One that finds these in text that the normalizer leaves as it is.
    fn of(tokens: &[&SpecialToken], normalizer: &Normalizer) -> Result<Self> {
        let spelled = tokens.iter().map(|token| {
            // A spelling is no beginning of a text.
            let content = normalizer.normalize(token.content.as_bytes(), false);
            let reach = Reach { lstrip: token.lstrip, rstrip: token.rstrip, single_word: token.single_word };
            (content, token.id, reach)
        });
        Self::build(spelled.filter(|(content, ..)| !content.is_empty()).collect())
    }

    fn build(tokens: Vec<(Cow<'_, [u8]>, u32, Reach)>) -> Result<Self> {
        let Some(first) = tokens.first() else { return Ok(Self::default()) };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|(content, ..)| content))
            .map_err(|error| Error::SpecialToken {
                token: String::from_utf8_lossy(&first.0).into_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { automaton: Some(automaton), ids: tokens.into_iter().map(|(_, id, reach)| (id, reach)).collect() })
    }

    /// Whether there is nothing to find.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// The first occurrence in `text` at or after `from`: start, end and id.
    #[must_use]
    pub fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize, u32)> {
        let found = self.automaton.as_ref()?.find(aho_corasick::Input::new(text).range(from..))?;
        Some((found.start(), found.end(), self.ids[found.pattern().as_usize()].0))
    }

    /// Calls `ordinary(start, end)` for what lies between occurrences and `special(id, start, end)` for each occurrence,
    /// in order.
    #[inline]
    pub fn split<C>(
        &self,
        context: &mut C,
        text: &[u8],
        ordinary: impl Fn(&mut C, usize, usize) -> Result<()>,
        special: impl Fn(&mut C, u32, usize, usize),
    ) -> Result<()> {
        let mut start = 0;
        for found in self.automaton.iter().flat_map(|automaton| automaton.find_iter(text)) {
            let (id, reach) = self.ids[found.pattern().as_usize()];
            let (mut from, mut to) = (found.start(), found.end());
            if reach.single_word && (ends_in_word(&text[..from]) || begins_with_word(&text[to..])) {
                continue;
            }
            if reach.lstrip {
                // White space that the token before has taken is gone.
                while from > start
                    && let Some((before, len)) = last_character(&text[..from])
                    && before.is_whitespace()
                {
                    from -= len;
                }
                from = from.max(start);
            }
            if reach.rstrip {
                while let Some((after, len)) = first_character(&text[to..])
                    && after.is_whitespace()
                {
                    to += len;
                }
            }
            if from > start {
                ordinary(context, start, from)?;
            }
            special(context, id, from, to);
            start = to;
        }
        if start < text.len() { ordinary(context, start, text.len()) } else { Ok(()) }
    }
}

/// Whether the last character is one of those that words are made of.
fn ends_in_word(text: &[u8]) -> bool {
    last_character(text).is_some_and(|(last, _)| regex_syntax::is_word_character(last))
}

fn begins_with_word(text: &[u8]) -> bool {
    first_character(text).is_some_and(|(first, _)| regex_syntax::is_word_character(first))
}

/// A finder for text as it comes, and one for what a normalizer made of it.
#[derive(Debug, Clone, Default)]
pub struct Finders {
    /// For text as it comes.
    pub raw: Finder,
    /// For normalized text.
    pub normalized: Finder,
}

impl Finders {
    fn of(tokens: &[&SpecialToken], normalizer: &Normalizer) -> Result<Self> {
        let of = |wanted: bool, normalizer: &Normalizer| {
            let tokens: Vec<&SpecialToken> =
                tokens.iter().filter(|token| token.normalized == wanted).copied().collect();
            Finder::of(&tokens, normalizer)
        };
        Ok(Self { raw: of(false, &Normalizer::default())?, normalized: of(true, normalizer)? })
    }
}

/// The special tokens of a tokenizer.
#[derive(Debug, Clone)]
pub struct SpecialTokens {
    tokens: Vec<SpecialToken>,
    normalizer: Normalizer,
    /// Finds those that are always found.
    always: Finders,
    /// Finds all.
    all: Finders,
    /// Whether `all.raw` finds every one that is special.
    all_raw: bool,
}

impl SpecialTokens {
    /// Takes the tokens in any order; each content and each id at most once, no empty content. `normalizer`: what is
    /// done to text before those with `normalized` are looked for.
    pub fn new(mut tokens: Vec<SpecialToken>, normalizer: &Normalizer) -> Result<Self> {
        tokens.sort_by_key(|token| token.id);
        let fault =
            |token: &SpecialToken, reason: String| Err(Error::SpecialToken { token: token.content.clone(), reason });
        let mut contents = std::collections::HashSet::new();
        for (index, token) in tokens.iter().enumerate() {
            if token.content.is_empty() {
                return fault(token, format!("id {} has an empty spelling; give it at least one character", token.id));
            }
            if index > 0 && tokens[index - 1].id == token.id {
                return fault(
                    token,
                    format!("id {} is also that of {:?}; give each its own", token.id, tokens[index - 1].content),
                );
            }
            if !contents.insert(&token.content) {
                return fault(token, "is given twice with different ids; keep one".into());
            }
        }
        let finders = |keep: fn(&SpecialToken) -> bool| {
            Finders::of(&tokens.iter().filter(|token| keep(token)).collect::<Vec<_>>(), normalizer)
        };
        let (always, all) = (finders(|token| !token.special)?, finders(|_| true)?);
        let all_raw = !tokens.iter().any(|token| token.special && token.normalized);
        Ok(Self { tokens, normalizer: normalizer.clone(), always, all, all_raw })
    }

    /// Whether every token is found as it is spelled, and takes nothing else along.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        self.tokens.iter().all(|token| !(token.lstrip || token.rstrip || token.single_word || token.normalized))
    }

    /// The tokens by ascending id.
    #[must_use]
    pub fn tokens(&self) -> &[SpecialToken] {
        &self.tokens
    }

    /// The token with this id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&SpecialToken> {
        self.tokens.binary_search_by_key(&id, |token| token.id).ok().map(|index| &self.tokens[index])
    }

    fn named(&self, name: &str) -> Result<&SpecialToken> {
        self.tokens.iter().find(|token| token.content == name).ok_or_else(|| {
            let known: Vec<&str> = self.tokens.iter().take(8).map(|token| token.content.as_str()).collect();
            Error::SpecialToken {
                token: name.into(),
                reason: format!(
                    "is not a special token of this tokenizer; it has {} ({}{})",
                    self.tokens.len(),
                    known.join(", "),
                    if self.tokens.len() > known.len() { ", ..." } else { "" }
                ),
            }
        })
    }

    /// Finders of the allowed tokens and of those that are always found.
    pub fn finders(&self, allowed: Which<'_>) -> Result<Cow<'_, Finders>> {
        match allowed {
            Which::All => Ok(Cow::Borrowed(&self.all)),
            Which::These(names) if !names.is_empty() => {
                let mut chosen: Vec<&SpecialToken> = self.tokens.iter().filter(|token| !token.special).collect();
                for name in names {
                    chosen.extend(Some(self.named(name)?).filter(|token| token.special));
                }
                Ok(Cow::Owned(Finders::of(&chosen, &self.normalizer)?))
            }
            Which::None | Which::These(_) => Ok(Cow::Borrowed(&self.always)),
        }
    }

    /// Fails if `text` holds a disallowed token: one that is named, or under "all" any that is not allowed (as in
    /// tiktoken).
    pub fn refuse(&self, text: &[u8], disallowed: Which<'_>, allowed: Which<'_>) -> Result<()> {
        let allows = |name: &str| match allowed {
            Which::None => false,
            Which::All => true,
            Which::These(names) => names.iter().any(|allowed| allowed == name),
        };
        let refused: Vec<&SpecialToken> = match disallowed {
            Which::None => return Ok(()),
            // Mostly there is none at all, which takes no finder of its own.
            Which::All if self.all_raw && self.all.raw.find(text, 0).is_none() => return Ok(()),
            Which::All => self.tokens.iter().filter(|token| token.special && !allows(&token.content)).collect(),
            Which::These(names) => names.iter().map(|name| self.named(name)).collect::<Result<_>>()?,
        };
        let finder = Finder::new(refused.iter().map(|token| (token.content.as_str(), token.id)))?;
        match finder.find(text, 0) {
            None => Ok(()),
            Some((position, _, id)) => Err(Error::DisallowedSpecial {
                token: self.get(id).map(|token| token.content.clone()).unwrap_or_default(),
                position,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> SpecialTokens {
        let tokens = vec![
            SpecialToken::new("<s>", 7, true),
            SpecialToken::new("<s><s>", 8, true),
            SpecialToken::new("<tool>", 9, false),
        ];
        SpecialTokens::new(tokens, &Normalizer::default()).unwrap()
    }

    fn parts(finder: &Finder, text: &str) -> Vec<String> {
        let mut parts = Vec::new();
        finder
            .split(
                &mut parts,
                text.as_bytes(),
                |parts: &mut Vec<String>, start, end| {
                    parts.push(text[start..end].into());
                    Ok(())
                },
                |parts, id, _, _| parts.push(id.to_string()),
            )
            .unwrap();
        parts
    }

    #[test]
    fn only_what_is_allowed_is_found() {
        let tokens = tokens();
        assert_eq!(parts(&tokens.finders(Which::None).unwrap().raw, "a<s><tool>b"), ["a<s>", "9", "b"]);
        assert_eq!(parts(&tokens.finders(Which::All).unwrap().raw, "<s><s><s>"), ["8", "7"]);
        let some = ["<s>".to_string(), "<tool>".to_string()];
        assert_eq!(parts(&tokens.finders(Which::These(&some)).unwrap().raw, "<s><s><tool>"), ["7", "7", "9"]);
    }

    #[test]
    fn what_is_disallowed_is_refused() {
        let tokens = tokens();
        let allowed = ["<s>".to_string(), "<s><s>".to_string()];
        assert!(tokens.refuse(b"x<s>", Which::All, Which::These(&allowed)).is_ok());
        let message = tokens.refuse(b"x<s>", Which::All, Which::None).unwrap_err().to_string();
        assert!(message.contains("\"<s>\" at byte 1") && message.contains("allowed_special={\"<s>\"}"), "{message}");
        assert!(tokens.refuse(b"x<s>", Which::These(&allowed), Which::All).is_err(), "named wins over allowed");
        assert!(tokens.refuse(b"<tool>", Which::All, Which::None).is_ok(), "not special, always a token");
    }

    #[test]
    fn tokens_take_white_space_and_mind_their_neighbours() {
        let token = |content: &str, id, lstrip, rstrip, single_word| SpecialToken {
            lstrip,
            rstrip,
            single_word,
            ..SpecialToken::new(content, id, true)
        };
        let tokens = vec![
            token("[L]", 1, true, false, false),
            token("[R]", 2, false, true, false),
            token("w", 3, false, false, true),
        ];
        let finder = SpecialTokens::new(tokens, &Normalizer::default()).unwrap().all.raw;
        assert_eq!(parts(&finder, "a \n[L] b"), ["a", "1", " b"]);
        assert_eq!(parts(&finder, "a [R] \u{3000} [L]w"), ["a ", "2", "1", "3"]);
        assert_eq!(parts(&finder, "w ww \u{E9}w w_"), ["3", " ww \u{E9}w w_"]);
    }

    #[test]
    fn normalized_tokens_are_found_as_they_come_out() {
        use crate::normalize::Step;
        let token = SpecialToken { normalized: true, ..SpecialToken::new("\u{FB01}n", 1, false) };
        let normalizer = Normalizer::new(vec![Step::Nfkc]).unwrap();
        let tokens = SpecialTokens::new(vec![token], &normalizer).unwrap();
        let finders = tokens.finders(Which::None).unwrap();
        assert_eq!(parts(&finders.normalized, "fin"), ["1"]);
        assert_eq!(parts(&finders.raw, "fin"), ["fin"]);
    }

    #[test]
    fn ambiguous_tokens_are_refused() {
        let token = |content: &str, id| SpecialToken::new(content, id, true);
        for bad in [vec![token("", 1)], vec![token("a", 1), token("b", 1)], vec![token("a", 1), token("a", 2)]] {
            assert!(matches!(SpecialTokens::new(bad, &Normalizer::default()), Err(Error::SpecialToken { .. })));
        }
    }
}
