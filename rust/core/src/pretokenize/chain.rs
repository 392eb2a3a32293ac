//! Several splits, one after the other: each cuts the pieces of the one before it.
//!
//! Naive: a list of strings for every split, as Hugging Face keeps. Idea: only places are kept; each piece goes on to
//! the next split at once. A list is made only where a match may belong to a neighbour.
//! Cost: each split looks at all of the text once; the regular expressions cost most. Linear, as the engines are.
//! Invariant: what a split removes is in no piece; everything else is, in order. A split after `ByteLevel` sees the
//! text in GPT-2's alphabet, one character a byte, as in Hugging Face.
//!
//! Source: Hugging Face tokenizers 0.23.3, `pre_tokenizers/` and `NormalizedString::split`.

use serde::{Deserialize, Serialize};

use super::regex::GeneralRegex;
use super::scheme::{self, Scheme};
use crate::error::{Error, Result};
use crate::normalize::Pattern;

/// What becomes of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behavior {
    /// It is left out.
    Removed,
    /// It is a piece.
    Isolated,
    /// It belongs to the piece before it.
    MergedWithPrevious,
    /// It belongs to the piece after it.
    MergedWithNext,
    /// Matches beside one another are one piece.
    Contiguous,
}

/// One split, spelled as in a tokenizer.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Split {
    /// By a text or a regular expression.
    Split {
        /// What is matched.
        pattern: Pattern,
        /// What becomes of a match.
        behavior: Behavior,
        /// Whether what is *not* matched counts as the match.
        #[serde(default)]
        invert: bool,
    },
    /// By GPT-2's expression or none; what follows sees GPT-2's alphabet.
    ByteLevel {
        /// Whether to cut by GPT-2's expression.
        use_regex: bool,
    },
    /// Digits apart from the rest.
    Digits {
        /// Each by itself.
        individual_digits: bool,
    },
    /// Punctuation apart from the rest.
    Punctuation {
        /// What becomes of it.
        behavior: Behavior,
    },
    /// Words and runs of other visible characters; white space is left out.
    Whitespace,
    /// What stands between white space.
    WhitespaceSplit,
}

/// Finds what a split looks for.
#[derive(Debug, Clone)]
enum Matcher {
    Nothing,
    Text(String),
    Scheme(&'static Scheme),
    Regex(Box<GeneralRegex>),
    Character(fn(char) -> bool),
}

#[derive(Debug, Clone)]
struct Stage {
    matcher: Matcher,
    behavior: Behavior,
    invert: bool,
}

/// Splits, ready to be used.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    spelling: String,
    splits: Vec<Split>,
    stages: Vec<Stage>,
    /// Those that see the text in GPT-2's alphabet.
    mapped: Vec<Stage>,
}

impl Chain {
    pub(crate) fn new(splits: Vec<Split>) -> Result<Self> {
        let (mut stages, mut mapped) = (Vec::with_capacity(splits.len()), Vec::new());
        let mut is_mapped = false;
        for split in &splits {
            let (matcher, behavior, invert) = match split {
                Split::Split { pattern: Pattern::String(text), behavior, invert } => {
                    if text.is_empty() {
                        return Err(Error::Pattern {
                            pattern: String::new(),
                            reason: "a split by an empty text is not supported".into(),
                        });
                    }
                    (Matcher::Text(text.clone()), *behavior, *invert)
                }
                Split::Split { pattern: Pattern::Regex(text), behavior, invert } => {
                    let matcher = match scheme::find_expression(text) {
                        Some(scheme) => Matcher::Scheme(scheme),
                        None => Matcher::Regex(Box::new(GeneralRegex::new(text)?)),
                    };
                    (matcher, *behavior, *invert)
                }
                Split::ByteLevel { use_regex } => {
                    let matcher = scheme::find("gpt2").filter(|_| *use_regex);
                    (matcher.map_or(Matcher::Nothing, Matcher::Scheme), Behavior::Isolated, false)
                }
                Split::Digits { individual_digits } => {
                    let behavior = if *individual_digits { Behavior::Isolated } else { Behavior::Contiguous };
                    (Matcher::Character(char::is_numeric), behavior, false)
                }
                Split::Punctuation { behavior } => {
                    (Matcher::Regex(Box::new(GeneralRegex::new(r"[\p{P}$+<=>^`|~]")?)), *behavior, false)
                }
                Split::Whitespace => {
                    (Matcher::Regex(Box::new(GeneralRegex::new(r"\w+|[^\w\s]+")?)), Behavior::Removed, true)
                }
                Split::WhitespaceSplit => (Matcher::Character(char::is_whitespace), Behavior::Removed, false),
            };
            let stage = Stage { matcher, behavior, invert };
            if is_mapped {
                mapped.push(stage);
            } else {
                stages.push(stage);
            }
            is_mapped |= matches!(split, Split::ByteLevel { .. });
        }
        for stages in [&mut stages, &mut mapped] {
            stages.retain(|stage| !matches!(stage.matcher, Matcher::Nothing));
        }
        let spelling = serde_json::to_string(&splits).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { spelling, splits, stages, mapped })
    }

    /// The splits in JSON, as they stand in a tokenizer.json.
    pub(crate) fn spelling(&self) -> &str {
        &self.spelling
    }

    pub(crate) fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Calls `piece(start, end)` for every piece of `text`.
    pub(crate) fn split(&self, text: &str, mut piece: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        if self.mapped.is_empty() {
            return run(&self.stages, text, 0, &mut piece);
        }
        let alphabet = alphabet();
        run(&self.stages, text, 0, &mut |start, end| {
            // One character a byte: a place in the mapped text is a count of its characters.
            let (mut mapped, mut places) = (String::with_capacity((end - start) * 2), Vec::with_capacity(end - start));
            for byte in text[start..end].bytes() {
                places.push(mapped.len());
                mapped.push(alphabet[byte as usize]);
            }
            let back = |place: usize| start + places.partition_point(|&known| known < place);
            run(&self.mapped, &mapped, 0, &mut |from, to| piece(back(from), back(to)))
        })
    }
}

/// GPT-2's alphabet: the character that stands for each byte.
pub(crate) fn alphabet() -> [char; 256] {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        if printable(byte as u8) {
            return byte as u8 as char;
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or_default()
    })
}

fn run(stages: &[Stage], text: &str, base: usize, piece: &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()> {
    let Some((stage, rest)) = stages.split_first() else {
        return if text.is_empty() { Ok(()) } else { piece(base, base + text.len()) };
    };
    let mut go_on = |start: usize, end: usize| {
        if start < end { run(rest, &text[start..end], base + start, piece) } else { Ok(()) }
    };
    if stage.behavior == Behavior::Isolated {
        return stage.parts(text, &mut |start, end, _| go_on(start, end));
    }
    let mut parts = Vec::new();
    stage.parts(text, &mut |start, end, is_match| {
        parts.push((start, end, is_match));
        Ok(())
    })?;
    stage.behave(parts).into_iter().try_for_each(|(start, end)| go_on(start, end))
}

impl Stage {
    /// Calls `part(start, end, is_match)` for what is matched and what lies between, in order, the whole text.
    fn parts(&self, text: &str, part: &mut dyn FnMut(usize, usize, bool) -> Result<()>) -> Result<()> {
        let mut done = 0;
        let mut matched = |start: usize, end: usize| {
            if start > done {
                part(done, start, self.invert)?;
            }
            done = end;
            part(start, end, !self.invert)
        };
        match &self.matcher {
            Matcher::Nothing => {}
            Matcher::Text(pattern) => {
                text.match_indices(pattern).try_for_each(|(at, found)| matched(at, at + found.len()))?;
            }
            Matcher::Character(is) => text
                .char_indices()
                .filter(|(_, character)| is(*character))
                .try_for_each(|(at, character)| matched(at, at + character.len_utf8()))?,
            Matcher::Scheme(scheme) => scheme.split(text.as_bytes(), matched)?,
            Matcher::Regex(regex) => regex.matches(text, matched)?,
        }
        if done < text.len() { part(done, text.len(), self.invert) } else { Ok(()) }
    }

    /// The pieces that matches and what lies between come to.
    fn behave(&self, parts: Vec<(usize, usize, bool)>) -> Vec<(usize, usize)> {
        let place = |part: (usize, usize, bool)| (part.0, part.1);
        let mut pieces: Vec<(usize, usize)> = Vec::with_capacity(parts.len());
        let mut matched_before = None;
        match self.behavior {
            Behavior::Isolated => pieces.extend(parts.into_iter().map(place)),
            Behavior::Removed => pieces.extend(parts.into_iter().filter(|part| !part.2).map(place)),
            Behavior::Contiguous => {
                for part in parts {
                    match pieces.last_mut() {
                        Some(last) if matched_before == Some(part.2) => last.1 = part.1,
                        _ => pieces.push(place(part)),
                    }
                    matched_before = Some(part.2);
                }
            }
            Behavior::MergedWithPrevious => {
                for part in parts {
                    match pieces.last_mut() {
                        Some(last) if part.2 && matched_before == Some(false) => last.1 = part.1,
                        _ => pieces.push(place(part)),
                    }
                    matched_before = Some(part.2);
                }
            }
            Behavior::MergedWithNext => {
                for part in parts.into_iter().rev() {
                    match pieces.last_mut() {
                        Some(last) if part.2 && matched_before == Some(false) => last.0 = part.0,
                        _ => pieces.push(place(part)),
                    }
                    matched_before = Some(part.2);
                }
                pieces.reverse();
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(splits: Vec<Split>, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        Chain::new(splits)
            .unwrap()
            .split(text, |start, end| {
                pieces.push(text[start..end].to_owned());
                Ok(())
            })
            .unwrap();
        pieces
    }

    fn by(pattern: &str, behavior: Behavior, invert: bool) -> Vec<Split> {
        vec![Split::Split { pattern: Pattern::Regex(pattern.into()), behavior, invert }]
    }

    /// The example of Hugging Face's own documentation of the behaviours.
    #[test]
    fn behaviours_are_those_of_the_documentation() {
        let text = "the-final--countdown";
        for (behavior, expected) in [
            (Behavior::Removed, vec!["the", "final", "countdown"]),
            (Behavior::Isolated, vec!["the", "-", "final", "-", "-", "countdown"]),
            (Behavior::MergedWithPrevious, vec!["the-", "final-", "-", "countdown"]),
            (Behavior::MergedWithNext, vec!["the", "-final", "-", "-countdown"]),
            (Behavior::Contiguous, vec!["the", "-", "final", "--", "countdown"]),
        ] {
            assert_eq!(pieces(by("-", behavior, false), text), expected, "{behavior:?}");
        }
        assert_eq!(pieces(by(r"\w+", Behavior::Removed, true), text), ["the", "final", "countdown"]);
    }

    #[test]
    fn each_split_cuts_the_pieces_of_the_one_before() {
        let splits = [by(r"\p{N}{1,3}", Behavior::Isolated, false), by(r"[A-Z]", Behavior::Isolated, false)].concat();
        assert_eq!(pieces(splits, "aB1234c"), ["a", "B", "123", "4", "c"]);
        let digits = vec![Split::ByteLevel { use_regex: true }, Split::Digits { individual_digits: true }];
        assert_eq!(pieces(digits, "n\u{E9}e 12 \u{4E2D}"), ["n\u{E9}e", " ", "1", "2", " \u{4E2D}"]);
        assert_eq!(pieces(vec![Split::Whitespace], "a, b\n"), ["a", ",", "b"]);
        assert_eq!(pieces(vec![Split::WhitespaceSplit], " a, b\n"), ["a,", "b"]);
    }
}
