//! The ids of a piece that nobody has seen yet.
//!
//! Naive: look up every pair of neighbours, join the one of the smallest rank, and again.
//! Idea: symbols are numbered by the rank of the merge that makes them, single bytes first, so one number says both which
//! pair goes first and what it becomes. That is possible because only one pair ever makes a token: the two parts that the
//! token's own bytes come to (see [`Model`]). Pairs lie in a perfect hash table ([`pairs`]), pairs of single bytes in a grid.
//! A piece of at most [`PACKED`] bytes is merged in two small arrays ([`packed`]), many of at most 32 bytes in the lanes of
//! vectors (`abreast`, with AVX-512), a longer one by parts ([`windows`]), a run by a shorter one ([`runs`]); where that does
//! not work out, it goes through [`long`], in linear time, or through a heap while there were few of them.
//! Cost: about six table look-ups a typical word.
//! Invariant: the ids are those of the model's `merge_all`.
//! Source: the numbering is fastokens'; the packed minimum and the mask of living symbols were measured here.

#[cfg(target_arch = "x86_64")]
mod abreast;
mod cuts;
mod long;
mod packed;
mod pairs;
mod runs;
mod windows;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::model::Model;
use crate::table::ByteTable;
use cuts::Cuts;
pub(crate) use cuts::may_cut;
use long::Long;
pub(crate) use packed::{CLASSES, class};
use pairs::{MOST, NONE, Pairs};

/// The longest piece that is merged in two small arrays.
pub(crate) const PACKED: usize = 64;
/// Bits for a place in them.
const SHIFT: u32 = 6;
/// A symbol that makes nothing with any other.
const NO_SYMBOL: u32 = MOST as u32;

/// What merging looks up, for models whose symbols are bytes.
#[derive(Debug)]
pub(crate) struct Merger {
    /// The id of each symbol.
    ids: Vec<u32>,
    /// From this symbol on, ids are the symbols themselves, as in most vocabularies: there is no need to look.
    same_from: u32,
    /// The two symbols that make each symbol; a byte is made of itself.
    parts: Vec<(u32, u32)>,
    /// For two bytes what they make, shifted by [`SHIFT`], or [`NONE`].
    first: Vec<u32>,
    pairs: Pairs,
    /// Tokens that a piece may be although merging it would give others; mostly none.
    exceptions: ByteTable<u32>,
    /// A bit for each length that one of them has, the last for all that are longer.
    exception_lengths: u64,
    /// Whether every symbol is made of earlier ones.
    ordered: bool,
    long: OnceLock<Long>,
    /// Bytes that were merged by a heap while it was not made.
    heaped: AtomicUsize,
    cuts: OnceLock<Cuts>,
}

impl Merger {
    /// For a model; `None` where it does not apply.
    pub(crate) fn new(model: &Model) -> Option<Self> {
        if !model.starts_from_bytes() {
            return None;
        }
        let (made, _) = model.effective_merges();
        if made.len() + 256 >= MOST {
            return None;
        }
        let mut ids: Vec<u32> = (0..=255).map(|byte| model.byte_id(byte)).collect();
        ids.extend(made.iter().map(|merge| merge.product));
        let mut symbols = vec![NONE; model.len()];
        for (symbol, &id) in ids.iter().enumerate() {
            symbols[id as usize] = symbol as u32;
        }
        let mut merger = Self {
            parts: (0..256).map(|byte| (byte, byte)).collect(),
            first: vec![NONE; 1 << 16],
            pairs: Pairs::default(),
            exceptions: ByteTable::default(),
            exception_lengths: 0,
            ordered: true,
            same_from: (0..ids.len()).rfind(|&at| ids[at] != at as u32).map_or(0, |at| at as u32 + 1),
            long: OnceLock::new(),
            heaped: AtomicUsize::new(0),
            cuts: OnceLock::new(),
            ids,
        };
        let unmade = |&(_, id): &(&[u8], u32)| symbols[id as usize] == NONE;
        for (bytes, id) in model.whole_tokens().filter(unmade) {
            *merger.exceptions.entry(bytes, 0, bytes.len()) = id;
            merger.exception_lengths |= 1 << bytes.len().min(63);
        }
        let mut pairs = Vec::with_capacity(made.len());
        for (merge, product) in made.iter().zip(256..) {
            let (left, right) = (symbols[merge.left as usize], symbols[merge.right as usize]);
            // Two parts that no merge makes never stand side by side.
            if left != NONE && right != NONE {
                merger.ordered &= left < product && right < product;
                pairs.push((left, right, product));
                if left < 256 && right < 256 {
                    merger.first[(left << 8 | right) as usize] = product << SHIFT;
                }
            } else {
                merger.ordered = false;
            }
            merger.parts.push((left, right));
        }
        merger.pairs = Pairs::new(&pairs)?;
        // The trie counts its nodes in 24 bits. Tokens that long come from text without any pretokenizer.
        let bytes: usize = made.iter().map(|merge| model.token(merge.product).map_or(0, <[u8]>::len)).sum();
        merger.ordered &= bytes < long::MOST_BYTES;
        Some(merger)
    }

    /// Appends the ids of a piece of any length, as merges alone make them.
    pub(crate) fn merge(&self, piece: &[u8], ids: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<()> {
        if piece.len() <= PACKED {
            self.merge_many(
                piece,
                &[0],
                |_| (0, piece.len()),
                |_, found, begins| ids.extend_from_slice(&found[..begins.count_ones() as usize]),
            );
            return Ok(());
        }
        if self.ordered {
            let is_run = piece.len() >= runs::LEAST && runs::merge(self, piece, ids, interrupt)?;
            if is_run || windows::merge(self, piece, ids, interrupt)? {
                return Ok(());
            }
        }
        let from = ids.len();
        if self.ordered && self.pays(piece.len()) {
            self.long.get_or_init(|| Long::new(self)).encode(self, piece, ids, interrupt)?;
        } else {
            self.merge_by_heap(piece, ids, interrupt)?;
        }
        for id in &mut ids[from..] {
            *id = self.id(*id);
        }
        Ok(())
    }

    /// The id of a symbol. The table of all ids has left the near caches mostly, so it is asked where it must be, without a
    /// branch.
    #[inline]
    fn id(&self, symbol: u32) -> u32 {
        let same = u32::from(symbol < self.same_from).wrapping_sub(1);
        self.ids[(symbol & !same) as usize] & !same | symbol & same
    }

    /// How many bytes a symbol has.
    fn length(&self, symbol: u32) -> usize {
        let (mut bytes, mut left) = (0, vec![symbol]);
        while let Some(symbol) = left.pop() {
            match self.parts[symbol as usize] {
                (part, _) if part == symbol => bytes += 1,
                (one, other) => left.extend([one, other]),
            }
        }
        bytes
    }

    /// Whether [`Long`], which takes as long to make as a heap takes for some bytes a symbol, is made or worth it.
    fn pays(&self, bytes: usize) -> bool {
        const BYTES_A_SYMBOL: usize = 4;
        self.long.get().is_some() || {
            let sum = self.heaped.fetch_add(bytes, Relaxed).saturating_add(bytes);
            sum > self.parts.len() * BYTES_A_SYMBOL
        }
    }

    /// Hands the ids of pieces of a text to `done`, in any order, and a bit for each byte that begins a token: `span` says
    /// where each lies, by its name, 1 to [`PACKED`] bytes, all of one [`class`].
    #[inline]
    pub(crate) fn merge_many(
        &self,
        text: &[u8],
        names: &[u32],
        span: impl Fn(u32) -> (usize, usize),
        done: impl FnMut(u32, &[u32; PACKED], u64),
    ) {
        packed::merge(self, text, names, span, done);
    }

    /// The token that a piece is although merging it would give others.
    #[inline]
    pub(crate) fn exception(&self, text: &[u8], start: usize, end: usize) -> Option<u32> {
        let may_be = self.exception_lengths >> (end - start).min(63) & 1 == 1;
        if may_be { self.exceptions.get(text, start, end) } else { None }
    }

    /// The ends of pieces, counted from `base`, with cuts inside long ones that change no ids, in `room`. `model` is the
    /// one that this was made for.
    #[inline]
    pub(crate) fn refine(&self, model: &Model, (text, base): (&[u8], usize), ends: &[u32], room: &mut Vec<u32>) {
        let cuts = self.cuts.get_or_init(|| Cuts::new((0..model.len() as u32).filter_map(|id| model.token(id))));
        cuts.refine((text, base), ends, room, |from, end| self.exception(text, from, end).is_some());
    }

    /// Merges a long piece whose symbols are not made in order: a heap of ranks, and links between the symbols left.
    fn merge_by_heap(&self, piece: &[u8], symbols: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<()> {
        use std::cmp::Reverse;

        let base = symbols.len();
        symbols.extend(piece.iter().map(|&byte| u32::from(byte)));
        let left = &mut symbols[base..];
        let len = left.len() as u32;
        let mut next: Vec<u32> = (1..=len).collect();
        let mut previous: Vec<u32> = (0..len).map(|at| at.wrapping_sub(1)).collect();
        let entry = |symbols: &[u32], at: u32, right: u32| {
            let (left, right) = (symbols[at as usize], symbols[right as usize]);
            let made = self.pairs.get(left, right);
            (made != NONE).then_some(Reverse((made, at)))
        };
        let mut heap: std::collections::BinaryHeap<_> =
            (1..len).filter_map(|right| entry(left, right - 1, right)).collect();
        let mut pops = 0u32;
        while let Some(Reverse((made, at))) = heap.pop() {
            pops = pops.wrapping_add(1);
            if pops.is_multiple_of(1 << 16) {
                interrupt.check()?;
            }
            let right = next[at as usize];
            // An entry whose symbols have changed is stale.
            if right == len
                || left[at as usize] == NONE
                || self.pairs.get(left[at as usize], left[right as usize]) != made
            {
                continue;
            }
            left[at as usize] = made;
            left[right as usize] = NONE;
            let after = next[right as usize];
            next[at as usize] = after;
            if after < len {
                previous[after as usize] = at;
                heap.extend(entry(left, at, after));
            }
            if previous[at as usize] != u32::MAX {
                heap.extend(entry(left, previous[at as usize], at));
            }
        }
        let mut kept = base;
        for at in base..symbols.len() {
            if symbols[at] != NONE {
                symbols[kept] = symbols[at];
                kept += 1;
            }
        }
        symbols.truncate(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{merge_all, random_models};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_way_equals_the_textbook((model, _) in random_models(), piece in "[abc]{1,120}|a{1,200}|(ab){1,99}|[abcd\\xff]{1,40}") {
            let piece = piece.as_bytes();
            let mut expected = Vec::new();
            merge_all(&model, piece, &mut expected);
            let merger = Merger::new(&model).unwrap();
            let mut merged = Vec::new();
            merger.merge(piece, &mut merged, &Interrupt::never()).unwrap();
            prop_assert_eq!(&merged, &expected);
            let id = |symbols: Vec<u32>| symbols.into_iter().map(|symbol| merger.ids[symbol as usize]).collect::<Vec<_>>();
            let mut symbols = Vec::new();
            merger.merge_by_heap(piece, &mut symbols, &Interrupt::never()).unwrap();
            prop_assert_eq!(&id(symbols), &expected);
            if merger.ordered {
                let mut symbols = Vec::new();
                Long::new(&merger).encode(&merger, piece, &mut symbols, &Interrupt::never()).unwrap();
                prop_assert_eq!(&id(symbols), &expected);
            }
        }

        #[test]
        fn many_at_once_equal_one_by_one((model, _) in random_models(), pieces in prop::collection::vec("[abc]{1,20}|[abcd\\xff]{1,32}|[ab]{1,64}|a{1,64}", 1..40)) {
            let merger = Merger::new(&model).unwrap();
            let text = pieces.concat();
            let starts: Vec<usize> = pieces.iter().scan(0, |at, piece| { *at += piece.len(); Some(*at - piece.len()) }).collect();
            let span = |name: u32| (starts[name as usize], starts[name as usize] + pieces[name as usize].len());
            for class in 0..CLASSES {
                let names: Vec<u32> = (0..pieces.len()).filter(|&name| packed::class(pieces[name].len()) == class).map(|name| name as u32).collect();
                for portable in [false, true] {
                    let mut found = vec![Vec::new(); pieces.len()];
                    let done = |name: u32, ids: &[u32; PACKED], begins: u64| {
                        found[name as usize] = ids[..begins.count_ones() as usize].to_vec();
                    };
                    if portable {
                        packed::any(&merger, text.as_bytes(), &names, span, done);
                    } else {
                        merger.merge_many(text.as_bytes(), &names, span, done);
                    }
                    for &name in &names {
                        let mut expected = Vec::new();
                        merge_all(&model, pieces[name as usize].as_bytes(), &mut expected);
                        prop_assert_eq!(&found[name as usize], &expected);
                    }
                }
            }
        }
    }
}
