# make repro: set up + main job. make test: set up + tests. make check: lint and types. make fix: format.
# make table2: the rows of the paper's table 2 for the active pair, as DVC experiments, into docs/table2.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONHASHSEED := 0

.PHONY: setup repro table2 test check fix

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "akd needs Python 3.11 or newer: name one, as in make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --disable-pip-version-check -r requirements.lock
	pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

repro: setup
	dvc repro
	dvc plots show
	akd report
	akd results

table2: setup
	python -m benchmarks.table2

test: setup
	pytest --numprocesses logical --maxprocesses 4 --dist loadfile

check: setup
	ruff check .
	ruff format --check .
	mypy

fix: setup
	ruff check --fix .
	ruff format .
