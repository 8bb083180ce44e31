# make: install, run the pipeline, show the result. make test: check and test. make test-all: the long tests too.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all install test test-all lock

all: install
	dvc repro
	prunefront show

install: .venv/installed

# Written last: an interrupted installation starts again.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: expected Python 3.11 or newer; \
	run make PYTHON=python3.11. Received: " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The pipeline's long story begins first, and the other long files beside it; short ones fill the gap at the end.
LONG := pipeline pipeline_changes wheel examples seeds optimizers_hold zeros_hold export methods streaming publish new
LONG += network_again machine stale report models recipes
CHOSEN := -m 'not long'
test-all: CHOSEN := --hypothesis-profile search
test test-all: install
	ruff check .
	ruff format --check .
	mypy
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(CHOSEN) $(LONG:%=tests/test_%.py) tests

# Resolves the dependencies of pyproject.toml anew, those of its extra too, for every platform.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev --extra onnx \
	--no-emit-index-url --no-header pyproject.toml -o requirements.lock
