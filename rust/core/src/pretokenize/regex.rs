//! Cuts text by any regular expression.
//!
//! Naive: one backtracking engine for all. Its worst case is exponential, and it gives up on long runs.
//! Idea: a run of one class of characters is scanned by hand ([`super::run`]). Another expression without look-around or
//! possessive repeats goes to regex-automata, linear in time. The one look-ahead that nearly every tokenizer ends in,
//! `\s+(?!\S)|\s+`, is done by hand: white space is matched by `\s+`, and gives its last character back if something
//! follows it. Where a spelling hides this (possessive repeats that change nothing, another order), its form ([`meaning`])
//! is spelled again and goes the same way. What is left goes to fancy-regex, which backtracks within a limit and reports
//! when it reaches it.
//! Cost: 10-100 times that of a named scheme.
//! Invariant: text between two matches is a piece of its own (as in Hugging Face's `Split`, "Isolated"), so nothing
//! is lost; an empty match cuts nothing.

use regex_automata::{Input, meta};

use super::meaning;
use super::run::Run;
use crate::error::{Error, Result};

/// The end of an expression whose look-ahead is done by hand.
const WHITE_SPACE_ENDS: [&str; 2] = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s"];

/// A compiled expression.
#[derive(Debug, Clone)]
enum Engine {
    Run(Run),
    Linear(meta::Regex),
    /// The expression before [`WHITE_SPACE_ENDS`], and white space as the second pattern.
    WhiteSpaceLast(meta::Regex),
    Backtracking(fancy_regex::Regex),
}

/// A compiled expression and its text.
#[derive(Debug, Clone)]
pub(crate) struct GeneralRegex {
    pattern: String,
    engine: Engine,
}

/// The longest expression that is compiled, in bytes; those of real models have up to a thousand.
const LONGEST: usize = 1 << 16;

impl GeneralRegex {
    pub(crate) fn new(pattern: &str) -> Result<Self> {
        if pattern.len() > LONGEST {
            return Err(Error::Pattern {
                pattern: pattern.into(),
                reason: format!("has {} bytes; at most {LONGEST} are compiled", pattern.len()),
            });
        }
        let plain = || meta::Regex::new(pattern).ok().map(Engine::Linear);
        let by_hand = || white_space_last(pattern).map(Engine::WhiteSpaceLast);
        // What is possessive is a repeat of a repeat to regex-automata, which knows no such thing.
        let run = || Run::of(pattern).map(Engine::Run);
        let direct = if is_possessive(pattern) { None } else { run().or_else(plain).or_else(by_hand) };
        let engine = match direct.or_else(|| by_meaning(pattern)) {
            Some(engine) => engine,
            None => Engine::Backtracking(backtracking(pattern)?),
        };
        Ok(Self { pattern: pattern.into(), engine })
    }

    /// The twin that backtracks, whatever the expression.
    #[cfg(test)]
    pub(crate) fn by_backtracking(pattern: &str) -> Self {
        Self { pattern: pattern.into(), engine: Engine::Backtracking(backtracking(pattern).unwrap()) }
    }

    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Calls `matched(start, end)` for every match that is not empty.
    pub(crate) fn matches(&self, text: &str, mut matched: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let mut matched = |start, end| if start >= end { Ok(()) } else { matched(start, end) };
        match &self.engine {
            Engine::Run(run) => run.matches(text, matched),
            Engine::Linear(regex) => regex.find_iter(text).try_for_each(|found| matched(found.start(), found.end())),
            Engine::WhiteSpaceLast(regex) => {
                let mut at = 0;
                while let Some(found) = regex.search(&Input::new(text).span(at..text.len())) {
                    let (start, mut end) = (found.start(), found.end());
                    if found.pattern().as_usize() == 1 && end < text.len() {
                        let last = text[start..end].char_indices().next_back().map_or(0, |(last, _)| last);
                        end = if last > 0 { start + last } else { end };
                    }
                    matched(start, end)?;
                    // After an empty match the search goes on behind the next character.
                    at = if end > start { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) };
                    if at > text.len() {
                        break;
                    }
                }
                Ok(())
            }
            Engine::Backtracking(regex) => regex.find_iter(text).try_for_each(|found| {
                let found = found.map_err(|error| Error::Pattern {
                    pattern: self.pattern.clone(),
                    reason: format!(
                        "gave up on a text of {} bytes: {error}; use a named scheme or a simpler pattern",
                        text.len()
                    ),
                })?;
                matched(found.start(), found.end())
            }),
        }
    }

    /// Calls `piece(start, end)` for every piece of `text`.
    pub(crate) fn split(&self, text: &str, mut piece: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let mut done = 0;
        self.matches(text, |start, end| {
            if start > done {
                piece(done, start)?;
            }
            done = end;
            piece(start, end)
        })?;
        if done < text.len() { piece(done, text.len()) } else { Ok(()) }
    }
}

/// Whether there is a part that gives nothing back.
fn is_possessive(pattern: &str) -> bool {
    let is_atomic = |part: &fancy_regex::Expr| matches!(part, fancy_regex::Expr::AtomicGroup(_));
    fancy_regex::Expr::parse_tree(pattern)
        .is_ok_and(|tree| is_atomic(&tree.expr) || tree.expr.has_descendant(is_atomic))
}

/// The engine for an expression that means the same and needs no backtracking.
fn by_meaning(pattern: &str) -> Option<Engine> {
    let (before, white_space) = meaning::linear(pattern)?;
    if white_space {
        meta::Regex::new_many(&[before.as_str(), r"\s+"]).ok().map(Engine::WhiteSpaceLast)
    } else {
        meta::Regex::new(&before).ok().map(Engine::Linear)
    }
}

fn white_space_last(pattern: &str) -> Option<meta::Regex> {
    let before = WHITE_SPACE_ENDS.iter().find_map(|end| pattern.strip_suffix(end))?;
    // An open group or class would make the two parts mean something else than the whole.
    meta::Regex::new(before).ok()?;
    meta::Regex::new_many(&[before, r"\s+"]).ok()
}

fn backtracking(pattern: &str) -> Result<fancy_regex::Regex> {
    fancy_regex::Regex::new(pattern).map_err(|error| Error::Pattern {
        pattern: pattern.into(),
        reason: format!(
            "not a scheme name ({}) and not a regular expression: {error}",
            super::scheme_names().collect::<Vec<_>>().join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(regex: &GeneralRegex, text: &str) -> Vec<(usize, usize)> {
        let mut matches = Vec::new();
        regex
            .matches(text, |start, end| {
                matches.push((start, end));
                Ok(())
            })
            .unwrap();
        matches
    }

    proptest! {
        #[test]
        fn white_space_by_hand_equals_backtracking(text in "[a1 \n\t\u{3000}\u{E9}!]{0,30}") {
            for before in [r"\p{N}{1,3}", r"[^\r\n\p{L}]?\p{L}+|\s*[\r\n]+", "a*"] {
                for end in WHITE_SPACE_ENDS {
                    let pattern = format!("{before}{end}");
                    let ours = GeneralRegex::new(&pattern).unwrap();
                    prop_assert!(matches!(ours.engine, Engine::WhiteSpaceLast(_)));
                    let theirs = GeneralRegex::by_backtracking(&pattern);
                    prop_assert_eq!(matches(&ours, &text), matches(&theirs, &text), "{}", ours.pattern);
                }
            }
        }

        #[test]
        fn a_spelling_that_hides_it_equals_backtracking(text in "[a1 \n\t\u{3000}\u{E9}!'s]{0,30}") {
            for pattern in [
                r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
                r"a++|\s++$|\s+(?!\S)|\s",
                r"(?:\p{L}++1)?+|\s++",
                r"a*+",
            ] {
                let ours = GeneralRegex::new(pattern).unwrap();
                prop_assert!(!matches!(ours.engine, Engine::Backtracking(_)), "{}", pattern);
                let theirs = GeneralRegex::by_backtracking(pattern);
                prop_assert_eq!(matches(&ours, &text), matches(&theirs, &text), "{}", pattern);
            }
        }
    }
}
