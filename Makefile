# `make demo` sets everything up and does the main job; `make test` sets everything up
# and passes the tests. Both need only python3 (3.11 or later) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := 3.11, 3.12, 3.13

.PHONY: demo test test-long test-jax check-python clean

demo: $(VENV)/.installed
	$(BIN)/kregkit run experiments/l1_vs_l2_digits.toml --out build/demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Minutes of training: every kind of model by both engines, and hundreds of steps over
# paired seeds.
test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile

# The engine `batch` and the optimizers on the other backend that both engines support.
test-jax: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,jax]'
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m "jax and not tensorflow" tests/batch tests/optimizers

check-python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "kregkit needs Python $(SUPPORTED), for which TensorFlow has wheels; this is Python %d.%d. Name another one: make PYTHON=python3.12" % v)'

$(VENV)/bin/python: | check-python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV)
