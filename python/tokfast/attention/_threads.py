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
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from contextlib import AbstractContextManager

JobType = TypeVar("JobType")

# Two calls that set and restore the process-wide limit at the same time could leave it at 1.
_BLAS_LIMIT = threading.Lock()


def default_threads(n_scores: int) -> int:
    """One thread for small work, for one core, or where BLAS cannot be limited; otherwise all cores."""
    if n_scores < 1 << 20 or _thread_controller() is None:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run_jobs(queue: deque[JobType], start: Callable[[], Callable[[JobType], object]], threads: int) -> None:
    """Call ``start()`` once per thread, and what it returns for every job of the queue, which is emptied from its end.

    ``start`` is where a thread makes its buffers. After an error, or Ctrl-C, no further job begins. Jobs that are done
    are let go, with what they alone keep in memory.
    """
    threads = min(threads, len(queue))

    def worker() -> None:
        work = start()
        while True:
            try:
                job = queue.pop()  # atomic, so no job is taken twice
            except IndexError:
                return
            try:
                work(job)
            except BaseException:
                queue.clear()  # the other threads stop as well
                raise

    if threads <= 1:
        worker()
        return
    # The calling thread works as well: it would only wait, and another one has to start first.
    with _BLAS_LIMIT, _one_blas_thread(), ThreadPoolExecutor(threads - 1) as pool:
        running = [pool.submit(worker) for _ in range(threads - 1)]
        try:
            worker()
            for done in running:
                done.result()
        except BaseException:  # Ctrl-C arrives here
            queue.clear()
            raise


def _one_blas_thread() -> AbstractContextManager[Any]:
    controller = _thread_controller()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@cache
def _thread_controller() -> Any:
    """Find the BLAS of this process, once: looking through its libraries takes 20 times as long as a limit."""
    try:
        return import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
