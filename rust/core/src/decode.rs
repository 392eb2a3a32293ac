//! Ids -> bytes: the bytes of each token, one after the other.
//!
//! Tokens of bytes are what they stand for. Others are written for the reader of the file ("\u{2581}the", "<0x0A>"); what
//! they stand for is worked out once, when the tokenizer is made. What remains for each call is done to all of the
//! text at its end: the space that the normalizer put in front is taken away again.
//!
//! Naive: look where the token lies, then copy as many bytes as it has: two places in memory, and a copy whose length
//! nobody foresees. Idea: most tokens are short, so a [`Rows`] holds sixteen bytes for each id, its length in the last:
//! one place in memory, all sixteen always copied, and those too many cut off again.
//! Cost: 16 bytes an id, made by the first call; 8 ns an id instead of 22 (o200k, mixed text).
//!
//! Invariant: the bytes of invalid UTF-8 come back as they are; replacing them is the caller's choice.
//! Source: Hugging Face tokenizers 0.23.3, `decoders/`.

use crate::error::{Error, Result};
use crate::model::Model;
use crate::special::SpecialTokens;

/// A change of decoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Each occurrence replaced.
    Replace {
        /// What is replaced.
        pattern: String,
        /// What stands there instead.
        content: String,
    },
    /// Up to so many of a character taken away at the ends.
    Strip {
        /// The character.
        content: char,
        /// How many at the beginning.
        start: usize,
        /// How many at the end.
        stop: usize,
    },
    /// In the first token of a text, every one of this character taken away.
    DropInFirst(char),
}

/// How tokens that are not bytes become text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoder {
    /// What is done to every token by itself.
    pub each: Vec<Change>,
    /// Whether a token spelled `<0x0A>` is that byte.
    pub byte_fallback: bool,
    /// What is done to all of the text.
    pub whole: Vec<Change>,
}

/// What every id stands for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surfaces {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

/// What every id stands for, in so many bytes each: at most [`Rows::SHORT`] of the token, and how many in the last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(Vec<[u8; 16]>);

impl Rows {
    /// The longest token that fits.
    const SHORT: usize = 15;

    /// Stands in the last byte for a token that is longer, and for an id without one.
    const ELSEWHERE: u8 = u8::MAX;

    pub(crate) fn new(vocabulary: Vocabulary<'_>) -> Self {
        let row = |id| match vocabulary.token(id) {
            Some(token) if token.len() <= Self::SHORT => {
                let mut row = [0; 16];
                row[..token.len()].copy_from_slice(token);
                row[Self::SHORT] = token.len() as u8;
                row
            }
            _ => [Self::ELSEWHERE; 16],
        };
        Self((0..vocabulary.vocab_size as u32).map(row).collect())
    }
}

fn change(change: &Change, text: &mut Vec<u8>) {
    match change {
        Change::Replace { pattern, content } => {
            let mut places = memchr::memmem::find_iter(text, pattern).peekable();
            if places.peek().is_none() {
                return;
            }
            let (mut changed, mut done) = (Vec::with_capacity(text.len()), 0);
            for at in places {
                changed.extend_from_slice(&text[done..at]);
                changed.extend_from_slice(content.as_bytes());
                done = at + pattern.len();
            }
            changed.extend_from_slice(&text[done..]);
            *text = changed;
        }
        Change::Strip { content, start, stop } => {
            let mut buffer = [0; 4];
            let content = content.encode_utf8(&mut buffer).as_bytes();
            let at_start = text.chunks(content.len()).take(*start).take_while(|part| *part == content).count();
            text.drain(..at_start * content.len());
            for _ in 0..*stop {
                if text.ends_with(content) {
                    text.truncate(text.len() - content.len());
                }
            }
        }
        Change::DropInFirst(_) => {}
    }
}

/// The byte that `<0x0A>` spells.
pub(crate) fn spelled_byte(token: &[u8]) -> Option<u8> {
    let hex = token.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let two_digits = hex.len() == 2 && hex.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(hex).ok().filter(|_| two_digits).and_then(|hex| u8::from_str_radix(hex, 16).ok())
}

impl Decoder {
    /// Works out what every id stands for.
    pub(crate) fn surfaces(&self, model: &Model, specials: &SpecialTokens, vocab_size: usize) -> Surfaces {
        let mut surfaces = Surfaces::default();
        for id in 0..vocab_size as u32 {
            let start = surfaces.bytes.len();
            if let Some(bytes) = written(model, specials, id) {
                if let Some(byte) = spelled_byte(bytes).filter(|_| self.byte_fallback) {
                    surfaces.bytes.push(byte);
                } else {
                    let mut text = bytes.to_vec();
                    self.each.iter().for_each(|step| change(step, &mut text));
                    surfaces.bytes.extend(text);
                }
            }
            surfaces.spans.push((start as u32, surfaces.bytes.len() as u32));
        }
        surfaces
    }

    fn drop_in_first(&self) -> Option<char> {
        self.each.iter().find_map(|change| match change {
            Change::DropInFirst(character) => Some(*character),
            _ => None,
        })
    }
}

/// The bytes of one id as the vocabulary has them.
#[inline]
pub(crate) fn written<'t>(model: &'t Model, specials: &'t SpecialTokens, id: u32) -> Option<&'t [u8]> {
    model.token(id).or_else(|| specials.get(id).map(|token| token.content.as_bytes()))
}

/// A vocabulary, and what its ids stand for.
#[derive(Clone, Copy)]
pub(crate) struct Vocabulary<'t> {
    pub(crate) model: &'t Model,
    pub(crate) specials: &'t SpecialTokens,
    pub(crate) surfaces: Option<(&'t Decoder, &'t Surfaces)>,
    pub(crate) vocab_size: usize,
}

impl<'t> Vocabulary<'t> {
    /// The bytes that one id stands for.
    #[inline]
    pub(crate) fn token(self, id: u32) -> Option<&'t [u8]> {
        let bytes = written(self.model, self.specials, id)?;
        let Some((_, surfaces)) = self.surfaces else { return Some(bytes) };
        let &(start, end) = surfaces.spans.get(id as usize)?;
        Some(&surfaces.bytes[start as usize..end as usize])
    }

    /// Appends the bytes of all ids; fails at the first one that has none.
    pub(crate) fn decode(self, rows: &Rows, ids: &[u32], bytes: &mut Vec<u8>) -> Result<()> {
        let start = bytes.len();
        self.join(rows, ids, true, bytes)?;
        let Some((decoder, _)) = self.surfaces else { return Ok(()) };
        let mut text = bytes.split_off(start);
        decoder.whole.iter().for_each(|step| change(step, &mut text));
        bytes.append(&mut text);
        Ok(())
    }

    /// The same without what is done to all of the text. `first`: whether a text begins with these ids.
    pub(crate) fn join(self, rows: &Rows, ids: &[u32], first: bool, bytes: &mut Vec<u8>) -> Result<()> {
        let start = bytes.len();
        for (position, &id) in ids.iter().enumerate() {
            match rows.0.get(id as usize) {
                Some(row) if row[Rows::SHORT] != Rows::ELSEWHERE => {
                    let end = bytes.len() + usize::from(row[Rows::SHORT]);
                    bytes.extend_from_slice(row);
                    bytes.truncate(end);
                }
                _ => {
                    let missing = || Error::TokenId { id: i128::from(id), position, vocab_size: self.vocab_size };
                    bytes.extend_from_slice(self.token(id).ok_or_else(missing)?);
                }
            }
        }
        let dropped = self.surfaces.filter(|_| first).and_then(|(decoder, _)| decoder.drop_in_first());
        if let (Some(dropped), Some(&first)) = (dropped, ids.first()) {
            let kept = String::from_utf8_lossy(written(self.model, self.specials, first).unwrap_or_default());
            let len = self.token(first).map_or(0, <[u8]>::len);
            bytes.splice(start..start + len, kept.replace(dropped, "").into_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(step: &Change, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        change(step, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_changed_as_described() {
        let replace = Change::Replace { pattern: "\u{2581}".into(), content: " ".into() };
        assert_eq!(changed(&replace, "\u{2581}\u{2581}a\u{2581}"), "  a ");
        let strip = |start, stop| Change::Strip { content: ' ', start, stop };
        assert_eq!(changed(&strip(1, 0), "  a "), " a ");
        assert_eq!(changed(&strip(9, 9), "  a "), "a");
        assert_eq!(changed(&strip(1, 1), "a"), "a");
    }

    #[test]
    fn bytes_are_spelled_in_hexadecimal() {
        assert_eq!((spelled_byte(b"<0x0A>"), spelled_byte(b"<0xff>")), (Some(10), Some(255)));
        assert!([&b"<0x>"[..], b"<0x0A", b"<0x+1>", b"<0x0AA>"].into_iter().all(|token| spelled_byte(token).is_none()));
    }
}
