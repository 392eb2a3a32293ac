//! What is kept between calls: pieces that were merged before, within one budget of bytes for the whole process.
//!
//! Naive: one table behind a lock, or one a thread that dies with it. Idea: a tokenizer keeps [`Workspace`]s; each thread
//! of a call borrows one and gives it back, so that the next call finds it warm, and no thread ever waits for another.
//! A workspace begins with a few kilobytes and grows with what is put into it, as far as the budget allows; where the
//! budget is spent, idle workspaces of other tokenizers go first.
//! Cost: two uncontended locks a call. Memory: the budget (`TOKFAST_CACHE_BYTES`; unless set, 64 MiB for each thread that a
//! call uses by itself, and at most 512), and beyond it the least size of each workspace in use; while one grows, its old
//! self is there beside the new.
//! Measured, 1 GB of many kinds of text, two threads, which merge what the other merged, too: with 64 MiB together 1.90 s at
//! first sight and 2.11 when it was seen before, with 64 MiB for each 1.62 and 1.35. One thread, with at most 60 MiB 2.9 and
//! 2.7 s, with 120 MiB 2.8 and 2.2; 100 MB of text take the same.
//! Invariant: locks are tried and never waited for, so a child that was forked while a lock was held works on without
//! what it protects. What is kept never changes a result.

mod key;
mod lines;
mod memory;
mod pieces;
mod records;
mod slots;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

pub(crate) use key::{HASH, Window, is_short, key, key_of, near_the_end};
pub(crate) use lines::{
    IDS, LINE, NO_VALUE, SMALL, VALUE, home, ids, is_found, number, number_anywhere, place, value_of, value_of_few,
    value_of_place,
};
pub(crate) use pieces::{Cache, Found};

use crate::pretokenize::Ends;
use crate::threads::{Member, default_threads};

/// How many pieces are asked for together. Their keys, values and lines (23 KB) stay in the first cache.
pub(crate) const NEAR: usize = 256;
/// How many pieces are looked up together: of those that have to be merged there are several, then.
pub(crate) const BLOCK: usize = 8 * NEAR;

/// So many ids of a piece are written at once, where they do not fit into a value.
pub(crate) const MANY: usize = 16;

/// The budget where `TOKFAST_CACHE_BYTES` is not set: for each thread that a call uses, and the most.
const BUDGET_OF_THREAD: usize = 64 << 20;
const MOST_BUDGET: usize = 512 << 20;
/// Lines of the smallest cache (22 KiB), and of the largest (120 MiB): not a power of two, so that it fills the budget.
/// Lines that are half full have few pieces in their other line.
const LEAST: usize = 1 << 8;
const MOST: usize = 3 << 19;
/// Each growth makes so many times the lines.
const STEP: usize = 4;

/// Bytes of all workspaces of the process.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// All pools, so that the idle memory of one can serve another.
static POOLS: Mutex<Vec<Weak<Idle>>> = Mutex::new(Vec::new());

/// The budget of the process.
pub(crate) fn budget() -> usize {
    static CHOSEN: OnceLock<usize> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let set = std::env::var("TOKFAST_CACHE_BYTES").ok().and_then(|value| value.parse().ok());
        set.unwrap_or_else(|| default_threads().saturating_mul(BUDGET_OF_THREAD).min(MOST_BUDGET))
    })
}

/// What the passes over a block hand on.
#[derive(Debug, Default)]
pub(crate) struct BlockRoom {
    /// The key of each piece.
    pub(crate) keys: Vec<u128>,
    /// The lines of those that were asked for last.
    pub(crate) homes: Vec<u32>,
    /// The value of each piece, where there is one.
    pub(crate) values: Vec<u64>,
    /// The places of those that are not in their lines.
    pub(crate) some: Vec<u32>,
    /// Those of them that are merged together.
    pub(crate) queues: Vec<Vec<u32>>,
    /// The ids of pieces that have more than fit into a value.
    pub(crate) more: Vec<u32>,
    /// Room for all ids that [`NEAR`] values hold.
    pub(crate) ids: Vec<u32>,
}

impl BlockRoom {
    fn new() -> Self {
        Self {
            keys: vec![0; BLOCK],
            homes: vec![0; NEAR],
            values: vec![0; BLOCK],
            queues: Vec::new(),
            more: Vec::new(),
            // Room for what is written before it is known to count.
            some: vec![0; BLOCK + 64],
            // So many are stored at once, of which fewer may count.
            ids: vec![0; NEAR * MANY],
        }
    }
}

/// What one thread works with.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Pieces merged before.
    pub(crate) cache: Cache,
    /// Room for the ends of pieces.
    pub(crate) ends: Ends,
    /// Room for them with the cuts of long pieces.
    pub(crate) finer: Vec<u32>,
    /// Room for a block, kept so that a short text costs no clearing.
    pub(crate) room: BlockRoom,
    /// Bytes counted in [`HELD`].
    held: usize,
    /// The most bytes this one may have.
    share: usize,
    /// The generation of the pool it came from.
    generation: usize,
    /// The number of the thread that had it last.
    member: usize,
    /// Pieces looked up since the pool was cleared, and those of them that were not found.
    pub(crate) lookups: u64,
    pub(crate) misses: u64,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        HELD.fetch_sub(self.held, Relaxed);
    }
}

impl Workspace {
    /// Sets the number of lines to at least `lines`, or to the most that the budget allows; says whether it grew.
    fn grow_to(&mut self, lines: usize, pool: &Arc<Idle>) -> bool {
        let mut lines = lines.next_power_of_two().clamp(LEAST, MOST);
        while lines > LEAST && Cache::bytes_for(lines) > self.share {
            lines = (lines / 2).max(LEAST);
        }
        while lines > self.lines() {
            let more = Cache::bytes_for(lines) - self.held;
            let fits = HELD.fetch_add(more, Relaxed) + more <= budget();
            if fits || lines == LEAST || reclaim(pool) {
                self.held += more;
                if self.held == more {
                    self.cache = Cache::with_lines(lines);
                } else {
                    self.cache.grow(lines);
                }
                return true;
            }
            HELD.fetch_sub(more, Relaxed);
            lines = (lines / 2).max(LEAST);
        }
        false
    }

    /// The number of lines; none before the first growth.
    fn lines(&self) -> usize {
        if self.held == 0 { 0 } else { self.cache.len() }
    }
}

/// Frees idle workspaces of other tokenizers until the budget holds; says whether it does.
fn reclaim(own: &Arc<Idle>) -> bool {
    let Ok(pools) = POOLS.try_lock() else { return false };
    for pool in pools.iter().filter_map(Weak::upgrade).filter(|pool| !Arc::ptr_eq(pool, own)) {
        if let Ok(mut idle) = pool.workspaces.try_lock() {
            while HELD.load(Relaxed) > budget()
                && let Some(workspace) = idle.pop()
            {
                pool.note(&workspace);
            }
        }
    }
    HELD.load(Relaxed) <= budget()
}

/// What the clones of a pool share.
#[derive(Debug, Default)]
struct Idle {
    // A call for one word would spend a tenth of its time moving a workspace.
    #[allow(clippy::vec_box)]
    workspaces: Mutex<Vec<Box<Workspace>>>,
    generation: AtomicUsize,
    /// What was noted of workspaces that are no more.
    lookups: AtomicU64,
    misses: AtomicU64,
}

impl Idle {
    /// Keeps the numbers of a workspace that will be no more.
    fn note(&self, workspace: &Workspace) {
        self.lookups.fetch_add(workspace.lookups, Relaxed);
        self.misses.fetch_add(workspace.misses, Relaxed);
    }
}

/// How well the cache of a tokenizer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Pieces looked up since the tokenizer was made or the cache cleared. Like all of these, it leaves out what belongs to
    /// calls that are under way.
    pub lookups: u64,
    /// Those of them that had to be merged.
    pub misses: u64,
    /// Pieces that are kept, over all idle workspaces of the tokenizer.
    pub entries: u64,
    /// Bytes of memory of these workspaces.
    pub bytes: u64,
    /// Bytes of memory of all tokenizers of the process.
    pub process_bytes: u64,
    /// What all tokenizers of the process may use.
    pub budget: u64,
}

/// The workspaces of one tokenizer.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Idle>);

impl Default for Pool {
    fn default() -> Self {
        let idle = Arc::new(Idle::default());
        if let Ok(mut pools) = POOLS.try_lock() {
            pools.retain(|pool| pool.strong_count() > 0);
            pools.push(Arc::downgrade(&idle));
        }
        Self(idle)
    }
}

/// A clone keeps nothing that the other kept.
impl Clone for Pool {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A borrowed workspace; goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Borrowed<'p> {
    pool: &'p Pool,
    /// Only taken out to give it back.
    workspace: Option<Box<Workspace>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let Some(workspace) = self.workspace.take() else { return };
        let idle = &self.pool.0;
        if workspace.generation != idle.generation.load(Relaxed) {
            return;
        }
        match idle.workspaces.try_lock() {
            Ok(mut workspaces) => workspaces.push(workspace),
            Err(_) => idle.note(&workspace),
        }
    }
}

impl Borrowed<'_> {
    #[inline]
    pub(crate) fn workspace(&mut self) -> &mut Workspace {
        self.workspace.get_or_insert_default()
    }

    /// Grows where more was put than there is room for; says whether it did.
    #[inline]
    pub(crate) fn grow_if_full(&mut self) -> bool {
        let cache = &self.workspace().cache;
        // Two thirds full; and not asked again at once where the budget said no.
        cache.entries > cache.len() * 2 && cache.puts > cache.len() / 4 && self.grow()
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let pool = self.pool;
        let workspace = self.workspace();
        workspace.cache.puts = 0;
        workspace.grow_to(workspace.lines() * STEP, &pool.0)
    }
}

impl Pool {
    /// A workspace for a thread that has its share of a text of so many bytes; says whether it just grew.
    pub(crate) fn borrow(&self, bytes: usize, member: Member) -> (Borrowed<'_>, bool) {
        let kept = self.0.workspaces.try_lock().ok().and_then(|mut workspaces| take(&mut workspaces, member.number));
        let mut workspace = kept.unwrap_or_default();
        workspace.member = member.number;
        workspace.generation = self.0.generation.load(Relaxed);
        workspace.share = budget() / member.of.max(1);
        if workspace.room.keys.is_empty() {
            workspace.room = BlockRoom::new();
        }
        // Text of n bytes has about n / 100 distinct pieces, short text more. Memory that is not needed is not free: in a
        // virtual machine, whose host has yet to bring it, 44 MiB took 80 ms.
        let grew = workspace.grow_to(bytes / 128 + (bytes / 64).min(1 << 15), &self.0);
        (Borrowed { pool: self, workspace: Some(workspace) }, grew)
    }

    /// Forgets everything; workspaces in use are forgotten when they come back.
    pub(crate) fn clear(&self) {
        self.0.generation.fetch_add(1, Relaxed);
        self.0.lookups.store(0, Relaxed);
        self.0.misses.store(0, Relaxed);
        if let Ok(mut workspaces) = self.0.workspaces.try_lock() {
            workspaces.clear();
        }
    }

    /// How well it does.
    pub(crate) fn stats(&self) -> CacheStats {
        let (mut entries, mut bytes) = (0, 0);
        let (mut lookups, mut misses) = (self.0.lookups.load(Relaxed), self.0.misses.load(Relaxed));
        if let Ok(workspaces) = self.0.workspaces.try_lock() {
            for workspace in workspaces.iter() {
                entries += workspace.cache.entries as u64;
                bytes += workspace.held as u64;
                lookups += workspace.lookups;
                misses += workspace.misses;
            }
        }
        CacheStats {
            lookups,
            misses,
            entries,
            bytes,
            process_bytes: HELD.load(Relaxed) as u64,
            budget: budget() as u64,
        }
    }
}

/// The workspace that the thread of this number had before, so that it meets the texts of its share again; else any.
#[allow(clippy::vec_box)] // as they are kept
fn take(workspaces: &mut Vec<Box<Workspace>>, member: usize) -> Option<Box<Workspace>> {
    let last = workspaces.len().checked_sub(1)?;
    let own = workspaces.iter().rposition(|workspace| workspace.member == member);
    Some(workspaces.swap_remove(own.unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_workspace_that_it_had_before() {
        let pool = Pool::default();
        let member = |number| Member { number, of: 3 };
        let sizes = [1 << 10, 1 << 20, 1 << 15];
        let lines: Vec<usize> = {
            let mut all: Vec<_> = (0..3).map(|number| pool.borrow(sizes[number], member(number)).0).collect();
            all.iter_mut().map(|borrowed| borrowed.workspace().cache.len()).collect()
        };
        for number in [1, 2, 0, 1] {
            assert_eq!(pool.borrow(0, member(number)).0.workspace().cache.len(), lines[number]);
        }
        assert!(lines.contains(&pool.borrow(0, member(7)).0.workspace().cache.len()), "any, rather than none");
    }

    #[test]
    fn a_share_that_is_too_small_for_anything_gives_the_least() {
        // The largest number of lines is no power of two: halving it passes the least by.
        let pool = Pool::default();
        let (mut borrowed, grew) = pool.borrow(1 << 40, Member { number: 0, of: usize::MAX });
        assert!(grew);
        assert_eq!(borrowed.workspace().cache.len(), LEAST);
    }
}
