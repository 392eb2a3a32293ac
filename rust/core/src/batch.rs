//! Many texts at once: shared out to threads, put together in their order.
//!
//! Naive: a result a text, joined at the end: each id is copied and its memory touched for the first time twice.
//! Idea: one thread writes into one growing array, which the system enlarges in place. Several threads take groups of
//! neighbouring texts in order, and each appends its group to the array when the groups before it are there; a group
//! that is early waits aside. So the ids are copied once, out of a buffer that is still in the cache. Counts have no order:
//! there, each thread has neighbouring groups.
//! Tried and dropped, twice: pages of 2 MiB for the ids. 0.29 instead of 0.32 s for 100 MB of text seen before, where the
//! system has such pages; in a virtual machine that gives large free blocks back to its host, and has them brought again,
//! 0.64 instead of 0.34.
//! Cost: memory for the ids, and for the groups that wait: about one a thread.
//! Invariant: the result does not depend on the number of threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::interrupt::{Interrupt, Phase};
use crate::prefetch::pages;
use crate::threads::{self, Member};

/// Bytes of text below which another thread costs more than it brings.
const TEXT_PER_THREAD: usize = 128 << 10;

/// The most ids that room is reserved for ahead.
const MOST_AHEAD: usize = 1 << 28;

/// The ids of many texts: those of text `i` are `ids[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All ids.
    pub ids: Vec<u32>,
    /// Where each text begins; one more entry than texts.
    pub offsets: Vec<i64>,
}

/// How many threads are worth starting for so many bytes.
pub(crate) fn threads_for(threads: usize, bytes: usize) -> usize {
    threads.min(bytes / TEXT_PER_THREAD + 1)
}

fn bytes(texts: &[&[u8]]) -> usize {
    texts.iter().map(|text| text.len()).sum()
}

/// Groups of neighbouring texts, each of about [`TEXT_PER_THREAD`] bytes.
fn groups(texts: &[&[u8]]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, text) in texts.iter().enumerate() {
        size += text.len();
        if size >= TEXT_PER_THREAD || index + 1 == texts.len() {
            groups.push(start..index + 1);
            (start, size) = (index + 1, 0);
        }
    }
    groups
}

/// The ids of groups, put together in order.
struct Ordered {
    /// The group that comes next.
    next: usize,
    /// Groups that are done before their turn: ids, and how many of them there are after each text.
    waiting: BTreeMap<usize, (Vec<u32>, Vec<usize>)>,
    batch: Batch,
}

impl Ordered {
    fn put(&mut self, group: usize, ids: Vec<u32>, ends: Vec<usize>) {
        self.waiting.insert(group, (ids, ends));
        while let Some((ids, ends)) = self.waiting.remove(&self.next) {
            self.next += 1;
            let base = self.batch.ids.len();
            self.batch.offsets.extend(ends.iter().map(|end| (base + end) as i64));
            self.batch.ids.extend_from_slice(&ids);
            pages(&mut self.batch.ids, base);
        }
    }
}

/// The ids of many texts: `encode` appends those of one.
pub(crate) fn encode<S: Send>(
    texts: &[&[u8]],
    threads: usize,
    interrupt: &Interrupt<'_>,
    state: impl Fn(usize, Member) -> S + Sync,
    encode: impl Fn(&mut S, &[u8], &mut Vec<u32>) -> Result<()> + Sync,
) -> Result<Batch> {
    let total = bytes(texts);
    let threads = threads_for(threads, total);
    interrupt.begin(Phase::Encode, total as u64);
    let mut batch = Batch { ids: Vec::new(), offsets: Vec::with_capacity(texts.len() + 1) };
    batch.offsets.push(0);
    // Text has three to five bytes a token; what is too much is never touched, and what cannot be had is asked for later.
    let _ = batch.ids.try_reserve((total / 3).min(MOST_AHEAD));
    if threads == 1 {
        let mut state = state(total, Member::ALONE);
        for text in texts {
            encode(&mut state, text, &mut batch.ids)?;
            batch.offsets.push(batch.ids.len() as i64);
            interrupt.advance(text.len() as u64)?;
        }
        return Ok(batch);
    }
    let groups = groups(texts);
    let ordered = Mutex::new(Ordered { next: 0, waiting: BTreeMap::new(), batch });
    threads::run(
        threads,
        groups.len(),
        |member| state(total, member),
        |state, index| {
            let group = &texts[groups[index].clone()];
            let mut ids = Vec::with_capacity(bytes(group) / 3);
            let mut ends = Vec::with_capacity(group.len());
            for text in group {
                encode(state, text, &mut ids)?;
                ends.push(ids.len());
            }
            ordered.lock().unwrap_or_else(PoisonError::into_inner).put(index, ids, ends);
            interrupt.advance(bytes(group) as u64)
        },
    )?;
    Ok(ordered.into_inner().unwrap_or_else(PoisonError::into_inner).batch)
}

/// How many ids each of many texts has: `count` tells that of one.
pub(crate) fn count<S: Send>(
    texts: &[&[u8]],
    threads: usize,
    interrupt: &Interrupt<'_>,
    state: impl Fn(usize, Member) -> S + Sync,
    count: impl Fn(&mut S, &[u8]) -> Result<u64> + Sync,
) -> Result<Vec<i64>> {
    let total = bytes(texts);
    let threads = threads_for(threads, total);
    interrupt.begin(Phase::Encode, total as u64);
    let groups = groups(texts);
    let counted = threads::run_apart(
        threads,
        groups.len(),
        |member| (state(total, member), Vec::new()),
        |(state, counted), index| {
            let group = &texts[groups[index].clone()];
            let counts = group.iter().map(|text| count(state, text).map(|count| count as i64));
            counted.push((index, counts.collect::<Result<Vec<_>>>()?));
            interrupt.advance(bytes(group) as u64)
        },
    )?;
    Ok(threads::in_order(counted.into_iter().map(|(_, counted)| counted)).concat())
}
