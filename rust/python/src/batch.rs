//! `tokfast.TokenBatch`.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyIterator, PyList, PySlice, PyTuple};
use tokfast::Batch;

use crate::arrow;
use crate::numbers::Numbers;

/// The ids of many texts: one flat array, and where each text begins.
///
/// ``batch[i]`` is a view of the ids of text ``i``; ``len(batch)`` and iteration work as for a list.
#[pyclass(module = "tokfast", frozen)]
pub(crate) struct TokenBatch {
    ids: Py<PyArray1<u32>>,
    offsets: Py<PyArray1<i64>>,
    numbers: Arc<Numbers>,
}

impl TokenBatch {
    pub(crate) fn new(py: Python<'_>, batch: Batch, numbers: Arc<Numbers>) -> Self {
        let (ids, offsets) = (batch.ids.into_pyarray(py).unbind(), batch.offsets.into_pyarray(py).unbind());
        Self { ids, offsets, numbers }
    }

    fn row<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let offsets = self.offsets.bind(py).readonly();
        let bound =
            |at: usize| offsets.get(at).copied().ok_or_else(|| PyIndexError::new_err("the offsets were changed"));
        self.ids.bind(py).get_item(PySlice::new(py, bound(index)? as isize, bound(index + 1)? as isize, 1))
    }
}

#[pymethods]
impl TokenBatch {
    /// All ids, flat.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Py<PyArray1<u32>> {
        self.ids.clone_ref(py)
    }

    /// Where each text begins in `ids`; one more entry than texts.
    #[getter]
    fn offsets(&self, py: Python<'_>) -> Py<PyArray1<i64>> {
        self.offsets.clone_ref(py)
    }

    /// The ids as a list of lists.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (ids, offsets) = (self.ids.bind(py).readonly(), self.offsets.bind(py).readonly());
        let changed = || PyIndexError::new_err("the ids or the offsets were changed");
        let (ids, offsets) = (ids.as_slice().map_err(|_| changed())?, offsets.as_slice().map_err(|_| changed())?);
        py.check_signals()?;
        let list = PyList::empty(py);
        for ends in offsets.windows(2) {
            let bound = |end: i64| usize::try_from(end).map_err(|_| changed());
            let row = ids.get(bound(ends[0])?..bound(ends[1])?).ok_or_else(changed)?;
            list.append(self.numbers.list(py, row)?)?;
        }
        Ok(list)
    }

    /// The ids as a list of `uint32` a text, by the Arrow `PyCapsule` interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (ids, offsets) = (self.ids.bind(py).readonly(), self.offsets.bind(py).readonly());
        let changed = |_| PyIndexError::new_err("the ids or the offsets were changed");
        arrow::lists(py, ids.as_slice().map_err(changed)?, offsets.as_slice().map_err(changed)?, requested_schema)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.offsets.bind(py).len() - 1
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let len = self.__len__(py);
        let at = if index < 0 { index + len as isize } else { index };
        match usize::try_from(at).ok().filter(|&at| at < len) {
            Some(at) => self.row(py, at),
            None => Err(PyIndexError::new_err(format!("text {index} is asked for, but the batch has {len}"))),
        }
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let py = slf.py();
        let rows = (0..slf.get().__len__(py)).map(|index| slf.get().row(py, index)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, rows)?.try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<tokfast.TokenBatch: {} texts, {} ids>", self.__len__(py), self.ids.bind(py).len())
    }
}
