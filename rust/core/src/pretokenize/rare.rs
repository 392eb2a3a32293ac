//! The rare cases of the kernel: what a block needs only now and then, or cannot decide alone.
//!
//! Naive: decide them in every block, without a branch: each would cost more than all of [`super::kernel`].
//! Invariant: each function is exact by itself; what it leaves open is in [`Rare::pending`] and settled by a later block
//! or by the end of the text.

use super::class::LONG_S_STAND_IN;
use super::kernel::{Carry, fill, prev};
use super::scheme::{Contractions, Fixed};

/// What is needed rarely; apart from [`Carry`], which stays in registers.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Where the last contraction that is a suffix ended.
    pub(super) suffix_end: Option<usize>,
    /// A start that depends on what follows the run it begins.
    pub(super) pending: Option<Pending>,
}

/// The part of [`Carry`] that [`absorb`] looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) other: u64,
    pub(super) free: u64,
    pub(super) blank: u64,
    pub(super) tail: u64,
}

impl Before {
    /// What belongs to the other characters `other` before it: of `members`, from a line break after one of them on.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn tail_of(self, other: u64, newline: u64, members: u64) -> u64 {
        fill(members, (newline & prev(other, self.other)) | (members & self.tail))
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) block: usize,
    pub(super) bit: u64,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// White space after a line break: a start unless a line break follows.
    Space,
    /// Capitals after a letter without case: a start unless the word goes on.
    Capitals,
}

/// Marks that a run of other characters swallows (`[^\s\p{L}\p{N}]+` holds marks, too), and the tail then.
///
/// A mark after a single such character is a word with a prefix, unless a space stands before the two. Tail and
/// swallowed marks depend on each other, but only on what is to their left, so rounds end.
#[cold]
#[inline(never)]
pub(super) fn absorb(
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
pub(super) fn settle(space: u64, newline: u64, upper: u64, word: u64, bits: &mut [u64], rare: &mut Rare) {
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
pub(super) fn after_line_break(space: u64, newline: u64, first: u64, number: usize, rare: &mut Rare) -> u64 {
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
pub(super) fn threes(numbers: u64, carry: &mut Carry) -> u64 {
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
pub(super) fn contractions<S: Fixed>(
    stream: &[u8],
    number: usize,
    mut candidates: u64,
    suffix_end: &mut Option<usize>,
) -> (u128, u128) {
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
            Contractions::None => continue,
            Contractions::Exact => inside |= 2 << bit,
            Contractions::AnyCase => (),
            Contractions::Suffix => {
                // The word before this quote ended with a contraction already.
                if *suffix_end == Some(at) {
                    continue;
                }
                *suffix_end = Some(at + len);
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
pub(super) fn capitals(upper: u64, word: u64, first: u64, number: usize, rare: &mut Rare) -> u64 {
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
