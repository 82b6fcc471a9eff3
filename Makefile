# Every target sets up what it needs. Needed on a fresh machine: Python 3.11 or newer, make, and a package index.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(VENV)/run.installed
TEST := $(VENV)/test.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test lint format conformance interop models torture planted bench lint-quality fuzz openapi docs kit tutorial lock clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 16

run: $(RUN) ## Start the registry on 127.0.0.1:5000; a push makes its repository, IMMUTABLE (ARGS="--port 5001" adds options)
	@HOLDFAST_CREATE_ON_PUSH=$${HOLDFAST_CREATE_ON_PUSH-IMMUTABLE} $(BIN)/holdfast serve $(ARGS)

test: $(TEST) lint ## Check everything that can be checked here; what cannot be is named at the end
	$(BIN)/python -m pytest $(ARGS)

lint: $(TEST) ## Types and style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TEST) ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

conformance: $(TEST) ## Judge the OCI API by the OCI conformance program (needs Go)
	$(BIN)/python tests/conformance/run.py $(ARGS)

interop: $(TEST) ## Drive every real client that this machine has or can install
	$(BIN)/python tests/interop/install.py
	$(BIN)/python -m pytest tests/interop $(ARGS)

models: ## Prove the models in docs/models (needs spin and a C compiler)
	@command -v spin >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y -qq spin >/dev/null; } || true
	docs/models/check.sh

planted: $(TEST) ## Plant known bugs in a copy of the source, one by one; each must turn its tests red
	PYTHONPATH=src:tests $(BIN)/python -m torture.planted $(ARGS)

torture: $(TEST) ## The proof battery, long: crashes, cut disks, races, planted bugs (ARGS="--minutes 60")
	PYTHONPATH=src:tests $(BIN)/python -m torture $(ARGS)

bench: $(TEST) ## Measure against other registries in one run (ARGS="--quick")
	$(PIP) install -r bench/requirements.txt
	$(BIN)/python -m bench $(ARGS)

lint-quality: $(TEST) ## Measure what `holdfast lint` reads against hand-labelled public files
	$(BIN)/python tests/pin/mention_quality.py
	$(BIN)/python tests/pin/push_quality.py
	$(BIN)/python tests/pin/lint_speed.py

fuzz: $(TEST) ## Fuzz every parser, a minute each (ARGS="--minutes 15 --target manifest")
	$(BIN)/python -m fuzz $(ARGS)

openapi: $(TEST) ## Drive the OCI API by its OpenAPI description (ARGS="--max-examples 500")
	PYTHONPATH=tests $(BIN)/python -m openapi.drive $(ARGS)

docs: $(TEST) ## Write docs/reference anew from the tables
	$(BIN)/python -m holdfast.cli.reference docs/reference

kit: $(TEST) ## Lint the files that `holdfast guard` writes (installs cfn-lint beside; terraform where it is)
	$(PYTHON) -m venv $(VENV)/cfn-lint && $(VENV)/cfn-lint/bin/pip install -q cfn-lint
	rm -rf $(VENV)/kit && $(BIN)/holdfast guard write $(VENV)/kit --organization o-a1b2c3d4e5 --json > /dev/null
	$(VENV)/cfn-lint/bin/cfn-lint $(VENV)/kit/cloudformation/*.yaml $(VENV)/kit/cloudformation/*.json
	! command -v terraform > /dev/null || terraform fmt -check -recursive $(VENV)/kit/terraform

tutorial: $(TEST) ## Write docs/tutorial-from-mutable-to-held.md anew by running it
	HOLDFAST_WRITE_TUTORIAL=1 $(BIN)/python -m pytest -q tests/govern/test_from_mutable_to_held.py

lock: $(TEST) ## Resolve requirements/*.lock anew
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate --upgrade -q -o requirements/run.lock
	$(BIN)/uv pip compile pyproject.toml --group build --group test --universal --python-version 3.11 \
		--generate-hashes --no-header --no-emit-index-url --no-annotate --upgrade -q -o requirements/test.lock

clean: ## Remove what the targets made; data directories stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Holdfast needs Python 3.11 or newer, and none was found." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "Setting up (once)..."
	@$(PIP) install --require-hashes -r requirements/run.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(TEST): requirements/test.lock $(RUN)
	@$(PIP) install --require-hashes -r requirements/test.lock
	@touch $@
