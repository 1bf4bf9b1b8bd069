# Everything runs inside .venv, which `make` sets up once and leaves alone until pyproject.toml or constraints.txt changes.

PYTHON = $(shell for p in python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>&- && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= logical
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format venv clean check-tools
.DELETE_ON_ERROR:
# Simulations compiled by the tests run their own make, which must not look for the job server of this one.
unexport MAKEFLAGS MFLAGS MAKELEVEL

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## train, import, plan, generate, simulate and synthesize a digits network; prints one table
	$(BIN)/espalier train digits-mlp -o runs/demo > /dev/null
	$(BIN)/espalier build runs/demo -o build/demo --device ecp5-25k > /dev/null
	$(BIN)/espalier report build/demo

test: lint types ## lint, types and tests; TESTS="-k dense --slow" passes options to pytest
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal --durations 15 $(TESTS)

lint: $(READY) ## ruff: errors and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## pyright
	$(BIN)/pyright

format: $(READY) ## let ruff correct what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: $(READY) ## install everything that is pinned into .venv

# Build isolation would fetch an unpinned setuptools, so the pinned one is installed first and used.
$(READY): pyproject.toml constraints.txt | check-tools
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt setuptools
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt --no-build-isolation -e '.[train,explore,dev]'
	@touch $@

check-tools:
	@missing=""; \
	test -n "$(PYTHON)" || missing="$$missing python3.11"; \
	test -z "$(PYTHON)" || $(PYTHON) -c 'import venv, ensurepip' 2>&- || missing="$$missing python3-venv"; \
	for tool in g++ perl; do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	! command -v perl > /dev/null || perl -MFindBin -MPod::Usage -e 1 2>&- || missing="$$missing perl-modules"; \
	test -z "$$missing" || { echo "make: not found:$$missing; on Debian or Ubuntu:" \
	  "apt install python3.11 python3.11-venv libpython3.11 g++ make perl" >&2; exit 1; }

clean: ## remove .venv, build and runs
	rm -rf .venv build runs .pytest_cache .ruff_cache .hypothesis
