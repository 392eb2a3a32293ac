//! Runs numbered pieces of work on several threads, the caller among them.
//!
//! Naive: a global pool, as rayon keeps. Such a pool does not survive `fork` (the child has its queue but none of its
//! threads), and cannot be sized per call.
//! Idea: the threads live as long as the call. Work is handed out in order by one atomic counter, so threads stay
//! busy on uneven work; each thread owns a state (a table, a buffer) that is handed back at the end. Where the order does
//! not matter, each begins with a share of neighbours ([`run_apart`]): what lies together is alike, so that a table of
//! its own meets less that is new to it. Two threads that count 232 MB of source code in the order of its files merge 0.57
//! million pieces instead of 0.62 (one: 0.51); those that count them again, each with the table it had before, 0.06 instead
//! of 0.24.
//! Cost: starting a thread takes 20-50 us, so callers ask for one thread when the work is small.
//! Invariant: no thread outlives the call, no state is shared but what is yet to be done; a panic in a worker becomes an error.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// How many threads a call uses when it is not told: `TOKFAST_THREADS`, else one per processor.
#[must_use]
pub fn default_threads() -> usize {
    std::env::var("TOKFAST_THREADS")
        .ok()
        .and_then(|value| value.parse().ok())
        .filter(|&threads| threads > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// One of the threads of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Which: the caller is number 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl Member {
    /// The only one.
    pub const ALONE: Self = Self { number: 0, of: 1 };
}

/// Calls `work(state, index)` for every index below `n`, in their order, and returns the states, the caller's first.
///
/// The first error stops the hand-out of further work and is returned.
pub fn run<S: Send>(
    threads: usize,
    n: usize,
    state: impl Fn(Member) -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let take = |_| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&index| index < n);
    run_taking(threads.min(n).max(1), take, state, work)
}

/// As [`run`], but each thread begins with a share of neighbours, and then takes half of what another has left.
pub fn run_apart<S: Send>(
    threads: usize,
    n: usize,
    state: impl Fn(Member) -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let threads = threads.min(n).max(1);
    let shares =
        Shares((0..threads).map(|thread| Mutex::new(n * thread / threads..n * (thread + 1) / threads)).collect());
    run_taking(threads, |thread| shares.take(thread), state, work)
}

/// What threads made, each with the number of the work that made it, in the order of these.
pub fn in_order<T>(lists: impl IntoIterator<Item = Vec<(usize, T)>>) -> Vec<T> {
    let mut made: Vec<_> = lists.into_iter().flatten().collect();
    made.sort_unstable_by_key(|&(index, _)| index);
    made.into_iter().map(|(_, made)| made).collect()
}

/// What each thread has yet to do.
struct Shares(Vec<Mutex<Range<usize>>>);

impl Shares {
    fn of(&self, thread: usize) -> MutexGuard<'_, Range<usize>> {
        self.0[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of a thread's own, else the first of the latter half of the longest share.
    fn take(&self, thread: usize) -> Option<usize> {
        if let Some(index) = self.of(thread).next() {
            return Some(index);
        }
        loop {
            let longest = (0..self.0.len()).max_by_key(|&other| self.of(other).len())?;
            let mut other = self.of(longest);
            let mut taken = other.start + other.len() / 2..other.end;
            // Empty: its owner was faster, and the longest is another now; or nothing is left.
            let Some(index) = taken.next() else {
                drop(other);
                if (0..self.0.len()).all(|other| self.of(other).is_empty()) {
                    return None;
                }
                continue;
            };
            other.end = index;
            drop(other);
            *self.of(thread) = taken;
            return Some(index);
        }
    }
}

/// Calls `work(state, index)` for all that `take(number of the thread)` gives.
fn run_taking<S: Send>(
    threads: usize,
    take: impl Fn(usize) -> Option<usize> + Sync,
    state: impl Fn(Member) -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let stopped = AtomicBool::new(false);
    let worker = |thread: usize| -> Result<S> {
        let mut state = state(Member { number: thread, of: threads });
        while !stopped.load(Ordering::Relaxed)
            && let Some(index) = take(thread)
        {
            work(&mut state, index).inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
        }
        Ok(state)
    };
    let worker = &worker;
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            // A thread that cannot be started is one thread fewer, not a failure.
            .map_while(|thread| {
                std::thread::Builder::new().name("tokfast".into()).spawn_scoped(scope, move || worker(thread)).ok()
            })
            .collect();
        let mut states = vec![worker(0)];
        states.extend(
            helpers.into_iter().map(|helper| {
                helper.join().unwrap_or_else(|_| Err(Error::Internal("a worker thread panicked".into())))
            }),
        );
        states.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_done_once() {
        let note = |list: &mut Vec<usize>, index: usize| {
            list.push(index);
            if index % 10 == 3 {
                std::thread::sleep(std::time::Duration::from_micros(300)); // uneven, so that others take what is left
            }
            Ok(())
        };
        for threads in [1, 2, 7, 200] {
            for n in [0, 1, 2, 100] {
                for lists in [
                    run(threads, n, |_| Vec::new(), note).unwrap(),
                    run_apart(threads, n, |_| Vec::new(), note).unwrap(),
                ] {
                    let mut done = lists.concat();
                    done.sort_unstable();
                    assert_eq!(done, (0..n).collect::<Vec<_>>());
                    let numbered = lists.into_iter().map(|list| list.into_iter().map(|index| (index, index)).collect());
                    assert_eq!(in_order(numbered), done);
                }
            }
        }
    }

    #[test]
    fn shares_are_neighbours_and_the_last_one_is_taken_too() {
        let shares = Shares(vec![Mutex::new(0..4), Mutex::new(4..8)]);
        let take = |threads: &[usize]| threads.iter().map(|&thread| shares.take(thread)).collect::<Vec<_>>();
        assert_eq!(take(&[0, 0, 1, 0, 0]), [0, 1, 4, 2, 3].map(Some));
        assert_eq!(take(&[0, 0, 0]), [Some(6), Some(7), Some(5)]);
        assert_eq!(take(&[0, 1]), [None, None]);
    }

    #[test]
    fn an_error_ends_the_run() {
        let outcome = run(2, 1_000_000, |_| (), |(), index| if index == 5 { Err(Error::Interrupted) } else { Ok(()) });
        assert!(matches!(outcome, Err(Error::Interrupted)));
    }
}
