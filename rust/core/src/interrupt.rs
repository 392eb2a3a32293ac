//! Lets a long call report how far it is, and be stopped from outside: by Ctrl-C, through the thread that called.
//!
//! Python delivers signals to its main thread only, and only when that thread asks. So the thread that made the call
//! asks (at most every 50 ms), and sets a flag that all worker threads look at. A check on a worker costs one load;
//! on the calling thread it costs one clock reading, so checks stand between blocks of work, not inside loops.
//!
//! Invariant: the callback runs only on the thread that made the [`Interrupt`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often the calling thread reports and asks whether it should stop.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a long call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Counting pretokens; progress in bytes of text.
    Count,
    /// Finding merges; progress in merges.
    Merge,
    /// Encoding or counting tokens; progress in bytes of text.
    Encode,
}

/// How far a long call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 where that is not known.
    pub total: u64,
}

/// A flag that says stop, and the callback that may raise it.
pub struct Interrupt<'a> {
    poll: &'a (dyn Fn(Progress, &str) -> bool + Sync),
    /// The thread that asks, and when it began; none if nobody is asked. A call for a few bytes has no time for a clock.
    owner: Option<(ThreadId, Instant)>,
    /// Milliseconds after the beginning at which the callback is due.
    due: AtomicU64,
    raised: AtomicBool,
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    /// What was done last, in words.
    detail: Mutex<String>,
}

impl std::fmt::Debug for Interrupt<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Interrupt").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl<'a> Interrupt<'a> {
    /// `poll` is told the progress and what was done last, and answers whether to stop; it is called on the current thread only.
    #[must_use]
    pub fn new(poll: &'a (dyn Fn(Progress, &str) -> bool + Sync)) -> Self {
        Self { owner: Some((std::thread::current().id(), Instant::now())), ..Self::unasked(poll) }
    }

    /// One that never stops anything.
    #[must_use]
    pub fn never() -> Interrupt<'static> {
        Interrupt::unasked(&|_, _| false)
    }

    fn unasked(poll: &'a (dyn Fn(Progress, &str) -> bool + Sync)) -> Self {
        Self {
            poll,
            owner: None,
            due: AtomicU64::new(INTERVAL.as_millis() as u64),
            raised: AtomicBool::new(false),
            phase: AtomicU8::new(0),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            detail: Mutex::default(),
        }
    }

    /// Begins a phase of `total` units of work.
    pub fn begin(&self, phase: Phase, total: u64) {
        self.phase.store(phase as u8, Relaxed);
        self.done.store(0, Relaxed);
        self.total.store(total, Relaxed);
        self.detail(String::new());
    }

    /// Says in words what was done last.
    pub fn detail(&self, text: String) {
        *self.detail.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Notes that `amount` more is done, and checks.
    pub fn advance(&self, amount: u64) -> Result<()> {
        self.done.fetch_add(amount, Relaxed);
        self.check()
    }

    fn progress(&self) -> Progress {
        let phase = match self.phase.load(Relaxed) {
            0 => Phase::Count,
            1 => Phase::Merge,
            _ => Phase::Encode,
        };
        Progress { phase, done: self.done.load(Relaxed), total: self.total.load(Relaxed) }
    }

    /// Fails with [`Error::Interrupted`] once the callback has answered yes.
    pub fn check(&self) -> Result<()> {
        if self.raised.load(Relaxed) {
            return Err(Error::Interrupted);
        }
        let Some((owner, start)) = self.owner else { return Ok(()) };
        if std::thread::current().id() != owner || (start.elapsed().as_millis() as u64) < self.due.load(Relaxed) {
            return Ok(());
        }
        let detail = self.detail.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stop = (self.poll)(self.progress(), &detail);
        self.due.store((start.elapsed() + INTERVAL).as_millis() as u64, Relaxed);
        if stop {
            self.raised.store(true, Relaxed);
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_stops_every_thread() {
        let interrupt = Interrupt::new(&|progress, _| progress == Progress { phase: Phase::Merge, done: 3, total: 9 });
        interrupt.begin(Phase::Merge, 9);
        assert!(interrupt.advance(3).is_ok(), "not due yet");
        std::thread::sleep(INTERVAL * 2);
        std::thread::scope(|scope| {
            assert!(scope.spawn(|| interrupt.check().is_ok()).join().unwrap(), "workers do not ask");
        });
        assert!(interrupt.check().is_err());
        std::thread::scope(|scope| {
            assert!(scope.spawn(|| interrupt.check().is_err()).join().unwrap());
        });
    }
}
