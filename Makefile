# `make demo` sets everything up and does the main job; `make test` sets everything up
# and passes the tests. Both need only python3 (3.11 or later) and make.
PYTHON ?= python3
VENV := .venv
BACKENDS := .venv-backends
OLDEST := .venv-keras-oldest
NEWEST := .venv-keras-newest
DOCS := .venv-docs
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
BIN := $(VENV)/bin
SUPPORTED := 3.11, 3.12, 3.13

.PHONY: demo l1_vs_l2 test test-keras test-keras-oldest test-keras-newest test-faults test-long test-browser test-backends docs check-python clean

demo: $(VENV)/.installed
	$(BIN)/kregkit run experiments/l1_vs_l2_digits.toml --out build/demo

# The studies of reports/l1_vs_l2 and the page over them: an hour and a half on two cores.
# Fashion-MNIST is downloaded, or read from the folder that KREGKIT_DATA names.
STUDIES := digits digits_cnn breast_cancer wine diabetes fashion_mnist

l1_vs_l2: $(VENV)/.installed
	for name in $(STUDIES); do $(BIN)/kregkit run experiments/l1_vs_l2/$$name.toml --out build/l1_vs_l2/$$name || exit 1; done
	$(BIN)/kregkit report $(STUDIES:%=build/l1_vs_l2/%/store) --out reports/l1_vs_l2
	$(BIN)/kregkit report build/l1_vs_l2/fashion_mnist/store --out reports/l1_vs_l2_fashion_mnist

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Faults of tests/faults.toml, sown one at a time in a copy: does its test fail? All of
# them take ten minutes; FAULTS=--short sows the quick ones, FAULTS=report those in a part.
test-faults: $(VENV)/.installed-test
	$(BIN)/python tests/sow_faults.py $(FAULTS)

# Minutes of training: every kind of model by both engines, and hundreds of steps over
# paired seeds.
test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m long -n 2 --dist worksteal

# The report in Chromium, with axe-core. Both are installed where they are not.
test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -m browser tests/report/browser

# What can differ there: the optimizers; the engine `batch` on JAX, which is the one of
# them that it supports; values, gradients and proxes of every penalty at ordinary points,
# and on PyTorch, which runs them one by one, at zeros and extremes and in every dtype.
test-backends: $(BACKENDS)/.installed
	KERAS_BACKEND=jax $(BACKENDS)/bin/python -m pytest -n 2 --dist worksteal -m "jax and not tensorflow" tests/inside_keras tests/study/engines/batch tests/study/probes tests/optimizers tests/callbacks/test_consolidate*.py tests/callbacks/test_training_loops.py tests/regularizers/test_across_backends.py tests/regularizers/test_curvature.py
	KERAS_BACKEND=torch $(BACKENDS)/bin/python -m pytest -n 2 --dist worksteal -m "torch and not tensorflow and not long" tests/inside_keras tests/regularizers tests/test_*.py tests/optimizers tests/callbacks/test_consolidate_resumed.py tests/callbacks/test_training_loops.py

# What is read from the inside of Keras, and training, on the oldest Keras and TensorFlow
# that are supported, and on the newest Keras that there is, supported or not.
KERAS_SUITE := tests/inside_keras tests/optimizers tests/callbacks/test_training_loops.py tests/callbacks/test_logger.py

test-keras: test-keras-oldest test-keras-newest

test-keras-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal $(KERAS_SUITE)

test-keras-newest: $(NEWEST)/.installed
	$(NEWEST)/bin/python -m pytest -n 2 --dist worksteal $(KERAS_SUITE)

check-python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "kregkit needs Python $(SUPPORTED), for which TensorFlow has wheels; this is Python %d.%d. Name another one: make PYTHON=python3.12" % v)'

$(VENV)/bin/python: | check-python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(PIP_INSTALL) --editable '.[test]'
	touch $@ $(VENV)/.installed

BROWSER := tests/report/browser

$(VENV)/.installed-browser: $(VENV)/.installed-test $(BROWSER)/package.json
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,browser]'
	npm install --prefix $(BROWSER) --no-package-lock --no-audit --no-fund --silent
	command -v chromium || command -v chromium-browser || command -v google-chrome >/dev/null || { apt-get update -qq && apt-get install -qq --yes chromium; }
	touch $@

# Of torch the wheel for CPUs, where one is found: `+cpu` goes before the same version
# without it, which brings gigabytes of CUDA.
$(BACKENDS)/.installed: pyproject.toml | check-python
	$(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/python $(PIP_INSTALL) --no-deps --extra-index-url https://download.pytorch.org/whl/cpu 'torch==2.13.*'
	$(BACKENDS)/bin/python $(PIP_INSTALL) --editable '.[test,jax,torch]'
	touch $@

$(OLDEST)/.installed: pyproject.toml | check-python
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP_INSTALL) --editable '.[test]' 'keras==3.14.1' 'tensorflow==2.20.*'
	touch $@

$(NEWEST)/.installed: pyproject.toml | check-python
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python $(PIP_INSTALL) --editable '.[test]'
	$(NEWEST)/bin/python $(PIP_INSTALL) --upgrade keras
	touch $@

# A site of the documents and of the docstrings, in build/docs. It is made from links to
# the tree, so that what a document links to is where it is here. The tools read kregkit
# without importing it, and need no network.
docs: $(DOCS)/.installed
	rm -rf build/docs build/docs-source
	mkdir -p build/docs-source
	for name in README.md CHANGELOG.md CONTRIBUTING.md docs reports experiments kregkit tests; do ln -s ../../$$name build/docs-source/$$name; done
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet

$(DOCS)/.installed: pyproject.toml | check-python
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python $(PIP_INSTALL) $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	touch $@

clean:
	rm -rf $(VENV) $(BACKENDS) $(DOCS) $(OLDEST) $(NEWEST) $(BROWSER)/node_modules
