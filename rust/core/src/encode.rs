//! Text -> ids, or only their number.
//!
//! Naive: for every piece, merge the pair of the smallest rank until none is left: quadratic in the piece.
//! Idea: text repeats itself, so a piece is mostly one that was merged before: it is looked up in a [`Cache`], a block
//! of pieces at a time ([`lookup`]). All end in a [`Sink`], which keeps ids or counts them, so a count is the length of
//! the encoding by construction.
//! Cost: O(bytes).
//! Invariant: the ids are those of `merge_all` of the model, piece by piece, whatever path is taken.

mod lookup;
mod passes;

use crate::cache::{self, BLOCK, Borrowed, Cache};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::merge::{Merger, may_cut};
use crate::model::{Model, merge_by_heap};
use crate::prefetch::pages;
use crate::pretokenize::Pretokenizer;
use crate::table::SHORT;
use lookup::{Block, look_up};

/// Where the ids of a text go.
pub(crate) trait Sink {
    /// Whether ids are looked at; otherwise [`Self::add`] is enough.
    const KEEPS: bool;
    /// Takes the next ids.
    fn extend(&mut self, ids: &[u32]);
    /// Notes that so many ids come next.
    fn add(&mut self, number: usize);
    /// How many are kept.
    fn kept(&self) -> usize {
        0
    }
    /// Prepares for more, as there came some since so many were kept.
    fn go_on(&mut self, _before: usize) {}
    /// Whether it has seen enough.
    fn is_full(&self) -> bool {
        false
    }
}

impl Sink for Vec<u32> {
    const KEEPS: bool = true;
    #[inline]
    fn extend(&mut self, ids: &[u32]) {
        self.extend_from_slice(ids);
    }
    fn add(&mut self, _: usize) {}
    #[inline]
    fn kept(&self) -> usize {
        self.len()
    }
    #[inline]
    fn go_on(&mut self, before: usize) {
        pages(self, before);
    }
}

/// Counts ids, up to a limit or a little beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// How many there were.
    pub(crate) number: u64,
    /// More than this are too many.
    pub(crate) limit: u64,
}

impl Default for Count {
    fn default() -> Self {
        Self { number: 0, limit: u64::MAX }
    }
}

impl Sink for Count {
    const KEEPS: bool = false;
    #[inline]
    fn extend(&mut self, ids: &[u32]) {
        self.number += ids.len() as u64;
    }
    #[inline]
    fn add(&mut self, number: usize) {
        self.number += number as u64;
    }
    #[inline]
    fn is_full(&self) -> bool {
        self.number > self.limit
    }
}

/// A tokenizer's parts that encoding needs, and a thread's memory for it.
#[derive(Debug)]
pub(crate) struct Encoder<'e> {
    model: &'e Model,
    merger: Option<&'e Merger>,
    pretokenizer: &'e Pretokenizer,
    /// `None`: every piece is merged anew.
    memory: Option<Borrowed<'e>>,
}

impl<'e> Encoder<'e> {
    /// One that keeps what it merges in a workspace, which may just have grown; `merger` is asked for last.
    pub(crate) fn new(
        model: &'e Model,
        merger: impl FnOnce() -> Option<&'e Merger>,
        pretokenizer: &'e Pretokenizer,
        (mut memory, grew): (Borrowed<'e>, bool),
    ) -> Self {
        if grew {
            seed(model, &mut memory.workspace().cache);
        }
        Self { model, merger: merger(), pretokenizer, memory: Some(memory) }
    }

    /// One that keeps nothing and has no fast paths: what the others are compared with.
    pub(crate) fn plain(model: &'e Model, pretokenizer: &'e Pretokenizer) -> Self {
        Self { model, merger: None, pretokenizer, memory: None }
    }

    /// Encodes text that holds no special tokens.
    pub(crate) fn encode<S: Sink>(&mut self, text: &[u8], sink: &mut S, interrupt: &Interrupt<'_>) -> Result<()> {
        let Some(memory) = &mut self.memory else {
            let mut ids = Vec::new();
            return self.pretokenizer.split(text, |start, end| {
                ids.clear();
                encode_piece(self.model, &text[start..end], &mut ids, interrupt)?;
                sink.extend(&ids);
                Ok(())
            });
        };
        let mut checked = 0;
        let mut room = std::mem::take(&mut memory.workspace().ends);
        let mut finer = std::mem::take(&mut memory.workspace().finer);
        let outcome = self.pretokenizer.split_batches(&mut room, text, |base, ends| {
            let (mut start, before) = (base, sink.kept());
            let ends = match (self.merger, ends.last()) {
                (Some(merger), Some(&last)) if may_cut(&text[base..base + last as usize]) => {
                    merger.refine(self.model, (text, base), ends, &mut finer);
                    &finer
                }
                _ => ends,
            };
            for block in ends.chunks(BLOCK) {
                let block = Block { text, base, start, ends: block };
                start = look_up((self.model, self.merger), memory.workspace(), block, sink, interrupt)?;
            }
            sink.go_on(before);
            if memory.grow_if_full() {
                seed(self.model, &mut memory.workspace().cache);
            }
            if start - checked > 1 << 20 {
                checked = start;
                interrupt.check()?;
            }
            // Nobody looks at the error.
            if sink.is_full() { Err(Error::Interrupted) } else { Ok(()) }
        });
        memory.workspace().ends = room;
        memory.workspace().finer = finer;
        if sink.is_full() { Ok(()) } else { outcome }
    }
}

/// Puts the tokens into a cache that has room for them and twice as much: most of them will be asked for.
fn seed(model: &Model, cache: &mut Cache) {
    if cache.len() / 4 * 3 >= model.len() {
        let short = || model.whole_tokens().filter(|(bytes, _)| bytes.len() <= SHORT);
        let seeds = || short().map(|(bytes, id)| (cache::key(bytes, 0, bytes.len()), id));
        // Lines are far away: each is asked for some time before it is written.
        let mut ahead = seeds();
        ahead.by_ref().take(32).for_each(|(key, _)| cache.ask(key));
        for (key, id) in seeds() {
            if let Some((key, _)) = ahead.next() {
                cache.ask(key);
            }
            cache.seed(key, id);
        }
    }
}

/// Appends the ids of one piece, of any model.
pub(crate) fn encode_piece(model: &Model, piece: &[u8], ids: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<()> {
    if let Some(id) = model.whole(piece, 0, piece.len()) {
        ids.push(id);
        return Ok(());
    }
    model.symbols(piece, ids);
    merge_by_heap(model, ids, interrupt).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Pool;
    use crate::model::{merge_all, random_models};
    use crate::threads::Member;
    use proptest::prelude::*;

    /// tiktoken's own rule: the leftmost pair whose joined bytes have the smallest rank.
    fn merge_by_joined_bytes(model: &Model, piece: &[u8]) -> Vec<u32> {
        let mut parts: Vec<Vec<u8>> = piece.iter().map(|&byte| vec![byte]).collect();
        while let Some((_, at)) = (1..parts.len())
            .filter_map(|at| Some((model.id(&[parts[at - 1].as_slice(), &parts[at]].concat())?, at)))
            .min()
        {
            let right = parts.remove(at);
            parts[at - 1].extend(right);
        }
        parts.iter().map(|part| model.id(part).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_heap_equals_the_textbook((model, ranks) in random_models(), piece in "[abc]{2,64}|a{2,64}|(ab){1,32}") {
            let piece = piece.as_bytes();
            let mut expected = Vec::new();
            merge_all(&model, piece, &mut expected);
            let mut heaped = Vec::new();
            model.symbols(piece, &mut heaped);
            merge_by_heap(&model, &mut heaped, &Interrupt::never()).unwrap();
            prop_assert_eq!(&heaped, &expected);
            if ranks {
                prop_assert_eq!(&merge_by_joined_bytes(&model, piece), &expected);
            }
        }

        #[test]
        fn whole_pieces_and_the_cache_change_nothing((model, ranks) in random_models(), cached in any::<bool>(), text in "([abc]{1,9} ?){0,20}[abc]{0,200}") {
            let pretokenizer = Pretokenizer::new(Some("gpt2")).unwrap();
            let (mut ids, mut count, mut expected) = (Vec::new(), Count::default(), Vec::new());
            let (pool, merger) = (Pool::default(), Merger::new(&model));
            let mut encoder = if cached {
                Encoder::new(&model, || merger.as_ref(), &pretokenizer, pool.borrow(0, Member::ALONE))
            } else {
                Encoder::plain(&model, &pretokenizer)
            };
            encoder.encode(text.as_bytes(), &mut ids, &Interrupt::never()).unwrap();
            encoder.encode(text.as_bytes(), &mut count, &Interrupt::never()).unwrap();
            pretokenizer.split(text.as_bytes(), |start, end| {
                let piece = &text.as_bytes()[start..end];
                match model.id(piece).filter(|_| ranks) {
                    Some(id) => expected.push(id),
                    None => merge_all(&model, piece, &mut expected),
                }
                Ok(())
            }).unwrap();
            prop_assert_eq!(count.number, ids.len() as u64);
            prop_assert_eq!(ids, expected);
        }
    }
}
