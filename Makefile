# make demo and make test set everything up themselves, in a .venv of their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check wheel clean

demo: $(READY)
	$(BIN)/samepoint demo --out demo

test: check wheel
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The built wheel, installed into an environment that holds nothing of the checkout, must run.
wheel: $(READY)
	sh scripts/wheel-smoke-test $(BIN)/python

$(READY): pyproject.toml scripts/system-packages
	sh scripts/system-packages
	$(PYTHON) -c 'import sys; sys.exit("samepoint needs Python 3.11 or newer; run make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist
