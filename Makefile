# `make help` shows what there is. Every target sets up what it needs, once, in .venv.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# a process for each core, with one thread each; tests of a file stay together and share its fixtures
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench docs clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

demo: .venv/runtime  ## train, judge and show both models; about ten minutes on two cores (ARGS="--scale smoke": one)
	$(BIN)/unbraid demo $(ARGS)

test: .venv/development  ## run all tests (ARGS="-m 'not slow'" for the quick ones)
	$(PYTEST) $(ARGS)

check: lint test  ## everything that must hold before a commit: style, types, arrows, tests

lint: .venv/development  ## style, types and arrows, without the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/development  ## put the code into the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/runtime  ## time and weigh everything against plain code and pythae, into build/bench.json; 12 minutes
	$(BIN)/python bench/run.py $(ARGS)

docs: .venv/documentation  ## build the documentation into build/docs
	$(BIN)/sphinx-build -W --keep-going -q -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

clean:  ## remove the environment and everything built
	rm -rf .venv build

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "unbraid needs Python 3.11 or later with its venv module, and found none; \
	install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON): about 1.5 GB, once"
	$(PYTHON) -m venv .venv

# torch first: nothing that is installed later may choose another build of it
.venv/runtime: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) torch
	$(INSTALL) --editable '.[anndata,parquet]'
	@touch $@

.venv/development: .venv/runtime
	$(INSTALL) --editable '.[dev]'
	@touch $@

.venv/documentation: .venv/runtime
	$(INSTALL) --editable '.[docs]'
	@touch $@
