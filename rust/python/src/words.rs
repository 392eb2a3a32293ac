//! `tokfast.WordCounts`, and the counting and training behind `tokfast.train`.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use tokfast::{ByteOrder, Corpus, Phase, Pretokenizer, Report, Tokenizer, TrainOptions, Unit, WordCounter, WordCounts};

use crate::arrow;
use crate::convert;
use crate::error::{run, to_py};
use crate::tokenizer::PyTokenizer;

/// How often each pretoken of a corpus occurs, by descending count, then by bytes.
///
/// Iteration gives ``(bytes, int)``.
#[pyclass(module = "tokfast", name = "WordCounts", frozen)]
pub(crate) struct PyWordCounts {
    inner: WordCounts,
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
        let corpus = pattern.map(|pattern| Corpus { pattern: Some(pattern), ..Corpus::default() });
        let inner = run(counts.py(), None, |interrupt| WordCounts::from_counts(words.iter().copied(), interrupt))?;
        Ok(Self { inner: inner.with_corpus(corpus) })
    }

    /// The sum of both.
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<Self> {
        let other = other.get();
        Ok(Self { inner: run(py, None, |interrupt| self.inner.merge(&other.inner, interrupt))? })
    }

    /// Writes the counts to a file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, |interrupt| self.inner.save(&path, interrupt))
    }

    /// Reads a file that `save` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Ok(Self { inner: run(py, None, |interrupt| WordCounts::load(&path, interrupt))? })
    }

    /// The pattern the text was cut with.
    #[getter]
    fn pattern(&self) -> Option<&str> {
        self.inner.corpus()?.pattern.as_deref()
    }

    /// How many documents were counted; 0 where that is not known.
    #[getter]
    fn documents(&self) -> u64 {
        self.inner.corpus().map_or(0, |corpus| corpus.documents)
    }

    /// How many bytes of text were counted; 0 where that is not known.
    #[getter]
    fn text_bytes(&self) -> u64 {
        self.inner.corpus().map_or(0, |corpus| corpus.bytes)
    }

    /// Whether it is known how the text was cut, even if not at all.
    #[getter]
    fn knows_pattern(&self) -> bool {
        self.inner.corpus().is_some()
    }

    /// The words and their counts, by the Arrow `PyCapsule` interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow::words(py, &self.inner, requested_schema)
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
}

impl PyWordCounter {
    fn counter(&self) -> PyResult<&WordCounter> {
        self.inner.as_ref().ok_or_else(|| PyRuntimeError::new_err("this counter is finished; make a new one"))
    }
}

#[pymethods]
impl PyWordCounter {
    #[new]
    #[pyo3(signature = (*, pattern, special_tokens, unit, threads, memory_limit=None, directory=None))]
    fn new(
        pattern: Option<String>,
        special_tokens: Vec<String>,
        unit: &str,
        threads: Option<i128>,
        memory_limit: Option<i128>,
        directory: Option<PathBuf>,
    ) -> PyResult<Self> {
        let unit = match unit {
            "document" => Unit::Document,
            "line" => Unit::Line,
            other => return Err(PyValueError::new_err(format!("unit is {other:?}; pass \"document\" or \"line\""))),
        };
        let special_tokens = tokfast::special::for_training(&special_tokens).map_err(to_py)?;
        let pretokenizer = Pretokenizer::new(pattern.as_deref()).map_err(to_py)?;
        let inner = WordCounter::new(pretokenizer, &special_tokens, unit, convert::threads(threads)?).map_err(to_py)?;
        let limit = memory_limit.map(|limit| convert::option(limit, "memory_limit")).transpose()?;
        let inner = if limit.is_some() || directory.is_some() {
            inner.with_memory_limit(limit, directory.as_deref()).map_err(to_py)?
        } else {
            inner
        };
        Ok(Self { inner: Some(inner) })
    }

    /// Counts a list of documents, or those of an Arrow object.
    fn add_documents(&self, py: Python<'_>, documents: &Bound<'_, PyAny>) -> PyResult<()> {
        let counter = self.counter()?;
        let add = |texts: &[&[u8]]| run(py, None, |interrupt| counter.add_documents(texts, interrupt));
        // A stream may be larger than memory: one array after the other.
        if let Some(mut arrays) = arrow::arrays(documents, "source")? {
            return arrays.try_for_each(|array| add(&arrow::texts(&array?, "source")?));
        }
        add(&convert::Texts::new(documents, "documents")?.slices("documents")?)
    }

    /// Counts blocks `start` to `stop` of files, all by default; how many there are.
    #[pyo3(signature = (paths, *, start=0, stop=None, progress=None))]
    fn add_files(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        start: usize,
        stop: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<usize> {
        let counter = self.counter()?;
        run(py, progress.as_ref(), |interrupt| {
            let blocks = counter.blocks(&paths)?;
            interrupt.begin(Phase::Count, blocks.bytes);
            counter.add_blocks(&blocks, start..stop.unwrap_or(usize::MAX), interrupt)?;
            Ok(blocks.len())
        })
    }

    /// Writes what was counted to sorted runs in the directory; the files of all runs.
    fn flush(&self, py: Python<'_>) -> PyResult<Vec<OsString>> {
        let counter = self.counter()?;
        let runs = run(py, None, |interrupt| counter.flush(interrupt))?;
        Ok(runs.into_iter().map(PathBuf::into_os_string).collect())
    }

    /// Adds the runs of an earlier counter.
    fn add_runs(&self, runs: Vec<PathBuf>, documents: u64, bytes: u64) -> PyResult<()> {
        self.counter()?.add_runs(runs, documents, bytes);
        Ok(())
    }

    /// How many documents and bytes were counted.
    fn counted(&self) -> PyResult<(u64, u64)> {
        Ok(self.counter()?.counted())
    }

    /// The counts; the counter is used up.
    fn finish(&mut self, py: Python<'_>) -> PyResult<PyWordCounts> {
        self.counter()?;
        let Some(counter) = self.inner.take() else { return Err(PyRuntimeError::new_err("this counter is finished")) };
        Ok(PyWordCounts { inner: run(py, None, |interrupt| counter.finish(interrupt))? })
    }
}

/// Trains on word counts; behind `tokfast.train`.
#[pyfunction]
#[pyo3(signature = (counts, vocab_size, *, pattern, special_tokens, min_frequency, max_token_length, limit_alphabet, keep_bytes, tie_break, threads=None, base=None, count_seconds=0.0, progress=None))]
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
    threads: Option<i128>,
    base: Option<&Bound<'_, PyTokenizer>>,
    count_seconds: f64,
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
        threads: convert::threads(threads)?,
        ..TrainOptions::default()
    };
    let words = &counts.get().inner;
    let pretokenizer = Pretokenizer::new(pattern.as_deref()).map_err(to_py)?;
    let base = base.map(|base| &base.get().inner);
    let inner = run(py, progress.as_ref(), |interrupt| match base {
        None => Tokenizer::train(words, pretokenizer, vocab_size, &special_tokens, &options, interrupt),
        Some(base) => base.extend(words, pretokenizer, vocab_size, &special_tokens, &options, interrupt),
    })?;
    let report = Report { count_seconds, peak_memory: peak_memory(py), ..inner.report().cloned().unwrap_or_default() };
    Ok(PyTokenizer::new(inner.with_report(report)))
}

/// The most memory the process has had, in bytes; 0 where the system does not say.
fn peak_memory(py: Python<'_>) -> u64 {
    let usage = py.import("resource").and_then(|resource| {
        let usage = resource.call_method1("getrusage", (resource.getattr("RUSAGE_SELF")?,))?;
        usage.getattr("ru_maxrss")?.extract::<u64>()
    });
    // In kilobytes, but on macOS.
    usage.map_or(0, |peak| if cfg!(target_os = "macos") { peak } else { peak * 1024 })
}
