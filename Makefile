# make demo   builds tokfast, trains on real text and counts with it
# make test   everything that is checked before a change goes in
# make help   the rest
#
# Each target does its own set-up, in .venv and target, and does it again only when what it depends on has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# rustup does not always reach the PATH of the shell that runs make.
export PATH := $(PATH):$(HOME)/.cargo/bin
# cargo and maturin must agree on the interpreter, or each rebuilds what the other has built.
export PYO3_PYTHON := $(abspath $(BIN)/python)

RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUST_SOURCES := $(shell find rust -type f \( -name '*.rs' -o -name '*.toml' \)) Cargo.toml $(wildcard Cargo.lock)

.PHONY: help tools setup build demo data test check docs bench clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

tools:
	@command -v $(PYTHON) >/dev/null || { echo "tokfast needs Python 3.10 or newer, and there is no $(PYTHON):" \
	  "install it (python.org, or your package manager), or name yours: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo "tokfast needs Python" \
	  "3.10 or newer, and $(PYTHON) is older or does not run: install one, or name yours: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "tokfast needs Python's venv module:" \
	  "install the package python3-venv" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "tokfast needs a Rust toolchain, and there is no cargo:" \
	  "install Rust $(RUST_VERSION) or newer from https://rustup.rs" >&2; exit 1; }
	@cargo --version | $(PYTHON) -c 'import sys; v = lambda s: [int(n) for n in s.split(".")[:2]]; \
	  sys.exit(v(sys.stdin.read().split()[1]) < v("$(RUST_VERSION)"))' || { echo "tokfast needs Rust $(RUST_VERSION)" \
	  "or newer, and this is $$(cargo --version): run 'rustup update stable'" >&2; exit 1; }

# pip knows dependency groups since 25.1; the one that comes with Python may be older.
$(VENV)/.installed: pyproject.toml | tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test
	@touch $@

# Builds the extension into python/tokfast, installs the package as editable, and numpy and click with it.
$(VENV)/.built: $(VENV)/.installed $(RUST_SOURCES)
	$(BIN)/maturin develop --release --quiet
	@touch $@

setup: $(VENV)/.installed ## make .venv with everything the tests need

build: $(VENV)/.built ## compile the extension and install the package into .venv

demo: build ## train on Python's standard library, save, count (start here)
	$(BIN)/python scripts/demo.py

data: $(VENV)/.installed
	@$(BIN)/python scripts/fetch_test_data.py || echo "make: some test data could not be had (no network?);" \
	  "the tests that need it are skipped, and fail where CI is set" >&2

test: build data ## everything: format, lints, types, Rust and Python tests
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo test --quiet --workspace --exclude tokfast-python
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest tokfast._tokfast --mypy-config-file pyproject.toml
	$(BIN)/python -m pytest

check: test ## the same as test

$(VENV)/.docs: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

docs: build $(VENV)/.docs ## the documentation site, into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.peers: bench/requirements.txt $(VENV)/.built
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@touch $@

# TOKFAST_DATA is the folder of texts and vocabularies that bench/README.md describes.
bench: $(VENV)/.peers ## compare with the pure-Python reference, and with other libraries (TOKFAST_DATA=folder)
	$(BIN)/python -m pytest bench --benchmark-only
	$(BIN)/python bench/run.py

clean: ## remove everything that was built
	rm -rf $(VENV) target build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	rm -f python/tokfast/_tokfast*.so
	find python tests bench scripts -name __pycache__ -prune -exec rm -rf {} +
