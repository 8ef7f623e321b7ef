# `make demo` and `make test` need Python 3.11 or newer, pip and make; they set everything else up by themselves, in .venv.
# pip is called plainly, so PIP_INDEX_URL and its other environment variables keep their meaning.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/dev.txt
# The one direct pin that a person chooses; `make lock` works out the rest.
TORCH := 2.13.0

.DEFAULT_GOAL := help
.PHONY: help demo test lint types package tests format lock clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Set up, then make a phantom study, segment it and leave labels, indices and a report in demo/
	$(BIN)/shortaxis demo --out demo

test: lint types package tests ## Set up, then run every check that a change must pass

lint: $(STAMP) ## Check the style and the format
	@echo "== Lint"
	$(BIN)/ruff check
	@echo "== Format"
	$(BIN)/ruff format --check

types: $(STAMP) ## Check the types, strictly
	@echo "== Types"
	$(BIN)/mypy

package: $(STAMP) ## Build the source archive and, from it, the wheel; look whether the wheel is complete
	@echo "== Package"
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python .ci/check_wheel.py dist/*.whl

# Torch would start as many threads as there are cores in each of the workers; one thread each is faster and gives the same sums everywhere.
tests: $(STAMP) ## Run the tests and the code blocks of README and docs, with branch coverage
	@echo "== Tests"
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --cov --cov-report term

format: $(STAMP) ## Put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Hashes are left out on purpose: torch comes as a CPU wheel or as a CUDA wheel, by the index that pip is told to use, and their hashes differ.
# For the same reason the CUDA libraries, which the CUDA wheel pins itself, are not listed.
lock: ## Work out requirements/dev.txt anew
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --upgrade --upgrade-strategy eager torch==$(TORCH) ".[dev]" setuptools
	{ sed '/^[^#]/,$$d' $(LOCK); \
	  build/lock/bin/pip freeze --all --exclude pip --exclude wheel --exclude shortaxis \
	  | grep -viE '^(cuda|nvidia|triton)' | sed 's/^\(torch==[^+]*\)+.*/\1/'; } > build/lock/dev.txt
	mv build/lock/dev.txt $(LOCK)

clean: ## Remove everything that make made
	rm -rf $(VENV) build dist demo .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "shortaxis needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	@echo "== Set-up: installing into $(VENV) (a few minutes)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement $(LOCK)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
