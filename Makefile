# Every target sets up what it needs; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: on matrices of this size a second one costs more than it brings.
export OMP_NUM_THREADS ?= 1
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: audit ui test test-fast check docs bench install clean
.DEFAULT_GOAL := audit

# The last of each subject that is made: when it stands, the others do.
MODELS := models/digits/v2.safetensors models/notes/reference/config.json

audit: $(VENV)/.installed $(MODELS)  ## audit every subject
	$(BIN)/memory-assets audit

ui: $(VENV)/.installed $(MODELS)  ## lineage graph on 127.0.0.1:3000
	$(BIN)/memory-assets ui

test: $(VENV)/.installed-dev  ## the tests, slow ones too, all but the long ones
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-fast: $(VENV)/.installed-dev  ## what three minutes can tell
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow and not long"

check: $(VENV)/.installed-dev  ## lint, directions of imports, types, docs, the graph, known flaws
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/pyright
	$(BIN)/sqlfluff lint --quiet sql
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/dg check yaml
	$(BIN)/dg check defs
	$(BIN)/python .ci/audit_dependencies.py

docs: $(VENV)/.installed-dev  ## the site of the docs, with the reference, in build/site
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.installed-dev  ## every figure of the docs, measured anew; about an hour
	$(BIN)/python -m benchmarks

install: $(VENV)/.installed

models/digits/v2.safetensors: | $(VENV)/.installed
	$(BIN)/python -m memory_assets.examples.digits models/digits

models/notes/reference/config.json: | $(VENV)/.installed
	$(BIN)/python -m memory_assets.examples.notes models/notes

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs,dp,lora,mlflow,pdf,ray]'
	touch $@

clean:  ## forget the environment; audits under .memory_assets stay
	rm -rf $(VENV) .pytest_cache .ruff_cache
