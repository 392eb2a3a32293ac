//! Python objects -> what the core takes.

use arrow_array::ArrayRef;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use tokfast::{Error, Which};

use crate::arrow;
use crate::error::to_py;

/// The UTF-8 of a `str`, or the bytes of a `bytes`, without a copy.
pub(crate) fn text<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    if let Ok(text) = object.cast::<PyString>() {
        return text.to_str().map(str::as_bytes).map_err(|error| surrogate(object.py(), error));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes());
    }
    Err(PyTypeError::new_err(format!("text must be str or bytes, not {}", object.get_type().name()?)))
}

/// A lone surrogate is no character: says what to do about it.
fn surrogate(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyUnicodeEncodeError>(py) {
        let reason = "a lone surrogate is no character and has no UTF-8; replace it with text.encode('utf-8', 'replace'), or keep it as bytes with text.encode('utf-8', 'surrogatepass')";
        // The exception stays what it was, only its reason says more.
        let _ = error.value(py).setattr("reason", reason);
    }
    error
}

/// Many texts, held while the core reads them.
pub(crate) enum Texts<'py> {
    /// `str` and `bytes` objects.
    Objects(Vec<Bound<'py, PyAny>>),
    /// Arrow arrays of strings or binaries.
    Arrays(Vec<ArrayRef>),
}

impl<'py> Texts<'py> {
    /// A sequence of texts, or an Arrow object that holds texts; `name` stands in messages.
    pub(crate) fn new(texts: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        if texts.is_instance_of::<PyString>() || texts.is_instance_of::<PyBytes>() {
            return Err(PyTypeError::new_err(format!(
                "{name} is one {}; pass a list of them",
                texts.get_type().name()?
            )));
        }
        match arrow::arrays(texts, name)? {
            Some(arrays) => Ok(Self::Arrays(arrays.collect::<PyResult<_>>()?)),
            None => Ok(Self::Objects(texts.try_iter()?.collect::<PyResult<_>>()?)),
        }
    }

    /// The bytes of each text.
    pub(crate) fn slices(&self, name: &str) -> PyResult<Vec<&[u8]>> {
        match self {
            Self::Objects(items) => items.iter().map(text).collect(),
            Self::Arrays(arrays) => {
                let slices: Vec<_> = arrays.iter().map(|array| arrow::texts(array, name)).collect::<PyResult<_>>()?;
                Ok(slices.concat())
            }
        }
    }
}

/// `allowed_special` or `disallowed_special`: nothing, `"all"`, or names.
#[derive(Debug, Default)]
pub(crate) enum Special {
    #[default]
    None,
    All,
    These(Vec<String>),
}

impl Special {
    pub(crate) fn new(object: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Self> {
        let Some(object) = object else { return Ok(Self::None) };
        if let Ok(text) = object.cast::<PyString>() {
            return if text.to_str()? == "all" {
                Ok(Self::All)
            } else {
                Err(PyValueError::new_err(format!(
                    "{name} is the str {:?}; pass a set of special tokens, or \"all\"",
                    text.to_str()?
                )))
            };
        }
        let names: Vec<String> = object.try_iter()?.map(|item| item?.extract()).collect::<PyResult<_>>()?;
        Ok(if names.is_empty() { Self::None } else { Self::These(names) })
    }

    pub(crate) fn which(&self) -> Which<'_> {
        match self {
            Self::None => Which::None,
            Self::All => Which::All,
            Self::These(names) => Which::These(names),
        }
    }
}

fn id_error(id: i128, position: usize, vocab_size: usize) -> PyErr {
    to_py(Error::TokenId { id, position, vocab_size })
}

/// Ids from a list, a tuple, a numpy array of integers, or anything that iterates over them.
pub(crate) fn ids(object: &Bound<'_, PyAny>, vocab_size: usize) -> PyResult<Vec<u32>> {
    let checked = |position: usize, id: i128| u32::try_from(id).map_err(|_| id_error(id, position, vocab_size));
    // Lists first: asking for an array would import numpy.
    if !(object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>()) && object.hasattr("dtype")? {
        if let Ok(array) = object.extract::<PyReadonlyArray1<'_, u32>>() {
            return Ok(array.as_array().to_vec());
        }
        let kind: String = object.getattr("dtype")?.getattr("kind")?.extract()?;
        if object.getattr("ndim")?.extract::<usize>()? != 1 || !(kind == "i" || kind == "u") {
            return Err(PyTypeError::new_err(format!(
                "ids must be a one-dimensional array of integers, not {} of shape {}",
                object.getattr("dtype")?,
                object.getattr("shape")?
            )));
        }
        if kind == "u" {
            let wide = object.call_method1("astype", ("uint64",))?.extract::<PyReadonlyArray1<'_, u64>>()?;
            return wide
                .as_array()
                .iter()
                .enumerate()
                .map(|(position, &id)| checked(position, i128::from(id)))
                .collect();
        }
        let wide = object.call_method1("astype", ("int64",))?.extract::<PyReadonlyArray1<'_, i64>>()?;
        return wide.as_array().iter().enumerate().map(|(position, &id)| checked(position, i128::from(id))).collect();
    }
    if object.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("ids must be integers, not a str; to turn text into ids, use encode"));
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        // Asking for an item may run Python's `__index__`, which may change the list: it is read as it is then.
        let mut ids = Vec::with_capacity(list.len());
        for (position, item) in list.iter().enumerate() {
            ids.push(id_at(&item, position, vocab_size)?);
        }
        return Ok(ids);
    }
    object.try_iter()?.enumerate().map(|(position, item)| id_at(&item?, position, vocab_size)).collect()
}

/// One id; `position` stands in the message.
pub(crate) fn id_at(item: &Bound<'_, PyAny>, position: usize, vocab_size: usize) -> PyResult<u32> {
    if let Ok(id) = item.extract::<u32>() {
        return Ok(id);
    }
    let id: i128 = item.extract().map_err(|_| {
        let name = item.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("ids must be integers; the one at position {position} is {name}"))
    })?;
    Err(id_error(id, position, vocab_size))
}

/// `threads=`: a positive number, or none for the default.
pub(crate) fn threads(threads: Option<i128>) -> PyResult<usize> {
    match threads.map(usize::try_from) {
        None => Ok(tokfast::threads::default_threads()),
        Some(Ok(threads)) if threads > 0 => Ok(threads),
        Some(_) => Err(PyValueError::new_err(format!(
            "threads is {}; pass 1 or more, or None for one a processor",
            threads.unwrap_or_default()
        ))),
    }
}

/// `limit`: a number of tokens.
pub(crate) fn limit(limit: i128) -> PyResult<u64> {
    let message = || format!("limit is {limit}; pass a number of tokens, 0 or more");
    // More than a text can have is no limit.
    if limit < 0 { Err(PyValueError::new_err(message())) } else { Ok(u64::try_from(limit).unwrap_or(u64::MAX)) }
}

/// A training option that is a number of at least 0.
pub(crate) fn option<N: TryFrom<i128>>(value: i128, name: &str) -> PyResult<N> {
    let message = || Error::Training(format!("{name} is {value}; pass a number from 0 to {}", u64::MAX));
    N::try_from(value).map_err(|_| to_py(message()))
}

/// A number of tokens, of at least 0.
pub(crate) fn tokens(value: i128, name: &str) -> PyResult<usize> {
    let message = || PyValueError::new_err(format!("{name} is {value}; pass a number from 0 to {}", u64::MAX));
    usize::try_from(value).map_err(|_| message())
}

/// Part of a text, as what the text is: a `str` or a `bytes`. `span` stands at characters.
pub(crate) fn part<'py>(text: &Bound<'py, PyAny>, (start, end): (usize, usize)) -> PyResult<Bound<'py, PyAny>> {
    let bytes = self::text(text)?;
    if start == 0 && end == bytes.len() {
        return Ok(text.clone());
    }
    if text.is_instance_of::<PyBytes>() {
        return Ok(PyBytes::new(text.py(), &bytes[start..end]).into_any());
    }
    decoded(text.py(), &bytes[start..end], "strict")
}

/// Special tokens with their ids, from a mapping.
pub(crate) fn special_tokens(tokens: &Bound<'_, PyAny>) -> PyResult<Vec<(String, u32)>> {
    let pairs = tokens.call_method0("items").map_err(|_| {
        let kind = tokens.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        PyTypeError::new_err(format!("special_tokens must map each token to its id, not be a {kind}; pass a dict"))
    })?;
    let pairs = pairs.try_iter()?.map(|item| {
        let (token, id): (String, i128) = item?.extract()?;
        let reason = format!("its id is {id}; ids are numbers from 0 to 4294967294");
        let id = u32::try_from(id).ok().filter(|&id| id < u32::MAX);
        id.map(|id| (token.clone(), id)).ok_or_else(|| to_py(Error::SpecialToken { token, reason }))
    });
    pairs.collect()
}

/// Bytes -> str as `bytes.decode("utf-8", errors)` does it.
pub(crate) fn decoded<'py>(py: Python<'py>, bytes: &[u8], errors: &str) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", errors)),
    }
}
