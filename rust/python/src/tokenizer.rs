//! `tokfast.Tokenizer`.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, ToPyArray};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyList, PyTuple};
use tokfast::formats::{self, Format, ReadOptions};
use tokfast::offsets::{Characters, Located, NO_WORD};
use tokfast::{EncodeOptions, Tokenizer};

use crate::batch::TokenBatch;
use crate::convert::{self, Special};
use crate::error::{run, run_short, to_py};
use crate::numbers::Numbers;
use crate::stream::StreamDecoder;

/// Texts of fewer bytes are encoded without releasing the GIL: releasing costs more than it frees.
const SHORT: usize = 4096;

thread_local! {
    /// Room for the ids of short texts.
    static IDS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// Text to token ids and back, exactly.
///
/// Frozen: nothing about a tokenizer changes after it is made, so threads share it freely. Pickles by content.
#[pyclass(module = "tokfast", name = "Tokenizer", frozen)]
pub(crate) struct PyTokenizer {
    pub(crate) inner: Tokenizer,
    numbers: Arc<Numbers>,
}

/// Where tokens begin and end.
type Spans = Vec<(usize, usize)>;

/// The options that encoding and counting share.
struct Options {
    allowed: Special,
    disallowed: Special,
    add_special_tokens: bool,
}

impl Options {
    fn new(
        add_special_tokens: bool,
        allowed: Option<&Bound<'_, PyAny>>,
        disallowed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            allowed: Special::new(allowed, "allowed_special")?,
            disallowed: Special::new(disallowed, "disallowed_special")?,
            add_special_tokens,
        })
    }

    fn core(&self) -> EncodeOptions<'_> {
        EncodeOptions {
            allowed: self.allowed.which(),
            disallowed: self.disallowed.which(),
            add_special_tokens: self.add_special_tokens,
            ..EncodeOptions::default()
        }
    }
}

fn read_options(pattern: Option<String>, special_tokens: Option<&Bound<'_, PyAny>>) -> PyResult<ReadOptions> {
    Ok(ReadOptions { pattern, special_tokens: special_tokens.map(convert::special_tokens).transpose()? })
}

fn format_of(name: Option<&str>) -> PyResult<Option<Format>> {
    name.map(Format::from_name).transpose().map_err(to_py)
}

/// Rebuilds a tokenizer from its pickle.
#[pyfunction]
#[pyo3(name = "_unpickle")]
#[pyo3(signature = (data, name, ranks=None))]
pub(crate) fn unpickle(data: &[u8], name: Option<String>, ranks: Option<Vec<u32>>) -> PyResult<PyTokenizer> {
    run_short(|_| {
        let tokenizer = formats::read(data, Some(Format::TokenizerJson), "the pickle", &ReadOptions::default())?;
        let tokenizer = tokenizer.with_name(name);
        Ok(PyTokenizer::new(match ranks {
            Some(ranks) => tokenizer.with_tied_ranks(&ranks)?,
            None => tokenizer,
        }))
    })
}

impl PyTokenizer {
    pub(crate) fn new(inner: Tokenizer) -> Self {
        let numbers = Arc::new(Numbers::new(inner.vocab_size()));
        Self { inner, numbers }
    }

    fn encode_ids(&self, py: Python<'_>, text: &[u8], options: &Options) -> PyResult<Vec<u32>> {
        if text.len() < SHORT {
            return run_short(|interrupt| self.inner.encode(text, &options.core(), interrupt));
        }
        run(py, None, |interrupt| self.inner.encode(text, &options.core(), interrupt))
    }

    /// Ids with their places, in characters or in bytes.
    fn located(&self, py: Python<'_>, text: &[u8], unit: &str, options: &Options) -> PyResult<Located> {
        let characters = match unit {
            "char" => true,
            "byte" => false,
            _ => return Err(PyValueError::new_err(format!("unit is {unit:?}; pass \"char\" or \"byte\""))),
        };
        run(py, None, |interrupt| {
            let mut located = self.inner.encode_with_offsets(text, &options.core(), interrupt)?;
            if characters {
                let characters = Characters::new(text);
                located.spans.iter_mut().for_each(|span| *span = characters.span(*span));
            }
            Ok(located)
        })
    }
}

#[pymethods]
impl PyTokenizer {
    /// Reads a tokenizer from a file; see the stub for the parameters.
    #[staticmethod]
    #[pyo3(signature = (path, *, format=None, pattern=None, special_tokens=None, name=None))]
    fn from_file(
        py: Python<'_>,
        path: PathBuf,
        format: Option<&str>,
        pattern: Option<String>,
        special_tokens: Option<&Bound<'_, PyAny>>,
        name: Option<String>,
    ) -> PyResult<Self> {
        let (format, options) = (format_of(format)?, read_options(pattern, special_tokens)?);
        let inner = run(py, None, |_| formats::read_file(&path, format, &options))?;
        Ok(Self::new(inner.with_name(name)))
    }

    /// Reads the tokenizer of a model on the Hugging Face Hub; the Hub's cache is the package's business.
    #[staticmethod]
    #[pyo3(signature = (repo_or_dir, *, download=false, revision="main"))]
    fn from_pretrained<'py>(
        py: Python<'py>,
        repo_or_dir: &Bound<'py, PyAny>,
        download: bool,
        revision: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options =
            [("download", download.into_pyobject(py)?.as_any()), ("revision", revision.into_pyobject(py)?.as_any())]
                .into_py_dict(py)?;
        py.import("tokfast._hub")?.getattr("from_pretrained")?.call((repo_or_dir,), Some(&options))
    }

    /// Reads a tokenizer from bytes.
    #[staticmethod]
    #[pyo3(signature = (data, *, format, pattern=None, special_tokens=None, name=None))]
    fn from_bytes(
        data: &[u8],
        format: &str,
        pattern: Option<String>,
        special_tokens: Option<&Bound<'_, PyAny>>,
        name: Option<String>,
    ) -> PyResult<Self> {
        let (format, options) = (format_of(Some(format))?, read_options(pattern, special_tokens)?);
        let inner = run_short(|_| formats::read(data, format, "the bytes given", &options))?;
        Ok(Self::new(inner.with_name(name)))
    }

    /// Writes the tokenizer to a file, atomically.
    #[pyo3(signature = (path, *, format=None, verify=true))]
    fn save(&self, py: Python<'_>, path: PathBuf, format: Option<&str>, verify: bool) -> PyResult<()> {
        let format = format_of(format)?;
        run(py, None, |_| formats::write_file(&self.inner, &path, format, verify))
    }

    /// The ids of a text.
    #[pyo3(signature = (text, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let text = convert::text(text)?;
        if text.len() >= SHORT {
            return self.numbers.list(py, &self.encode_ids(py, text, &options)?);
        }
        let mut ids = IDS.take();
        ids.clear();
        run_short(|interrupt| self.inner.encode_onto(text, &options.core(), &mut ids, interrupt))?;
        let list = self.numbers.list(py, &ids);
        IDS.set(ids);
        list
    }

    /// The ids of a text as a numpy array.
    #[pyo3(signature = (text, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn encode_to_numpy<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        Ok(self.encode_ids(py, convert::text(text)?, &options)?.into_pyarray(py))
    }

    /// The ids of a text, and where each stands in it.
    #[pyo3(signature = (text, *, unit="char", add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, *, unit='char', add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn encode_with_offsets(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        unit: &str,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'_, PyAny>>,
        disallowed_special: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Vec<u32>, Spans)> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let located = self.located(py, convert::text(text)?, unit, &options)?;
        Ok((located.ids, located.spans))
    }

    /// The same, with the number of each id's piece, or `None`: behind `tokfast.huggingface`.
    #[pyo3(signature = (text, *, unit="char", allowed_special=None))]
    fn _encode_with_words(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        unit: &str,
        allowed_special: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Vec<u32>, Spans, Vec<Option<u32>>)> {
        let options = Options::new(false, allowed_special, None)?;
        let located = self.located(py, convert::text(text)?, unit, &options)?;
        let words = located.words.into_iter().map(|word| Some(word).filter(|&word| word != NO_WORD)).collect();
        Ok((located.ids, located.spans, words))
    }

    /// The longest beginning of a text that has at most so many tokens.
    #[pyo3(signature = (text, max_tokens, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, max_tokens, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn truncate<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        max_tokens: i128,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let max_tokens = convert::tokens(max_tokens, "max_tokens")?;
        let bytes = convert::text(text)?;
        let end = run(py, None, |interrupt| self.inner.truncate(bytes, max_tokens, &options.core(), interrupt))?;
        convert::part(text, (0, end))
    }

    /// A text in parts of at most so many tokens.
    #[pyo3(signature = (text, size, overlap=0, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, size, overlap=0, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn split_by_tokens<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        size: i128,
        overlap: i128,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let (size, overlap) = (convert::tokens(size, "size")?, convert::tokens(overlap, "overlap")?);
        let bytes = convert::text(text)?;
        let parts =
            run(py, None, |interrupt| self.inner.split_by_tokens(bytes, size, overlap, &options.core(), interrupt))?;
        parts.into_iter().map(|span| convert::part(text, span)).collect()
    }

    /// The ids of many texts.
    #[pyo3(signature = (texts, *, threads=None, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, texts, *, threads=None, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn encode_batch(
        &self,
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        threads: Option<i128>,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'_, PyAny>>,
        disallowed_special: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<TokenBatch> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let threads = convert::threads(threads)?;
        let texts = convert::Texts::new(texts, "texts")?;
        let texts = texts.slices("texts")?;
        let batch = run(py, None, |interrupt| self.inner.encode_batch(&texts, &options.core(), threads, interrupt))?;
        Ok(TokenBatch::new(py, batch, Arc::clone(&self.numbers)))
    }

    /// How many ids a text has.
    #[pyo3(signature = (text, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn count(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'_, PyAny>>,
        disallowed_special: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let text = convert::text(text)?;
        if text.len() < SHORT {
            return run_short(|interrupt| self.inner.count(text, &options.core(), interrupt));
        }
        run(py, None, |interrupt| self.inner.count(text, &options.core(), interrupt))
    }

    /// How many ids a text has, or `limit + 1` where there are more.
    #[pyo3(signature = (text, limit, *, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, text, limit, *, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn count_up_to(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        limit: i128,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'_, PyAny>>,
        disallowed_special: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let limit = convert::limit(limit)?;
        let text = convert::text(text)?;
        if text.len() < SHORT {
            return run_short(|interrupt| self.inner.count_up_to(text, limit, &options.core(), interrupt));
        }
        run(py, None, |interrupt| self.inner.count_up_to(text, limit, &options.core(), interrupt))
    }

    /// What is kept of texts that were encoded before.
    fn cache_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.inner.cache_stats();
        let fields = PyDict::new(py);
        fields.set_item("lookups", stats.lookups)?;
        fields.set_item("misses", stats.misses)?;
        fields.set_item("entries", stats.entries)?;
        fields.set_item("bytes", stats.bytes)?;
        fields.set_item("process_bytes", stats.process_bytes)?;
        fields.set_item("budget", stats.budget)?;
        Ok(fields)
    }

    /// Forgets what is kept of texts that were encoded before.
    fn clear_cache(&self) {
        self.inner.clear_cache();
    }

    /// How many ids each of many texts has.
    #[pyo3(signature = (texts, *, threads=None, add_special_tokens=false, allowed_special=None, disallowed_special=None),
           text_signature = "($self, texts, *, threads=None, add_special_tokens=False, allowed_special=(), disallowed_special=())")]
    fn count_batch<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        threads: Option<i128>,
        add_special_tokens: bool,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let options = Options::new(add_special_tokens, allowed_special, disallowed_special)?;
        let threads = convert::threads(threads)?;
        let texts = convert::Texts::new(texts, "texts")?;
        let texts = texts.slices("texts")?;
        let counts = run(py, None, |interrupt| self.inner.count_batch(&texts, &options.core(), threads, interrupt))?;
        Ok(counts.into_pyarray(py))
    }

    /// The bytes that ids stand for.
    fn decode_bytes<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let ids = convert::ids(ids, self.inner.vocab_size())?;
        Ok(PyBytes::new(py, &run_short(|_| self.inner.decode(&ids))?))
    }

    /// The text that ids stand for.
    #[pyo3(signature = (ids, *, errors="replace"))]
    fn decode<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>, errors: &str) -> PyResult<Bound<'py, PyAny>> {
        let ids = convert::ids(ids, self.inner.vocab_size())?;
        convert::decoded(py, &run_short(|_| self.inner.decode(&ids))?, errors)
    }

    /// The texts that the rows of a batch stand for.
    #[pyo3(signature = (batch, *, errors="replace"))]
    fn decode_batch<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
        errors: &str,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        batch.try_iter()?.map(|ids| self.decode(py, &ids?, errors)).collect()
    }

    /// Text out of ids that arrive one by one.
    #[pyo3(signature = (*, errors="replace"))]
    fn stream_decoder(slf: Py<Self>, errors: &str) -> StreamDecoder {
        StreamDecoder::new(slf, errors.to_owned())
    }

    /// The bytes of one id.
    fn token_bytes<'py>(&self, py: Python<'py>, id: i128) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = u32::try_from(id).ok().and_then(|id| self.inner.token_bytes(id));
        let missing = || to_py(tokfast::Error::TokenId { id, position: 0, vocab_size: self.inner.vocab_size() });
        Ok(PyBytes::new(py, bytes.ok_or_else(missing)?))
    }

    /// The id of a token's bytes, or `None`.
    fn token_id(&self, token: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        Ok(self.inner.token_id(convert::text(token)?))
    }

    /// What training knew of its text and of the tokens it made; `None` for a tokenizer that was not trained just now.
    #[getter]
    fn training_report<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(report) = self.inner.report() else { return Ok(None) };
        let fields = PyDict::new(py);
        fields.set_item("documents", report.documents)?;
        fields.set_item("text_bytes", report.bytes)?;
        fields.set_item("distinct_words", report.words)?;
        fields.set_item("count_seconds", report.count_seconds)?;
        fields.set_item("merge_seconds", report.merge_seconds)?;
        fields.set_item("peak_memory", report.peak_memory)?;
        fields.set_item("merge_counts", report.merge_counts.to_pyarray(py))?;
        fields.set_item("token_counts", report.token_counts.to_pyarray(py))?;
        py.import("tokfast._report")?.getattr("TrainingReport")?.call((), Some(&fields)).map(Some)
    }

    /// The same tokenizer with only the ids below `n`.
    fn with_vocab_size(&self, n: i128) -> PyResult<Self> {
        let n = convert::option(n, "the size given to with_vocab_size")?;
        Ok(Self::new(run_short(|_| self.inner.with_vocab_size(n))?))
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }

    #[getter]
    fn vocab<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let ids = 0..self.inner.vocab_size() as u32;
        ids.map(|id| PyBytes::new(py, self.inner.token_bytes(id).unwrap_or_default())).collect()
    }

    #[getter]
    fn merges(&self) -> Vec<(u32, u32)> {
        self.inner.model().merges().iter().map(|merge| (merge.left, merge.right)).collect()
    }

    #[getter]
    fn special_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for token in self.inner.specials().tokens() {
            tokens.set_item(&token.content, token.id)?;
        }
        Ok(tokens)
    }

    #[getter]
    fn pattern(&self) -> Option<&str> {
        self.inner.pretokenizer().pattern()
    }

    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }

    fn __repr__(&self) -> String {
        let name = self.inner.name().map_or(String::new(), |name| format!(" {name:?}"));
        format!("<tokfast.Tokenizer{name}, {} tokens>", self.inner.vocab_size())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let inner = &slf.get().inner;
        let rebuild = py.import("tokfast._tokfast")?.getattr("_unpickle")?;
        let data = run_short(|_| formats::write(inner, Format::TokenizerJson))?;
        let ranks = inner.model().tied_ranks();
        let arguments = (PyBytes::new(py, &data), inner.name(), ranks).into_pyobject(py)?;
        Ok((rebuild, arguments))
    }
}
