//! Cuts text by a [`Scheme`], one piece after the other.
//!
//! Naive: a backtracking regular expression engine, as tiktoken and Hugging Face use: every alternative is tried at
//! every position, 10-20 MB/s.
//! Idea: the class of the first character and of the one after it decide the alternative, so a piece is one look at
//! two characters and one run of a class. This is the readable twin that faster kernels are tested against.
//! Cost: O(bytes), 2-4 ns a byte; no state between pieces. Worst case: a run of capitals and caseless letters in
//! o200k is walked back once to its last caseless letter, still linear.
//! Invariant: pieces are never empty and join to the whole text; for each scheme they are the matches of its regular
//! expression, invalid bytes standing for characters that are neither letters, numbers nor white space.

use super::class::{self, APART, LOOSE, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};
use super::scheme::{Apart, Contractions, Prefix, Scheme, Words};

const LETTER: u8 = UPPER | LOWER;
const WHITE: u8 = SPACE | NEWLINE;

impl Scheme {
    /// Calls `piece(start, end)` for every piece of `text`.
    #[inline]
    pub(crate) fn split<E>(&self, text: &[u8], mut piece: impl FnMut(usize, usize) -> Result<(), E>) -> Result<(), E> {
        let (mut start, mut end) = (0, 0);
        while start < text.len() {
            if start >= end {
                end = self.end_of_segment(text, start);
            }
            let after = self.end_of_piece(&text[..end], start);
            piece(start, after)?;
            start = after;
        }
        Ok(())
    }

    /// The end of the part of the text that begins at `start` and that the pattern sees as a whole text.
    #[inline]
    fn end_of_segment(&self, text: &[u8], start: usize) -> usize {
        let classes = match self.apart {
            Apart::Nothing => return text.len(),
            Apart::Numbers => NUMBER,
            Apart::NumbersHanAndKana => NUMBER | APART,
        };
        let kind = self.class_at(text, start) & classes;
        self.end_of(text, start, |class| class & classes != kind)
    }

    /// The class and the length of the character that begins at `text[at]`.
    #[inline]
    fn class(&self, text: &[u8], at: usize) -> (u8, usize) {
        let (stand_in, len) = class::at(text, at);
        (self.classes[usize::from(stand_in)], len)
    }

    /// The end of the piece that begins at `start`.
    #[inline]
    fn end_of_piece(&self, text: &[u8], start: usize) -> usize {
        let (class, len) = self.class(text, start);
        if text[start] == b'\'' && matches!(self.contractions, Contractions::Exact | Contractions::AnyCase) {
            let end = self.contraction(text, start);
            if end > start {
                return end;
            }
        }
        if let Some(end) = self.word(text, start, class, len) {
            return end;
        }
        if class & NUMBER != 0 {
            return self.number(text, start);
        }
        if class & LOOSE != 0 {
            return self.loose(text, start);
        }
        let after_space = if text[start] == b' ' { start + 1 } else { start };
        if self.prefix == Prefix::Space && after_space > start && self.class_at(text, after_space) & NUMBER != 0 {
            return self.number(text, after_space);
        }
        let end = self.others(text, after_space);
        if end > after_space {
            return end + text[end..].iter().take_while(|byte| self.tail.contains(byte)).count();
        }
        self.white_space(text, start)
    }

    /// The end of the word that begins at `start`, where the character `class` of `len` bytes stands.
    #[inline]
    fn word(&self, text: &[u8], start: usize, class: u8, len: usize) -> Option<usize> {
        let letters = if self.words == Words::Letters { LETTER } else { LETTER | MARK };
        if self.prefix == Prefix::NoSymbol && text[start].is_ascii_punctuation() {
            let letters = text[start + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            return (letters > 0).then_some(start + 1 + letters);
        }
        let may_be_prefix = match self.prefix {
            Prefix::Space => text[start] == b' ',
            Prefix::Any => class & (LETTER | NUMBER | NEWLINE) == 0,
            Prefix::NoSymbol => class & (SPACE | LOOSE) != 0,
        };
        if self.words == Words::Cased {
            let after_prefix = may_be_prefix.then_some(start + len);
            let in_word = (class & letters != 0).then_some(start);
            let end = after_prefix
                .and_then(|at| self.upper_then_lower(text, at))
                .or_else(|| in_word.and_then(|at| self.upper_then_lower(text, at)))
                .or_else(|| after_prefix.and_then(|at| self.only_upper(text, at)))
                .or_else(|| in_word.and_then(|at| self.only_upper(text, at)))?;
            return Some(if self.contractions == Contractions::Suffix { self.contraction(text, end) } else { end });
        }
        if class & letters != 0 {
            return Some(self.run(text, start + len, letters));
        }
        (may_be_prefix && self.class_at(text, start + len) & letters != 0).then(|| self.run(text, start + len, letters))
    }

    /// The end of the contraction at `start`, or `start` where none stands.
    fn contraction(&self, text: &[u8], start: usize) -> usize {
        if text.get(start) != Some(&b'\'') {
            return start;
        }
        let any_case = self.contractions != Contractions::Exact;
        // U+017F is the one character beyond ASCII that folds to one of these letters.
        if any_case && text[start + 1..].starts_with("\u{17F}".as_bytes()) {
            return start + 3;
        }
        let letter = |at: usize| text.get(at).map_or(0, |&byte| if any_case { byte | 0x20 } else { byte });
        let len = match (letter(start + 1), letter(start + 2)) {
            (b's' | b'd' | b'm' | b't', _) => 2,
            (b'l', b'l') | (b'v' | b'r', b'e') => 3,
            _ => return start,
        };
        start + len
    }

    /// The end of the white space that begins at `start`.
    fn white_space(&self, text: &[u8], start: usize) -> usize {
        let (mut end, mut last, mut after_newline) = (start, start, None);
        while end < text.len() {
            let (class, len) = self.class(text, end);
            if class & WHITE == 0 {
                break;
            }
            last = end;
            end += len;
            if class & NEWLINE != 0 {
                after_newline = Some(end);
            }
        }
        match after_newline {
            Some(cut) if self.newlines => cut,
            // The last character before a word is left for the word, unless it is all there is.
            _ if end < text.len() && last > start => last,
            _ => end,
        }
    }

    /// The end of the run of loose characters that begins at `start`; the last may belong to a word.
    fn loose(&self, text: &[u8], start: usize) -> usize {
        let mut end = start + self.class(text, start).1;
        while self.class_at(text, end) & LOOSE != 0 {
            let (class, len) = self.class(text, end);
            if self.word(text, end, class, len).is_some() {
                break;
            }
            end += len;
        }
        end
    }

    #[inline]
    fn class_at(&self, text: &[u8], at: usize) -> u8 {
        if at < text.len() { self.class(text, at).0 } else { 0 }
    }

    /// The end of the run of characters of these classes that begins at `start`.
    #[inline]
    fn run(&self, text: &[u8], start: usize, classes: u8) -> usize {
        self.end_of(text, start, |class| class & classes == 0)
    }

    /// The end of the run of other characters that begins at `start`.
    #[inline]
    fn others(&self, text: &[u8], start: usize) -> usize {
        let marks = if self.words == Words::LettersAndMarks { MARK } else { 0 };
        self.end_of(text, start, |class| class & (LETTER | NUMBER | WHITE | LOOSE | marks) != 0)
    }

    /// The first place from `start` on where a character of such a class stands.
    #[inline]
    fn end_of(&self, text: &[u8], start: usize, is_after: impl Fn(u8) -> bool) -> usize {
        let mut end = start;
        while end < text.len() {
            let (class, len) = self.class(text, end);
            if is_after(class) {
                break;
            }
            end += len;
        }
        end
    }

    /// The end of at most `digits` numbers.
    #[inline]
    fn number(&self, text: &[u8], start: usize) -> usize {
        let (mut end, mut count) = (start, 0);
        while end < text.len() && count < self.digits {
            let (class, len) = self.class(text, end);
            if class & NUMBER == 0 {
                break;
            }
            end += len;
            count += 1;
        }
        end
    }

    /// `U*L+`, where U is upper case or caseless, L lower case or caseless.
    fn upper_then_lower(&self, text: &[u8], start: usize) -> Option<usize> {
        let (mut at, mut after_caseless) = (start, None);
        while at < text.len() {
            let (class, len) = self.class(text, at);
            if class & (UPPER | MARK) == 0 {
                break;
            }
            at += len;
            if class & (LOWER | MARK) != 0 {
                after_caseless = Some(at);
            }
        }
        if self.class_at(text, at) & (LOWER | MARK) != 0 {
            return Some(self.run(text, at, LOWER | MARK));
        }
        // No lower case follows: the upper case run gives back all after its last caseless character.
        after_caseless
    }

    /// `U+L*` where [`Self::upper_then_lower`] found nothing, so that no L follows.
    fn only_upper(&self, text: &[u8], start: usize) -> Option<usize> {
        let end = self.run(text, start, UPPER | MARK);
        (end > start).then_some(end)
    }
}
