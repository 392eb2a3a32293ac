//! The ids of a long piece, by windows.
//!
//! Naive: a heap of all pairs, or [`super::long`] and its trie, one token after the other.
//! Idea: an encoding is right exactly where each two neighbours in it are. Windows of [`PACKED`] bytes that overlap are
//! merged like any pieces, several on their way at once; near the ends of a window its tokens may be others than the piece
//! has there, but a few bytes on two windows mostly agree. Where both have the same token, what the one has before it and
//! what the other has after it are neighbours of that token that some right encoding has; so the one is left for the other
//! there, and all neighbours of what comes out are right.
//! Cost: O(bytes), a third more than the bytes. Where two windows have no token in common, in long runs, the caller takes
//! another way.
//! Measured (cl100k, 1 MB in one piece): random letters at 40 MB/s instead of 10, "ab" repeated at 48 instead of 10. With 12
//! bytes in common instead of 16, 42 MB/s of letters; 16 are kept, for windows of longer tokens that have to meet.
//! Invariant: the ids are those of the piece. Every symbol is made of earlier ones, as in [`super::long`].

use super::{Merger, PACKED};
use crate::error::Result;
use crate::interrupt::Interrupt;

/// How far a window begins after the one before it.
const STEP: usize = PACKED - 16;
/// How many windows are merged together.
const GROUP: usize = 64;

/// What a window comes to.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    ids: [u32; PACKED],
    /// A bit for each byte that begins a token.
    begins: u64,
}

impl Window {
    const EMPTY: Self = Self { start: 0, ids: [0; PACKED], begins: 0 };

    /// How many tokens begin before a byte.
    #[inline]
    fn before(&self, at: u32) -> usize {
        (self.begins & ((1 << at) - 1)).count_ones() as usize
    }

    /// The place in `next` of a token that both have, which begins at or after `least` of this one.
    #[inline]
    fn meets(&self, next: &Self, least: u32) -> Option<u32> {
        let shift = (next.start - self.start) as u32;
        // The end of this window is a border as well.
        let mine = self.begins >> shift | 1 << (PACKED as u32 - shift);
        let overlap = u64::MAX >> (shift - 1);
        let (both, any) = (mine & next.begins, (mine | next.begins) & overlap);
        let mut left = both & u64::MAX << least.saturating_sub(shift);
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let after = any & (u64::MAX << at << 1);
            // The next border of either is one of both.
            if after != 0 && after & after.wrapping_neg() & both != 0 {
                return Some(at);
            }
        }
        None
    }
}

/// Appends the ids of a piece of more than [`PACKED`] bytes; `false`, and nothing appended, where two windows do not meet.
pub(super) fn merge(merger: &Merger, piece: &[u8], ids: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<bool> {
    let base = ids.len();
    let last = piece.len() - PACKED;
    let number = last.div_ceil(STEP) + 1;
    let start = |name: u32| (name as usize * STEP).min(last);
    let mut group = vec![Window::EMPTY; number.min(GROUP)];
    let mut names = Vec::with_capacity(number.min(GROUP));
    // The window that is left next, and its place from where it counts.
    let (mut current, mut from) = (Window::EMPTY, 0);
    for first in (0..number).step_by(GROUP) {
        interrupt.check()?;
        names.clear();
        names.extend(first as u32..number.min(first + GROUP) as u32);
        merger.merge_many(
            piece,
            &names,
            |name| (start(name), start(name) + PACKED),
            |name, ids, begins| group[name as usize - first] = Window { start: start(name), ids: *ids, begins },
        );
        let windows = &group[..names.len()];
        let windows = if first == 0 {
            current = windows[0];
            &windows[1..]
        } else {
            windows
        };
        for window in windows {
            let Some(at) = current.meets(window, from) else {
                ids.truncate(base);
                return Ok(false);
            };
            let end = at + (window.start - current.start) as u32;
            ids.extend_from_slice(&current.ids[current.before(from)..current.before(end)]);
            (current, from) = (*window, at);
        }
    }
    ids.extend_from_slice(&current.ids[current.before(from)..current.begins.count_ones() as usize]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{merge_all, random_models};
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn windows_that_meet_give_the_ids_of_the_piece() {
        // Runs do not meet; most of these do, or the test would show nothing.
        let (met, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let pieces = "[abc]{65,400}|([abc]{1,30}(a{1,40}|(ab){1,40})){4,12}|[abcd\\xff]{70,200}";
        proptest!(ProptestConfig::with_cases(3000), |((model, _) in random_models(), piece in pieces)| {
            let piece = piece.as_bytes();
            prop_assume!(piece.len() > PACKED);
            let merger = Merger::new(&model).unwrap();
            prop_assume!(merger.ordered);
            let mut ids = vec![7];
            all.fetch_add(1, Relaxed);
            if merge(&merger, piece, &mut ids, &Interrupt::never()).unwrap() {
                met.fetch_add(1, Relaxed);
                let mut expected = vec![7];
                merge_all(&model, piece, &mut expected);
                prop_assert_eq!(ids, expected);
            } else {
                prop_assert_eq!(ids, [7]);
            }
        });
        let (met, all) = (met.into_inner(), all.into_inner());
        assert!(met * 4 > all * 3, "{met} of {all}");
    }
}
