//! Bytes -> pieces ("pretokens"), inside which merges happen.
//!
//! A [`Pretokenizer`] is a named scheme, any regular expression, a chain of splits, or nothing. Callers see one
//! interface; which kernel stands behind a scheme is decided here and nowhere else: the fastest of this
//! processor, or the one that the environment variable `TOKFAST_PRETOKENIZER` names (`scalar` is the readable twin).
//!
//! Invariants: pieces are never empty and join to the text, whatever its bytes, but for what a chain removes; a byte that is no valid UTF-8 counts
//! as one character that is neither letter, number nor white space (as U+FFFD is). [`Pretokenizer::is_cut`] is true
//! only where a piece begins whatever stands around the two bytes it looks at, so that texts may be cut there and
//! their parts be worked on apart.

mod chain;
mod class;
mod kernel;
mod regex;
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

impl Pretokenizer {
    /// A scheme by its name or its regular expression, any other regular expression, a chain by its splits in JSON (or
    /// "deepseek-v3"), or `None` for no cuts at all.
    pub fn new(name_or_pattern: Option<&str>) -> Result<Self> {
        let kind = match name_or_pattern {
            None => Kind::Whole,
            Some("deepseek-v3") => return Self::from_splits(&chain::deepseek_v3()),
            Some(text) if text.starts_with("[{\"type\":") => {
                let splits: Vec<Split> = serde_json::from_str(text)
                    .map_err(|error| Error::Pattern { pattern: text.into(), reason: error.to_string() })?;
                return Self::from_splits(&splits);
            }
            Some(text) => match scheme::find(text) {
                Some(scheme) => Kind::Scheme(scheme, Tier::from_environment()?),
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
            _ => None,
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Every scheme with its expression and each other spelling of it, through the general engine.
    static TWINS: LazyLock<Vec<(Pretokenizer, Pretokenizer)>> = LazyLock::new(|| {
        let mut twins = Vec::new();
        for scheme in &scheme::SCHEMES {
            for pattern in std::iter::once(&scheme.pattern).chain(scheme.spellings) {
                let general = Kind::Regex(Box::new(GeneralRegex::new(pattern).unwrap()));
                twins.push((Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) }, Pretokenizer { kind: general }));
            }
        }
        twins
    });

    fn pieces(pretokenizer: &Pretokenizer, text: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        pretokenizer
            .split(text, |start, end| {
                pieces.push(text[start..end].to_vec());
                Ok(())
            })
            .unwrap();
        pieces
    }

    /// Fragments that meet every branch of the grammar.
    const FRAGMENTS: [&str; 44] = [
        "a",
        "Z",
        "don",
        "'s",
        "'S",
        "'\u{17F}",
        "'ll",
        "'LL",
        "'lL",
        "'v",
        "'ve",
        "'",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\u{A0}",
        "\u{3000}",
        "\u{2028}",
        "1",
        "12",
        "345",
        "\u{0663}",
        "\u{2167}",
        "!",
        "?!",
        "/",
        "//",
        "_",
        "\u{301}",
        "\u{94D}",
        "\u{4E2D}\u{6587}",
        "\u{1C5}",
        "\u{2B0}",
        "\u{DF}",
        "\u{401}\u{436}",
        "\u{1F468}\u{200D}\u{1F469}",
        "\u{FE0F}",
        "\0",
        "\u{FEFF}",
        "\u{AA}",
        "\u{10FFFF}",
    ];

    fn texts() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..14).prop_map(|parts| parts.concat())
    }

    /// Mixtures of some hundred bytes, of few fragments so that they meet one another.
    fn long_texts() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 1..8).prop_flat_map(|few| {
            prop::collection::vec(prop::sample::select(few), 0..300).prop_map(|parts| parts.concat())
        })
    }

    /// Where the pieces end, by [`Pretokenizer::split_batches`].
    fn batched(pretokenizer: &Pretokenizer, room: &mut Ends, text: &[u8]) -> Vec<usize> {
        let mut all = Vec::new();
        pretokenizer
            .split_batches(room, text, |base, ends| {
                assert!(base == all.last().copied().unwrap_or(0) && !ends.is_empty() && ends.len() <= BATCH);
                all.extend(ends.iter().map(|&end| base + end as usize));
                Ok(())
            })
            .unwrap();
        all
    }

    /// Where the pieces end, by [`Pretokenizer::split`].
    fn ends(pretokenizer: &Pretokenizer, text: &[u8]) -> Vec<usize> {
        let mut all = Vec::new();
        pretokenizer
            .split(text, |_, end| {
                all.push(end);
                Ok(())
            })
            .unwrap();
        all
    }

    /// Cuts `text` with every kernel of this processor and every scheme, and compares with the readable twin.
    fn check(room: &mut Ends, text: &[u8]) {
        for scheme in &scheme::SCHEMES {
            let expected = ends(&Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) }, text);
            for tier in Tier::all() {
                let got = batched(&Pretokenizer { kind: Kind::Scheme(scheme, tier) }, room, text);
                if got != expected {
                    let at = got.iter().zip(&expected).take_while(|(got, expected)| got == expected).count();
                    let place = expected[at.min(expected.len() - 1)];
                    let around = String::from_utf8_lossy(&text[place.saturating_sub(20)..(place + 20).min(text.len())]);
                    let (got, expected) = (got.get(at), expected.get(at));
                    panic!("{} {}: {got:?}, not {expected:?} in {around:?}", scheme.name, tier.name());
                }
            }
        }
    }

    #[test]
    fn kernels_cut_borders_of_blocks_and_windows_like_the_twin() {
        let mut room = Ends::default();
        let mixture = FRAGMENTS.concat().repeat(120);
        for padding in 0..130 {
            for unit in ["a", " ", "\u{4E2D}", "!"] {
                check(&mut room, &[unit.repeat(padding).as_bytes(), mixture.as_bytes()].concat()[..2000]);
            }
        }
        // Every length, unaligned, up to the last byte of an allocation.
        for end in (0..300).chain(8150..8330).chain([mixture.len()]) {
            let text = mixture.as_bytes()[..end].to_vec().into_boxed_slice();
            check(&mut room, &text);
            check(&mut room, &text[text.len().min(1)..]);
        }
    }

    #[test]
    fn kernels_know_every_character() {
        let mut room = Ends::default();
        // Planes 4 to 13 hold no characters yet.
        let text = ('\0'..'\u{40000}')
            .chain('\u{E0000}'..'\u{E0200}')
            .flat_map(|character| format!("a{character}1 {character}").into_bytes())
            .collect::<Vec<_>>();
        check(&mut room, &text);
    }

    #[test]
    fn kernels_cut_long_runs() {
        let mut room = Ends::default();
        for unit in [
            "a",
            "A",
            "\u{4E2D}",
            "1",
            " ",
            "\n",
            " \n",
            "!",
            "!\n",
            "/",
            "\u{301}",
            "'s",
            "a's",
            "a'sA",
            "\u{4E2D}A",
            "\u{E9}",
            "\n ",
        ] {
            for (before, after) in [("", ""), ("!!", "!"), ("\u{4E2D}", "b"), ("\n", "\n"), ("\n", "a"), ("7", "1")] {
                for count in [70, 20_000 / unit.len()] {
                    check(&mut room, [before, &unit.repeat(count), after].concat().as_bytes());
                    check(
                        &mut room,
                        [after, "\n", &unit.repeat(count), before, "\n\u{4E2D}", after, &unit.repeat(count), before]
                            .concat()
                            .as_bytes(),
                    );
                }
            }
        }
    }

    #[test]
    fn batches_are_the_pieces() {
        let pretokenizer = Pretokenizer::new(Some("cl100k")).unwrap();
        let mut room = Ends::default();
        for text in ["", "a", &FRAGMENTS.concat().repeat(400)] {
            assert_eq!(batched(&pretokenizer, &mut room, text.as_bytes()), ends(&pretokenizer, text.as_bytes()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn every_scheme_equals_its_regular_expression(text in texts()) {
            for (fast, general) in TWINS.iter() {
                prop_assert_eq!(pieces(fast, text.as_bytes()), pieces(general, text.as_bytes()), "{:?}", general);
            }
        }

        #[test]
        fn any_bytes_are_cut_as_if_invalid_ones_were_replaced(bytes in prop::collection::vec(any::<u8>(), 0..40), text in texts()) {
            let mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
            for (fast, general) in TWINS.iter() {
                let fast = pieces(fast, &mixed);
                prop_assert_eq!(fast.concat(), &mixed[..]);
                prop_assert_eq!(fast, pieces(general, &mixed), "{:?}", general);
            }
        }

        #[test]
        fn kernels_cut_mixtures_like_the_twin(text in long_texts(), bytes in prop::collection::vec(any::<u8>(), 0..3), at in any::<prop::sample::Index>()) {
            let mut room = Ends::default();
            check(&mut room, text.as_bytes());
            let mut broken = text.into_bytes();
            let at = at.index(broken.len() + 1);
            broken.splice(at..at, bytes);
            check(&mut room, &broken);
        }

        #[test]
        fn only_the_last_two_pieces_change_when_a_text_goes_on(text in texts(), more in texts()) {
            for scheme in &scheme::SCHEMES {
                let pretokenizer = Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) };
                let short = pieces(&pretokenizer, text.as_bytes());
                let long = pieces(&pretokenizer, [&*text, &more].concat().as_bytes());
                let sure = short.len().saturating_sub(2);
                prop_assert_eq!(&long[..sure], &short[..sure], "{}", scheme.name);
            }
        }

        #[test]
        fn a_cut_changes_nothing(text in texts()) {
            for scheme in &scheme::SCHEMES {
                let pretokenizer = Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) };
                let text = text.as_bytes();
                let whole = pieces(&pretokenizer, text);
                for at in (0..text.len()).filter(|&at| pretokenizer.is_cut(text, at)) {
                    prop_assert_eq!(&[pieces(&pretokenizer, &text[..at]), pieces(&pretokenizer, &text[at..])].concat(), &whole, "{} {}", scheme.name, at);
                }
            }
        }
    }

    #[test]
    fn text_between_matches_is_kept() {
        let pretokenizer = Pretokenizer::new(Some(r"\d+")).unwrap();
        assert_eq!(pieces(&pretokenizer, b"ab12cd\xFF3"), [&b"ab"[..], b"12", b"cd\xFF", b"3"]);
        assert_eq!(pieces(&Pretokenizer::new(None).unwrap(), b"ab 12"), [b"ab 12"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let message = Pretokenizer::new(Some("(")).unwrap_err().to_string();
        assert!(message.contains("not a scheme name (gpt2, cl100k"), "{message}");
    }
}
