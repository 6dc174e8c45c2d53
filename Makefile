# Every job of this repository. `make` alone lists them.
#
# .venv is made on first use from Python >= 3.11, pip and make alone, with the exact versions of constraints.txt.
# A stamp inside it is written last, so an interrupted install is never taken for a complete one.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test test-slow test-reliability test-offline test-browser check fix bench docs lock ci clean

PYTHON ?= python3
TEST_WORKERS ?= 2
ARGS ?=

BIN := .venv/bin
UV_READY := .venv/.uv-ready
DEMO_READY := .venv/.demo-ready
DEV_READY := .venv/.dev-ready
# An environment that already has everything serves the demo as well.
ANY_READY := $(if $(wildcard $(DEV_READY)),$(DEV_READY),$(DEMO_READY))

export UV_PYTHON_DOWNLOADS := never
export NO_MKDOCS_2_WARNING := 1
# Tests start hundreds of processes; where a shell forbids bytecode, each would compile this package anew for a second.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

venv: $(DEV_READY) ## install everything a developer needs into .venv

demo: $(ANY_READY) ## a real inspection end to end on packaged photos, then the place of its report
	$(BIN)/teliti demo $(ARGS)

test: $(DEV_READY) ## the default test suite
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)

test-slow: $(DEV_READY) ## recipes that must reach a stated score (minutes)
	$(BIN)/python -m pytest -m slow $(ARGS)

test-reliability: $(DEV_READY) ## faults, kills and overload against the real program (minutes)
	$(BIN)/python -m pytest -m reliability $(ARGS)

test-offline: $(DEV_READY) ## the default test suite where no network is but the loop-back one (Linux, as root)
	unshare --net $(SHELL) -c 'ip link set lo up && exec $(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)'

test-browser: $(DEV_READY) ## pages opened in a real Chromium
	$(BIN)/python -m pytest -m browser $(ARGS)

check: $(DEV_READY) ## format, lint, types, import layers, lock: changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_lock.py

fix: $(DEV_READY) ## format the code and apply the linter's safe corrections
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(DEV_READY) ## run the benchmarks; ARGS=--write also keeps the results under docs/results
	$(BIN)/python bench/run.py $(ARGS)

docs: $(DEV_READY) ## build the manual into site/
	$(BIN)/mkdocs build --strict

lock: $(UV_READY) ## pin every dependency anew in constraints.txt; ARGS=--upgrade takes the newest versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url --no-header \
		$(ARGS) pyproject.toml -o constraints.txt

ci: ## what every change must pass: check, then test
	$(MAKE) check
	$(MAKE) test

clean: ## remove what was built and cached; .venv and runs/ stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests bench -type d -name __pycache__ -prune -exec rm -rf {} +

$(UV_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed, "$(PYTHON)" is missing or older. Name one: make PYTHON=python3.12' >&2; \
		exit 2; \
	}
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	touch $@

$(DEMO_READY) $(DEV_READY): .venv/.%-ready: pyproject.toml constraints.txt | $(UV_READY)
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt \
		--editable ".[$*]"
	touch $@
