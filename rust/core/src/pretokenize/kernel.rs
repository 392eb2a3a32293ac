//! Where pieces begin, 64 characters at a time.
//!
//! Naive: [`Scheme::split`], one piece after the other: a handful of unpredictable branches a piece.
//! Idea: one bit a character and a mask a class, 64 characters in one word. "Begins a word" is then `word & !prev(word)
//! & ...` for 64 characters at once, and runs are filled by the carry of an addition. All branches left are rare:
//! a contraction, more than three digits, indented lines, capitals after a letter without case, marks after
//! punctuation. Non-ASCII characters come as one stand-in byte each, so there is one algebra for all scripts.
//! Cost: O(characters). Worst case: a mark after punctuation in every block costs a
//! fixpoint of up to 64 rounds of a dozen operations each.
//! Invariant: the start bits are those of the regular expression of the scheme on this text, ended where it ends. No
//! look-ahead: what a later character decides is written back into the block it concerns, which is the last one or
//! the one remembered in [`Rare::pending`].
//! Source: the block design follows gigatoken and fastokens (bit masks, stand-in bytes); the algebra is our own.

use super::class::{LONG_S_STAND_IN, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};
use super::scheme::{Contractions, Fixed, Prefix, Words};
use super::tier::Lanes;

const LETTER: u8 = UPPER | LOWER;

/// What the next block must know of those before it; the masks hold one bit, 0 or 1.
#[derive(Debug, Default)]
struct Carry {
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
    number: u64,
    tail: u64,
    low: u64,
    caseless: u64,
    /// Digits since the last cut, if the last character was one.
    digits: u32,
    /// Characters of this block at which a word begins if one stands there, because a contraction ended.
    restart: u64,
    /// Characters of this block at which nothing begins, because they lie in a contraction.
    clear: u64,
}

/// What is needed rarely; apart from [`Carry`], which stays in registers.
#[derive(Debug)]
struct Rare {
    /// Where the last contraction that is a suffix ended.
    suffix_end: usize,
    /// A start that depends on what follows the run it begins.
    pending: Option<Pending>,
}

/// The part of [`Carry`] that [`absorb`] looks at.
#[derive(Debug, Clone, Copy)]
struct Before {
    other: u64,
    free: u64,
    blank: u64,
    tail: u64,
}

impl Before {
    /// What belongs to the other characters `other` before it: of `members`, from a line break after one of them on.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn tail_of(self, other: u64, newline: u64, members: u64) -> u64 {
        fill(members, (newline & prev(other, self.other)) | (members & self.tail))
    }
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    block: usize,
    bit: u64,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    /// White space after a line break: a start unless a line break follows.
    Space,
    /// Capitals after a letter without case: a start unless the word goes on.
    Capitals,
}

/// The mask of each character's predecessor.
#[allow(clippy::inline_always)]
#[inline(always)]
fn prev(mask: u64, carry: u64) -> u64 {
    mask.wrapping_add(mask).wrapping_add(carry)
}

/// The members of `run` from each of `seeds` (which are members) on.
#[allow(clippy::inline_always)]
#[inline(always)]
fn fill(run: u64, seeds: u64) -> u64 {
    (run & !run.wrapping_add(seeds)) | seeds
}

/// Writes a bit for every character of `stream` at which a piece begins. `bits` has one word more than blocks of 64.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(crate) fn starts<S: Fixed, L: Lanes>(lanes: L, stream: &[u8], stand_ins: bool, bits: &mut [u64]) {
    let (blocks, rest) = stream.as_chunks::<64>();
    let bits = &mut bits[..=blocks.len()];
    let mut carry = Carry::default();
    let mut rare = Rare { suffix_end: usize::MAX, pending: None };
    for (number, block) in blocks.iter().enumerate() {
        bits[number] = step::<S, L>(lanes, lanes.load(block, stand_ins), stream, number, bits, &mut carry, &mut rare);
    }
    bits[blocks.len()] = 0;
    if !rest.is_empty() {
        let mut padded = [b' '; 64];
        padded[..rest.len()].copy_from_slice(rest);
        let word =
            step::<S, L>(lanes, lanes.load(&padded, stand_ins), stream, blocks.len(), bits, &mut carry, &mut rare);
        bits[blocks.len()] = word & ((1 << rest.len()) - 1);
    }
    if let Some(pending) = rare.pending {
        // The text ends in that run: nothing follows it.
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
    let scheme = &S::SCHEME;
    let any = |classes: u8| lanes.any_of(block, classes);
    let cased = scheme.words == Words::Cased;

    let (upper, lower) = if cased { (any(UPPER), any(LOWER)) } else { (0, 0) };
    let letter = if cased { upper | lower } else { any(LETTER) };
    let numbers = any(NUMBER);
    let (space, newline) = if scheme.newlines { (any(SPACE), any(NEWLINE)) } else { (any(SPACE | NEWLINE), 0) };
    let mark = if scheme.words == Words::Letters { 0 } else { any(MARK) };
    let blank = lanes.equal(block, b' ');
    let mut other = !(letter | numbers | space | newline | mark);
    let mut word = letter | mark;

    // After other characters: the line breaks (and slashes) that belong to them, and in o200k the marks.
    let slash = if scheme.tail.contains(&b'/') { lanes.equal(block, b'/') } else { 0 };
    let mut tail = 0;
    let before = Before { other: carry.other, free: carry.free, blank: carry.blank, tail: carry.tail };
    if !scheme.tail.is_empty() {
        let members = newline | slash;
        tail = before.tail_of(other, newline, members);
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
    let after_space = !white & prev(white & !newline, carry.visible_after);
    start |= after_space >> 1;
    if let Some(last) = number.checked_sub(1) {
        bits[last] |= after_space << 63;
    }
    if scheme.newlines {
        let broken = newline & white;
        start |= after_line_break(space, newline, prev(broken, carry.broken) & space, number, rare);
        carry.broken = broken >> 63;
    }

    // Other characters, words, numbers.
    let first_other = other & !prev(other, carry.other);
    let before_blank = prev(blank, carry.blank);
    let free = first_other & !before_blank;
    start |= free;
    let first_of_word = word & !prev(word, carry.word);
    start |= match scheme.prefix {
        Prefix::Space => first_of_word & !before_blank,
        Prefix::Any => first_of_word & !prev(space, carry.space) & !prev(free, carry.free),
    };
    start |= match scheme.digits {
        1 => numbers,
        3 => threes(numbers, carry),
        _ => numbers & !prev(numbers, carry.number) & !before_blank,
    };

    // Contractions.
    let quote = lanes.equal(block, b'\'');
    let suffix = scheme.contractions == Contractions::Suffix;
    let (mut restart, mut clear) = (carry.restart, carry.clear);
    (carry.restart, carry.clear) = (0, 0);
    let candidates = quote & if suffix { prev(word, carry.word) } else { free };
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

/// Marks that a run of other characters swallows (`[^\s\p{L}\p{N}]+` holds marks, too), and the tail then.
///
/// A mark after a single such character is a word with a prefix, unless a space stands before the two. Tail and
/// swallowed marks depend on each other, but only on what is to their left, so rounds end.
#[cold]
#[inline(never)]
fn absorb(
    other: u64,
    mark: u64,
    slash: u64,
    after_blank: u64,
    carry: Before,
    (newline, members): (u64, u64),
) -> (u64, u64) {
    let mut absorbed = 0;
    loop {
        let tail = carry.tail_of(other | absorbed, newline, members);
        let run = (other | absorbed) & !(tail & slash);
        let after_other = prev(run, carry.other);
        let single = run & !after_other & !after_blank;
        let seeds = mark & after_other & !prev(single, carry.free);
        let again = fill(run | mark, seeds) & mark;
        if again == absorbed {
            return (absorbed, tail);
        }
        absorbed = again;
    }
}

/// Decides the pending start where its run ends in this block. Only one run reaches the end of a block, so this comes
/// before anything that may leave the next one pending: the padding of the last block does so after a line break.
#[cold]
#[inline(never)]
fn settle(space: u64, newline: u64, upper: u64, word: u64, bits: &mut [u64], rare: &mut Rare) {
    let Some(Pending { block, bit, run }) = rare.pending else { return };
    let (members, refuted) = match run {
        Run::Space => (space, newline),
        Run::Capitals => (upper, word),
    };
    let length = members.trailing_ones();
    if length < 64 {
        bits[block] |= if refuted >> length & 1 == 0 { bit } else { 0 };
        rare.pending = None;
    }
}

/// White space after the last line break of its run begins a piece: of `first`, those whose run of white space is not
/// followed by another line break.
#[allow(clippy::inline_always)]
#[inline(always)]
fn after_line_break(space: u64, newline: u64, first: u64, number: usize, rare: &mut Rare) -> u64 {
    let (after, goes_on) = space.overflowing_add(first);
    if !goes_on && after & !space & newline == 0 {
        return first;
    }
    let (mut left, mut sure) = (first, 0);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left &= left - 1;
        let (end, goes_on) = space.overflowing_add(bit);
        let end = end & !space;
        if goes_on {
            rare.pending = Some(Pending { block: number, bit, run: Run::Space });
        } else if end & newline == 0 {
            sure |= bit;
        }
    }
    sure
}

/// The first of every three digits.
#[allow(clippy::inline_always)]
#[inline(always)]
fn threes(numbers: u64, carry: &mut Carry) -> u64 {
    let mut first = numbers & !prev(numbers, carry.number);
    let long = numbers & (numbers >> 1) & (numbers >> 2) & (numbers >> 3);
    let goes_on = carry.number & numbers;
    if goes_on | long != 0 {
        if goes_on != 0 {
            // The run has `digits` digits since its last cut, and is cut again after three.
            let at = 3 - carry.digits;
            first |= u64::from(numbers.trailing_ones() > at) << at;
        }
        let four = numbers & (numbers << 1) & (numbers << 2) & (numbers << 3);
        let mut more = first;
        while more != 0 {
            more = (more << 3) & four;
            first |= more;
        }
    }
    // Read only where the last character is a digit; a whole block of digits has a cut among its last three.
    carry.digits = first.leading_zeros() + 1;
    first
}

/// Contractions at the quotes `candidates`: the characters after their ends, and those in which nothing begins.
#[inline(never)]
fn contractions<S: Fixed>(stream: &[u8], number: usize, mut candidates: u64, suffix_end: &mut usize) -> (u128, u128) {
    let (mut ends, mut inside) = (0, 0);
    while candidates != 0 {
        let bit = candidates.trailing_zeros();
        candidates &= candidates - 1;
        let at = number * 64 + bit as usize;
        let len = contraction(stream, at, S::SCHEME.contractions != Contractions::Exact);
        if len == 0 {
            continue;
        }
        match S::SCHEME.contractions {
            // The first letter would begin a word; the second, if there is one, goes on with it.
            Contractions::Exact => inside |= 2 << bit,
            Contractions::AnyCase => (),
            Contractions::Suffix => {
                // The word before this quote ended with a contraction already.
                if *suffix_end == at {
                    continue;
                }
                *suffix_end = at + len;
                inside |= ((1 << len) - 1) << bit;
            }
        }
        ends |= 1u128 << (bit as usize + len);
    }
    (ends, inside)
}

/// Characters of the contraction that begins with the quote at `at`, or 0.
fn contraction(stream: &[u8], at: usize, any_case: bool) -> usize {
    let letter = |at: usize| stream.get(at).map_or(0, |&byte| if any_case { byte | 0x20 } else { byte });
    if any_case && stream.get(at + 1) == Some(&LONG_S_STAND_IN) {
        return 2;
    }
    match (letter(at + 1), letter(at + 2)) {
        (b's' | b'd' | b'm' | b't', _) => 2,
        (b'l', b'l') | (b'v' | b'r', b'e') => 3,
        _ => 0,
    }
}

/// Capitals after a letter without case begin a piece if they end their word: of `first`, those that do.
#[cold]
#[inline(never)]
fn capitals(upper: u64, word: u64, first: u64, number: usize, rare: &mut Rare) -> u64 {
    let (mut left, mut sure) = (first, 0);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left &= left - 1;
        let (end, goes_on) = upper.overflowing_add(bit);
        let end = end & !upper;
        if goes_on {
            rare.pending = Some(Pending { block: number, bit, run: Run::Capitals });
        } else if end & word == 0 {
            sure |= bit;
        }
    }
    sure
}
