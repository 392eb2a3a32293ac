//! Where pieces begin, 64 characters at a time.
//!
//! Naive: [`Scheme::split`], one piece after the other: a handful of unpredictable branches a piece.
//! Idea: one bit a character and a mask a class, 64 characters in one word. "Begins a word" is then `word & !prev(word)
//! & ...` for 64 characters at once, and runs are filled by the carry of an addition. All branches left are rare:
//! a contraction, more than three digits, indented lines, capitals after a letter without case, marks after
//! punctuation. Non-ASCII characters come as one stand-in byte each, so there is one algebra for all scripts.
//! What a scheme splits off before its pattern looks at the rest (deepseek-v3, starcoder) is one more class: where such
//! a run begins or ends a piece does, nothing is looked at across, and white space before it is as before the end.
//! Cost: O(characters). Worst case: a mark after punctuation in every block costs a
//! fixpoint of up to 64 rounds of a dozen operations each.
//! Invariant: the start bits are those of the regular expression of the scheme on this text, ended where it ends. No
//! look-ahead: what a later character decides is written back into the block it concerns, which is the last one or
//! the one remembered in [`Rare::pending`].
//! Source: the block design follows gigatoken and fastokens (bit masks, stand-in bytes); the algebra is our own.

use super::class::{APART, LOOSE, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};
use super::rare::{Before, Rare, absorb, after_line_break, capitals, contractions, settle, threes};
use super::scheme::{Apart, Contractions, Fixed, Prefix, Words};
use super::tier::Lanes;

const LETTER: u8 = UPPER | LOWER;

/// What the next block must know of those before it; the masks hold one bit, 0 or 1.
#[derive(Debug, Default)]
pub(super) struct Carry {
    other: u64,
    /// A run of other characters began at the last character, with no space before it: it may be a prefix.
    free: u64,
    blank: u64,
    space: u64,
    white: u64,
    /// The last character was a line break in white space.
    broken: u64,
    visible_after: u64,
    word: u64,
    pub(super) number: u64,
    tail: u64,
    low: u64,
    caseless: u64,
    /// Digits since the last cut, if the last character was one.
    pub(super) digits: u32,
    /// Characters of this block at which a word begins if one stands there, because a contraction ended.
    restart: u64,
    /// Characters of this block at which nothing begins, because they lie in a contraction.
    clear: u64,
    loose: u64,
    han_and_kana: u64,
    /// The last character is an ASCII letter in a run behind a symbol.
    attached: u64,
}

/// The mask of each character's predecessor.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(super) fn prev(mask: u64, carry: u64) -> u64 {
    mask.wrapping_add(mask).wrapping_add(carry)
}

/// The members of `run` from each of `seeds` (which are members) on.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(super) fn fill(run: u64, seeds: u64) -> u64 {
    (run & !run.wrapping_add(seeds)) | seeds
}

/// Writes a bit for every character of `stream` at which a piece begins. `bits` has one word more than blocks of 64.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn starts<S: Fixed, L: Lanes>(lanes: L, stream: &[u8], stand_ins: bool, bits: &mut [u64]) {
    let (blocks, rest) = stream.as_chunks::<64>();
    let bits = &mut bits[..=blocks.len()];
    let mut carry = Carry::default();
    let mut rare = Rare::default();
    for (number, block) in blocks.iter().enumerate() {
        bits[number] =
            step::<S, L>(lanes, lanes.load::<S>(block, stand_ins), stream, number, bits, &mut carry, &mut rare);
    }
    bits[blocks.len()] = 0;
    if !rest.is_empty() {
        let mut padded = [b' '; 64];
        padded[..rest.len()].copy_from_slice(rest);
        let word =
            step::<S, L>(lanes, lanes.load::<S>(&padded, stand_ins), stream, blocks.len(), bits, &mut carry, &mut rare);
        bits[blocks.len()] = word & ((1 << rest.len()) - 1);
    }
    // The text ends in a run that is still pending: nothing follows it.
    if let Some(pending) = rare.pending {
        let inside = pending.block < blocks.len() || pending.bit < 1 << rest.len();
        bits[pending.block] |= if inside { pending.bit } else { 0 };
    }
}

#[allow(clippy::inline_always, clippy::too_many_lines)]
#[inline(always)]
fn step<S: Fixed, L: Lanes>(
    lanes: L,
    block: L::Block,
    stream: &[u8],
    number: usize,
    bits: &mut [u64],
    carry: &mut Carry,
    rare: &mut Rare,
) -> u64 {
    let scheme = const { &S::SCHEME };
    let any = |classes: u8| lanes.any_of(block, classes);
    let cased = scheme.words == Words::Cased;

    let (upper, lower) = if cased { (any(UPPER), any(LOWER)) } else { (0, 0) };
    let letter = if cased { upper | lower } else { any(LETTER) };
    let numbers = any(NUMBER);
    let (space, newline) = if scheme.newlines { (any(SPACE), any(NEWLINE)) } else { (any(SPACE | NEWLINE), 0) };
    let mark = if scheme.words == Words::Letters { 0 } else { any(MARK) };
    let blank = lanes.equal(block, b' ');
    // What is matched by nothing (in deepseek-v3), and what is split off before the rest is looked at.
    let loose = if scheme.prefix == Prefix::NoSymbol { any(LOOSE) } else { 0 };
    let han_and_kana = if scheme.apart == Apart::NumbersHanAndKana { any(APART) } else { 0 };
    let apart = if scheme.apart == Apart::Nothing { 0 } else { numbers | han_and_kana };
    // Nothing reaches over these; numbers need none, since nothing else holds one.
    let border = han_and_kana ^ prev(han_and_kana, carry.han_and_kana);
    let mut other = !(letter | numbers | space | newline | mark | loose);
    let mut word = letter | mark;

    // After other characters: the line breaks (and slashes) that belong to them, and in o200k the marks.
    let slash = if scheme.tail.contains(&b'/') { lanes.equal(block, b'/') } else { 0 };
    let mut tail = 0;
    let before =
        Before { other: carry.other & !carry.han_and_kana, free: carry.free, blank: carry.blank, tail: carry.tail };
    if !scheme.tail.is_empty() {
        let members = newline | slash;
        tail = before.tail_of(other & !han_and_kana, newline, members);
        if cased && mark & prev(other, before.other) != 0 {
            let absorbed;
            (absorbed, tail) = absorb(other, mark, slash, prev(blank, before.blank), before, (newline, members));
            other |= absorbed;
            word &= !absorbed;
        }
        other &= !(tail & slash);
    }

    let (upper, lower) = (upper & !lower, lower & !upper);
    if rare.pending.is_some() {
        settle(space, newline, upper, word, bits, rare);
    }

    // White space.
    let white = (space | newline) & !tail;
    let mut start = white & !prev(white, carry.white);
    let mut after_start = !(white | apart) & prev(white & !newline, carry.visible_after);
    if scheme.prefix == Prefix::NoSymbol {
        start |= loose & !prev(loose, carry.loose);
        after_start |= word & prev(loose, carry.loose) & !border;
    }
    start |= after_start >> 1;
    if let Some(last) = number.checked_sub(1) {
        bits[last] |= after_start << 63;
    }
    if scheme.newlines {
        let broken = newline & white;
        start |= after_line_break(space, newline, prev(broken, carry.broken) & space, number, rare);
        carry.broken = broken >> 63;
    }

    // Other characters, words, numbers.
    start |= border;
    let first_other = other & (!prev(other, carry.other) | border);
    let before_blank = prev(blank, carry.blank);
    let mut free = first_other & !before_blank;
    start |= free;
    let first_of_word = word & !prev(word, carry.word);
    start |= match scheme.prefix {
        Prefix::Space => first_of_word & !before_blank,
        Prefix::Any => first_of_word & !prev(space, carry.space) & !prev(free, carry.free),
        Prefix::NoSymbol => {
            let ascii = lanes.ascii(block);
            free &= ascii;
            let letters = letter & ascii;
            // The word behind a symbol is a run of ASCII letters; what of it comes after these is one by itself.
            let attached = first_of_word & letters & prev(free, carry.free);
            let run = fill(letters, attached | (letters & carry.attached));
            let after = word & !letters & prev(run, carry.attached);
            carry.attached = run >> 63;
            after | (first_of_word & !attached & !prev(space, carry.space) & !prev(loose, carry.loose))
        }
    };
    start |= match scheme.digits {
        1 => numbers,
        3 => threes(numbers, carry),
        _ => numbers & !prev(numbers, carry.number) & !before_blank,
    };

    // Contractions.
    let quote = lanes.equal(block, b'\'');
    let (mut restart, mut clear) = (carry.restart, carry.clear);
    (carry.restart, carry.clear) = (0, 0);
    let candidates = match scheme.contractions {
        Contractions::None => 0,
        Contractions::Suffix => quote & prev(word, carry.word),
        _ => quote & free,
    };
    // French and Italian have many quotes, but before other letters. What follows the last character is not seen here.
    let candidates = candidates & (lanes.may_end_contraction(block) >> 1 | 1 << 63);
    if candidates != 0 {
        let (ends, inside) = contractions::<S>(stream, number, candidates, &mut rare.suffix_end);
        restart |= ends as u64;
        clear |= inside as u64;
        carry.restart = (ends >> 64) as u64;
        carry.clear = (inside >> 64) as u64;
    }
    restart &= word;

    if cased {
        let caseless = word & !(upper | lower);
        let seeds = caseless & prev(lower, carry.low) & !restart;
        let low = lower | (caseless & !caseless.wrapping_add(seeds));
        let before_low = prev(low, carry.low);
        start |= upper & before_low;
        let unsure = upper & prev(caseless, carry.caseless) & !before_low;
        if unsure != 0 {
            start |= capitals(upper, word, unsure, number, rare);
        }
        carry.low = low >> 63;
        carry.caseless = caseless >> 63;
    }
    start = (start & !clear) | restart;

    carry.loose = loose >> 63;
    carry.han_and_kana = han_and_kana >> 63;
    carry.other = other >> 63;
    carry.free = free >> 63;
    carry.blank = blank >> 63;
    carry.space = space >> 63;
    carry.white = white >> 63;
    carry.visible_after = (white & !newline) >> 63;
    carry.word = word >> 63;
    carry.number = numbers >> 63;
    carry.tail = tail >> 63;
    if number == 0 { start | 1 } else { start }
}
