//! Bytes -> pieces ("pretokens"), inside which merges happen.
//!
//! A [`Pretokenizer`] is a named scheme, any regular expression, a chain of splits, or nothing. Callers see one
//! interface; which kernel stands behind a scheme is decided here and nowhere else: the fastest of this
//! processor, or the one that the environment variable `TOKFAST_PRETOKENIZER` names (`scalar` is the readable twin).
//!
//! Invariants: pieces are never empty and join to the text, whatever its bytes, but for what a chain removes; a byte
//! that is no valid UTF-8 counts as one character that is neither letter, number nor white space (as U+FFFD is).
//! [`Pretokenizer::is_cut`] is true only where a piece begins whatever stands around the two bytes it looks at, so that
//! texts may be cut there and their parts be worked on apart.

mod chain;
mod class;
mod kernel;
mod meaning;
mod rare;
mod regex;
mod run;
mod scan;
mod scheme;
mod tier;
mod window;

pub(crate) use chain::alphabet;
pub use chain::{Behavior, Split};
pub use class::UNICODE_VERSION;

use crate::error::{Error, Result};
use crate::normalize::{Pattern, last_character};
use chain::Chain;
use regex::GeneralRegex;
use scheme::Scheme;
use tier::Tier;

#[derive(Debug, Clone)]
enum Kind {
    Whole,
    Scheme(&'static Scheme, Tier),
    Regex(Box<GeneralRegex>),
    Chain(Box<Chain>),
    /// Before each of these characters that no merge joins to the one before it.
    Before(Box<Before>),
}

/// Places where cutting changes nothing.
#[derive(Debug, Clone)]
struct Before {
    marker: String,
    /// What a merge may join to a marker behind it.
    joined: Vec<char>,
}

/// Cuts text into pieces.
///
/// # Example: the pieces of a sentence
/// ```
/// let pretokenizer = tokfast::pretokenize::Pretokenizer::new(Some("gpt2"))?;
/// let text = b"Don't panic 42!";
/// let mut pieces = Vec::new();
/// pretokenizer.split(text, |start, end| {
///     pieces.push(std::str::from_utf8(&text[start..end]).unwrap());
///     Ok(())
/// })?;
/// assert_eq!(pieces, ["Don", "'t", " panic", " 42", "!"]);
/// # Ok::<(), tokfast::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pretokenizer {
    kind: Kind,
}

/// The most pieces that [`Pretokenizer::split_batches`] hands over at a time.
pub const BATCH: usize = 4096;

/// Room for the ends of pieces, kept between calls so that a short text costs no allocation.
#[derive(Debug, Clone, Default)]
pub struct Ends(window::Room);

/// The names of the schemes.
pub fn scheme_names() -> impl Iterator<Item = &'static str> {
    scheme::SCHEMES.iter().map(|scheme| scheme.name)
}

/// Whether a pattern looks like a name that somebody got wrong: letters, digits and what joins them, nothing else.
fn is_spelled_as_a_name(text: &str) -> bool {
    text.len() > 2
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl Pretokenizer {
    /// A scheme by its name or its regular expression, any other regular expression, a chain by its splits in JSON, or
    /// `None` for no cuts at all.
    pub fn new(name_or_pattern: Option<&str>) -> Result<Self> {
        let kind = match name_or_pattern {
            None => Kind::Whole,
            Some(text) if text.starts_with("[{\"type\":") => {
                let splits: Vec<Split> = serde_json::from_str(text)
                    .map_err(|error| Error::Pattern { pattern: text.into(), reason: error.to_string() })?;
                return Self::from_splits(&splits);
            }
            Some(text) => match scheme::find(text) {
                Some(scheme) => Kind::Scheme(scheme, Tier::from_environment()?),
                None if is_spelled_as_a_name(text) => {
                    let names: Vec<&str> = scheme_names().chain(["deepseek-v3"]).collect();
                    return Err(Error::Pattern {
                        pattern: text.into(),
                        reason: format!(
                            "is no pretokenizer's name ({}), and as a regular expression would match this one word; \
                             if you want that, write (?:{text})",
                            names.join(", ")
                        ),
                    });
                }
                None => Kind::Regex(Box::new(GeneralRegex::new(text)?)),
            },
        };
        Ok(Self { kind })
    }

    /// The kernels of this processor for the named schemes, best first; the last is the readable twin.
    pub fn kernels() -> impl Iterator<Item = &'static str> {
        Tier::all().map(Tier::name)
    }

    /// The same pieces by the kernel of this name, to compare kernels.
    pub fn with_kernel(mut self, name: &str) -> Result<Self> {
        if let Kind::Scheme(_, tier) = &mut self.kind {
            *tier = Tier::by_name(name)?;
        }
        Ok(self)
    }

    /// Several splits in a row; those that come to a scheme or to one regular expression are that.
    pub fn from_splits(splits: &[Split]) -> Result<Self> {
        let last = splits.len().saturating_sub(1);
        let cutting: Vec<&Split> = splits
            .iter()
            .enumerate()
            .filter(|(index, split)| !matches!(split, Split::ByteLevel { use_regex: false } if *index == last))
            .map(|(_, split)| split)
            .collect();
        let tier = Tier::from_environment()?;
        let by_kernel = |scheme| Kind::Scheme(scheme, tier);
        let single = match cutting[..] {
            [] => return Self::new(None),
            [Split::ByteLevel { use_regex: true }] => scheme::find("gpt2").map(by_kernel),
            [Split::Split { pattern: Pattern::Regex(text), behavior, invert }] => match scheme::find_expression(text) {
                // Every character is in a match of a scheme: nothing lies between, to be removed or kept.
                Some(scheme) if (*behavior, *invert) == (Behavior::Removed, true) => Some(by_kernel(scheme)),
                Some(scheme) if *behavior == Behavior::Isolated => Some(by_kernel(scheme)),
                None if *behavior == Behavior::Isolated => Some(Kind::Regex(Box::new(GeneralRegex::new(text)?))),
                _ => None,
            },
            _ => scheme::find_chain(&cutting).map(by_kernel),
        };
        let kind = match single {
            Some(kind) => kind,
            None => Kind::Chain(Box::new(Chain::new(cutting.into_iter().cloned().collect())?)),
        };
        Ok(Self { kind })
    }

    /// The splits that say the same in a tokenizer.json.
    #[must_use]
    pub fn splits(&self) -> Vec<Split> {
        match (&self.kind, self.pattern()) {
            (Kind::Chain(chain), _) => chain.splits().to_vec(),
            (Kind::Scheme(scheme, _), _) if scheme.is_chain() => scheme.splits(),
            (_, Some(pattern)) => vec![Split::Split {
                pattern: Pattern::Regex(pattern.into()),
                behavior: Behavior::Isolated,
                invert: false,
            }],
            (_, None) => Vec::new(),
        }
    }

    /// The same without cuts, but cut before each `marker` that does not stand behind a marker or a character in
    /// `joined`: for models whose merges join no others, so that cutting changes nothing.
    pub(crate) fn or_before(self, marker: &str, joined: Vec<char>) -> Self {
        match self.kind {
            Kind::Whole => Self { kind: Kind::Before(Box::new(Before { marker: marker.into(), joined })) },
            _ => self,
        }
    }

    /// The regular expression, if there is one; of a chain its splits in JSON.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        match &self.kind {
            Kind::Whole | Kind::Before(_) => None,
            Kind::Scheme(scheme, _) => Some(scheme.pattern),
            Kind::Regex(regex) => Some(regex.pattern()),
            Kind::Chain(chain) => Some(chain.spelling()),
        }
    }

    /// Calls `piece(start, end)` for every piece of `text`, in order.
    #[inline]
    pub fn split(&self, text: &[u8], mut piece: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        match &self.kind {
            Kind::Whole if text.is_empty() => Ok(()),
            Kind::Whole => piece(0, text.len()),
            Kind::Scheme(scheme, _) => scheme.split(text, piece),
            Kind::Regex(regex) => match std::str::from_utf8(text) {
                Ok(valid) => regex.split(valid, piece),
                Err(_) => split_invalid(text, piece, |text, piece| regex.split(text, piece)),
            },
            Kind::Chain(chain) => match std::str::from_utf8(text) {
                Ok(valid) => chain.split(valid, piece),
                Err(_) => split_invalid(text, piece, |text, piece| chain.split(text, piece)),
            },
            Kind::Before(before) => before.split(text, piece),
        }
    }

    /// Calls `batch(base, ends)` for consecutive pieces: `ends` holds where they end, counted from `base`; the first
    /// begins at `base`, each other one where the one before it ends. A batch has 1 to [`BATCH`] pieces.
    ///
    /// The same pieces as [`Self::split`], faster, for callers that look ahead. A piece of 4 GiB or more is refused.
    #[inline]
    pub fn split_batches(
        &self,
        room: &mut Ends,
        text: &[u8],
        batch: impl FnMut(usize, &[u32]) -> Result<()>,
    ) -> Result<()> {
        match self.kind {
            Kind::Scheme(scheme, tier) => self.batches_by_window(scheme, tier, &mut room.0, text, batch),
            _ => self.batches_by_piece(&mut room.0.ends, text, batch),
        }
    }

    /// [`Self::split_batches`] of a scheme, by the kernel.
    fn batches_by_window(
        &self,
        scheme: &Scheme,
        tier: Tier,
        room: &mut window::Room,
        text: &[u8],
        mut batch: impl FnMut(usize, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut base = 0;
        while base < text.len() {
            let count = window::next_ends(tier, scheme, room, &text[base..]);
            if count == 0 {
                return Err(self.too_long());
            }
            let mut before = 0;
            for part in room.ends[..count].chunks_mut(BATCH) {
                if before > 0 {
                    part.iter_mut().for_each(|end| *end -= before);
                }
                let last = part[part.len() - 1];
                batch(base, part)?;
                base += last as usize;
                before += last;
            }
        }
        Ok(())
    }

    /// [`Self::split_batches`] by [`Self::split`].
    fn batches_by_piece(
        &self,
        ends: &mut Vec<u32>,
        text: &[u8],
        mut batch: impl FnMut(usize, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let (mut base, mut last) = (0, 0);
        ends.clear();
        self.split(text, |start, end| {
            // A gap, where a chain removed something, begins a new batch.
            if ends.len() == BATCH || end - base > u32::MAX as usize || start != last {
                if !ends.is_empty() {
                    batch(base, ends)?;
                    ends.clear();
                }
                base = start;
                if end - base > u32::MAX as usize {
                    return Err(self.too_long());
                }
            }
            ends.push((end - base) as u32);
            last = end;
            Ok(())
        })?;
        if ends.is_empty() { Ok(()) } else { batch(base, ends) }
    }

    fn too_long(&self) -> Error {
        Error::Pattern {
            pattern: self.pattern().unwrap_or("none").into(),
            reason: "a piece of the text has 4 GiB or more; use a pattern that cuts it".into(),
        }
    }

    /// Whether a piece begins at `text[at]` whatever stands before `at - 1` and after `at`.
    ///
    /// - Every scheme: a space after a visible ASCII character. White space begins there, and a piece that holds white
    ///   space inside holds nothing else but one character before a word.
    /// - Every scheme that cuts after line breaks: a character that is not white space after a line feed.
    #[inline]
    #[must_use]
    pub fn is_cut(&self, text: &[u8], at: usize) -> bool {
        let Kind::Scheme(scheme, _) = self.kind else { return false };
        let (Some(&before), Some(&after)) = (at.checked_sub(1).and_then(|at| text.get(at)), text.get(at)) else {
            return false;
        };
        (after == b' ' && before.is_ascii_graphic())
            || (scheme.newlines
                && before == b'\n'
                && (after.is_ascii_alphanumeric() || (after >= 0xC4 && !(0xE1..=0xE3).contains(&after))))
    }
}

impl Before {
    fn split(&self, text: &[u8], mut piece: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let mut start = 0;
        for at in memchr::memmem::find_iter(text, &self.marker) {
            let joins = at == start
                || text[..at].ends_with(self.marker.as_bytes())
                || last_character(&text[..at]).is_none_or(|(before, _)| self.joined.contains(&before));
            if !joins {
                piece(start, at)?;
                start = at;
            }
        }
        if start < text.len() { piece(start, text.len()) } else { Ok(()) }
    }
}

/// Cuts text with invalid bytes as if each were U+FFFD, and maps the cuts back.
fn split_invalid(
    text: &[u8],
    mut piece: impl FnMut(usize, usize) -> Result<()>,
    split: impl FnOnce(&str, &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let mut stand_in = String::with_capacity(text.len() + text.len() / 8);
    // Where the stand-in and the text run apart: a place in each, after every invalid byte.
    let mut jumps = vec![(0, 0)];
    let mut at = 0;
    for chunk in text.utf8_chunks() {
        stand_in.push_str(chunk.valid());
        at += chunk.valid().len();
        for _ in chunk.invalid() {
            stand_in.push(char::REPLACEMENT_CHARACTER);
            at += 1;
            jumps.push((stand_in.len(), at));
        }
    }
    let mut jump = 0;
    let mut back = |position: usize| {
        while jumps.get(jump + 1).is_some_and(|next| next.0 <= position) {
            jump += 1;
        }
        let place = jumps[jump].1 + (position - jumps[jump].0);
        // A cut inside a stand-in is one before the next byte.
        jumps.get(jump + 1).map_or(place, |next| place.min(next.1))
    };
    split(&stand_in, &mut |start, end| {
        let (start, end) = (back(start), back(end));
        if start < end { piece(start, end) } else { Ok(()) }
    })
}

#[cfg(test)]
mod tests;
