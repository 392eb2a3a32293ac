"""Threads, forked processes, and Ctrl-C.

Each scene that forks or sends signals plays in a process of its own, so that nothing of it stays here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

import peers
import tokfast

if TYPE_CHECKING:
    from pathlib import Path


def play(scene: str, folder: Path, limit: float = 60) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", dedent(scene)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_threads_share_one_tokenizer(real: tokfast.Tokenizer) -> None:
    documents = [peers.code(400_000)[start : start + 10_000] for start in range(0, 400_000, 10_000)]
    expected = [real.encode(text) for text in documents]

    def work(number: int) -> bool:
        if number % 3 == 0:
            return real.encode_batch(documents, threads=3).to_list() == expected
        if number % 3 == 1:
            return [real.encode(text) for text in documents] == expected
        return list(real.count_batch(documents, threads=2)) == [len(ids) for ids in expected]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


def test_threads_train_side_by_side() -> None:
    text = peers.code(200_000)
    expected = tokfast.train(iter([text]), 1000).merges
    with ThreadPoolExecutor(4) as pool:
        trained = pool.map(lambda threads: tokfast.train(iter([text]), 1000, threads=threads).merges, [1, 2, 3, 4])
        assert all(merges == expected for merges in trained)


def test_other_threads_run_during_a_long_call(trained: tokfast.Tokenizer) -> None:
    documents = [peers.code(400_000)] * 40
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(trained.encode_batch, documents, threads=1)
        ticks = 0
        while not batch.done():
            time.sleep(0.001)
            ticks += 1
    # With the GIL held by the call, this thread would have slept once.
    assert ticks > 10


FORK = """
    import os, sys
    import tokfast

    documents = ["def f(x): return x + 1 # a comment\\n" * 200] * 64
    tokenizer = tokfast.train(iter(documents), 300, threads=4)
    expected = tokenizer.encode_batch(documents, threads=4).to_list()

    def works():
        again = tokfast.train(iter(documents), 300, threads=4)
        batch = tokenizer.encode_batch(documents, threads=4).to_list()
        counts = tokenizer.count_batch(documents, threads=4).tolist()
        return again.merges == tokenizer.merges and batch == expected and counts == list(map(len, expected))

    for _ in range(3):
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            if grandchild:
                _, status = os.waitpid(grandchild, 0)
                os._exit(0 if status == 0 and works() else 1)
            os._exit(0 if works() else 1)
        _, status = os.waitpid(child, 0)
        print("child", status)
    print("parent", works())
"""


def test_forked_children_train_and_encode(tmp_path: Path) -> None:
    assert play(FORK, tmp_path) == "child 0\n" * 3 + "parent True\n"


FORK_DURING_WORK = """
    import os, threading
    import tokfast

    documents = ["def f(x): return x + 1 # a comment\\n" * 200] * 64
    tokenizer = tokfast.train(iter(documents), 300)
    expected = tokenizer.encode_batch(documents).to_list()
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            tokenizer.encode_batch(documents, threads=4)

    workers = [threading.Thread(target=busy) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(10):
        child = os.fork()
        if child == 0:
            os._exit(0 if tokenizer.encode_batch(documents, threads=4).to_list() == expected else 1)
        print("child", os.waitpid(child, 0)[1])
    stop.set()
"""


def test_a_fork_while_other_threads_encode(tmp_path: Path) -> None:
    assert play(FORK_DURING_WORK, tmp_path) == "child 0\n" * 10


PROCESSES = """
    import multiprocessing, sys
    import tokfast

    TOKENIZER = tokfast.train(iter(["low lower lowest"] * 9), 270)
    TOKENIZER.encode_batch(["low lower"] * 1000, threads=4)

    def count(text):
        return TOKENIZER.count(text), sum(TOKENIZER.count_batch([text] * 10, threads=2))

    def count_with(pair):
        return pair[0].count(pair[1])

    if __name__ == "__main__":
        with multiprocessing.get_context("fork").Pool(3) as pool:
            assert pool.map(count, ["low lower"] * 20) == [count("low lower")] * 20
            assert pool.map(count_with, [(TOKENIZER, "low lower")] * 20) == [count("low lower")[0]] * 20
        print("done")
"""


def test_a_pool_of_processes(tmp_path: Path) -> None:
    assert play(PROCESSES, tmp_path) == "done\n"


# A call that would take many seconds gets SIGINT after 0.3 s, and says how long it took to answer.
INTERRUPT = """
    import os, signal, sys, threading, time
    import tokfast

    {set_up}
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        {call}
    except KeyboardInterrupt:
        print("answered", time.perf_counter() - sent[0])
    else:
        print("finished", time.perf_counter() - sent[0] if sent else -1)
    assert tokfast.train(iter(["still works"]), 260).count("still works") > 0
"""

TEXTS = "documents = ['%d word%d ' % (n, n * 7919 % 100003) * 3 for n in range(1_500_000)]"
WORDS = (
    "import random; words = {random.randbytes(40): 1000 - n % 900 for n in range(300_000)}; "
    "counts = tokfast.WordCounts.from_counts(words)"
)
SMALL = "tokenizer = tokfast.train(iter(['some words, 123 and (others).'] * 9), 280)"
PROSE = f"{SMALL}; prose = 'some words, 123 and (others). \\u4e2d\\u6587 ' * 200_000"
LETTERS = f"{SMALL}; import random; letters = bytes(random.choices(b'somewrd', k=1_000_000)) * 100"
LONG_CALLS = {
    "train: counting": (TEXTS, "tokfast.train(iter(documents), 50_000)"),
    "train: merging": (WORDS, "tokfast.train(counts, 200_000)"),
    "encode_batch": (PROSE, "tokenizer.encode_batch([prose] * 100)"),
    "count_batch": (PROSE, "tokenizer.count_batch([prose] * 100, threads=1)"),
    "encode": (PROSE, "tokenizer.encode(prose * 20)"),
    "encode: one piece": (LETTERS, "tokenizer.encode(letters)"),
}


@pytest.mark.parametrize("call", LONG_CALLS)
def test_ctrl_c_is_answered_at_once(tmp_path: Path, call: str) -> None:
    set_up, statement = LONG_CALLS[call]
    answer, seconds = play(INTERRUPT.format(set_up=set_up, call=statement), tmp_path).split()
    assert answer == "answered"
    assert float(seconds) < 0.2


def test_ctrl_c_leaves_no_thread_behind(tmp_path: Path) -> None:
    scene = """
        import os, signal, threading, time
        import tokfast

        tokenizer = tokfast.train(iter(["low lower lowest"] * 9), 270)
        documents = ["low lower " * 100_000] * 100
        threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT))).start()
        try:
            tokenizer.encode_batch(documents * 20, threads=4)
        except KeyboardInterrupt:
            pass
        time.sleep(0.5)
        before = time.process_time()
        time.sleep(0.5)
        print(time.process_time() - before < 0.1)
    """
    assert play(scene, tmp_path) == "True\n"
