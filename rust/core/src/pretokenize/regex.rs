//! Cuts text by any regular expression.
//!
//! Naive: one backtracking engine for all. Its worst case is exponential, and it gives up on long runs.
//! Idea: an expression without look-around or possessive repeats goes to regex-automata, linear in time; the rest to
//! fancy-regex, which backtracks within a limit and reports when it reaches it.
//! Cost: 10-100 times that of a named scheme.
//! Invariant: text between two matches is a piece of its own (as in Hugging Face's `Split`, "Isolated"), so nothing
//! is lost; an empty match cuts nothing.

use crate::error::{Error, Result};

/// A compiled expression.
#[derive(Debug, Clone)]
enum Engine {
    Linear(regex_automata::meta::Regex),
    Backtracking(fancy_regex::Regex),
}

/// A compiled expression and its text.
#[derive(Debug, Clone)]
pub(crate) struct GeneralRegex {
    pattern: String,
    engine: Engine,
}

impl GeneralRegex {
    pub(crate) fn new(pattern: &str) -> Result<Self> {
        let engine = match regex_automata::meta::Regex::new(pattern) {
            Ok(regex) => Engine::Linear(regex),
            Err(_) => Engine::Backtracking(fancy_regex::Regex::new(pattern).map_err(|error| Error::Pattern {
                pattern: pattern.into(),
                reason: format!(
                    "not a scheme name ({}) and not a regular expression: {error}",
                    super::scheme_names().collect::<Vec<_>>().join(", ")
                ),
            })?),
        };
        Ok(Self { pattern: pattern.into(), engine })
    }

    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Calls `piece(start, end)` for every piece of `text`.
    pub(crate) fn split(&self, text: &str, mut piece: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let mut done = 0;
        let mut matched = |start: usize, end: usize| -> Result<()> {
            if start == end {
                return Ok(());
            }
            if start > done {
                piece(done, start)?;
            }
            done = end;
            piece(start, end)
        };
        match &self.engine {
            Engine::Linear(regex) => regex.find_iter(text).try_for_each(|found| matched(found.start(), found.end()))?,
            Engine::Backtracking(regex) => regex.find_iter(text).try_for_each(|found| {
                let found = found.map_err(|error| Error::Pattern {
                    pattern: self.pattern.clone(),
                    reason: format!(
                        "gave up on a text of {} bytes: {error}; use a named scheme or a simpler pattern",
                        text.len()
                    ),
                })?;
                matched(found.start(), found.end())
            })?,
        }
        if done < text.len() { piece(done, text.len()) } else { Ok(()) }
    }
}
