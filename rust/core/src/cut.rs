//! Text -> the longest part of it that has so many tokens, and a text in parts of so many tokens.
//!
//! Naive: cut the ids and decode them. That can cut a character in two, and the part, encoded again, may have another
//! number of tokens: white space, say, is cut by what stands after it. Idea: cut the *text* where a token ends, moved
//! back to a character, and encode the part again; where it has too many tokens, go back by one more.
//! Cost: an encoding of what is kept, and a count of each part, nearly always one and no longer than the part may be; a
//! text that is much longer than what is kept is not read to its end (but for special tokens that are refused). Worst
//! case: a count for each token kept.
//! Invariants: a part has at most so many tokens, with the same options; parts begin and end at characters (bytes that
//! are no valid UTF-8 are characters of their own); the parts of a text, without what they share, join to it.

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::offsets::Located;
use crate::tokenizer::{EncodeOptions, Tokenizer};

/// The last place at or before `at` where a character of `text` begins.
fn character_at_or_before(text: &[u8], at: usize) -> usize {
    for start in (at.saturating_sub(3)..at).rev() {
        let len = match text[start] {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let whole = text.get(start..start + len).is_some_and(|character| std::str::from_utf8(character).is_ok());
        return if whole && start + len > at { start } else { at };
    }
    at
}

impl Tokenizer {
    /// How many tokens a text may have beside those of the template; an error where the template alone has more.
    fn room(&self, max_tokens: usize, options: &EncodeOptions<'_>) -> Result<usize> {
        let (before, after) = if options.add_special_tokens { self.template() } else { (&[][..], &[][..]) };
        let template = before.len() + after.len();
        max_tokens.checked_sub(template).ok_or_else(|| {
            Error::Argument(format!(
                "at most {max_tokens} tokens are asked for, but add_special_tokens=True adds {template} to any text; \
                 ask for more, or leave it out"
            ))
        })
    }

    /// The length in bytes of the longest prefix that ends with one of the first `max_tokens` tokens, or with the text,
    /// moved back to a character, and that itself has at most `max_tokens` tokens.
    pub fn truncate(
        &self,
        text: &[u8],
        max_tokens: usize,
        options: &EncodeOptions<'_>,
        interrupt: &Interrupt<'_>,
    ) -> Result<usize> {
        let room = self.room(max_tokens, options)?;
        let mut located = Located::default();
        self.locate(text, options, room.saturating_add(1), &mut located, interrupt)?;
        if located.ids.len() <= room {
            return Ok(text.len());
        }
        let ends = located.spans[..room].iter().map(|span| span.1);
        self.longest(text, 0, ends.rev(), max_tokens, options, interrupt)
    }

    /// The greatest of `ends` (descending), moved back to a character, for which `text[start..end]` has at most
    /// `max_tokens` tokens; `start` if there is none.
    fn longest(
        &self,
        text: &[u8],
        start: usize,
        ends: impl Iterator<Item = usize>,
        max_tokens: usize,
        options: &EncodeOptions<'_>,
        interrupt: &Interrupt<'_>,
    ) -> Result<usize> {
        let mut last = usize::MAX;
        for end in ends {
            let end = character_at_or_before(text, end);
            if end <= start {
                break;
            }
            if end < last
                && self.count_up_to(&text[start..end], max_tokens as u64, options, interrupt)? <= max_tokens as u64
            {
                return Ok(end);
            }
            last = end;
        }
        Ok(start)
    }

    /// Cuts a text into parts of at most `size` tokens, as start and end in bytes. Each part but the first begins
    /// `overlap` tokens before the end of the one before it.
    pub fn split_by_tokens(
        &self,
        text: &[u8],
        size: usize,
        overlap: usize,
        options: &EncodeOptions<'_>,
        interrupt: &Interrupt<'_>,
    ) -> Result<Vec<(usize, usize)>> {
        let room = self.room(size, options)?;
        if room == 0 || overlap >= room {
            return Err(Error::Argument(format!(
                "size is {size} and overlap is {overlap}; a part needs room for more tokens than it shares with the \
                 one before it: pass a size above the overlap"
            )));
        }
        let mut located = Located::default();
        self.locate(text, options, usize::MAX, &mut located, interrupt)?;
        let spans = &located.spans;
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let (mut before, mut done) = (0, 0);
        // Each round: `before` is where the last part begins, `done` where it ends, `shared` the first token to share.
        while done < text.len() {
            interrupt.check()?;
            let mut shared = spans.partition_point(|span| span.1 <= done).saturating_sub(overlap);
            let (start, end) = loop {
                let back = spans.get(shared).map_or(done, |span| character_at_or_before(text, span.0));
                let start = if overlap == 0 || back <= before { done } else { back.min(done) };
                let first = spans.partition_point(|span| span.1 <= start);
                let beyond = (first + room).min(spans.len());
                // The last part takes what may stand after the last token.
                let rest = (beyond == spans.len()).then_some(text.len());
                let ends = rest.into_iter().chain(spans[first..beyond].iter().rev().map(|span| span.1));
                let end = self.longest(text, start, ends, size, options, interrupt)?;
                if end > done {
                    break (start, end);
                }
                if start == done {
                    return Err(Error::Argument(format!(
                        "the character at byte {start} has more than size = {size} tokens; pass a greater size"
                    )));
                }
                shared += 1;
            };
            parts.push((start, end));
            (before, done) = (start, end);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let text = "a\u{E9}\u{4E2D}\u{1F600}".as_bytes();
        let expected = [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10];
        for (at, expected) in expected.into_iter().enumerate() {
            assert_eq!(character_at_or_before(text, at), expected, "{at}");
        }
        // No character is cut where there is none.
        let invalid = b"\x80\x80\x80\x80\xE4\xB8\xFF\xE4\xB8";
        for at in 0..=invalid.len() {
            assert_eq!(character_at_or_before(invalid, at), at);
        }
    }
}
