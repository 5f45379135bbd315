# make demo and make test set everything up themselves, in a .venv of their own.
PYTHON ?= python3
VENV := .venv
NUMPY2 := .venv-numpy2
CORE := tests/test_text.py tests/geometry tests/objectives tests/correspondence tests/inference tests/data/test_decode.py \
	tests/data/test_store.py tests/data/test_mesh.py tests/data/test_pairs.py tests/data/readers/test_frames.py
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check wheel numpy2 clean

demo: $(READY)
	$(BIN)/samepoint demo --out demo

test: check wheel numpy2
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The built wheel, installed into an environment that holds nothing of the checkout, must run.
wheel: $(READY)
	sh scripts/wheel-smoke-test $(BIN)/python

# The core with NumPy 2 (the environment has NumPy 1, for Blender's module): a small environment over the other one.
numpy2: $(READY)
	sh scripts/numpy2-environment $(BIN)/python $(NUMPY2)
	OMP_NUM_THREADS=1 $(NUMPY2)/bin/python -m pytest -n 2 --dist worksteal $(CORE)

$(READY): pyproject.toml scripts/system-packages
	sh scripts/system-packages
	$(PYTHON) -c 'import sys; sys.exit("samepoint needs Python 3.11 or newer; run make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(NUMPY2) demo build dist
