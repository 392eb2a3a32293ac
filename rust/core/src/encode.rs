//! Text -> ids, or only their number.
//!
//! Naive: for every piece, merge the pair of the smallest rank until none is left: quadratic in the piece.
//! Idea: text repeats itself, so a piece is mostly one that was merged before: it is looked up in a [`Cache`], which
//! answers from one line of 64 bytes. Pieces come in blocks of [`BLOCK`]: a first pass makes the keys of a block and has
//! their lines fetched, a second one reads them, when they have arrived; it has one branch, for everything that is rare.
//! A piece that is not there is looked up as a token, then merged ([`Merger`]). All end in a [`Sink`], which keeps ids or counts them,
//! so a count is the length of the encoding by construction.
//! Cost: O(bytes).
//! Invariant: the ids are those of `merge_all` of the model, piece by piece, whatever path is taken.

use crate::cache::{self, BLOCK, Borrowed, Cache, Found, IDS, Pool, Workspace};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::merge::{Merger, PACKED};
use crate::model::{Model, merge_by_heap};
use crate::prefetch::prefetch;
use crate::pretokenize::Pretokenizer;
use crate::table::SHORT;

/// Where the ids of a text go.
pub(crate) trait Sink {
    /// Whether ids are looked at; otherwise [`Self::add`] is enough.
    const KEEPS: bool;
    /// Takes the next ids.
    fn extend(&mut self, ids: &[u32]);
    /// Notes that so many ids come next.
    fn add(&mut self, number: usize);
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
    /// For one of `threads` threads that share a text of so many bytes.
    pub(crate) fn new(
        (model, merger): (&'e Model, Option<&'e Merger>),
        pretokenizer: &'e Pretokenizer,
        pool: &'e Pool,
        bytes: usize,
        threads: usize,
    ) -> Self {
        let (mut memory, grew) = pool.borrow(bytes, threads);
        if grew {
            seed(model, &mut memory.workspace.cache);
        }
        Self { model, merger, pretokenizer, memory: Some(memory) }
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
        let mut room = std::mem::take(&mut memory.workspace.ends);
        let outcome = self.pretokenizer.split_batches(&mut room, text, |base, ends| {
            let mut start = base;
            for block in ends.chunks(BLOCK) {
                start = look_up(
                    (self.model, self.merger),
                    &mut memory.workspace,
                    text,
                    (base, start),
                    block,
                    sink,
                    interrupt,
                )?;
            }
            if memory.grow_if_full() {
                seed(self.model, &mut memory.workspace.cache);
            }
            if start - checked > 1 << 20 {
                checked = start;
                interrupt.check()?;
            }
            // Nobody looks at the error.
            if sink.is_full() { Err(Error::Interrupted) } else { Ok(()) }
        });
        memory.workspace.ends = room;
        if sink.is_full() { Ok(()) } else { outcome }
    }
}

/// Puts the tokens into a cache that is large enough for them: most of them will be asked for.
fn seed(model: &Model, cache: &mut Cache) {
    if cache.len() >= model.len() {
        for (bytes, id) in model.whole_tokens().filter(|(bytes, _)| bytes.len() <= SHORT) {
            cache.seed(cache::key(bytes, 0, bytes.len()), id);
        }
    }
}

/// Looks up the pieces of a block, the first of which begins at `start`; returns where the last one ends.
#[inline]
fn look_up<S: Sink>(
    tokens: (&Model, Option<&Merger>),
    work: &mut Workspace,
    text: &[u8],
    (base, start): (usize, usize),
    ends: &[u32],
    sink: &mut S,
    interrupt: &Interrupt<'_>,
) -> Result<usize> {
    let Workspace { cache, keys, homes, longs, ids, lookups, .. } = work;
    *lookups += ends.len() as u64;
    let lines = cache.lines();
    let (mut from, mut number) = (start, 0);
    for (at, ((&end, key), home)) in ends.iter().zip(&mut *keys).zip(&mut *homes).enumerate() {
        let end = base + end as usize;
        *key = cache::key(text, from, end);
        *home = cache.home(*key) as u32;
        prefetch(lines, *home as usize);
        longs[number] = at as u32;
        number += usize::from(end - from > SHORT);
        from = end;
    }
    // What long pieces hash to stands in their keys, which are in no line.
    for &at in &longs[..number] {
        let at = at as usize;
        let from = if at == 0 { start } else { base + ends[at - 1] as usize };
        keys[at] |= u128::from(cache.ask_long(&text[from..base + ends[at] as usize]));
    }
    for &at in &longs[..number] {
        cache.ask_record(keys[at as usize] as u64);
    }
    let (mut done, mut counted, mut kept) = (0, 0, 0);
    loop {
        // Up to the first piece that is not simply there.
        let lines = cache.lines();
        let mut rest = keys[done..ends.len()].iter().zip(&homes[done..ends.len()]);
        let stop = rest.position(|(&key, &home)| {
            let value = cache::probe(&lines[home as usize], key);
            let number = cache::number(value);
            if !cache::is_found(number) {
                return true;
            }
            if S::KEEPS {
                ids[kept..kept + IDS].copy_from_slice(&cache::ids(value));
                kept += number;
            } else {
                counted += number;
            }
            false
        });
        let Some(stop) = stop else { break };
        if S::KEEPS {
            sink.extend(&ids[..std::mem::take(&mut kept)]);
        }
        let at = done + stop;
        let from = if at == 0 { start } else { base + ends[at - 1] as usize };
        let misses = &mut work.misses;
        find_or_merge(tokens, cache, misses, text, (from, base + ends[at] as usize), keys[at], sink, interrupt)?;
        done = at + 1;
    }
    if S::KEEPS {
        sink.extend(&ids[..kept]);
    } else {
        sink.add(counted);
    }
    Ok(from)
}

/// A piece that the first look did not find.
#[cold]
#[inline(never)]
#[allow(clippy::too_many_arguments)]
fn find_or_merge<S: Sink>(
    (model, merger): (&Model, Option<&Merger>),
    cache: &mut Cache,
    misses: &mut u64,
    text: &[u8],
    (start, end): (usize, usize),
    key: u128,
    sink: &mut S,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    let piece = &text[start..end];
    let hash = if piece.len() <= SHORT {
        match cache.find(key) {
            Found::Value(value) => {
                sink.extend(&cache::ids(value)[..cache::number(value)]);
                return Ok(());
            }
            Found::Record(ids) => {
                sink.extend(ids);
                return Ok(());
            }
            Found::Nothing => None,
        }
    } else {
        let hash = key as u64;
        if let Some(ids) = cache.find_long(hash, piece) {
            sink.extend(ids);
            return Ok(());
        }
        Some(hash)
    };
    *misses += 1;
    let (mut room, mut many) = ([0; PACKED], Vec::new());
    let ids = if let Some(merger) = merger {
        if let Some(id) = merger.exception(text, start, end) {
            room[0] = id;
            &room[..1]
        } else if piece.len() <= PACKED {
            merger.merge_into(piece, &mut room)
        } else {
            merger.merge(piece, &mut many, interrupt)?;
            &many
        }
    } else {
        encode_piece(model, piece, &mut many, interrupt)?;
        &many
    };
    match hash {
        Some(hash) => cache.put_long(hash, piece, ids),
        None => cache.put(key, ids),
    }
    sink.extend(ids);
    Ok(())
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
    use crate::model::{merge_all, random_models};
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
                Encoder::new((&model, merger.as_ref()), &pretokenizer, &pool, 0, 1)
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
