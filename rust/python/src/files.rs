//! Paths in, paths and counts out.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
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

/// The tokens of each file, its bytes, and by its place what else there is to say of one that has none of either: `None`
/// for a binary one, an exception for one that cannot be read.
#[pyfunction]
#[pyo3(signature = (tokenizer, paths, *, binary=None, threads=None, progress=None))]
pub(crate) fn count_text_files<'py>(
    py: Python<'py>,
    tokenizer: &PyTokenizer,
    paths: Vec<PathBuf>,
    binary: Option<Vec<bool>>,
    threads: Option<i128>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyDict>)> {
    let threads = convert::threads(threads)?;
    let binary = binary.unwrap_or_else(|| vec![true; paths.len()]);
    let counts =
        run(py, progress.as_ref(), |interrupt| tokenizer.inner.count_files(&paths, &binary, threads, interrupt))?;
    let sums =
        |count: &FileCount| if let FileCount::Text { tokens, bytes } = *count { (tokens, bytes) } else { (0, 0) };
    let tokens = PyList::new(py, counts.iter().map(|count| sums(count).0))?;
    let bytes = PyList::new(py, counts.iter().map(|count| sums(count).1))?;
    let others = PyDict::new(py);
    for (place, count) in counts.into_iter().enumerate() {
        match count {
            FileCount::Text { .. } => {}
            FileCount::Binary => others.set_item(place, py.None())?,
            FileCount::Failed(error) => others.set_item(place, to_py(error).into_value(py))?,
        }
    }
    Ok((tokens, bytes, others))
}
