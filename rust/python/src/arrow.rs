//! Arrow in and out, by the `PyCapsule` interface: pyarrow, polars, pandas and `DuckDB` objects as they are, none of them
//! needed.
//!
//! What comes in stays where it is: the texts are slices of the buffers of whoever made them. What goes out is a copy,
//! since numpy owns the ids.

use std::sync::Arc;

use arrow_array::UInt64Array;
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, LargeBinaryArray, LargeListArray, ListArray, StructArray, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};
use pyo3::exceptions::{PyImportError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_stream_pycapsule};
use pyo3_arrow::input::AnyArray;
use tokfast::WordCounts;

/// Words in one batch of a stream.
const ROWS: usize = 1 << 16;

/// The arrays of an Arrow object, one after the other; `None` for any other object.
pub(crate) fn arrays<'a>(
    object: &Bound<'_, PyAny>,
    name: &'a str,
) -> PyResult<Option<impl Iterator<Item = PyResult<ArrayRef>> + use<'a>>> {
    // Lists are by far the most frequent, and are asked nothing.
    if object.is_instance_of::<PyList>()
        || !(object.hasattr("__arrow_c_array__")? || object.hasattr("__arrow_c_stream__")?)
    {
        return Ok(None);
    }
    let reader = match object.extract::<AnyArray>() {
        Ok(array) => array.into_reader()?,
        // A pandas object without pyarrow has the method, but it cannot work: its items are what it holds.
        Err(error) if error.is_instance_of::<PyImportError>(object.py()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut row = 0;
    Ok(Some(reader.map(move |array| {
        let array = column(array.map_err(|error| arrow_error(&error))?, name)?;
        if let Some(null) = (0..array.len()).find(|&at| array.is_null(at)) {
            return Err(PyValueError::new_err(format!(
                "{name} has no text at row {}: it is null; drop the nulls, or fill them with \"\"",
                row + null
            )));
        }
        row += array.len();
        Ok(array)
    })))
}

fn arrow_error(error: &ArrowError) -> PyErr {
    PyValueError::new_err(format!("the Arrow data cannot be read: {error}"))
}

/// The only column of a table, or the array itself.
fn column(array: ArrayRef, name: &str) -> PyResult<ArrayRef> {
    let Some(table) = array.as_struct_opt() else { return Ok(array) };
    match table.columns() {
        [column] => Ok(Arc::clone(column)),
        _ => Err(PyValueError::new_err(format!(
            "{name} is a table with the columns {:?}; pass the one that holds the text",
            table.column_names()
        ))),
    }
}

/// The texts of an array of strings or binaries, which has no nulls.
pub(crate) fn texts<'t>(array: &'t dyn Array, name: &str) -> PyResult<Vec<&'t [u8]>> {
    let rows = 0..array.len();
    Ok(match array.data_type() {
        DataType::Utf8 => rows.map(|at| array.as_string::<i32>().value(at).as_bytes()).collect(),
        DataType::LargeUtf8 => rows.map(|at| array.as_string::<i64>().value(at).as_bytes()).collect(),
        DataType::Utf8View => rows.map(|at| array.as_string_view().value(at).as_bytes()).collect(),
        DataType::Binary => rows.map(|at| array.as_binary::<i32>().value(at)).collect(),
        DataType::LargeBinary => rows.map(|at| array.as_binary::<i64>().value(at)).collect(),
        DataType::BinaryView => {
            let array: &BinaryViewArray = array.as_binary_view();
            rows.map(|at| array.value(at)).collect()
        }
        other => {
            return Err(PyTypeError::new_err(format!(
                "{name} is an Arrow array of {other}; text is string, large_string, string_view or a binary: cast it"
            )));
        }
    })
}

/// The ids of texts as one array, a list of `uint32` a text.
pub(crate) fn lists<'py>(
    py: Python<'py>,
    ids: &[u32],
    offsets: &[i64],
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let values: ArrayRef = Arc::new(UInt32Array::from(ids.to_vec()));
    let item = Arc::new(Field::new("item", DataType::UInt32, false));
    let narrow: Option<Vec<i32>> = offsets.iter().map(|&offset| i32::try_from(offset).ok()).collect();
    let array: ArrayRef = if let Some(narrow) = narrow {
        let ends = OffsetBuffer::new(ScalarBuffer::from(narrow));
        Arc::new(ListArray::try_new(item, ends, values, None).map_err(|error| arrow_error(&error))?)
    } else {
        // More ids than 32 bits count.
        let ends = OffsetBuffer::new(ScalarBuffer::from(offsets.to_vec()));
        Arc::new(LargeListArray::try_new(item, ends, values, None).map_err(|error| arrow_error(&error))?)
    };
    let field = Arc::new(Field::new("ids", array.data_type().clone(), false));
    Ok(to_array_pycapsules(py, field, &array, requested_schema)?)
}

/// Words and counts as a stream of batches with the columns `word` and `count`.
pub(crate) fn words<'py>(
    py: Python<'py>,
    counts: &WordCounts,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let fields =
        vec![Field::new("word", DataType::LargeBinary, false), Field::new("count", DataType::UInt64, false)].into();
    let batch = |start: usize| {
        let rows = || (start..counts.len().min(start + ROWS)).map(|index| counts.get(index));
        let words: ArrayRef = Arc::new(LargeBinaryArray::from_iter_values(rows().map(|(word, _)| word)));
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows().map(|(_, count)| count)));
        StructArray::try_new(Clone::clone(&fields), vec![words, numbers], None).map(|batch| Arc::new(batch) as ArrayRef)
    };
    let batches: Vec<_> = (0..counts.len()).step_by(ROWS).map(batch).collect();
    let field = Arc::new(Field::new("words", DataType::Struct(fields), false));
    Ok(to_stream_pycapsule(py, Box::new(ArrayIterator::new(batches, field)), requested_schema)?)
}
