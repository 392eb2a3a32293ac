//! Whether a text is in normal form C already, which nearly all text is.
//!
//! Naive: ask the Unicode library for the quick check of every character: some 10 ns each, more than encoding it.
//! Idea: a character that may stand in the normal form anywhere, and that no other is moved around, is inert; all below
//! U+0300 are, and for the others a bit tells. Bytes below 0xCC belong to such characters or go on with one, so blocks
//! of them are passed over at once.
//! Cost: one table of 16 KiB, made at the first text that needs it; 1-3 ns a character beyond U+0300.
//! Invariant: a text of inert characters is its own normal form. The library, which makes the bits, decides on all other
//! texts.
//! Source: Unicode Standard Annex 15, section 9 (detecting normalization forms).

use std::sync::OnceLock;

use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{IsNormalized, is_nfc_quick};

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

/// Whether all characters of a text are inert; `false` says nothing.
pub(super) fn all_inert(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte >= FIRST {
            let Some(character) = text[at..].chars().next() else { return false };
            let code = character as usize;
            if inert().get(code / 64).is_none_or(|bits| bits >> (code % 64) & 1 == 0) {
                return false;
            }
            at += character.len_utf8();
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
    use unicode_normalization_alignments::UnicodeNormalization;

    fn normal(text: &str) -> String {
        text.nfc().map(|(character, _)| character).collect()
    }

    #[test]
    fn inert_characters_are_their_own_form_between_any_others() {
        for character in (0..0x11_0000).filter_map(char::from_u32) {
            let text = format!("a{character}e\u{AC00}");
            assert!(!all_inert(&text) || normal(&text) == text, "{character:?}");
            assert!(character >= '\u{300}' || all_inert(&text), "{character:?}");
        }
        assert!(all_inert(&"Grüße, мир 世界 한국 😀 ".repeat(20)) && !all_inert("e\u{301}") && !all_inert("\u{2126}"));
        assert!(!all_inert("\u{1100}\u{1161}"));
    }

    proptest! {
        #[test]
        fn texts_of_inert_characters_are_normal(text in "[\u{0}-\u{3000}\u{AC00}-\u{D7A3}]{0,80}|[ a-z\u{E9}\u{416}]{0,200}") {
            if all_inert(&text) {
                prop_assert_eq!(normal(&text), text);
            }
        }
    }
}
