//! The ids of a block of pieces, most of which were merged before.
//!
//! Naive: find one piece after the other in a hash table: each waits for memory, 80-100 ns beyond the caches.
//! Idea: a first pass makes the keys of a block and has their lines fetched, a second one reads them, when they have
//! arrived; it has one branch, for everything that is rare. Long pieces ask for their records in between. The first
//! piece of a block that is nowhere has all others of its kind gathered ([`merge_ahead`]): what they need is asked for at
//! once, and three are merged together. The second pass then goes on and finds them.
//! Cost: about one line of the cache a piece.
//! Invariant: what the second pass does not find it merges, so that nothing depends on what was done before it.
//! Source: the passes follow the experiments that this crate began with; three at a time was their best, too.

use super::{Sink, encode_piece};
use crate::cache::{self, Cache, Found, IDS, Workspace};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::merge::{self, Merger, PACKED, TOGETHER};
use crate::model::Model;
use crate::prefetch::prefetch;
use crate::table::SHORT;

/// Pieces of a text: `ends` holds where they end, counted from `base`; the first begins at `start`.
#[derive(Clone, Copy)]
pub(super) struct Block<'b> {
    pub(super) text: &'b [u8],
    pub(super) base: usize,
    pub(super) start: usize,
    pub(super) ends: &'b [u32],
}

impl Block<'_> {
    /// Where a piece begins and ends.
    #[inline]
    fn span(&self, at: usize) -> (usize, usize) {
        let start = if at == 0 { self.start } else { self.base + self.ends[at - 1] as usize };
        (start, self.base + self.ends[at] as usize)
    }
}

/// Looks up the pieces of a block of at most [`cache::BLOCK`]; returns where the last one ends.
#[inline]
pub(super) fn look_up<S: Sink>(
    tokens: (&Model, Option<&Merger>),
    work: &mut Workspace,
    block: Block<'_>,
    sink: &mut S,
    interrupt: &Interrupt<'_>,
) -> Result<usize> {
    work.lookups += block.ends.len() as u64;
    let end = ask(work, block);
    let (mut done, mut counted, mut gathered) = (0, 0, false);
    loop {
        // Up to the first piece that is not simply there.
        let Workspace { cache, keys, homes, ids, .. } = &mut *work;
        let lines = cache.lines();
        let mut kept = 0;
        let mut rest = keys[done..block.ends.len()].iter().zip(&homes[done..block.ends.len()]);
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
        if S::KEEPS {
            sink.extend(&ids[..kept]);
        }
        let Some(stop) = stop else { break };
        done += stop;
        let (key, span) = (keys[done], block.span(done));
        if !find(cache, block.text, span, key, sink) {
            if !gathered && let Some(merger) = tokens.1 {
                gathered = true;
                merge_ahead(merger, work, block, done);
                continue;
            }
            merge_one(tokens, work, block.text, span, key, sink, interrupt)?;
        }
        done += 1;
    }
    if !S::KEEPS {
        sink.add(counted);
    }
    Ok(end)
}

/// Makes the keys of a block and asks for what they lead to; returns where the last piece ends.
#[inline]
fn ask(work: &mut Workspace, block: Block<'_>) -> usize {
    let Workspace { cache, keys, homes, some, .. } = work;
    let lines = cache.lines();
    let (mut from, mut number) = (block.start, 0);
    for (at, ((&end, key), home)) in block.ends.iter().zip(&mut *keys).zip(&mut *homes).enumerate() {
        let end = block.base + end as usize;
        *key = cache::key(block.text, from, end);
        *home = cache.home(*key) as u32;
        prefetch(lines, *home as usize);
        some[number] = at as u32;
        number += usize::from(end - from > SHORT);
        from = end;
    }
    // What long pieces hash to stands in their keys, which are in no line.
    for &at in &some[..number] {
        let (from, end) = block.span(at as usize);
        keys[at as usize] |= u128::from(cache.ask_long(&block.text[from..end]));
    }
    for &at in &some[..number] {
        cache.ask_record(keys[at as usize] as u64);
    }
    from
}

/// Merges pieces of a block, from `first` on, that are new, three of about the same length together, and keeps them. A piece that is left
/// over, or very long, or a token that merging does not make, is left for the second pass.
#[inline(never)]
fn merge_ahead(merger: &Merger, work: &mut Workspace, block: Block<'_>, first: usize) {
    let Workspace { cache, keys, homes, some, misses, .. } = work;
    let mut number = 0;
    let lines = cache.lines();
    for (at, (&key, &home)) in keys.iter().zip(&*homes).enumerate().take(block.ends.len()).skip(first) {
        some[number] = at as u32;
        number += usize::from(!cache::is_found(cache::number(cache::probe(&lines[home as usize], key))));
    }
    for &at in &some[..number] {
        cache.ask_other(keys[at as usize]);
    }
    let mut queues = [[0; TOGETHER]; merge::CLASSES];
    let mut waiting = [0; merge::CLASSES];
    for &at in &some[..number] {
        let (from, end) = block.span(at as usize);
        let key = keys[at as usize];
        let known = if end - from > SHORT { cache.contains_long(key as u64) } else { cache.contains(key) };
        if known || end - from > PACKED || merger.exception(block.text, from, end).is_some() {
            continue;
        }
        let class = merge::class(end - from);
        queues[class][waiting[class]] = at as usize;
        waiting[class] += 1;
        if waiting[class] == TOGETHER {
            waiting[class] = 0;
            merge_three(merger, (cache, misses), keys, block, queues[class]);
        }
    }
    // Those of all lengths that are left; the last but one stands in for a third that is missing.
    let (mut left, mut number) = ([0; merge::CLASSES * TOGETHER], 0);
    for (queue, waiting) in queues.iter().zip(waiting) {
        left[number..number + waiting].copy_from_slice(&queue[..waiting]);
        number += waiting;
    }
    for three in left[..number].chunks(TOGETHER).filter(|three| three.len() > 1) {
        merge_three(merger, (cache, misses), keys, block, [three[0], three[1], three[three.len() - 1]]);
    }
}

/// Merges three pieces and keeps them.
#[inline]
fn merge_three(
    merger: &Merger,
    (cache, misses): (&mut Cache, &mut u64),
    keys: &[u128],
    block: Block<'_>,
    three: [usize; TOGETHER],
) {
    let pieces = three.map(|at| {
        let (from, end) = block.span(at);
        &block.text[from..end]
    });
    let mut ids = [[0; PACKED]; TOGETHER];
    let lens = merger.merge_together(pieces, &mut ids);
    for (((at, piece), ids), len) in three.into_iter().zip(pieces).zip(&ids).zip(lens) {
        if piece.len() <= SHORT {
            cache.put(keys[at], &ids[..len]);
        } else {
            cache.put_long(keys[at] as u64, piece, &ids[..len]);
        }
    }
    *misses += if three[1] == three[2] { 2 } else { 3 };
}

/// Whether a piece that the first look did not find is kept elsewhere; its ids go to `sink`.
#[cold]
#[inline(never)]
fn find<S: Sink>(cache: &mut Cache, text: &[u8], (start, end): (usize, usize), key: u128, sink: &mut S) -> bool {
    if end - start > SHORT {
        let ids = cache.find_long(key as u64, &text[start..end]);
        return ids.inspect(|ids| sink.extend(ids)).is_some();
    }
    match cache.find(key, S::KEEPS) {
        Found::Value(value) => sink.extend(&cache::ids(value)[..cache::number(value)]),
        Found::Record(ids) => sink.extend(ids),
        Found::Number(number) => sink.add(number),
        Found::Nothing => return false,
    }
    true
}

/// Merges a piece and keeps it.
#[cold]
#[inline(never)]
fn merge_one<S: Sink>(
    (model, merger): (&Model, Option<&Merger>),
    work: &mut Workspace,
    text: &[u8],
    (start, end): (usize, usize),
    key: u128,
    sink: &mut S,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    let piece = &text[start..end];
    work.misses += 1;
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
    if piece.len() <= SHORT {
        work.cache.put(key, ids);
    } else {
        work.cache.put_long(key as u64, piece, ids);
    }
    sink.extend(ids);
    Ok(())
}
