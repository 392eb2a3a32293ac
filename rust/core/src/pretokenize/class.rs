//! The class of every character, as the pretokenizer patterns see it.
//!
//! Naive: ask a Unicode library for the general category of every character.
//! Idea: the patterns tell a dozen kinds of character apart; a two-level table holds a byte a character, equal pages
//! stored once. That byte is a stand-in: it takes the character's place in the bit-parallel kernel, which then works on
//! one byte a character, whatever the script. A scheme sees each stand-in as a class, one bit each ([`classes`]). The
//! table is filled from the same kept crate (regex-syntax) that the general engine uses, so both see one version of
//! Unicode ([`UNICODE_VERSION`]).
//! Cost: the table is made once, at the first non-ASCII character. ASCII stands for itself.
//! Invariant: no character has two classes, but a letter that is neither upper nor lower case is both, and what is split
//! apart has that bit, too; symbols and punctuation have none. Beyond ASCII there are at most 16 stand-ins, which half a
//! byte tells apart.

use std::sync::OnceLock;

/// The version of Unicode behind the classes (that of regex-syntax 0.8).
pub const UNICODE_VERSION: &str = "16.0";

/// Upper or title case letters (Lu, Lt), and letters without case (Lm, Lo).
pub(crate) const UPPER: u8 = 1;
/// Lower case letters (Ll), and letters without case (Lm, Lo).
pub(crate) const LOWER: u8 = 2;
/// Numbers (N).
pub(crate) const NUMBER: u8 = 4;
/// What a scheme splits apart, beside its class.
pub(crate) const APART: u8 = 8;
/// White space (`\s`) but line feed and carriage return.
pub(crate) const SPACE: u8 = 16;
/// Line feed and carriage return.
pub(crate) const NEWLINE: u8 = 32;
/// Marks (M).
pub(crate) const MARK: u8 = 64;
/// Controls, formats and what is not assigned (C but white space), where a scheme tells them from symbols.
pub(crate) const LOOSE: u8 = 128;

/// What the general engine calls the classes; the classes are disjoint. Symbols are the rest.
const CATEGORIES: [(&str, u8); 7] = [
    (r"[\p{Lu}\p{Lt}]", UPPER),
    (r"\p{Ll}", LOWER),
    (r"[\p{Lm}\p{Lo}]", UPPER | LOWER),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"\p{M}", MARK),
    (r"[\p{C}--\s]", LOOSE),
];
/// The run of Han and Kana that `DeepSeek`'s tokenizers split apart.
pub(crate) const HAN_AND_KANA: &str = "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]";

/// What stands for characters beyond ASCII: their class, and whether they are [`HAN_AND_KANA`]. The position is the
/// low half of the stand-in, the high half is 8.
const BEYOND_ASCII: [(u8, bool); 13] = [
    (UPPER, false),
    (LOWER, false),
    (UPPER | LOWER, false),
    (MARK, false),
    (NUMBER, false),
    (0, false),
    (SPACE, false),
    // U+017F, which folds to `s`.
    (LOWER, false),
    (LOOSE, false),
    (UPPER | LOWER, true),
    (MARK, true),
    (0, true),
    (LOOSE, true),
];
/// The stand-in of U+017F, the one character beyond ASCII that folds to a letter of a contraction.
pub(crate) const LONG_S_STAND_IN: u8 = 0x87;

/// The stand-in of a byte that begins no character: that of symbols.
pub(crate) const INVALID: u8 = 0x85;

/// By the low half of a lead E0 to EF, the stand-in of letters without case: Hangul, or of U+4E00..9F7F.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
pub(crate) const CASELESS_STAND_INS: [u8; 16] =
    [0, 0, 0, 0, 0x89, 0x89, 0x89, 0x89, 0x89, 0x89, 0x82, 0x82, 0x82, 0x82, 0, 0];

/// The class of each stand-in (those of ASCII are themselves): `loose` where [`LOOSE`] is told from symbols, `apart`
/// where [`HAN_AND_KANA`] is split apart.
pub(crate) const fn classes(loose: bool, apart: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\n' | b'\r' => NEWLINE,
            b' ' | b'\t' | 0x0B | 0x0C => SPACE,
            0..0x20 | 0x7F if loose => LOOSE,
            _ => 0,
        };
        byte += 1;
    }
    let mut number = 0;
    while number < BEYOND_ASCII.len() {
        let (class, han_and_kana) = BEYOND_ASCII[number];
        let class = if class == LOOSE && !loose { 0 } else { class };
        table[0x80 + number] = if han_and_kana && apart { class | APART } else { class };
        number += 1;
    }
    table
}

/// Characters of a page: the last of two bytes, and two bits of the one before it.
pub(crate) const PAGE: usize = 256;

/// The stand-ins of all characters.
pub(crate) struct Table {
    /// Where the page of `code / PAGE` begins in `stand_ins`.
    pages: Vec<u32>,
    stand_ins: Vec<u8>,
}

fn build() -> Table {
    let mut all = vec![INVALID; 0x11_0000];
    let mut fill = |expression, stand_in: &dyn Fn(u8) -> u8| {
        let Ok(parsed) = regex_syntax::parse(expression) else { return };
        if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(ranges)) = parsed.kind() {
            for range in ranges.iter() {
                all[range.start() as usize..=range.end() as usize]
                    .iter_mut()
                    .for_each(|place| *place = stand_in(*place));
            }
        }
    };
    let number = |class, han_and_kana| {
        BEYOND_ASCII.iter().position(|kind| *kind == (class, han_and_kana)).map(|number| 0x80 + number as u8)
    };
    for (expression, class) in CATEGORIES {
        fill(expression, &|symbol| number(class, false).unwrap_or(symbol));
    }
    fill(HAN_AND_KANA, &|stand_in| {
        let (class, _) = BEYOND_ASCII[usize::from(stand_in - 0x80)];
        number(class, true).unwrap_or(stand_in)
    });
    all[0x17F] = LONG_S_STAND_IN;
    let mut stand_ins = Vec::new();
    let mut known = std::collections::HashMap::new();
    let pages = all
        .chunks(PAGE)
        .map(|page| {
            *known.entry(page).or_insert_with(|| {
                stand_ins.extend_from_slice(page);
                (stand_ins.len() - PAGE) as u32
            })
        })
        .collect::<Vec<_>>();
    Table { pages, stand_ins }
}

/// The table, made at the first call.
#[inline]
pub(crate) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(build)
}

impl Table {
    /// The stand-ins of the characters `number * 64..(number + 1) * 64`, if there are such.
    #[inline]
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
    pub(crate) fn page_of_64(&self, number: usize) -> Option<&[u8; 64]> {
        self.stand_ins[*self.pages.get(number / 4)? as usize..].as_chunks().0.get(number % 4)
    }

    /// The stand-in of a character beyond ASCII.
    #[inline]
    pub(crate) fn stand_in(&self, code: u32) -> u8 {
        self.stand_ins[self.pages[code as usize / PAGE] as usize + code as usize % PAGE]
    }
}

/// The character that begins at `text[at]`: its stand-in and its length in bytes.
///
/// A byte that begins no valid UTF-8 character is a character of its own, a symbol (as U+FFFD is).
// The compiler leaves it a call, which costs as much as the look-up itself.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn at(text: &[u8], at: usize) -> (u8, usize) {
    let lead = text[at];
    if lead < 0x80 { (lead, 1) } else { beyond_ascii(text, at) }
}

fn beyond_ascii(text: &[u8], at: usize) -> (u8, usize) {
    decode(text, at).map_or((INVALID, 1), |(code, len)| (table().stand_in(code), len))
}

/// The code point of the non-ASCII character at `text[at]` and its length, if it is valid UTF-8.
#[inline]
pub(crate) fn decode(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let follow =
        |offset: usize| text.get(at + offset).filter(|&&byte| byte & 0xC0 == 0x80).map(|&byte| u32::from(byte & 0x3F));
    let lead = u32::from(text[at]);
    match lead {
        0xC2..=0xDF => Some(((lead & 0x1F) << 6 | follow(1)?, 2)),
        0xE0..=0xEF => {
            let code = (lead & 0x0F) << 12 | follow(1)? << 6 | follow(2)?;
            (code >= 0x800 && !(0xD800..0xE000).contains(&code)).then_some((code, 3))
        }
        0xF0..=0xF4 => {
            let code = (lead & 0x07) << 18 | follow(1)? << 12 | follow(2)? << 6 | follow(3)?;
            (0x1_0000..0x11_0000).contains(&code).then_some((code, 4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_class_of_the_general_engine() {
        let engine = |expression| regex_automata::meta::Regex::new(&format!("^{expression}$")).unwrap();
        let engines: Vec<_> = CATEGORIES.iter().map(|(expression, class)| (engine(*expression), *class)).collect();
        let han_and_kana = engine(HAN_AND_KANA);
        let [all, loose, apart] = [(true, false), (false, false), (true, true)].map(|(l, a)| classes(l, a));
        let mut buffer = [0; 4];
        for character in '\0'..=char::MAX {
            let text = character.encode_utf8(&mut buffer);
            let expected = match character {
                '\n' | '\r' => NEWLINE,
                _ => engines.iter().find(|(engine, _)| engine.is_match(&*text)).map_or(0, |(_, class)| *class),
            };
            let (stand_in, len) = at(text.as_bytes(), 0);
            let stand_in = usize::from(stand_in);
            let split = if han_and_kana.is_match(&*text) { APART } else { 0 };
            assert_eq!((all[stand_in], len), (expected, text.len()), "{character:?}");
            assert_eq!(loose[stand_in], if expected == LOOSE { 0 } else { expected }, "{character:?}");
            assert_eq!(apart[stand_in], expected | split, "{character:?}");
            assert_eq!(stand_in == usize::from(LONG_S_STAND_IN), character == '\u{17F}');
        }
    }

    #[test]
    fn invalid_bytes_stand_alone() {
        for bytes in [
            &b"\x80a"[..],
            b"\xC0\x80",
            b"\xE0\x80\x80",
            b"\xED\xA0\x80",
            b"\xF4\x90\x80\x80",
            b"\xF5aaa",
            b"\xE2\x82",
            b"\xFF",
        ] {
            assert_eq!(at(bytes, 0), (0x85, 1), "{bytes:?}");
            assert!(std::str::from_utf8(bytes).is_err());
        }
    }
}
