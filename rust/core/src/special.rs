//! Special tokens: strings with an id of their own, found in text only where the caller says so.
//!
//! Text is data: the spelling of a special token is ordinary text unless it is allowed, so that nobody can smuggle a
//! control token in through a document. Naive: one search per token. Idea: one Aho-Corasick automaton for all.
//! Where two tokens begin at the same place, the longer one wins.
//! Cost: one pass over the text, none where nothing is looked for.
//! Invariant: an added token that is not special (`special: false` in tokenizer.json) is always found, as in Hugging
//! Face: it is a word of the vocabulary that must not be split.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{Error, Result};

/// A string with an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its spelling in text.
    pub content: String,
    /// Its id.
    pub id: u32,
    /// `false` where it is always found in text.
    pub special: bool,
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

/// Finds some of the special tokens in text.
#[derive(Debug, Clone)]
pub struct Finder {
    automaton: Option<AhoCorasick>,
    ids: Vec<u32>,
}

impl Finder {
    /// One that finds `tokens`.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self> {
        let (contents, ids): (Vec<&str>, Vec<u32>) = tokens.into_iter().unzip();
        if contents.is_empty() {
            return Ok(Self { automaton: None, ids });
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&contents)
            .map_err(|error| Error::SpecialToken { token: contents[0].into(), reason: error.to_string() })?;
        Ok(Self { automaton: Some(automaton), ids })
    }

    /// The first occurrence in `text` at or after `from`: start, end and id.
    #[must_use]
    pub fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize, u32)> {
        let found = self.automaton.as_ref()?.find(aho_corasick::Input::new(text).range(from..))?;
        Some((found.start(), found.end(), self.ids[found.pattern().as_usize()]))
    }

    /// Calls `ordinary(start, end)` for what lies between occurrences and `special(id)` for each occurrence, in order.
    #[inline]
    pub fn split<C>(
        &self,
        context: &mut C,
        text: &[u8],
        ordinary: impl Fn(&mut C, usize, usize) -> Result<()>,
        special: impl Fn(&mut C, u32),
    ) -> Result<()> {
        let mut start = 0;
        while let Some((from, to, id)) = self.find(text, start) {
            if from > start {
                ordinary(context, start, from)?;
            }
            special(context, id);
            start = to;
        }
        if start < text.len() { ordinary(context, start, text.len()) } else { Ok(()) }
    }
}

/// The special tokens of a tokenizer.
#[derive(Debug, Clone)]
pub struct SpecialTokens {
    tokens: Vec<SpecialToken>,
    /// Finds those that are always found.
    always: Finder,
    /// Finds all.
    all: Finder,
}

impl SpecialTokens {
    /// Takes the tokens in any order; each content and each id at most once, no empty content.
    pub fn new(mut tokens: Vec<SpecialToken>) -> Result<Self> {
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
        let finder = |keep: fn(&SpecialToken) -> bool| {
            Finder::new(tokens.iter().filter(|token| keep(token)).map(|token| (token.content.as_str(), token.id)))
        };
        let (always, all) = (finder(|token| !token.special)?, finder(|_| true)?);
        Ok(Self { tokens, always, all })
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

    /// A finder of the allowed tokens and of those that are always found.
    pub fn finder(&self, allowed: Which<'_>) -> Result<std::borrow::Cow<'_, Finder>> {
        use std::borrow::Cow;
        match allowed {
            Which::All => Ok(Cow::Borrowed(&self.all)),
            Which::These(names) if !names.is_empty() => {
                let mut chosen: Vec<&SpecialToken> = self.tokens.iter().filter(|token| !token.special).collect();
                for name in names {
                    chosen.push(self.named(name)?);
                }
                Ok(Cow::Owned(Finder::new(chosen.iter().map(|token| (token.content.as_str(), token.id)))?))
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
        let token = |content: &str, id, special| SpecialToken { content: content.into(), id, special };
        SpecialTokens::new(vec![token("<s>", 7, true), token("<s><s>", 8, true), token("<tool>", 9, false)]).unwrap()
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
                |parts, id| parts.push(id.to_string()),
            )
            .unwrap();
        parts
    }

    #[test]
    fn only_what_is_allowed_is_found() {
        let tokens = tokens();
        assert_eq!(parts(&tokens.finder(Which::None).unwrap(), "a<s><tool>b"), ["a<s>", "9", "b"]);
        assert_eq!(parts(&tokens.finder(Which::All).unwrap(), "<s><s><s>"), ["8", "7"]);
        let one = ["<s>".to_string()];
        assert_eq!(parts(&tokens.finder(Which::These(&one)).unwrap(), "<s><s>"), ["7", "7"]);
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
    fn ambiguous_tokens_are_refused() {
        let token = |content: &str, id| SpecialToken { content: content.into(), id, special: true };
        for bad in [vec![token("", 1)], vec![token("a", 1), token("b", 1)], vec![token("a", 1), token("a", 2)]] {
            assert!(matches!(SpecialTokens::new(bad), Err(Error::SpecialToken { .. })));
        }
    }
}
