#!/usr/bin/env python3
"""Train tokenizers, save them in each format, and compare the ids that others make of the files with ours.

usage: compare_exports.py TEXT [--bytes N] [--node FOLDER] [--record FILE]

TEXT is cut into documents at blank lines. The others are transformers (a saved directory), tiktoken (ranks) and, with
--node, llama.cpp (GGUF): FOLDER is where `npm i --ignore-scripts node-llama-cpp` was run. What a format cannot hold
exactly is refused by `save`, and the record says so.

Exit status: 0 when no document differs, 1 when one does.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import tokfast

if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERNS = ("gpt2", "cl100k", "o200k", "qwen2", "qwen3.5", "deepseek-v3")
VOCAB_SIZE = 16_000
LLAMA_CPP = """
import {getLlama} from "node-llama-cpp";
import fs from "fs";
const [path, documents, out] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: path, vocabOnly: true});
const ids = JSON.parse(fs.readFileSync(documents, "utf8")).map((text) => Array.from(model.tokenize(text, false)));
fs.writeFileSync(out, JSON.stringify(ids));
process.exit(0);
"""


def by_transformers(folder: Path, documents: list[str]) -> list[list[int]]:
    """Ids of a saved directory."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids: list[list[int]] = tokenizer(documents, add_special_tokens=False)["input_ids"]
    return ids


def by_tiktoken(path: Path, pattern: str, documents: list[str]) -> list[list[int]]:
    """Ids of ranks."""
    import tiktoken

    lines = (line.split() for line in path.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding("trained", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return [encoding.encode_ordinary(text) for text in documents]


def by_llama_cpp(path: Path, node: Path, documents: list[str]) -> list[list[int]]:
    """Ids of a GGUF file, by llama.cpp's own binary."""
    program, given, out = node / "encode.mjs", path.with_suffix(".json"), path.with_suffix(".ids")
    program.write_text(LLAMA_CPP, encoding="utf-8")
    given.write_text(json.dumps(documents), encoding="utf-8")
    subprocess.run(
        [shutil.which("node") or "node", program, path, given, out], check=True, capture_output=True, cwd=node
    )
    ids: list[list[int]] = json.loads(out.read_text(encoding="utf-8"))
    return ids


def llama_cpp_version(node: Path) -> str:
    """Say which package brings llama.cpp."""
    package = json.loads((node / "node_modules/node-llama-cpp/package.json").read_bytes())
    return f"node-llama-cpp {package['version']}"


def differ(ours: Iterable[list[int]], theirs: list[list[int]]) -> int:
    """Count documents whose ids differ."""
    return sum(mine != other for mine, other in zip(ours, theirs, strict=True))


def main() -> int:
    """Run the comparison, print a line each, write the record."""
    parser = argparse.ArgumentParser(description="Compare what others make of saved tokenizers with ours.")
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=int, default=10_500_000, metavar="N", help="how much of the text")
    parser.add_argument("--node", type=Path, metavar="FOLDER")
    parser.add_argument("--record", type=Path, metavar="FILE")
    options = parser.parse_args()
    text = options.text.read_bytes()[: options.bytes].decode(errors="ignore")
    parts = text.split("\n\n")
    documents = [part + "\n\n" for part in parts if part]
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in PATTERNS:
            tokenizer = tokfast.train(documents, VOCAB_SIZE, pattern=name, special_tokens=["<|endoftext|>"])
            ours = tokenizer.encode_batch(documents).to_list()
            folder, ranks, gguf = (Path(scratch, name + ending) for ending in ("", ".tiktoken", ".gguf"))
            folder.mkdir()
            tokenizer.save(folder)
            tokenizer.save(ranks)
            row: dict[str, object] = {"pattern": name, "bytes": len(text.encode()), "documents": len(documents)}
            row["tokens"] = sum(map(len, ours))
            row[f"transformers {version('transformers')}"] = differ(ours, by_transformers(folder, documents))
            pattern = tokenizer.pattern or ""
            row[f"tiktoken {version('tiktoken')}"] = (
                "several splits are no one expression"
                if pattern.startswith("[{")
                else differ(ours, by_tiktoken(ranks, pattern, documents))
            )
            if options.node:
                node = options.node.resolve()
                try:
                    tokenizer.save(gguf)
                except tokfast.TokenizerFileError as error:
                    row[llama_cpp_version(node)] = f"refused: {str(error).split(': ', 1)[1]}"
                else:
                    row[llama_cpp_version(node)] = differ(ours, by_llama_cpp(gguf, node, documents))
            rows.append(row)
            print(json.dumps(row), flush=True)
    if options.record:
        options.record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return int(any(isinstance(value, int) and value for row in rows for key, value in row.items() if " " in key))


if __name__ == "__main__":
    sys.exit(main())
