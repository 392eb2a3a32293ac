//! Core errors -> Python exceptions, and calls that run without the GIL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use tokfast::{Error, Interrupt, Phase, Progress};

/// An exception of `tokfast._errors`, by its class name.
fn named(class: &str, message: String) -> PyErr {
    Python::attach(|py| {
        let made = py
            .import("tokfast._errors")
            .and_then(|module| module.getattr(class))
            .and_then(|class| class.call1((message.as_str(),)));
        match made {
            Ok(exception) => PyErr::from_value(exception),
            // Only where the package itself is broken.
            Err(_) => PyException::new_err(message),
        }
    })
}

/// The Python exception of a core error. Exhaustive on purpose: a new variant must be mapped here to compile.
pub(crate) fn to_py(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Io { path, source } => Python::attach(|py| {
            // OSError(errno, text, path) becomes FileNotFoundError and the like by itself.
            let text = match source.raw_os_error() {
                Some(_) => source.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
                None => source.to_string(),
            };
            let number = source
                .raw_os_error()
                .unwrap_or_else(|| if source.kind() == std::io::ErrorKind::NotFound { 2 } else { 5 });
            let class = py.get_type::<pyo3::exceptions::PyOSError>();
            // A str, as Python's own functions have it there.
            class.call1((number, text, path.as_os_str())).map_or_else(|error| error, PyErr::from_value)
        }),
        Error::TokenizerFile { .. } => named("TokenizerFileError", message),
        Error::TokenId { .. } => named("TokenIdError", message),
        Error::Pattern { .. } => named("PatternError", message),
        Error::DisallowedSpecial { .. } | Error::SpecialToken { .. } => named("SpecialTokenError", message),
        Error::Training(_) => named("TrainingError", message),
        Error::MemoryLimit { .. } => named("MemoryLimitError", message),
        Error::Argument(_) => PyValueError::new_err(message),
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        Error::Internal(_) => named("InternalError", message),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Count => "count",
        Phase::Merge => "merge",
        Phase::Encode => "encode",
    }
}

/// Runs a core call without the GIL. It answers Ctrl-C, reports to `progress(phase, done, total, detail)` about every 50 ms,
/// and a panic in it becomes an `InternalError`.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Interrupt<'_>) -> tokfast::Result<T> + Send,
) -> PyResult<T> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let poll = |state: Progress, detail: &str| {
        Python::attach(|py| {
            let outcome = py.check_signals().and_then(|()| match progress {
                Some(callback) => {
                    callback.call1(py, (phase_name(state.phase), state.done, state.total, detail)).map(|_| ())
                }
                None => Ok(()),
            });
            outcome.map_err(|error| *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error)).is_err()
        })
    };
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(|| work(&Interrupt::new(&poll)))));
    finish(outcome, raised.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a core call that is too short to release the GIL for.
pub(crate) fn run_short<T>(work: impl FnOnce(&Interrupt<'_>) -> tokfast::Result<T>) -> PyResult<T> {
    finish(catch_unwind(AssertUnwindSafe(|| work(&Interrupt::never()))), None)
}

fn finish<T>(outcome: std::thread::Result<tokfast::Result<T>>, raised: Option<PyErr>) -> PyResult<T> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(raised.unwrap_or_else(|| to_py(error))),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(to_py(Error::Internal(text.unwrap_or_else(|| "a panic without a message".into()))))
        }
    }
}
