//! Runs numbered pieces of work on several threads, the caller among them.
//!
//! Naive: a global pool, as rayon keeps. Such a pool does not survive `fork` (the child has its queue but none of its
//! threads), and cannot be sized per call.
//! Idea: the threads live as long as the call. Work is handed out in order by one atomic counter, so threads stay
//! busy on uneven work; each thread owns a state (a table, a buffer) that is handed back at the end.
//! Cost: starting a thread takes 20-50 us, so callers ask for one thread when the work is small.
//! Invariant: no thread outlives the call, no state is shared but the counter; a panic in a worker becomes an error.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// Calls `work(state, index)` for every index below `n`, and returns the states, the caller's first.
///
/// The first error stops the hand-out of further work and is returned.
pub fn run<S: Send>(
    threads: usize,
    n: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let worker = || -> Result<S> {
        let mut state = state();
        while !stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= n {
                break;
            }
            work(&mut state, index).inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
        }
        Ok(state)
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(n))
            // A thread that cannot be started is one thread fewer, not a failure.
            .map_while(|_| std::thread::Builder::new().name("tokfast".into()).spawn_scoped(scope, worker).ok())
            .collect();
        let mut states = vec![worker()];
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
        for threads in [1, 2, 7] {
            let mut done: Vec<usize> = run(threads, 100, Vec::new, |list, index| {
                list.push(index);
                Ok(())
            })
            .unwrap()
            .concat();
            done.sort_unstable();
            assert_eq!(done, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_run() {
        let outcome = run(2, 1_000_000, || (), |(), index| if index == 5 { Err(Error::Interrupted) } else { Ok(()) });
        assert!(matches!(outcome, Err(Error::Interrupted)));
    }
}
