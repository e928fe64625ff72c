# Everything a developer runs. Each target builds .venv by itself when it must, and not again until
# pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Two workers with one thread each keep two cores busy; more threads would fight over them. A file stays with one of
# them, as what its tests share would be made twice otherwise.
WORKERS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
GPU_ARGS ?=
# The Python of a GPU's machine in place of .venv, which is not built then.
GPU_PYTHON ?= $(BIN)/python
PACKAGES_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint packages check format bench gpu clean

help:
	@echo "make demo      train on handwritten digits, export, re-emulate from the files, draw a report (runs/demo)"
	@echo "make test      run the tests"
	@echo "make coverage  run the tests, and say which lines none of them reaches"
	@echo "make lint      run ruff, pyright and import-linter, changing nothing"
	@echo "make packages  build the source archive and the wheels, and try them on every Python that is here"
	@echo "make check     lint and test: what a change must pass"
	@echo "make format    let ruff rewrite what it can"
	@echo "make bench     measure speed; the arguments go in BENCH_ARGS"
	@echo "make gpu       measure where things stand on a CUDA GPU, in six minutes; GPU_PYTHON=python3 takes that Python"
	@echo "make setup     build .venv with the pinned versions; the others do it by themselves"
	@echo "make clean     remove caches and builds, not .venv and not runs/"

setup: $(READY)
	@echo "$(VENV) is ready"

# Byte code is compiled by all cores at once after pip, which would use one and take twice as long altogether; some
# packages bring templates that are no valid Python, hence the "|| true".
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: voltphase needs Python 3.11 or later, but $(PYTHON) is older: make setup PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) with the versions of constraints.txt; the first time takes some minutes,"
	@echo "in which pip fetches PyTorch and other libraries and says nothing."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

demo: $(READY)
	@$(BIN)/voltphase demo --out runs/demo

test: $(READY)
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

coverage: PYTEST_ARGS += --cov --cov-report=term:skip-covered
coverage: test

lint: $(READY)
	$(BIN)/ruff check --no-fix .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

packages: $(READY)
	$(BIN)/python scripts/try_packages.py $(PACKAGES_ARGS)

check: lint test

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(READY))
	PYTHONPATH="src$${PYTHONPATH:+:$$PYTHONPATH}" $(GPU_PYTHON) -m benchmarks.gpu $(GPU_ARGS)

clean:
	rm -rf build dist .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
