"""Run independent jobs on a few Python threads.

numpy releases the interpreter lock inside matrix products and ufuncs, so threads over (head, block of rows)
run the products *and* the exponentials in parallel; BLAS's own threads would only split the products. The two
kinds of threads together oversubscribe the cores, so BLAS is held to one thread meanwhile. That limit belongs
to the whole process and needs the optional package ``threadpoolctl``; without it the default is one Python
thread and BLAS as it is.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

Array = npt.NDArray[Any]
JobType = TypeVar("JobType")

# Two calls that set and restore the process-wide limit at the same time could leave it at 1.
_BLAS_LIMIT = threading.Lock()


def default_threads(n_scores: int) -> int:
    """One thread for small work, for one core, or where BLAS cannot be limited; otherwise all cores."""
    if n_scores < 1 << 20 or _threadpool_limits() is None:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run_jobs(jobs: Iterable[JobType], work: Callable[[Array, JobType], Array], threads: int) -> None:
    """Call ``work(scratch, job)`` for every job, last one first; it returns the buffer for the next call."""
    queue = deque(jobs)
    threads = min(threads, len(queue))

    def worker() -> None:
        scratch = np.empty(0)
        while True:
            try:
                job = queue.pop()  # atomic, so no job is taken twice
            except IndexError:
                return
            scratch = work(scratch, job)

    if threads <= 1:
        worker()
        return
    with _BLAS_LIMIT, _one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(worker) for _ in range(threads)]:
            done.result()


def _one_blas_thread() -> AbstractContextManager[Any]:
    limits = _threadpool_limits()
    return nullcontext() if limits is None else limits(limits=1, user_api="blas")


def _threadpool_limits() -> Any:
    try:
        return import_module("threadpoolctl").threadpool_limits
    except ImportError:
        return None
