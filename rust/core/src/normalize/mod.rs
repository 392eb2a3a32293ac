//! Text -> the text that a tokenizer reads: Unicode normal forms, replaced and added characters.
//!
//! Naive: a new string for every step. Idea: most text is normal already, so a step that changes nothing borrows; only
//! where something changes is a string made.
//! Cost: one look at each character for a normal form (ASCII is passed over at once), one search for a replacement.
//! Invariant: bytes that are no valid UTF-8 stay as they are, and the valid text between them is normalized piece by
//! piece; a tokenizer without steps gets the very same slice.
//!
//! Source: Hugging Face tokenizers 0.23.3, `normalizers/`, for what each step means. The tables of the normal forms are
//! those of the very crate it uses (Unicode 9): newer ones compose and decompose 16 x 64 code points more, and so give
//! models other ids than they were trained with.

mod aligned;
mod inert;

pub use aligned::Place;

use std::borrow::Cow;

use inert::is_normal;
use regex_automata::meta::Regex;
use serde::{Deserialize, Serialize};
use unicode_normalization_alignments::{
    IsNormalized, UnicodeNormalization, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use crate::error::{Error, Result};

/// What is looked for: the text itself, or a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// This text.
    String(String),
    /// What this expression matches.
    Regex(String),
}

/// One change of the text, spelled as in a tokenizer.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Step {
    /// Canonical decomposition, then composition.
    #[serde(rename = "NFC")]
    Nfc,
    /// Canonical decomposition.
    #[serde(rename = "NFD")]
    Nfd,
    /// Compatibility decomposition, then composition.
    #[serde(rename = "NFKC")]
    Nfkc,
    /// Compatibility decomposition.
    #[serde(rename = "NFKD")]
    Nfkd,
    /// Every character in lower case.
    Lowercase,
    /// No white space at the ends.
    Strip {
        /// At the beginning.
        strip_left: bool,
        /// At the end.
        strip_right: bool,
    },
    /// Each occurrence replaced.
    Replace {
        /// What is replaced.
        pattern: Pattern,
        /// What stands there instead.
        content: String,
    },
    /// Something in front of a text that is not empty.
    Prepend {
        /// What is put there.
        prepend: String,
    },
    /// Something in front of what begins the whole text.
    PrependFirst {
        /// What is put there.
        prepend: String,
    },
    /// The same as `Prepend`, unless the text begins with it already.
    PrependOnce {
        /// What is put there.
        prepend: String,
        /// Whether only to what stands at the very beginning of the whole text.
        first: bool,
    },
}

#[derive(Debug, Clone)]
enum Compiled {
    /// As the step says.
    Plain,
    Expression(Box<Regex>),
}

/// The steps, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    steps: Vec<(Step, Compiled)>,
}

impl PartialEq for Normalizer {
    fn eq(&self, other: &Self) -> bool {
        self.steps().eq(other.steps())
    }
}

impl Normalizer {
    /// One of these steps.
    pub fn new(steps: Vec<Step>) -> Result<Self> {
        let compile = |step: Step| {
            let compiled = match &step {
                Step::Replace { pattern: Pattern::Regex(text), .. } => {
                    let regex = Regex::new(text)
                        .map_err(|error| Error::Pattern { pattern: text.clone(), reason: error.to_string() })?;
                    Compiled::Expression(Box::new(regex))
                }
                Step::Replace { pattern: Pattern::String(text), .. } if text.is_empty() => {
                    return Err(Error::Pattern {
                        pattern: text.clone(),
                        reason: "a normalizer that replaces an empty text is not supported".into(),
                    });
                }
                _ => Compiled::Plain,
            };
            Ok((step, compiled))
        };
        Ok(Self { steps: steps.into_iter().map(compile).collect::<Result<_>>()? })
    }

    /// Whether nothing is ever changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(step, _)| step)
    }

    /// The text after all steps. `first`: whether it stands at the very beginning of the whole text.
    #[must_use]
    pub fn normalize<'t>(&self, text: &'t [u8], first: bool) -> Cow<'t, [u8]> {
        let mut text = Cow::Borrowed(text);
        for (step, compiled) in &self.steps {
            let changed = match &text {
                Cow::Borrowed(text) => apply(step, compiled, text, first),
                Cow::Owned(text) => match apply(step, compiled, text, first) {
                    Cow::Borrowed(same) if same.len() == text.len() => continue,
                    other => Cow::Owned(other.into_owned()),
                },
            };
            text = changed;
        }
        text
    }
}

fn apply<'t>(step: &Step, compiled: &Compiled, text: &'t [u8], first: bool) -> Cow<'t, [u8]> {
    let prepended = |prepend: &str| Cow::Owned([prepend.as_bytes(), text].concat());
    match step {
        Step::Prepend { prepend } if !text.is_empty() => prepended(prepend),
        Step::PrependFirst { prepend } if first && !text.is_empty() => prepended(prepend),
        Step::PrependOnce { prepend, first: only }
            if !text.is_empty() && !text.starts_with(prepend.as_bytes()) && (first || !only) =>
        {
            prepended(prepend)
        }
        Step::Prepend { .. } | Step::PrependFirst { .. } | Step::PrependOnce { .. } => Cow::Borrowed(text),
        Step::Strip { strip_left, strip_right } => {
            let mut text = text;
            while *strip_left
                && let Some((character, len)) = first_character(text)
                && character.is_whitespace()
            {
                text = &text[len..];
            }
            while *strip_right
                && let Some((character, len)) = last_character(text)
                && character.is_whitespace()
            {
                text = &text[..text.len() - len];
            }
            Cow::Borrowed(text)
        }
        Step::Replace { pattern: Pattern::String(pattern), content } => {
            let places = memchr::memmem::find_iter(text, pattern).map(|start| (start, start + pattern.len()));
            replace(text, places, content)
        }
        Step::Replace { pattern: Pattern::Regex(_), content } => each_valid(text, |text| match compiled {
            Compiled::Expression(regex) => {
                let places = regex.find_iter(text).map(|found| (found.start(), found.end()));
                as_text(text, replace(text.as_bytes(), places, content))
            }
            Compiled::Plain => Cow::Borrowed(text),
        }),
        Step::Nfc if is_normal(text) => Cow::Borrowed(text),
        Step::Nfc => each_valid(text, |text| Cow::Owned(only_characters(text.nfc()))),
        Step::Nfd => each_valid(text, |text| form(text, &is_nfd_quick(text.chars()), || only_characters(text.nfd()))),
        Step::Nfkc => {
            each_valid(text, |text| form(text, &is_nfkc_quick(text.chars()), || only_characters(text.nfkc())))
        }
        Step::Nfkd => {
            each_valid(text, |text| form(text, &is_nfkd_quick(text.chars()), || only_characters(text.nfkd())))
        }
        Step::Lowercase => each_valid(text, |text| {
            // Character by character: a sigma at the end of a word is as any other.
            if text.chars().all(|character| character.to_lowercase().eq([character])) {
                Cow::Borrowed(text)
            } else {
                Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
            }
        }),
    }
}

fn only_characters(formed: impl Iterator<Item = (char, isize)>) -> String {
    formed.map(|(character, _)| character).collect()
}

fn form<'t>(text: &'t str, quick: &IsNormalized, collect: impl FnOnce() -> String) -> Cow<'t, str> {
    if *quick == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    let formed = collect();
    if formed == text { Cow::Borrowed(text) } else { Cow::Owned(formed) }
}

fn as_text<'t>(text: &'t str, replaced: Cow<'t, [u8]>) -> Cow<'t, str> {
    match replaced {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn replace<'t>(text: &'t [u8], places: impl Iterator<Item = (usize, usize)>, content: &str) -> Cow<'t, [u8]> {
    let (mut replaced, mut done) = (None, 0);
    for (start, end) in places {
        let replaced: &mut Vec<u8> = replaced.get_or_insert_with(|| Vec::with_capacity(text.len() + text.len() / 4));
        replaced.extend_from_slice(&text[done..start]);
        replaced.extend_from_slice(content.as_bytes());
        done = end;
    }
    match replaced {
        None => Cow::Borrowed(text),
        Some(mut replaced) => {
            replaced.extend_from_slice(&text[done..]);
            Cow::Owned(replaced)
        }
    }
}

/// Changes each stretch of valid UTF-8 that is not plain ASCII control of nothing; keeps the bytes between.
fn each_valid(text: &[u8], change: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, [u8]> {
    if let Ok(text) = std::str::from_utf8(text) {
        return match change(text) {
            Cow::Borrowed(same) => Cow::Borrowed(same.as_bytes()),
            Cow::Owned(changed) => Cow::Owned(changed.into_bytes()),
        };
    }
    let mut changed = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        changed.extend_from_slice(change(chunk.valid()).as_bytes());
        changed.extend_from_slice(chunk.invalid());
    }
    if changed == text { Cow::Borrowed(text) } else { Cow::Owned(changed) }
}

/// The first character and its length, if the text begins with valid UTF-8.
pub(crate) fn first_character(text: &[u8]) -> Option<(char, usize)> {
    let chunk = text[..text.len().min(4)].utf8_chunks().next()?;
    chunk.valid().chars().next().map(|character| (character, character.len_utf8()))
}

/// The last character and its length, if the text ends in valid UTF-8.
pub(crate) fn last_character(text: &[u8]) -> Option<(char, usize)> {
    let start = (1..=text.len().min(4)).map(|len| text.len() - len).find(|&at| text[at] & 0xC0 != 0x80)?;
    let character = std::str::from_utf8(&text[start..]).ok()?.chars().next()?;
    Some((character, character.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(steps: Vec<Step>, text: &[u8]) -> Vec<u8> {
        Normalizer::new(steps).unwrap().normalize(text, true).into_owned()
    }

    #[test]
    fn forms_change_valid_text_only() {
        assert_eq!(normalize(vec![Step::Nfc], "e\u{301}".as_bytes()), "\u{E9}".as_bytes());
        assert_eq!(normalize(vec![Step::Nfkc], b"\xFF\xEF\xAC\x81\xFF"), b"\xFFfi\xFF");
        assert_eq!(normalize(vec![Step::Nfd], "\u{E9}".as_bytes()), "e\u{301}".as_bytes());
        assert_eq!(normalize(vec![Step::Nfkd, Step::Lowercase], "\u{2168}".as_bytes()), b"ix");
        let normalizer = Normalizer::new(vec![Step::Nfc, Step::Lowercase]).unwrap();
        assert!(matches!(normalizer.normalize("plain \u{E9}".as_bytes(), true), Cow::Borrowed(_)));
    }

    #[test]
    fn spaces_become_a_visible_character() {
        let space = Step::Replace { pattern: Pattern::String(" ".into()), content: "\u{2581}".into() };
        let steps = vec![Step::Prepend { prepend: "\u{2581}".into() }, space];
        assert_eq!(normalize(steps.clone(), b" a b"), "\u{2581}\u{2581}a\u{2581}b".as_bytes());
        assert_eq!(normalize(steps, b""), b"");
        let runs = Step::Replace { pattern: Pattern::Regex(r"\s+".into()), content: " ".into() };
        assert_eq!(normalize(vec![runs], b"a \n b\xFF  "), b"a b\xFF ");
    }

    #[test]
    fn a_space_in_front_stands_there_once() {
        let once = |first| vec![Step::PrependOnce { prepend: " ".into(), first }];
        assert_eq!(normalize(once(false), b"a"), b" a");
        assert_eq!(normalize(once(false), b" a"), b" a");
        let normalizer = Normalizer::new(once(true)).unwrap();
        assert_eq!(&*normalizer.normalize(b"a", false), b"a");
    }

    #[test]
    fn ends_are_stripped() {
        let strip = vec![Step::Strip { strip_left: true, strip_right: true }];
        assert_eq!(normalize(strip.clone(), "\u{3000}\n a \u{A0}".as_bytes()), b"a");
        assert_eq!(normalize(strip, b"\xFF \xFF"), b"\xFF \xFF");
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        for pattern in [Pattern::Regex("(".into()), Pattern::String(String::new())] {
            let step = Step::Replace { pattern, content: "x".into() };
            assert!(matches!(Normalizer::new(vec![step]), Err(Error::Pattern { .. })));
        }
    }
}
