//! Whether a text is in normal form C already, which nearly all text is.
//!
//! Naive: ask the Unicode library for the quick check of every character: some 10 ns each, more than encoding it; and where
//! that says "maybe", as of many vowel signs of India, make the form.
//! Idea: a character that may stand in the normal form anywhere, and that no other is moved around, is inert; all below
//! U+0300 are, and for the others a bit tells. Bytes below 0xCC belong to such characters or go on with one, so many of
//! them are passed over at once; of others, the first two bytes mostly tell that whatever begins so is inert. The library
//! is asked about each run of other characters, and makes the form of a run, with the character before it, only where it
//! says "maybe".
//! Cost: tables of 17 KiB, made at the first text that needs them. The first run that is not normal ends it.
//! Invariant: true exactly for texts whose stretches of UTF-8 are their own normal forms, because nothing before an inert
//! character has to do with what follows it: it is a starter, and combines with nothing before it. What is no UTF-8 stands
//! between stretches; no pass of its own looks for it, which took 6 % of the time of Qwen's tokenizer.
//! Source: Unicode Standard Annex 15, section 9 (detecting normalization forms; boundaries).

use std::sync::OnceLock;

use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::{first_character, last_character};

/// Characters that have a bit: the first two planes.
const KNOWN: usize = 0x2_0000;
/// The first byte of U+0300, below which all are inert.
const FIRST: u8 = 0xCC;

/// What is known of characters.
struct Inert {
    /// A bit for each character that is inert.
    characters: Vec<u64>,
    /// For each first byte from 0xC0 on a bit for each second byte with which all that begins so is one inert character.
    beginnings: [u64; 64],
}

fn inert() -> &'static Inert {
    static INERT: OnceLock<Inert> = OnceLock::new();
    INERT.get_or_init(|| {
        let mut characters = vec![0; KNOWN / 64];
        for character in (0..KNOWN as u32).filter_map(char::from_u32) {
            if canonical_combining_class(character) == 0
                && is_nfc_quick(std::iter::once(character)) == IsNormalized::Yes
            {
                characters[character as usize / 64] |= 1 << (character as usize % 64);
            }
        }
        let mut inert = Inert { characters, beginnings: [0; 64] };
        for first in FIRST..=0xF4 {
            for second in 0x80..=0xBF {
                // All from one to the other begin with these bytes.
                let with = |others: u8| Some(first_character(&[first, second, others, others])?.0);
                let all = with(0x80).zip(with(0xBF)).is_some_and(|(least, greatest)| {
                    (least as u32..=greatest as u32).all(|code| char::from_u32(code).is_some_and(|c| inert.holds(c)))
                });
                inert.beginnings[usize::from(first & 0x3F)] |= u64::from(all) << (second & 0x3F);
            }
        }
        inert
    })
}

impl Inert {
    fn holds(&self, character: char) -> bool {
        let code = character as usize;
        self.characters.get(code / 64).is_some_and(|bits| bits >> (code % 64) & 1 == 1)
    }

    /// Whether bytes begin with an inert character, as far as two of them tell, and its length; the first is at least
    /// [`FIRST`].
    #[inline]
    fn begins(&self, bytes: [u8; 4]) -> (bool, usize) {
        /// The upper two bits of the bytes that go on with a character of 2, 3 and 4 bytes.
        const UPPER: [u32; 3] = [0xC000, 0xC0_C000, 0xC0C0_C000];
        let length = length(bytes[0]);
        let upper = UPPER[length - 2];
        let goes_on = u32::from_le_bytes(bytes) & upper == 0x8080_8080 & upper;
        let is_inert = self.beginnings[usize::from(bytes[0] & 0x3F)] >> (bytes[1] & 0x3F) & 1 == 1;
        (goes_on && is_inert, length)
    }
}

/// How many bytes a character has that begins with this byte, which is at least [`FIRST`].
fn length(first: u8) -> usize {
    2 + usize::from(first >= 0xE0) + usize::from(first >= 0xF0)
}

/// The first place from `at` on of a byte that is at least [`FIRST`], or the end.
#[inline]
fn next_first(bytes: &[u8], mut at: usize) -> usize {
    const EACH: u64 = u64::MAX / 255;
    while let Some(eight) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        // The lower seven bits of such a byte reach its upper bit, which is set as well.
        let firsts = ((word & (0x7F * EACH)) + (0x100 - u64::from(FIRST)) * EACH) & word & (0x80 * EACH);
        if firsts != 0 {
            return at + firsts.trailing_zeros() as usize / 8;
        }
        at += 8;
        while let Some(block) = bytes[at..].first_chunk::<64>()
            && block.iter().fold(0, |greatest: u8, &byte| greatest.max(byte)) < FIRST
        {
            at += 64;
        }
    }
    bytes[at..].iter().position(|&byte| byte >= FIRST).map_or(bytes.len(), |more| at + more)
}

/// Whether each stretch of UTF-8 in a text is its own normal form C.
pub(super) fn is_normal(bytes: &[u8]) -> bool {
    let inert = inert();
    let mut at = 0;
    loop {
        at = next_first(bytes, at);
        while let Some(&four) = bytes[at..].first_chunk()
            && four[0] >= FIRST
            && let (true, length) = inert.begins(four)
        {
            at += length;
        }
        match bytes.get(at) {
            None => return true,
            Some(&byte) if byte < FIRST => {}
            Some(_) => match end_of_run(inert, bytes, at) {
                Some(end) => at = end,
                None => return false,
            },
        }
    }
}

/// Where a run of characters ends that are not inert, if it is normal; the next byte or character where there is none.
fn end_of_run(inert: &Inert, bytes: &[u8], start: usize) -> Option<usize> {
    let Some((first, len)) = first_character(&bytes[start..]) else { return Some(start + 1) };
    let mut end = start + len;
    if inert.holds(first) {
        return Some(end);
    }
    while let Some((_, len)) = first_character(&bytes[end..]).filter(|&(next, _)| !inert.holds(next)) {
        end += len;
    }
    let run = |start: usize| std::str::from_utf8(&bytes[start..end]);
    match is_nfc_quick(run(start).ok()?.chars()) {
        IsNormalized::Yes => Some(end),
        IsNormalized::No => None,
        IsNormalized::Maybe => {
            // What stands before the character before a run changes nothing of it: that one is inert, or no UTF-8.
            let before = last_character(&bytes[..start]).map_or(0, |(_, len)| len);
            let run = run(start - before).ok()?;
            run.nfc().map(|(character, _)| character).eq(run.chars()).then_some(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(text: &str) -> String {
        text.nfc().map(|(character, _)| character).collect()
    }

    #[test]
    fn every_character_between_others() {
        for character in (0..0x11_0000).filter_map(char::from_u32) {
            for text in
                [format!("a{character}e\u{AC00}"), format!("\u{AC00}{character}\u{301}"), format!("{character}\u{323}")]
            {
                assert_eq!(is_normal(text.as_bytes()), normal(&text) == text, "{text:?}");
            }
        }
        let is_normal = |text: &str| is_normal(text.as_bytes());
        assert!(is_normal(&"Grüße, мир 世界 한국 😀 ".repeat(20)) && !is_normal("e\u{301}") && !is_normal("\u{2126}"));
        assert!(is_normal("\u{915}\u{93F}\u{928}\u{94D}\u{926}") && !is_normal("\u{1100}\u{1161}"));
    }

    #[test]
    fn places_of_first_bytes() {
        for len in [0, 1, 7, 8, 9, 71, 72, 73, 200] {
            for first in 0..=len {
                let mut bytes = vec![0xCB; len];
                assert_eq!(next_first(&bytes, first), len);
                if let Some(byte) = bytes.get_mut(first) {
                    *byte = FIRST;
                }
                assert_eq!(next_first(&bytes, 0), first);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_normal_text_is_its_own_form(text in "[\u{0}-\u{3000}\u{AC00}-\u{D7A3}]{0,80}|[ a-z\u{E9}\u{416}]{0,200}|[ae\u{E9}\u{300}-\u{330}\u{9C7}\u{9BE}\u{1100}\u{1161}\u{AC00}\u{11A8}]{0,12}") {
            prop_assert_eq!(is_normal(text.as_bytes()), normal(&text) == text);
        }

        #[test]
        fn stretches_of_utf8_are_by_themselves(
            pieces in prop::collection::vec("[ae\u{E9}\u{300}-\u{330}\u{1100}\u{1161}\u{AC00}\u{11A8}\u{4E00}\u{1F600}]{0,3}", 1..6),
            cuts in prop::collection::vec(any::<u8>(), 6),
            extra in prop::collection::vec(any::<u8>(), 6),
        ) {
            let mut bytes = Vec::new();
            for ((piece, &cut), &extra) in pieces.iter().zip(&cuts).zip(&extra) {
                bytes.extend_from_slice(&piece.as_bytes()[..piece.len() - piece.len().min(usize::from(cut % 3))]);
                bytes.extend((cut % 5 == 0).then_some(extra));
            }
            let is = bytes.utf8_chunks().all(|chunk| normal(chunk.valid()) == chunk.valid());
            prop_assert_eq!(is_normal(&bytes), is);
        }
    }
}
