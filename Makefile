# The commands of this repository. `make demo` and `make test` need only Python 3.11 to 3.13.

SHELL := /bin/bash

PYTHON ?= python3
# On two cores, two test processes with one TensorFlow thread each are faster than one with two.
TEST_WORKERS ?= 2
# A version that the package index of the CI machine has as a CPU build.
TORCH ?= torch==2.13.0
# A version whose XLA knows the flag that `test-backends` sets: XLA aborts the
# process if a flag is unknown.
JAX ?= jax==0.10.2
# TF Serving's protocol messages; tests compare ours with them. The package is
# installed without its dependency `tensorflow`, which would overwrite files of
# `tensorflow-cpu`.
SERVING_API ?= tensorflow-serving-api==2.21.*
# A test reads the metadata of TFLite files with it. It is installed without its dependencies,
# because it requires an old protobuf. It has no wheel for Python 3.12 or newer, so a failed install
# is ignored.
TFLITE_READER ?= tflite-support==0.4.4
BUILDIFIER ?= @bazel/buildifier@8.2.1
PYRIGHT ?= pyright@1.1.400
DEMO_DIR ?= runs/demo

VENV := .venv
BIN := $(VENV)/bin
BACKENDS := .venv-backends
DEMO_STAMP := $(VENV)/.installed-demo
ENV_STAMP := $(VENV)/.installed
BACKENDS_STAMP := $(BACKENDS)/.installed
BUILDIFIER_STAMP := .node/.$(subst /,-,$(BUILDIFIER))
PYRIGHT_STAMP := .node/.$(PYRIGHT)
BUILD_FILES = $(shell git ls-files --cached --others --exclude-standard \
	'BUILD' '*/BUILD' 'MODULE.bazel' '*.bzl')

# Tests that run on every backend.
CORE_TESTS := tests/backends tests/benchmarks/test_accelerator_latency.py \
	tests/layers/test_layers.py tests/losses tests/metrics tests/trainer/test_remat.py \
	tests/trainer/test_training_model.py tests/trainer/test_update_batch_norm.py

# Huge pages make the tests 6% faster.
TEST_ENV := TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 \
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1
PYTEST_FLAGS := -n $(TEST_WORKERS) --dist worksteal --durations=20
BACKENDS_PYTEST := $(TEST_ENV) $(BACKENDS)/bin/python -m pytest $(PYTEST_FLAGS)
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest $(PYTEST_FLAGS)

.PHONY: help env backends demo docs notebooks test test-fast test-slow test-backends lint format \
	bazel-check bazel-format clean typecheck

help:
	@echo "make demo         train on street scenes for a few minutes, evaluate, predict"
	@echo "make test         lint and type check, then the fast tests"
	@echo "make test-slow    the slow tests, the other Keras backends, the BUILD files"
	@echo "make lint         ruff check and format check;  make format  applies them"
	@echo "make docs         build the documentation site in build/docs"
	@echo "make notebooks    execute colab/*.py and write the notebooks (a quarter of an hour)"
	@echo "make env          create the environment for these commands in $(VENV)"

env: $(ENV_STAMP)

# The demo needs only the packages that a user installs.
$(DEMO_STAMP): setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[tensorflow-cpu]"
	touch $@

$(ENV_STAMP): $(DEMO_STAMP) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[tensorflow-cpu,dev]"
	$(BIN)/python -m pip install --quiet --no-deps "$(SERVING_API)"
	-$(BIN)/python -m pip install --quiet --no-deps "$(TFLITE_READER)"
	touch $@

# An environment without TensorFlow, so that tests of other backends fail if they import TensorFlow.
backends: $(BACKENDS_STAMP)

$(BACKENDS_STAMP): setup.py
	test -x $(BACKENDS)/bin/python || $(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/python -m pip install --quiet --upgrade pip
	$(BACKENDS)/bin/python -m pip install --quiet --editable ".[jax]" "$(JAX)" "$(TORCH)" \
		pytest pytest-xdist hypothesis
	! $(BACKENDS)/bin/python -c "import tensorflow" 2>/dev/null
	touch $@

demo: $(DEMO_STAMP)
	$(BIN)/eseg train --experiment smoke/street_scenes --model_dir $(DEMO_DIR)
	$(BIN)/eseg evaluate --model_dir $(DEMO_DIR) --output $(DEMO_DIR)/evaluation.json
	$(BIN)/eseg scenes --split test --num_examples 4 --output $(DEMO_DIR)/held_out
	$(BIN)/eseg predict $(DEMO_DIR)/held_out/images --model_dir $(DEMO_DIR) \
		--output $(DEMO_DIR)/predictions
	@echo
	@echo "Overlays and label maps: $(DEMO_DIR)/predictions"
	@echo "Preset directory:        $(DEMO_DIR)/preset"
	@echo "Load it with:            eseg_keras.ESeg.from_preset(\"$(DEMO_DIR)/preset\")"

# Warnings, such as about broken links, are errors.
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

notebooks: env
	$(BIN)/python colab/execute.py

test: lint test-fast

test-fast: env
	$(PYTEST) -m "not slow"

test-slow: env bazel-check test-backends
	$(PYTEST) -m slow

# JAX compiles every operation for every input shape. These flags disable most
# optimisations and fusions, because they take longer than they save in tests.
test-backends: backends
	KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
		XLA_FLAGS=--xla_cpu_use_fusion_emitters=false $(BACKENDS_PYTEST) $(CORE_TESTS)
	KERAS_BACKEND=torch $(BACKENDS_PYTEST) $(CORE_TESTS)

lint: env typecheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Type check the code that users see: the Python blocks of README and docs, and the experiments.
typecheck: env $(PYRIGHT_STAMP)
	$(BIN)/python tests/code_blocks.py build/typecheck README.md docs/*.md docs/guides/*.md
	.node/node_modules/.bin/pyright --pythonpath $(BIN)/python build/typecheck experiments

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BUILDIFIER_STAMP):
	mkdir -p .node
	npm install --silent --no-audit --no-fund --prefix .node "$(BUILDIFIER)"
	touch $@

$(PYRIGHT_STAMP):
	mkdir -p .node
	npm install --silent --no-audit --no-fund --prefix .node "$(PYRIGHT)"
	touch $@

bazel-check: $(BUILDIFIER_STAMP)
	.node/node_modules/.bin/buildifier -mode=check -lint=warn $(BUILD_FILES)

bazel-format: $(BUILDIFIER_STAMP)
	.node/node_modules/.bin/buildifier -mode=fix -lint=fix $(BUILD_FILES)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
