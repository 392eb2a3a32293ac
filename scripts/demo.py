"""Train a tokenizer on real text and count with it: what `make demo` shows.

The text is the source of Python's standard library, which is on every machine that runs this. Some
distributions ship it without its tests; where less than `ENOUGH_BYTES` is left, the packages installed beside
it join in. Nothing is downloaded, and nothing written outside `demo/`.
"""

import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import tokfast
from tokfast import Tokenizer

VOCAB_SIZE = 16_000
ENOUGH_BYTES = 20_000_000
NAME = "demo/tokenizer.json"
OUT = Path(__file__).parent.parent / NAME

Result = TypeVar("Result")


def find_sources() -> list[Path]:
    """Python files of the standard library, and of the installed packages if those are too few."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    if sum(path.stat().st_size for path in paths) < ENOUGH_BYTES:
        paths += sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
    return paths


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what ``work`` returns, and the seconds it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def show_count(name: str, tokenizer: Tokenizer, texts: list[bytes]) -> None:
    """Print how many tokens the texts are, and how fast that was found."""
    n_bytes = sum(map(len, texts))
    counts, seconds = timed(lambda: tokenizer.count_batch(texts))
    n_tokens = int(counts.sum())
    print(
        f"  {name:<22} {n_tokens:>12,} tokens  {n_bytes / n_tokens:.2f} bytes each"
        f"  {seconds:7.3f} s  {n_bytes / seconds / 1e6:6.0f} MB/s"
    )


def main() -> None:
    """Train, save, count, and check that the text comes back."""
    paths = find_sources()
    texts = [path.read_bytes() for path in paths]
    n_bytes = sum(map(len, texts))
    print(f"text    {len(paths):,} Python files, {n_bytes / 1e6:.1f} MB, in {sysconfig.get_path('stdlib')}")

    tokenizer, seconds = timed(lambda: tokfast.train(paths, VOCAB_SIZE))
    print(f"train   {tokenizer.vocab_size:,} tokens in {seconds:.2f} s ({n_bytes / seconds / 1e6:.0f} MB/s)")

    OUT.parent.mkdir(exist_ok=True)
    tokenizer.save(OUT)
    loaded, seconds = timed(lambda: tokfast.load(OUT))
    print(f"save    {NAME}, {OUT.stat().st_size / 1e6:.2f} MB, loads in {seconds:.3f} s")

    print("count")
    show_count(NAME, loaded, texts)
    show_count("tokfast-32k (built in)", tokfast.load("tokfast-32k"), texts)

    for path, text in zip(paths, texts, strict=True):
        if loaded.decode_bytes(loaded.encode(text)) != text:
            sys.exit(f"decode(encode(text)) differs from text for {path}")
    print("check   every file comes back from its ids, byte for byte")
    print(f"\nnext    {Path(sys.executable).parent / 'tokfast'} count -t {NAME} README.md")


if __name__ == "__main__":
    main()
