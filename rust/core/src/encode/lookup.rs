//! The ids of a block of pieces, most of which were merged before.
//!
//! Naive: find one piece after the other in a hash table: each waits for memory, 80-100 ns beyond the caches.
//! Idea: a first pass makes the keys of a block and has their lines fetched, a second one takes the values out of them, when
//! they have arrived ([`super::passes`]). For the rest, mostly few, each step is done for all before the next one: ask for
//! where they may be, look there, merge what is nowhere, together. So what one waits for, the others wait for too. Every
//! piece comes to a value, and at the end the values are written out in order; a count only adds up their numbers.
//! Cost: about one line of the cache a piece.
//! Invariant: a value is what merging the piece gives, wherever it was found.
//! Source: the passes follow the experiments that this crate began with.

use super::passes::{ask, emit, take};
use super::{Sink, encode_piece};
use crate::cache::{self, BlockRoom, Cache, Found, HASH, NEAR, Workspace};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::merge::{self, Merger, PACKED};
use crate::model::Model;

/// Pieces of a text: `ends` holds where they end, counted from `base`; the first begins at `start`.
#[derive(Clone, Copy)]
pub(super) struct Block<'b> {
    pub(super) text: &'b [u8],
    pub(super) base: usize,
    pub(super) start: usize,
    pub(super) ends: &'b [u32],
}

impl<'b> Block<'b> {
    /// Where a piece begins and ends.
    #[inline]
    fn span(&self, at: usize) -> (usize, usize) {
        let start = if at == 0 { self.start } else { self.base + self.ends[at - 1] as usize };
        (start, self.base + self.ends[at] as usize)
    }

    #[inline]
    fn piece(&self, at: usize) -> &'b [u8] {
        let (start, end) = self.span(at);
        &self.text[start..end]
    }
}

/// What becomes of pieces whose ids are known.
struct Known<'k, const KEEPS: bool> {
    values: &'k mut [u64],
    more: &'k mut Vec<u32>,
    /// How many ids there are, where they are only counted.
    sum: usize,
}

impl<const KEEPS: bool> Known<'_, KEEPS> {
    #[inline]
    fn value(&mut self, at: usize, value: u64) {
        if KEEPS {
            self.values[at] = value;
        } else {
            self.sum += cache::number(value);
        }
    }

    #[inline]
    fn ids(&mut self, at: usize, ids: &[u32]) {
        if KEEPS {
            self.values[at] = cache::value_of(ids).unwrap_or_else(|| {
                let place = self.more.len() as u64;
                self.more.push(ids.len() as u32);
                self.more.extend_from_slice(ids);
                cache::value_of_place(place, 0).unwrap_or_default()
            });
        } else {
            self.sum += ids.len();
        }
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
    let number = block.ends.len();
    work.lookups += number as u64;
    let (mut end, mut rest, mut sum) = (block.start, 0, 0);
    for place in (0..number).step_by(NEAR) {
        end = ask(work, block, place, end);
        let last = number.min(place + NEAR);
        let (listed, found) =
            if S::KEEPS { take::<true>(work, place, last, rest) } else { take::<false>(work, place, last, rest) };
        rest = listed;
        sum += found;
    }
    if !S::KEEPS {
        sink.add(sum);
        if rest > 0 {
            sink.add(find_rest::<false>(tokens, work, block, rest, interrupt)?);
        }
        return Ok(end);
    }
    if rest > 0 {
        find_rest::<true>(tokens, work, block, rest, interrupt)?;
    }
    let BlockRoom { values, more, ids, .. } = &mut work.room;
    for mut left in values[..number].chunks(NEAR) {
        loop {
            let (kept, done) = emit(left, more, ids);
            sink.extend(&ids[..kept]);
            let Some((&value, after)) = left[done..].split_first() else { break };
            if let Some((at, _)) = cache::place(value) {
                let (&number, ids) = more[at as usize..].split_first().unwrap_or((&0, &[]));
                sink.extend(&ids[..number as usize]);
            }
            left = after;
        }
    }
    Ok(end)
}

/// Finds the pieces of a block that are not in their lines: those at the first `number` of `some`. Returns how many ids they
/// have, where they are only counted.
#[inline(never)]
fn find_rest<const KEEPS: bool>(
    tokens: (&Model, Option<&Merger>),
    work: &mut Workspace,
    block: Block<'_>,
    number: usize,
    interrupt: &Interrupt<'_>,
) -> Result<usize> {
    let Workspace { cache, room: BlockRoom { values, keys, some, queues, more, .. }, misses, .. } = work;
    more.clear();
    let mut known = Known::<KEEPS> { values, more, sum: 0 };
    for &at in &some[..number] {
        let key = &mut keys[at as usize];
        if let Some(place) = elsewhere::<KEEPS>(known.values, at) {
            cache.ask_place(place);
        } else if cache::is_short(*key) {
            cache.ask_other(*key);
        } else {
            // What a long piece hashes to stands in its key, which is in no line.
            *key |= u128::from(cache.ask_long(block.piece(at as usize))) << HASH;
        }
    }
    for &at in &some[..number] {
        let key = keys[at as usize];
        if !cache::is_short(key) {
            cache.ask_record((key >> HASH) as u64);
        }
    }
    let mut new = 0;
    for index in 0..number {
        let at = some[index];
        if !find::<KEEPS, false>(cache, block, at as usize, keys[at as usize], &mut known) {
            some[new] = at;
            new += 1;
        }
    }
    if new > 0 {
        merge_new(tokens, (cache, misses, queues), block, keys, &mut some[..new], &mut known, interrupt)?;
    }
    Ok(known.sum)
}

/// Where the ids of a piece are, if its line says so; a count has them already.
#[inline]
fn elsewhere<const KEEPS: bool>(values: &[u64], at: u32) -> Option<u64> {
    if KEEPS { cache::place(values[at as usize]).map(|(place, _)| place) } else { None }
}

/// Whether a piece that was not in its line is kept elsewhere, or, where `HOME`, there by now.
#[inline]
fn find<const KEEPS: bool, const HOME: bool>(
    cache: &mut Cache,
    block: Block<'_>,
    at: usize,
    key: u128,
    known: &mut Known<'_, KEEPS>,
) -> bool {
    if let Some(place) = elsewhere::<KEEPS>(known.values, at as u32).filter(|_| !HOME) {
        return cache.at(place).inspect(|ids| known.ids(at, ids)).is_some();
    }
    if !cache::is_short(key) {
        let ids = cache.find_long((key >> HASH) as u64, block.piece(at));
        return ids.inspect(|ids| known.ids(at, ids)).is_some();
    }
    match if HOME { cache.find(key, KEEPS) } else { cache.find_other(key, KEEPS) } {
        Found::Value(value) => known.value(at, value),
        Found::Record(ids) => known.ids(at, ids),
        Found::Number(number) => known.sum += number,
        Found::Nothing => return false,
    }
    true
}

/// Merges the pieces at the places `new`, and keeps them: short ones together, one that comes twice once.
#[inline(never)]
fn merge_new<const KEEPS: bool>(
    tokens: (&Model, Option<&Merger>),
    (cache, misses, queues): (&mut Cache, &mut u64, &mut Vec<Vec<u32>>),
    block: Block<'_>,
    keys: &[u128],
    new: &mut [u32],
    known: &mut Known<'_, KEEPS>,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    queues.resize_with(merge::CLASSES, Vec::new);
    queues.iter_mut().for_each(Vec::clear);
    // The places of new pieces by their keys.
    let mut seen = [u16::MAX; NEAR];
    let (mut others, mut again) = (0, new.len());
    let mut next = 0;
    while next < again {
        let at = new[next];
        let (from, end) = block.span(at as usize);
        let piece = &block.text[from..end];
        let same = &mut seen[cache::home(keys[at as usize], NEAR)];
        if keys.get(usize::from(*same)) == Some(&keys[at as usize]) && block.piece(usize::from(*same)) == piece {
            again -= 1;
            new.swap(next, again);
            continue;
        }
        *same = at as u16;
        next += 1;
        match tokens.1 {
            Some(merger) if piece.len() <= PACKED && merger.exception(block.text, from, end).is_none() => {
                queues[merge::class(piece.len())].push(at);
            }
            _ => {
                new[others] = at;
                others += 1;
            }
        }
    }
    *misses += again as u64;
    let keep = |known: &mut Known<'_, KEEPS>, cache: &mut Cache, at: u32, ids: &[u32]| {
        let key = keys[at as usize];
        known.ids(at as usize, ids);
        if cache::is_short(key) {
            cache.put(key, ids);
        } else {
            cache.put_long((key >> HASH) as u64, block.piece(at as usize), ids);
        }
    };
    if let Some(merger) = tokens.1 {
        for queue in queues {
            merger.merge_many(
                block.text,
                queue,
                |at| block.span(at as usize),
                |at, ids, begins| {
                    let number = begins.count_ones() as usize;
                    let key = keys[at as usize];
                    match cache::value_of_few(ids, number).filter(|_| cache::is_short(key)) {
                        Some(value) => {
                            known.value(at as usize, value);
                            cache.put_value(key, value);
                        }
                        None => keep(known, cache, at, &ids[..number]),
                    }
                },
            );
        }
    }
    let mut ids = Vec::new();
    for &at in &new[..others] {
        ids.clear();
        merge_one(tokens, block.text, block.span(at as usize), &mut ids, interrupt)?;
        keep(known, cache, at, &ids);
    }
    for &at in &new[again..] {
        if !find::<KEEPS, true>(cache, block, at as usize, keys[at as usize], known) {
            // It is not kept, or not any more.
            ids.clear();
            merge_one(tokens, block.text, block.span(at as usize), &mut ids, interrupt)?;
            known.ids(at as usize, &ids);
        }
    }
    Ok(())
}

/// The ids of any piece.
fn merge_one(
    (model, merger): (&Model, Option<&Merger>),
    text: &[u8],
    (start, end): (usize, usize),
    ids: &mut Vec<u32>,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    let piece = &text[start..end];
    match merger.map(|merger| (merger, merger.exception(text, start, end))) {
        Some((_, Some(id))) => ids.push(id),
        Some((merger, None)) => merger.merge(piece, ids, interrupt)?,
        None => encode_piece(model, piece, ids, interrupt)?,
    }
    Ok(())
}
