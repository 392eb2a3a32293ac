//! Paths in, paths and counts out.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tokfast::FileCount;
use tokfast::files::Walk;

use crate::convert;
use crate::error::{run, to_py};
use crate::tokenizer::PyTokenizer;

/// The files that paths, directories and globs name.
#[pyfunction]
#[pyo3(signature = (paths, *, hidden=false, binary=false))]
pub(crate) fn list_files(py: Python<'_>, paths: Vec<PathBuf>, hidden: bool, binary: bool) -> PyResult<Vec<OsString>> {
    let files = run(py, None, |_| tokfast::files::expand(&paths, Walk { hidden, binary }))?;
    Ok(files.into_iter().map(PathBuf::into_os_string).collect())
}

/// The tokens and bytes of each file, `None` for a binary one, and an exception for one that cannot be read.
#[pyfunction]
#[pyo3(signature = (tokenizer, paths, *, binary=None, threads=None, progress=None))]
pub(crate) fn count_text_files<'py>(
    py: Python<'py>,
    tokenizer: &PyTokenizer,
    paths: Vec<PathBuf>,
    binary: Option<Vec<bool>>,
    threads: Option<i128>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let threads = convert::threads(threads)?;
    let binary = binary.unwrap_or_else(|| vec![true; paths.len()]);
    let counts =
        run(py, progress.as_ref(), |interrupt| tokenizer.inner.count_files(&paths, &binary, threads, interrupt))?;
    let found = PyList::empty(py);
    for count in counts {
        match count {
            FileCount::Text { tokens, bytes } => found.append(PyTuple::new(py, [tokens, bytes])?)?,
            FileCount::Binary => found.append(py.None())?,
            FileCount::Failed(error) => found.append(to_py(error).into_value(py))?,
        }
    }
    Ok(found)
}
