//! The Python module `tokfast._tokfast`: converts, releases the GIL, calls one core function, converts back.
//!
//! Nothing about tokenizers is decided here. Descriptions for users stand in the stub `_tokfast.pyi`.

// PyO3 hands arguments over by value, and its macros make items that no doc comment reaches.
#![allow(clippy::needless_pass_by_value, clippy::too_many_arguments, missing_docs)]

mod arrow;
mod batch;
mod convert;
mod error;
mod files;
mod numbers;
mod stream;
mod tokenizer;
mod words;

use pyo3::prelude::*;

/// The compiled half of tokfast.
#[pymodule(gil_used = false)]
mod _tokfast {
    use std::cell::RefCell;

    use pyo3::prelude::*;
    use pyo3::types::PyBytes;
    use tokfast::Pretokenizer;
    use tokfast::pretokenize::Ends;

    #[pymodule_export]
    use crate::batch::TokenBatch;
    #[pymodule_export]
    use crate::files::{count_text_files, list_files};
    #[pymodule_export]
    use crate::stream::StreamDecoder;
    #[pymodule_export]
    use crate::tokenizer::{PyTokenizer, unpickle};
    #[pymodule_export]
    use crate::words::{PyWordCounter, PyWordCounts, train_words};

    use crate::convert;
    use crate::error::{run, to_py};

    thread_local! {
        /// The pretokenizer that was used last: making one of a regular expression takes a millisecond.
        static LAST: RefCell<Option<(Option<String>, Pretokenizer)>> = const { RefCell::new(None) };
    }

    /// The pieces of a text.
    #[pyfunction]
    fn split<'py>(
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        pattern: Option<&str>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let text = convert::text(text)?;
        let last = LAST.take().filter(|(known, _)| known.as_deref() == pattern);
        let (known, pretokenizer) = match last {
            Some(last) => last,
            None => (pattern.map(Into::into), Pretokenizer::new(pattern).map_err(to_py)?),
        };
        let mut pieces = Vec::new();
        run(py, None, |_| {
            pretokenizer.split_batches(&mut Ends::default(), text, |base, ends| {
                let mut start = base;
                pieces.extend(ends.iter().map(|&end| (std::mem::replace(&mut start, base + end as usize), start)));
                Ok(())
            })
        })?;
        LAST.set(Some((known, pretokenizer)));
        Ok(pieces.into_iter().map(|(start, end)| PyBytes::new(py, &text[start..end])).collect())
    }

    /// The names of the pretokenizer schemes.
    #[pyfunction]
    fn scheme_names() -> Vec<&'static str> {
        tokfast::pretokenize::scheme_names().collect()
    }

    /// The version of this library.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
