//! The class of every character, as the pretokenizer patterns see it.
//!
//! Naive: ask a Unicode library for the general category of every character.
//! Idea: the patterns tell only eight kinds apart, one bit each; a two-level table holds a byte a character, equal
//! pages stored once. Beside the class it holds a stand-in: one byte that takes the character's place in the
//! bit-parallel kernel, which then works on one byte a character, whatever the script. It is filled from the same kept crate (regex-syntax) that the general engine uses, so both see
//! one version of Unicode ([`UNICODE_VERSION`]).
//! Cost: the table is made once, at the first non-ASCII character. ASCII has a table of its own, made at compile time.
//! Invariant: every character has at least one bit; a letter that is neither upper nor lower case has both.

use std::sync::OnceLock;

/// The version of Unicode behind the classes (that of regex-syntax 0.8).
pub const UNICODE_VERSION: &str = "16.0";

/// Upper or title case letters (Lu, Lt), and letters without case (Lm, Lo).
pub(crate) const UPPER: u8 = 1;
/// Lower case letters (Ll), and letters without case (Lm, Lo).
pub(crate) const LOWER: u8 = 2;
/// Numbers (N).
pub(crate) const NUMBER: u8 = 4;
/// All that is in no other class.
pub(crate) const OTHER: u8 = 8;
/// White space (`\s`) but line feed and carriage return.
pub(crate) const SPACE: u8 = 16;
/// Line feed and carriage return.
pub(crate) const NEWLINE: u8 = 32;
/// Marks (M).
pub(crate) const MARK: u8 = 64;

/// What the general engine calls the classes; later rows win nothing, the classes are disjoint.
const CATEGORIES: [(&str, u8); 6] = [
    (r"[\p{Lu}\p{Lt}]", UPPER),
    (r"\p{Ll}", LOWER),
    (r"[\p{Lm}\p{Lo}]", UPPER | LOWER),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"\p{M}", MARK),
];

/// The classes of ASCII.
pub(crate) const ASCII: [u8; 128] = {
    let mut table = [OTHER; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\n' | b'\r' => NEWLINE,
            b' ' | b'\t' | 0x0B | 0x0C => SPACE,
            _ => OTHER,
        };
        byte += 1;
    }
    table
};

/// The class of each stand-in byte: those of ASCII are themselves, the others `0x80 + position` in [`BEYOND_ASCII`].
pub(crate) const STAND_INS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ASCII[byte];
        byte += 1;
    }
    while byte < 128 + BEYOND_ASCII.len() {
        table[byte] = BEYOND_ASCII[byte - 128];
        byte += 1;
    }
    table
};

/// The classes beyond ASCII, in the order of their stand-ins; the last is U+017F, which folds to `s`.
pub(crate) const BEYOND_ASCII: [u8; 8] = [UPPER, LOWER, UPPER | LOWER, MARK, NUMBER, OTHER, SPACE, LOWER];
/// The stand-in of letters without case.
#[cfg(target_arch = "x86_64")]
pub(crate) const CASELESS_STAND_IN: u8 = 0x82;
/// The stand-in of U+017F, the one character beyond ASCII that folds to a letter of a contraction.
pub(crate) const LONG_S_STAND_IN: u8 = 0x87;

/// Characters of a page: the last of two bytes, and two bits of the one before it.
pub(crate) const PAGE: usize = 256;

/// Classes and stand-ins of all characters.
pub(crate) struct Table {
    /// Where the page of `code / PAGE` begins in `classes` and `stand_ins`.
    pages: Vec<u32>,
    classes: Vec<u8>,
    stand_ins: Vec<u8>,
}

fn build() -> Table {
    let mut all = vec![OTHER; 0x11_0000];
    for (expression, class) in CATEGORIES {
        let Ok(parsed) = regex_syntax::parse(expression) else { continue };
        if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(ranges)) = parsed.kind() {
            for range in ranges.iter() {
                all[range.start() as usize..=range.end() as usize].fill(class);
            }
        }
    }
    all[..128].copy_from_slice(&ASCII);
    let mut stand_in_of = [0; 256];
    for (number, class) in BEYOND_ASCII[..7].iter().enumerate() {
        stand_in_of[*class as usize] = 0x80 + number as u8;
    }
    let (mut classes, mut stand_ins) = (Vec::new(), Vec::new());
    let mut known = std::collections::HashMap::new();
    let pages = all
        .chunks(PAGE)
        .enumerate()
        .map(|(number, page)| {
            // The pages of ASCII and of U+017F are told from others that have the same classes.
            *known.entry((page, number < 2)).or_insert_with(|| {
                classes.extend_from_slice(page);
                stand_ins.extend(page.iter().map(|&class| stand_in_of[class as usize]));
                (classes.len() - PAGE) as u32
            })
        })
        .collect::<Vec<_>>();
    stand_ins[pages[1] as usize + 0x7F] = LONG_S_STAND_IN;
    Table { pages, classes, stand_ins }
}

/// The table, made at the first call.
#[inline]
pub(crate) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(build)
}

impl Table {
    /// The stand-ins of the characters `number * PAGE..(number + 1) * PAGE`, if there are such.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn page(&self, number: usize) -> Option<&[u8; PAGE]> {
        self.stand_ins[*self.pages.get(number)? as usize..].first_chunk()
    }

    /// The stand-ins of the characters `number * 64..(number + 1) * 64`, if there are such.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn page_of_64(&self, number: usize) -> Option<&[u8; 64]> {
        self.stand_ins[*self.pages.get(number / 4)? as usize..].as_chunks().0.get(number % 4)
    }

    /// The stand-in of a character beyond ASCII.
    #[inline]
    pub(crate) fn stand_in(&self, code: u32) -> u8 {
        self.stand_ins[self.pages[code as usize / PAGE] as usize + code as usize % PAGE]
    }

    #[inline]
    fn class(&self, code: u32) -> u8 {
        self.classes[self.pages[code as usize / PAGE] as usize + code as usize % PAGE]
    }
}

/// The class of a character beyond ASCII.
#[inline]
pub(crate) fn of(code: u32) -> u8 {
    table().class(code)
}

/// The character that begins at `text[at]`: its class and its length in bytes.
///
/// A byte that begins no valid UTF-8 character is a character of its own, of class [`OTHER`].
// The compiler leaves it a call, which costs as much as the look-up itself.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn at(text: &[u8], at: usize) -> (u8, usize) {
    let lead = text[at];
    if lead < 0x80 { (ASCII[lead as usize], 1) } else { beyond_ascii(text, at) }
}

fn beyond_ascii(text: &[u8], at: usize) -> (u8, usize) {
    decode(text, at).map_or((OTHER, 1), |(code, len)| (of(code), len))
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
        let engines: Vec<_> = CATEGORIES
            .iter()
            .map(|(expression, class)| (regex_automata::meta::Regex::new(&format!("^{expression}$")).unwrap(), *class))
            .collect();
        let mut buffer = [0; 4];
        for character in '\0'..=char::MAX {
            let text = character.encode_utf8(&mut buffer);
            let expected = match character {
                '\n' | '\r' => NEWLINE,
                _ => engines.iter().find(|(engine, _)| engine.is_match(&*text)).map_or(OTHER, |(_, class)| *class),
            };
            assert_eq!(at(text.as_bytes(), 0), (expected, text.len()), "{character:?}");
            if !character.is_ascii() {
                let stand_in = table().stand_in(character as u32);
                assert_eq!(STAND_INS[stand_in as usize], expected, "{character:?}");
                assert_eq!(stand_in == LONG_S_STAND_IN, character == '\u{17F}');
            }
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
            assert_eq!(at(bytes, 0), (OTHER, 1), "{bytes:?}");
            assert!(std::str::from_utf8(bytes).is_err());
        }
    }
}
