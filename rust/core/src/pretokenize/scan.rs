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

use super::class::{self, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER};
use super::scheme::{Contractions, Prefix, Scheme, Words};

const LETTER: u8 = UPPER | LOWER;
const WHITE: u8 = SPACE | NEWLINE;

impl Scheme {
    /// Calls `piece(start, end)` for every piece of `text`.
    #[inline]
    pub(crate) fn split<E>(&self, text: &[u8], mut piece: impl FnMut(usize, usize) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        while start < text.len() {
            let end = self.end_of_piece(text, start);
            piece(start, end)?;
            start = end;
        }
        Ok(())
    }

    /// The end of the piece that begins at `start`.
    #[inline]
    fn end_of_piece(&self, text: &[u8], start: usize) -> usize {
        let (class, len) = class::at(text, start);
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
            return number(text, start, self.digits);
        }
        let others = if self.words == Words::LettersAndMarks { OTHER } else { OTHER | MARK };
        let after_space = if text[start] == b' ' { start + 1 } else { start };
        if self.prefix == Prefix::Space && after_space > start && class_at(text, after_space) & NUMBER != 0 {
            return number(text, after_space, self.digits);
        }
        let end = run(text, after_space, others);
        if end > after_space {
            return end + text[end..].iter().take_while(|byte| self.tail.contains(byte)).count();
        }
        self.white_space(text, start)
    }

    /// The end of the word that begins at `start`, where the character `class` of `len` bytes stands.
    #[inline]
    fn word(&self, text: &[u8], start: usize, class: u8, len: usize) -> Option<usize> {
        let letters = if self.words == Words::Letters { LETTER } else { LETTER | MARK };
        let may_be_prefix = match self.prefix {
            Prefix::Space => text[start] == b' ',
            Prefix::Any => class & (LETTER | NUMBER | NEWLINE) == 0,
        };
        if self.words == Words::Cased {
            let after_prefix = may_be_prefix.then_some(start + len);
            let in_word = (class & letters != 0).then_some(start);
            let end = after_prefix
                .and_then(|at| upper_then_lower(text, at))
                .or_else(|| in_word.and_then(|at| upper_then_lower(text, at)))
                .or_else(|| after_prefix.and_then(|at| only_upper(text, at)))
                .or_else(|| in_word.and_then(|at| only_upper(text, at)))?;
            return Some(if self.contractions == Contractions::Suffix { self.contraction(text, end) } else { end });
        }
        if class & letters != 0 {
            return Some(run(text, start + len, letters));
        }
        (may_be_prefix && class_at(text, start + len) & letters != 0).then(|| run(text, start + len, letters))
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
            let (class, len) = class::at(text, end);
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
}

#[inline]
fn class_at(text: &[u8], at: usize) -> u8 {
    if at < text.len() { class::at(text, at).0 } else { 0 }
}

/// The end of the run of characters of these classes that begins at `start`.
#[inline]
fn run(text: &[u8], start: usize, classes: u8) -> usize {
    let mut end = start;
    while end < text.len() {
        let (class, len) = class::at(text, end);
        if class & classes == 0 {
            break;
        }
        end += len;
    }
    end
}

/// The end of at most `digits` numbers.
#[inline]
fn number(text: &[u8], start: usize, digits: usize) -> usize {
    let (mut end, mut count) = (start, 0);
    while end < text.len() && count < digits {
        let (class, len) = class::at(text, end);
        if class & NUMBER == 0 {
            break;
        }
        end += len;
        count += 1;
    }
    end
}

/// `U*L+`, where U is upper case or caseless, L lower case or caseless.
fn upper_then_lower(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut after_caseless) = (start, None);
    while at < text.len() {
        let (class, len) = class::at(text, at);
        if class & (UPPER | MARK) == 0 {
            break;
        }
        at += len;
        if class & (LOWER | MARK) != 0 {
            after_caseless = Some(at);
        }
    }
    if class_at(text, at) & (LOWER | MARK) != 0 {
        return Some(run(text, at, LOWER | MARK));
    }
    // No lower case follows: the upper case run gives back all after its last caseless character.
    after_caseless
}

/// `U+L*` where [`upper_then_lower`] found nothing, so that no L follows.
fn only_upper(text: &[u8], start: usize) -> Option<usize> {
    let end = run(text, start, UPPER | MARK);
    (end > start).then_some(end)
}
