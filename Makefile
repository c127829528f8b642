# The door to everything. `make help` lists the targets; each needs only a POSIX shell, Python 3.11 or newer and make.
# (`make lock` alone needs uv.) Works with the make of 2006 that macOS still ships.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Newer Pythons that `make test-all` looks for, on PATH and under pyenv.
NEWER := 3.12 3.13 3.14
# One worker per core and one more, because many tests wait; `make test JOBS=0` runs in one process. Each worker keeps
# neighbours together, so that what a file starts is started once, and takes over from a slower one at the end.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
UV ?= uv

# The first Python that is new enough and can make an environment. The system's comes first: distributions build it with
# profile-guided optimisation, version managers mostly do not, which costs up to a quarter. A pyenv shim may
# exist and still not run, so each is tried. `make PYTHON=/path/to/python` insists on one.
PYTHONS := $(or $(PYTHON),/usr/bin/python3 python3 python3.11 python3.12 python3.13 python3.14)
define find_python
python=; \
for candidate in $(PYTHONS); do \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
    python=$$candidate; break; \
  fi; \
done; \
if [ -z "$$python" ]; then \
  echo "Keyturn needs Python 3.11 or newer with its venv module (on Debian: python3-venv); tried: $(PYTHONS)." >&2; \
  echo "Name one with: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef

# $(call environment,server|dev): bring $(VENV) in line with a lock. Its stamp holds the lock's checksum and the
# environment's own place (scripts in it name their interpreter absolutely, so a moved one is broken). The dev lock
# contains the server lock, so it leaves both stamps. A changed lock starts over: pip would leave the dropped packages.
define environment
@set -eu; \
server="$$(pwd -P) $$(cksum < requirements/server.txt)"; \
wanted="$$(pwd -P) $$(cksum < requirements/$(1).txt)"; \
stamp() { cat "$(VENV)/.lock-$$1" 2>/dev/null || true; }; \
if ! "$(BIN)/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
   || [ "$$(stamp server)" != "$$server" ] \
   || { [ -n "$$(stamp $(1))" ] && [ "$$(stamp $(1))" != "$$wanted" ]; }; then \
  $(find_python); \
  echo "Making $(VENV) with $$("$$python" --version)" >&2; \
  "$$python" -m venv --clear "$(VENV)"; \
fi; \
if [ "$$(stamp $(1))" != "$$wanted" ]; then \
  echo "Installing requirements/$(1).txt" >&2; \
  "$(BIN)/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt; \
  echo "$$server" > "$(VENV)/.lock-server"; \
  echo "$$wanted" > "$(VENV)/.lock-$(1)"; \
fi; \
self="$$(cksum < pyproject.toml)"; \
if [ "$$(stamp self)" != "$$self" ]; then \
  "$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .; \
  echo "$$self" > "$(VENV)/.lock-self"; \
fi
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: env-server env-dev
env-server:
	$(call environment,server)
env-dev:
	$(call environment,dev)

.PHONY: demo
demo: env-server ## Serve a seeded demo and print what to try (ARGS="--port 9000")
	@exec $(BIN)/keyturn serve --demo $(ARGS)

.PHONY: test
test: env-dev ## Run the tests (ARGS="-k lifetime", JOBS=0 for one process)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# In the recipe below a version without an interpreter is said aloud, not passed over in silence.
.PHONY: test-all
test-all: env-dev ## Run the tests on every Python found; any skip is a failure
	@KEYTURN_TEST_NO_SKIP=1 $(MAKE) --no-print-directory test
	@set -eu; for version in $(NEWER); do \
	  found=; \
	  for candidate in python$$version $$(ls -d "$$HOME"/.pyenv/versions/$$version*/bin/python 2>/dev/null); do \
	    if "$$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "No Python $$version here."; continue; fi; \
	  echo "--- Python $$version"; \
	  KEYTURN_TEST_NO_SKIP=1 $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$found"; \
	done

.PHONY: check
check: env-dev ## Lint, format, types, imports, spelling, docs and house rules; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@$(BIN)/python -m pytest -q tests/architecture

.PHONY: format
format: env-dev ## Format the code and apply safe fixes
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: bench
bench: env-dev ## Measure beside peers; wants a quiet machine (ARGS="--quick", "--only refresh", "--list")
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

.PHONY: bench-growth
bench-growth: env-dev ## Measure what grows with what; a quarter of an hour, 8 GB (ARGS="--largest 100000", "--only audit")
	@PYTHONPATH=tests $(BIN)/python -m bench.growth $(ARGS)

.PHONY: bench-guard
bench-guard: env-dev ## Count a request's instructions against the kept figures; any machine (ARGS="--write")
	@PYTHONPATH=tests $(BIN)/python -m bench.guard $(ARGS)

.PHONY: soak
soak: env-dev ## Hours of load, races and kill -9 (SOAK_SECONDS=600, ARGS="-k races")
	@$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

.PHONY: packages
packages: env-dev ## Build the wheel and the files of deploy/ and check them as far as this machine can
	@$(BIN)/python -m pytest tests/packages tests/e2e/test_vendors.py -m "packages or not packages" $(ARGS)

.PHONY: lock
lock: ## Refresh requirements/*.txt from pyproject.toml (needs uv; ARGS="--upgrade")
	@command -v $(UV) >/dev/null || { echo "make lock needs uv; everything else works without." >&2; exit 1; }
	$(UV) pip compile --quiet pyproject.toml --extra server --group build $(LOCK) --output-file requirements/server.txt $(ARGS)
	$(UV) pip compile --quiet pyproject.toml --extra server --group build --group dev $(LOCK) --constraint requirements/server.txt --output-file requirements/dev.txt $(ARGS)
	@set -eu; for group in clients deploy; do \
	  $(UV) pip compile --quiet --group $$group $(LOCK) --output-file requirements/$$group.txt $(ARGS); \
	done
LOCK := --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.PHONY: clean
clean: ## Remove environments, caches and builds
	rm -rf .venv .venv-* build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
