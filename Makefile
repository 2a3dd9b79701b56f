# Every target makes what it needs: a virtual environment in .venv, the tools in it, and the wheel when it is stale.
# .ci/run and pre-commit call these targets.

.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export VIRTUAL_ENV := $(abspath $(VENV))
export PATH := $(abspath $(BIN)):$(HOME)/.cargo/bin:$(PATH)
# The tests may use a software adapter (Mesa's lavapipe).
export RTORCH_GPU_ALLOW_CPU ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

TOOLS := $(VENV)/.tools
WHEEL := target/wheels/.built
INSTALLED := $(VENV)/.wheel
DEVELOP := $(VENV)/.develop
RUST := Cargo.toml $(wildcard Cargo.lock) $(shell find src -name '*.rs' -o -name '*.wgsl' 2>/dev/null)
PY := pyproject.toml $(shell find python -type f -not -name '*.so' -not -path '*/__pycache__/*' 2>/dev/null)
PY_SOURCES := python tests benches examples

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { \
	  echo "rtorch is built with Rust, and 'cargo' was not found. Install it with"; \
	  echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; \
	  echo "or from https://rustup.rs, open a new shell and run make again."; exit 1; }

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rtorch needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 ...'"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(TOOLS): pyproject.toml | $(BIN)/python
	$(BIN)/python .ci/requirements.py dev | xargs $(BIN)/python -m pip install -q
	@touch $@

.PHONY: venv
venv: $(TOOLS) ## Make .venv with everything that development needs

.PHONY: dev
dev: export CARGO_INCREMENTAL := 1
dev: cargo $(TOOLS) ## Build for the inner loop (profile dev, no gpu) and install it in place
	@rm -f $(INSTALLED)
	$(BIN)/maturin develop -q --no-default-features --features python
	@touch $(DEVELOP)

.PHONY: dev-gpu
dev-gpu: export CARGO_INCREMENTAL := 1
dev-gpu: cargo $(TOOLS) ## The same with the gpu feature
	@rm -f $(INSTALLED)
	$(BIN)/maturin develop -q --features python,gpu
	@touch $(DEVELOP)

$(WHEEL): $(RUST) $(PY) $(TOOLS) | cargo
	@rm -f target/wheels/*.whl
	$(BIN)/maturin build -q --release --out target/wheels
	@$(BIN)/python .ci/wheel_size.py target/wheels/*.whl
	@touch $@

.PHONY: build
build: cargo $(WHEEL) ## Build the wheel (profile release) into target/wheels

$(INSTALLED): $(WHEEL)
	@rm -f $(DEVELOP) python/rtorch/_C*.so
	$(BIN)/python -m pip install -q --force-reinstall --no-deps target/wheels/*.whl
	@touch $@

.PHONY: install
install: cargo $(INSTALLED) ## Install the wheel into .venv

.PHONY: dist
dist: cargo $(TOOLS) ## Build the wheel that is published (profile dist: one unit, fat LTO) into dist
	$(BIN)/maturin build --profile dist --out dist
	@$(BIN)/python .ci/wheel_size.py dist/*.whl

.PHONY: train
train: install ## Train a small CNN on handwritten digits; pictures and checkpoint go to out
	$(BIN)/python examples/train_digits.py

.PHONY: test
test: test-python test-rust ## Run every test

.PHONY: test-python
test-python: install ## Run the Python tests; ARGS are pytest's
	$(BIN)/python -m pytest $(ARGS)

.PHONY: test-rust
test-rust: cargo ## Run the Rust tests
	cargo test -q --release --lib

.PHONY: lint
lint: lint-rust lint-python ## Check format and lints of everything

.PHONY: fmt-check
fmt-check: cargo
	cargo fmt --check

.PHONY: clippy
clippy: cargo ## clippy with and without the extension and the gpu
	cargo clippy -q --release --all-targets --features python,gpu -- -D warnings
	cargo clippy -q --release --all-targets --no-default-features -- -D warnings

.PHONY: lint-rust
lint-rust: fmt-check clippy

.PHONY: lint-python
lint-python: $(TOOLS)
	$(BIN)/ruff check $(PY_SOURCES)
	$(BIN)/ruff format --check $(PY_SOURCES)

.PHONY: format
format: cargo $(TOOLS) ## Format everything
	cargo fmt
	$(BIN)/ruff check --fix-only -q $(PY_SOURCES)
	$(BIN)/ruff format $(PY_SOURCES)

.PHONY: stubs
stubs: ## Write python/rtorch/_C.pyi from the op table of what is installed
	$(BIN)/python -m rtorch._stubgen --out python/rtorch

.PHONY: stubs-check
stubs-check: install ## Fail when the stubs are stale
	$(BIN)/python -m rtorch._stubgen --check --out python/rtorch

.PHONY: bench
bench: install ## Time the kernels, the cost of a call and of importing
	cargo bench -q
	$(BIN)/python benches/overhead.py
	$(BIN)/python benches/import_time.py

.PHONY: conformance
conformance: install ## Score against the conformance corpus, where one is at hand
	$(BIN)/python tests/check_conformance.py

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf target dist out $(VENV) python/rtorch/_C*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
