//! `tokfast.StreamDecoder`.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tokfast::stream::Stream;

use crate::convert;
use crate::error::run_short;
use crate::tokenizer::PyTokenizer;

/// Text out of ids that arrive one by one.
#[pyclass(module = "tokfast", frozen)]
pub(crate) struct StreamDecoder {
    tokenizer: Py<PyTokenizer>,
    errors: String,
    stream: Mutex<Stream>,
}

impl StreamDecoder {
    pub(crate) fn new(tokenizer: Py<PyTokenizer>, errors: String) -> Self {
        Self { tokenizer, errors, stream: Mutex::default() }
    }

    /// Takes a step, and takes it back if no text can be made of it: an error loses nothing.
    ///
    /// No lock is held while Python may run, so that no thread waits for the lock and the GIL at once.
    fn step<'py>(
        &self,
        py: Python<'py>,
        step: impl FnOnce(&mut Stream) -> tokfast::Result<Vec<u8>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = || self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, bytes) = {
            let mut stream = stream();
            (stream.clone(), run_short(|_| step(&mut stream))?)
        };
        let text = convert::decoded(py, &bytes, &self.errors);
        if text.is_err() {
            *stream() = before;
        }
        text
    }
}

#[pymethods]
impl StreamDecoder {
    /// Takes an id, or several, and returns the text that is complete.
    fn feed<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let tokenizer = &self.tokenizer.get().inner;
        // A numpy integer is one id too, though no `int`.
        let ids = match ids.extract::<i128>() {
            Ok(_) => vec![convert::id_at(ids, 0, tokenizer.vocab_size())?],
            Err(_) => convert::ids(ids, tokenizer.vocab_size())?,
        };
        self.step(py, |stream| stream.feed(tokenizer, &ids))
    }

    /// Returns what is left, and begins anew.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.step(py, |stream| Ok(stream.finish()))
    }
}
