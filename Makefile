# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# They need Python >= 3.11, make and pip; packages go to $(VENV), pinned by constraints.txt.

PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test lint format bench clean

demo: $(VENV)/installed
	$(BIN)/pgc-data run pipelines/demo.toml

test: lint
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev
	$(BIN)/python tests/bench/bench_features.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bare:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'pgc-data needs Python 3.11 or newer, this is ' + sys.version.split()[0])"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/bare $(INPUTS)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@
