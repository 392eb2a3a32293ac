//! Whether a text is in normal form C already, which nearly all text is.
//!
//! Naive: ask the Unicode library for the quick check of every character: some 10 ns each, more than encoding it; and where
//! that says "maybe", as of many vowel signs of India, make the form.
//! Idea: a character that may stand in the normal form anywhere, and that no other is moved around, is inert; all below
//! U+0300 are, and for the others a bit tells. Bytes below 0xCC belong to such characters or go on with one, so blocks
//! of them are passed over at once. The library is asked about each run of other characters, and makes the form of a run,
//! with the character before it, only where it says "maybe".
//! Cost: one table of 16 KiB, made at the first text that needs it; 1-3 ns a character beyond U+0300. The first run that is
//! not normal ends it.
//! Invariant: true exactly for texts that are their own normal form, because nothing before an inert character has to do
//! with what follows it: it is a starter, and combines with nothing before it.
//! Source: Unicode Standard Annex 15, section 9 (detecting normalization forms; boundaries).

use std::sync::OnceLock;

use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Characters that have a bit: the first two planes.
const KNOWN: usize = 0x2_0000;
/// The first byte of U+0300, below which all are inert.
const FIRST: u8 = 0xCC;

/// A bit for each inert character.
fn inert() -> &'static [u64] {
    static INERT: OnceLock<Vec<u64>> = OnceLock::new();
    INERT.get_or_init(|| {
        let mut bits = vec![0; KNOWN / 64];
        for character in (0..KNOWN as u32).filter_map(char::from_u32) {
            if canonical_combining_class(character) == 0
                && is_nfc_quick(std::iter::once(character)) == IsNormalized::Yes
            {
                bits[character as usize / 64] |= 1 << (character as usize % 64);
            }
        }
        bits
    })
}

/// Whether a character is inert.
fn is_inert(character: char) -> bool {
    let code = character as usize;
    inert().get(code / 64).is_some_and(|bits| bits >> (code % 64) & 1 == 1)
}

/// Whether a text is its own normal form C.
pub(super) fn is_normal(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut last) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        if byte >= FIRST {
            let Some(character) = text[at..].chars().next() else { break };
            if is_inert(character) {
                last = at;
                at += character.len_utf8();
                continue;
            }
            // What stands before an inert character changes nothing of what stands behind it.
            let rest = &text[at..];
            let end = at + rest.find(is_inert).unwrap_or(rest.len());
            let after = text[last..at].char_indices().next_back().map_or(at, |(from, _)| last + from);
            let is_same = || text[after..end].nfc().map(|(character, _)| character).eq(text[after..end].chars());
            match is_nfc_quick(text[at..end].chars()) {
                IsNormalized::Yes => {}
                IsNormalized::Maybe if is_same() => {}
                _ => return false,
            }
            (at, last) = (end, end);
            continue;
        }
        match bytes[at..].first_chunk::<64>() {
            Some(block) if block.iter().fold(0, |greatest: u8, &byte| greatest.max(byte)) < FIRST => at += 64,
            _ => at += 1,
        }
    }
    true
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
                assert_eq!(is_normal(&text), normal(&text) == text, "{text:?}");
            }
        }
        assert!(is_normal(&"Grüße, мир 世界 한국 😀 ".repeat(20)) && !is_normal("e\u{301}") && !is_normal("\u{2126}"));
        assert!(is_normal("\u{915}\u{93F}\u{928}\u{94D}\u{926}") && !is_normal("\u{1100}\u{1161}"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_normal_text_is_its_own_form(text in "[\u{0}-\u{3000}\u{AC00}-\u{D7A3}]{0,80}|[ a-z\u{E9}\u{416}]{0,200}|[ae\u{E9}\u{300}-\u{330}\u{9C7}\u{9BE}\u{1100}\u{1161}\u{AC00}\u{11A8}]{0,12}") {
            prop_assert_eq!(is_normal(&text), normal(&text) == text);
        }
    }
}
