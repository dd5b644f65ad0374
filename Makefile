# Each target sets up what it needs in .venv, on a machine that has only Python >= 3.11 and make.
# The set-up leaves a stamp: later calls are instant until the pins change.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

export NEUROLOOM_TEST_DATA ?= $(abspath ../shared/data)
export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MPLBACKEND := Agg
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-long check format parity bench docs picture chromium clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       decode a real recording and write its report"
	@echo "make test       the fast tests            make test-long  the long ones"
	@echo "make check      style, types, layering    make format     let ruff write the style"
	@echo "make parity [TOOL=braindecode]            make bench      beside the living peers"
	@echo "make docs       the pages, examples run   make setup      everything, for development"

setup: $(VENV)/stamp/dev $(VENV)/stamp/docs

demo: $(VENV)/stamp/signals
	$(BIN)/neuroloom demo

# A worker a core, a file to a worker; each worker computes on one thread.
test: $(VENV)/stamp/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-long: $(VENV)/stamp/dev chromium
	$(BIN)/python -m pytest -m long $(ARGS)

check: $(VENV)/stamp/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/contract/test_layering.py tests/contract/test_style.py

format: $(VENV)/stamp/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

parity: $(VENV)/stamp/dev
	$(BIN)/python -m parity $(if $(TOOL),"$(TOOL)"); status=$$?; $(BIN)/python docs/parity_table.py; exit $$status

bench: $(VENV)/stamp/dev
	$(BIN)/python benchmarks/decode.py $(ARGS)

docs: $(VENV)/stamp/docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html $(ARGS)

# The README's picture, from simulated recordings.
picture: $(VENV)/stamp/signals chromium
	$(BIN)/python docs/report_picture.py

clean:
	rm -rf build dist docs/_build docs/gallery docs/sg_execution_times.rst

# Installs the extra that the stamp is named after. Importing once compiles what will be used, in a
# fifth of the time that pip takes to compile everything.
$(VENV)/stamp/%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -qq --no-compile --prefer-binary --editable '.[$*]'
	@$(BIN)/python -c "import captum.attr, cyclopts, lightning_fabric, matplotlib.pyplot, mne, \
		pyarrow, pyriemann, pydantic, rich.live, scipy.stats, sklearn.linear_model, torch, xarray"
	@mkdir -p $(@D) && touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "neuroloom needs Python >= 3.11; none found (PYTHON=… names one)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call debian,python3-venv)
	$(PYTHON) -m venv $(VENV)

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || $(call debian,chromium)

# What pip cannot bring: installed where we may, named where we may not.
define debian
{ if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(1) >/dev/null; \
	else echo "please install '$(1)' (Debian: sudo apt-get install $(1)) and run make again"; exit 1; fi; }
endef
