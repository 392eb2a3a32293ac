//! Classes for processors that look up half a byte at a time.
//!
//! A group is a class, or its part in one row of the ASCII table: the bytes of a group are those whose row and whose
//! column have its bit. There are more groups than bits in a byte, hence two kinds of them; what a scheme does not ask
//! for the compiler leaves out.

use super::class::{APART, LOOSE, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};

// Groups of the first kind.
const AT_TO_O: u8 = 1;
const P_TO_Z: u8 = 2;
const GRAVE_TO_O: u8 = 4;
const SMALL_P_TO_Z: u8 = 8;
pub(super) const DIGIT: u8 = 16;
pub(super) const TAB: u8 = 32;
pub(super) const LINE: u8 = 64;
pub(super) const MARKS: u8 = 128;

/// The groups of each column of the ASCII table.
pub(super) const COLUMNS: [u8; 16] = {
    let mut table = [0; 16];
    let mut column = 0;
    while column < 16 {
        let letters = if column > 0 { AT_TO_O | GRAVE_TO_O } else { 0 };
        let more_letters = if column <= 10 { P_TO_Z | SMALL_P_TO_Z } else { 0 };
        let digit = if column <= 9 { DIGIT } else { 0 };
        let white = match column {
            0x9 | 0xB | 0xC => TAB,
            0xA | 0xD => LINE,
            _ => 0,
        };
        table[column] = letters | more_letters | digit | white;
        column += 1;
    }
    table
};
/// The groups of each row.
pub(super) const ROWS: [u8; 16] =
    [TAB | LINE, 0, 0, DIGIT, AT_TO_O, P_TO_Z, GRAVE_TO_O, SMALL_P_TO_Z, 0, 0, 0, 0, 0, 0, 0, 0];
// Groups of the second kind.
const NUL_TO_US: u8 = 1;
const DELETE: u8 = 2;
pub(super) const SPLIT: u8 = 4;

pub(super) const MORE_COLUMNS: [u8; 16] = {
    let mut table = [NUL_TO_US; 16];
    table[15] |= DELETE;
    table
};
pub(super) const MORE_ROWS: [u8; 16] = [NUL_TO_US, NUL_TO_US, 0, 0, 0, 0, 0, DELETE, 0, 0, 0, 0, 0, 0, 0, 0];

/// The groups of the stand-ins beyond ASCII, whose classes are these.
pub(super) const fn beyond(classes: &[u8; 256], more: bool) -> [u8; 16] {
    let mut table = [0; 16];
    let mut number = 0;
    while number < 16 {
        let (groups, second) = groups(classes[0x80 + number]);
        table[number] = if more { second } else { groups };
        number += 1;
    }
    table
}

/// The groups of some classes, of both kinds.
pub(super) const fn groups(classes: u8) -> (u8, u8) {
    let (mut groups, mut more) = (0, 0);
    if classes & UPPER != 0 {
        groups |= AT_TO_O | P_TO_Z;
    }
    if classes & LOWER != 0 {
        groups |= GRAVE_TO_O | SMALL_P_TO_Z;
    }
    if classes & NUMBER != 0 {
        groups |= DIGIT;
    }
    if classes & SPACE != 0 {
        groups |= TAB;
    }
    if classes & NEWLINE != 0 {
        groups |= LINE;
    }
    if classes & MARK != 0 {
        groups |= MARKS;
    }
    if classes & LOOSE != 0 {
        more |= NUL_TO_US | DELETE;
    }
    if classes & APART != 0 {
        more |= SPLIT;
    }
    (groups, more)
}
