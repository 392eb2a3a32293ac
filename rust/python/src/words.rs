//! `tokfast.WordCounts`, and the counting and training behind `tokfast.train`.

use std::path::PathBuf;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokfast::{ByteOrder, Pretokenizer, Tokenizer, TrainOptions, Unit, WordCounter, WordCounts};

use crate::convert;
use crate::error::{run, to_py};
use crate::tokenizer::PyTokenizer;

/// How often each pretoken of a corpus occurs, by descending count, then by bytes.
///
/// Iteration gives ``(bytes, int)``.
#[pyclass(module = "tokfast", name = "WordCounts", frozen)]
pub(crate) struct PyWordCounts {
    inner: WordCounts,
    pattern: Option<String>,
}

#[pymethods]
impl PyWordCounts {
    /// Counts made elsewhere: a mapping of words to counts, or pairs of them.
    #[staticmethod]
    #[pyo3(signature = (counts, *, pattern=None))]
    fn from_counts(counts: &Bound<'_, PyAny>, pattern: Option<String>) -> PyResult<Self> {
        let pairs = if counts.hasattr("items")? { counts.call_method0("items")? } else { counts.clone() };
        let pairs: Vec<(Bound<'_, PyAny>, u64)> =
            pairs.try_iter()?.map(|pair| pair?.extract()).collect::<PyResult<_>>()?;
        let words =
            pairs.iter().map(|(word, count)| Ok((convert::text(word)?, *count))).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { inner: run(counts.py(), None, |_| WordCounts::from_counts(words.iter().copied()))?, pattern })
    }

    /// The sum of both.
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<Self> {
        let other = other.get();
        if self.pattern != other.pattern {
            return Err(PyValueError::new_err(format!(
                "these counts were made with the pattern {:?}, the others with {:?}; count both with one pattern",
                self.pattern, other.pattern
            )));
        }
        Ok(Self { inner: run(py, None, |_| self.inner.merge(&other.inner))?, pattern: self.pattern.clone() })
    }

    /// The pattern the text was cut with.
    #[getter]
    fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __iter__(slf: Py<Self>) -> WordCountsIterator {
        WordCountsIterator { counts: slf, next: std::sync::atomic::AtomicUsize::new(0) }
    }

    fn __repr__(&self) -> String {
        format!("<tokfast.WordCounts: {} distinct words>", self.inner.len())
    }
}

/// Goes through the words of a `WordCounts`.
#[pyclass(module = "tokfast._tokfast", frozen)]
pub(crate) struct WordCountsIterator {
    counts: Py<PyWordCounts>,
    next: std::sync::atomic::AtomicUsize,
}

#[pymethods]
impl WordCountsIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyBytes>, u64)> {
        let index = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let counts = &self.counts.get().inner;
        (index < counts.len()).then(|| {
            let (word, count) = counts.get(index);
            (PyBytes::new(py, word), count)
        })
    }
}

/// Counts words, batch after batch; behind `tokfast.count_words`.
#[pyclass(module = "tokfast._tokfast", name = "WordCounter")]
pub(crate) struct PyWordCounter {
    /// `None` once finished.
    inner: Option<WordCounter>,
    pattern: Option<String>,
}

impl PyWordCounter {
    fn counter(&self) -> PyResult<&WordCounter> {
        self.inner.as_ref().ok_or_else(|| PyRuntimeError::new_err("this counter is finished; make a new one"))
    }
}

#[pymethods]
impl PyWordCounter {
    #[new]
    #[pyo3(signature = (*, pattern, special_tokens, unit, threads))]
    fn new(pattern: Option<String>, special_tokens: Vec<String>, unit: &str, threads: Option<i128>) -> PyResult<Self> {
        let unit = match unit {
            "document" => Unit::Document,
            "line" => Unit::Line,
            other => return Err(PyValueError::new_err(format!("unit is {other:?}; pass \"document\" or \"line\""))),
        };
        let special_tokens = tokfast::special::for_training(&special_tokens).map_err(to_py)?;
        let pretokenizer = Pretokenizer::new(pattern.as_deref()).map_err(to_py)?;
        let inner = WordCounter::new(pretokenizer, &special_tokens, unit, convert::threads(threads)?).map_err(to_py)?;
        Ok(Self { inner: Some(inner), pattern })
    }

    /// Counts a list of documents.
    fn add_documents(&self, py: Python<'_>, documents: &Bound<'_, PyAny>) -> PyResult<()> {
        let items = convert::items(documents, "documents")?;
        let texts = items.iter().map(convert::text).collect::<PyResult<Vec<_>>>()?;
        let counter = self.counter()?;
        run(py, None, |interrupt| counter.add_documents(&texts, interrupt))
    }

    /// Counts files.
    #[pyo3(signature = (paths, *, progress=None))]
    fn add_files(&self, py: Python<'_>, paths: Vec<PathBuf>, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let counter = self.counter()?;
        run(py, progress.as_ref(), |interrupt| counter.add_files(&paths, interrupt))
    }

    /// The counts; the counter is used up.
    fn finish(&mut self, py: Python<'_>) -> PyResult<PyWordCounts> {
        self.counter()?;
        let Some(counter) = self.inner.take() else { return Err(PyRuntimeError::new_err("this counter is finished")) };
        Ok(PyWordCounts { inner: run(py, None, |_| counter.finish())?, pattern: self.pattern.clone() })
    }
}

/// Trains on word counts; behind `tokfast.train`.
#[pyfunction]
#[pyo3(signature = (counts, vocab_size, *, pattern, special_tokens, min_frequency, max_token_length, limit_alphabet, keep_bytes, tie_break, progress=None))]
pub(crate) fn train_words(
    py: Python<'_>,
    counts: &Bound<'_, PyWordCounts>,
    vocab_size: i128,
    pattern: Option<String>,
    special_tokens: Vec<String>,
    min_frequency: i128,
    max_token_length: Option<i128>,
    limit_alphabet: Option<i128>,
    keep_bytes: Vec<u8>,
    tie_break: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<PyTokenizer> {
    let byte_order = match tie_break {
        "huggingface" => ByteOrder::HuggingFace,
        "bytes" => ByteOrder::Raw,
        other => {
            return Err(PyValueError::new_err(format!("tie_break is {other:?}; pass \"huggingface\" or \"bytes\"")));
        }
    };
    let vocab_size = convert::option(vocab_size, "vocab_size")?;
    let optional = |value: Option<i128>, name| value.map(|value| convert::option(value, name)).transpose();
    let options = TrainOptions {
        min_frequency: convert::option(min_frequency, "min_frequency")?,
        max_token_length: optional(max_token_length, "max_token_length")?,
        limit_alphabet: optional(limit_alphabet, "limit_alphabet")?,
        keep: keep_bytes,
        byte_order,
        ..TrainOptions::default()
    };
    let words = &counts.get().inner;
    let pretokenizer = Pretokenizer::new(pattern.as_deref()).map_err(to_py)?;
    let inner = run(py, progress.as_ref(), |interrupt| {
        Tokenizer::train(words, pretokenizer, vocab_size, &special_tokens, &options, interrupt)
    })?;
    Ok(PyTokenizer { inner })
}
