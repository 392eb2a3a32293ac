//! Lists of ids: the `int` objects of a vocabulary, each made once.
//!
//! Naive: an object for every id of every list, made and later freed. Idea: a text uses few ids often, and one more owner of
//! an object costs less; so a tokenizer that has given out many ids keeps an object for each.
//! Cost: 40 bytes an id of the vocabulary (8 MB for two hundred thousand), made once, in about 3 ms (o200k); none for a
//! program that never asks for many lists.
//! Measured (o200k): a call that gives 301 ids takes 6.0 us before there are objects and 3.2 after. Calls for many texts of
//! 100 and 1,000 characters, seen before: 1,290 and 5,900 ns. Tried and dropped: objects for the first 8,192 or 32,768 ids
//! alone, which stay in the caches (1,500 and 8,800 ns; 1,380 and 7,100).
//! Invariant: a list holds the same numbers with and without them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pyo3::prelude::*;
use pyo3::sync::OnceLockExt;
use pyo3::types::{PyInt, PyList};

/// Lists of fewer ids are made anew: their objects would have to be fetched first, and few wait long for each.
const FEW: usize = 8;

/// The numbers below the size of a vocabulary.
#[derive(Debug)]
pub(crate) struct Numbers {
    vocab_size: usize,
    /// How many ids were given out before there were objects to give.
    given: AtomicUsize,
    objects: OnceLock<Vec<Py<PyInt>>>,
}

impl Numbers {
    pub(crate) fn new(vocab_size: usize) -> Self {
        Self { vocab_size, given: AtomicUsize::new(0), objects: OnceLock::new() }
    }

    /// The objects, once half as many ids were given out as there are.
    fn objects(&self, py: Python<'_>, number: usize) -> Option<&[Py<PyInt>]> {
        if let Some(objects) = self.objects.get() {
            return Some(objects);
        }
        if self.given.fetch_add(number, Relaxed) < self.vocab_size / 2 {
            return None;
        }
        let object = |id| PyInt::new(py, id).unbind();
        Some(self.objects.get_or_init_py_attached(py, || (0..self.vocab_size).map(object).collect()))
    }

    /// Ids of the tokenizer as a list.
    pub(crate) fn list<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let objects = if ids.len() < FEW { None } else { self.objects(py, ids.len()) };
        let Some(objects) = objects else { return PyList::new(py, ids) };
        // The array that ids come from can be written to, so any number may stand there.
        let number = |&id: &u32| match objects.get(id as usize) {
            Some(object) => object.bind(py).clone(),
            None => PyInt::new(py, id),
        };
        PyList::new(py, ids.iter().map(number))
    }
}
