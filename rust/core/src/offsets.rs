//! Text -> ids, and where in the text each stands.
//!
//! Naive: decode each id and search for it. Idea: tokens join to their piece, so the lengths of the tokens, piece by
//! piece, are their places; nothing is searched and the encoder itself keeps no positions.
//! Cost: an encoding, a second cut into pieces, and 16 bytes a token. Characters are counted from a bitmap of their
//! first bytes: one bit a byte of text, and one look-up a token. ASCII needs none of it.
//! Worst case: one giant piece, as for encoding.
//! Invariant: byte spans of ordinary text neither overlap nor leave a gap inside a piece, and `text[start..end]` is the
//! token's bytes. A span in characters is the characters the token has bytes of, so two tokens that share a character
//! both span it (as in Hugging Face tokenizers). An id that stands for no text, such as a BOS, spans `(0, 0)`.
//!
//! Source: Hugging Face tokenizers 0.23.3, `tokenizer/pre_tokenizer.rs`, for the convention.

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::special::Which;
use crate::tokenizer::{EncodeOptions, Tokenizer};

/// The word of an id that the template adds.
pub const NO_WORD: u32 = u32::MAX;

/// The ids of a text and their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located {
    /// The ids.
    pub ids: Vec<u32>,
    /// For each id, the first byte of its text, and the byte after the last.
    pub spans: Vec<(usize, usize)>,
    /// For each id, the number of its piece or special token, counted from 0; [`NO_WORD`] where the template adds it.
    pub words: Vec<u32>,
}

impl Located {
    /// The number of the next piece or special token.
    fn next_word(&self) -> u32 {
        self.words.iter().rev().find(|word| **word != NO_WORD).map_or(0, |word| word + 1)
    }

    fn push(&mut self, id: u32, span: (usize, usize), word: u32) {
        self.ids.push(id);
        self.spans.push(span);
        self.words.push(word);
    }
}

impl Tokenizer {
    /// The ids of a text, as [`Self::encode`] gives them, and the bytes that each stands for.
    pub fn encode_with_offsets(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        interrupt: &Interrupt<'_>,
    ) -> Result<Located> {
        let (before, after) = if options.add_special_tokens { self.template() } else { (&[][..], &[][..]) };
        let mut located = Located::default();
        before.iter().for_each(|&id| located.push(id, (0, 0), NO_WORD));
        self.locate(text, options, usize::MAX, &mut located, interrupt)?;
        after.iter().for_each(|&id| located.push(id, (0, 0), NO_WORD));
        Ok(located)
    }

    /// Appends the ids of a text and their places, without the template's; stops soon after `enough` more of them.
    pub(crate) fn locate(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        enough: usize,
        located: &mut Located,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        self.specials().refuse(text, options.disallowed, options.allowed)?;
        if !self.is_plain() {
            return self.locate_normalized(text, options, located, interrupt);
        }
        let finder = &self.specials().finders(options.allowed)?.raw;
        let enough = located.ids.len().saturating_add(enough);
        let (mut word, mut start) = (0, 0);
        while start < text.len() && located.ids.len() < enough {
            let special = finder.find(text, start);
            let ordinary_end = special.map_or(text.len(), |(from, _, _)| from);
            self.locate_ordinary(text, (start, ordinary_end), enough, &mut word, located, interrupt)?;
            if let Some((from, to, id)) = special
                && located.ids.len() < enough
            {
                located.push(id, (from, to), word);
                word += 1;
            }
            start = special.map_or(text.len(), |(_, to, _)| to);
        }
        Ok(())
    }

    /// The same for `text[start..end]`, which holds no special token: in windows, so that a caller who wants few ids of
    /// a long text does not pay for all.
    fn locate_ordinary(
        &self,
        text: &[u8],
        (mut start, end): (usize, usize),
        enough: usize,
        word: &mut u32,
        located: &mut Located,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        let window = enough.saturating_sub(located.ids.len()).saturating_mul(8).clamp(1 << 10, 1 << 20);
        let options = EncodeOptions { allowed: Which::None, ..EncodeOptions::default() };
        while start < end && located.ids.len() < enough {
            interrupt.check()?;
            let mut stop = start.saturating_add(window).min(end);
            while stop < end && !self.pretokenizer().is_cut(text, stop) {
                stop += 1;
            }
            let part = &text[start..stop];
            let mut ids = self.encode(part, &options, interrupt)?.into_iter();
            self.pretokenizer().split(part, |from, to| {
                let mut at = from;
                while at < to {
                    let next = ids.next().and_then(|id| Some((id, self.model().token(id)?.len())));
                    let (id, len) = next.filter(|&(_, len)| at + len <= to).ok_or_else(|| {
                        Error::Internal(format!("the tokens do not join to the piece at bytes {from} to {to}"))
                    })?;
                    located.push(id, (start + at, start + at + len), *word);
                    at += len;
                }
                *word += 1;
                Ok(())
            })?;
            start = stop;
        }
        Ok(())
    }

    /// The same for a tokenizer that changes text before it cuts it, or whose tokens are not bytes: all of it at once,
    /// with the place that each byte comes from.
    fn locate_normalized(
        &self,
        text: &[u8],
        options: &EncodeOptions<'_>,
        located: &mut Located,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        let finders = self.specials().finders(options.allowed)?;
        let special = |located: &mut Located, id: u32, span: (usize, usize)| {
            let word = located.next_word();
            located.push(id, span, word);
        };
        finders.raw.split(
            located,
            text,
            |located, start, end| {
                let (normalized, places) = self.normalizer().normalize_aligned(&text[start..end], start == 0);
                let back = |from: usize, to: usize| (start + places[from].0, start + places[to - 1].1);
                finders.normalized.split(
                    located,
                    &normalized,
                    |located, from, to| {
                        let first = start == 0 && from == 0;
                        let (prepared, inner) = self.preparation().normalize_aligned(&normalized[from..to], first);
                        self.pretokenizer().split(&prepared, |piece_start, piece_end| {
                            let piece = &prepared[piece_start..piece_end];
                            let ids = self.encode_piece(piece, interrupt)?;
                            let word = located.next_word();
                            let mut at = piece_start;
                            for (&id, len) in ids.iter().zip(self.model().lengths(piece, &ids)) {
                                at = at.min(piece_end - 1);
                                let len = len.clamp(1, piece_end - at);
                                // What preparation puts in front comes from nowhere: it begins where its text begins.
                                let (from_inner, to_inner) = (inner[at].0, inner[at + len - 1].1);
                                let begin = places.get(from + from_inner).map_or(end, |place| start + place.0);
                                let last = to_inner.checked_sub(1).and_then(|last| places.get(from + last));
                                let end = last.map_or(begin, |place| start + place.1);
                                located.push(id, (begin, end.max(begin)), word);
                                at += len;
                            }
                            Ok(())
                        })
                    },
                    |located, id, from, to| special(located, id, back(from, to)),
                )
            },
            |located, id, from, to| special(located, id, (from, to)),
        )
    }
}

/// Where the characters of a text begin, for turning byte spans into character spans.
///
/// Bytes that are no valid UTF-8 count as Python's `bytes.decode("utf-8", "replace")` counts them.
#[derive(Debug, Clone)]
pub struct Characters {
    /// One bit a byte: whether a character begins there. Empty where every byte is one.
    begins: Vec<u64>,
    /// For each word of `begins`, how many characters begin before it.
    before: Vec<usize>,
}

impl Characters {
    /// Looks at all of a text.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        if text.is_ascii() {
            return Self { begins: Vec::new(), before: Vec::new() };
        }
        let mut begins = vec![0u64; text.len() / 64 + 1];
        let mut at = 0;
        for chunk in text.utf8_chunks() {
            for &byte in chunk.valid().as_bytes() {
                begins[at / 64] |= u64::from(byte & 0xC0 != 0x80) << (at % 64);
                at += 1;
            }
            if !chunk.invalid().is_empty() {
                begins[at / 64] |= 1 << (at % 64);
                at += chunk.invalid().len();
            }
        }
        let before = begins.iter().scan(0, |total, word| {
            *total += word.count_ones() as usize;
            Some(*total - word.count_ones() as usize)
        });
        Self { before: before.collect(), begins }
    }

    /// How many characters begin before this byte.
    fn rank(&self, at: usize) -> usize {
        self.before[at / 64] + (self.begins[at / 64] & ((1 << (at % 64)) - 1)).count_ones() as usize
    }

    /// The characters that a span of bytes has a part in.
    #[must_use]
    pub fn span(&self, (start, end): (usize, usize)) -> (usize, usize) {
        if self.begins.is_empty() {
            return (start, end);
        }
        let inside = self.begins[start / 64] >> (start % 64) & 1 == 0 && start < end;
        (self.rank(start) - usize::from(inside), self.rank(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretokenize::Pretokenizer;
    use crate::special::SpecialToken;
    use crate::words::{Unit, WordCounter};
    use crate::{Model, TrainOptions};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static SMALL: LazyLock<Tokenizer> = LazyLock::new(|| {
        let pretokenizer = Pretokenizer::new(Some("cl100k")).unwrap();
        let never = Interrupt::never();
        let counter = WordCounter::new(pretokenizer.clone(), &[], Unit::Document, 1).unwrap();
        counter
            .add_documents(&["low lower lowest \u{4E2D}\u{6587} <s> 12 \u{E9}t\u{E9}".as_bytes(); 3], &never)
            .unwrap();
        let words = counter.finish(&never).unwrap();
        let specials = ["<s>".to_owned()];
        Tokenizer::train(&words, pretokenizer, 275, &specials, &TrainOptions::default(), &never).unwrap()
    });

    fn located(text: &[u8], enough: usize) -> Located {
        let options = EncodeOptions { allowed: Which::All, ..EncodeOptions::default() };
        let mut located = Located::default();
        SMALL.locate(text, &options, enough, &mut located, &Interrupt::never()).unwrap();
        located
    }

    #[test]
    fn a_template_spans_nothing() {
        let tokens: Vec<([u8; 1], u32)> = (0..=255u8).map(|byte| ([byte], u32::from(byte))).collect();
        let model = Model::from_ranks(&tokens).unwrap();
        let bos = SpecialToken::new("<s>", 256, true);
        let tokenizer =
            Tokenizer::new(Pretokenizer::new(None).unwrap(), model, vec![bos], (vec![256], vec![256])).unwrap();
        let options = EncodeOptions { add_special_tokens: true, ..EncodeOptions::default() };
        let located = tokenizer.encode_with_offsets(b"ab", &options, &Interrupt::never()).unwrap();
        assert_eq!(located.ids, [256, 97, 98, 256]);
        assert_eq!(located.spans, [(0, 0), (0, 1), (1, 2), (0, 0)]);
        assert_eq!(located.words, [NO_WORD, 0, 0, NO_WORD]);
    }

    #[test]
    fn few_ids_of_a_long_text_are_found_early() {
        let text = "low lower lowest <s>".repeat(10_000);
        for enough in [1, 5, 1000] {
            let (few, all) = (located(text.as_bytes(), enough), located(text.as_bytes(), usize::MAX));
            assert!(few.ids.len() >= enough && few.ids.len() < enough + 3000, "{}", few.ids.len());
            assert_eq!(few.spans, all.spans[..few.spans.len()]);
        }
    }

    proptest! {
        #[test]
        fn spans_join_to_the_text(bytes in prop::collection::vec(any::<u8>(), 0..30), words in "(low|er|est| |<s>|\u{4E2D}|\u{E9}|[0-9]|\n){0,30}") {
            let text = [words.as_bytes(), &bytes, words.as_bytes()].concat();
            let located = located(&text, usize::MAX);
            let options = EncodeOptions { allowed: Which::All, ..EncodeOptions::default() };
            prop_assert_eq!(&located.ids, &SMALL.encode(&text, &options, &Interrupt::never()).unwrap());
            let mut at = 0;
            for (id, span) in located.ids.iter().zip(&located.spans) {
                prop_assert_eq!(span.0, at);
                prop_assert_eq!(SMALL.token_bytes(*id).unwrap(), &text[span.0..span.1]);
                at = span.1;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn characters_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..20), words in "(a|\u{4E2D}|\u{E9}|\u{1F600}){0,90}") {
            for text in [words.as_bytes().to_vec(), [words.as_bytes(), &bytes].concat()] {
                let characters = Characters::new(&text);
                let lengths: Vec<usize> = text.utf8_chunks().flat_map(|chunk| {
                    let invalid = (!chunk.invalid().is_empty()).then_some(chunk.invalid().len());
                    chunk.valid().chars().map(char::len_utf8).chain(invalid).collect::<Vec<_>>()
                }).collect();
                let mut start = 0;
                for (number, len) in lengths.iter().enumerate() {
                    for from in 0..*len {
                        for to in from + 1..=*len {
                            prop_assert_eq!(characters.span((start + from, start + to)), (number, number + 1));
                        }
                    }
                    prop_assert_eq!(characters.span((start, start)), (number, number));
                    prop_assert_eq!(characters.span((0, start)), (0, number));
                    start += len;
                }
                prop_assert_eq!(characters.span((start, start)), (lengths.len(), lengths.len()));
            }
        }
    }
}
