# CI runs `make ci`. noxfile.py runs `make test` with BIN and READY set for its environments.

PYTHON ?= python3
BIN ?= .venv/bin
READY ?= .venv/.ready
NODE_READY = tools/node_modules/.package-lock.json
NODE_BIN = tools/node_modules/.bin
PARALLEL = --numprocesses auto --maxprocesses 4
# The tests of `make test SUITE=...`, and their approximate duration on two cores.
TESTS_ = --ignore tests/clients --ignore tests/mutation --ignore tests/campaign/test_chaos.py
TESTS_contract = tests/contract
TESTS_clients = tests/clients
TESTS_chaos = tests/campaign/test_chaos.py
TESTS_mutants = tests/mutation
MINUTES_ = 4 minutes
MINUTES_contract = 1 minute
MINUTES_clients = 2 minutes
MINUTES_chaos = 5 minutes
MINUTES_mutants = 1 minute
TESTS = $(or $(TESTS_$(SUITE)),$(error Unknown suite $(SUITE). Use contract, clients, chaos or mutants))
SCREENSHOTS = tests/simulator/server/test_console.py::test_pages_are_accessible \
	tests/examples/test_fastapi_page.py::test_page_shows_the_progress_of_the_call
WORKFLOW = callback.arazzo.yaml
CONTRACTS = openapi.yaml tenios_simulator/server/control.yaml
# Without those that draw a chart. benchmarks/chaos.py does not measure speed.
BENCHMARKS = $(filter-out %/chaos.py %/peers.py %/poll_interval.py,$(wildcard benchmarks/[!_]*.py))
ACTIONLINT = go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"
# Fail with a message if a program is missing: $(call require,program,how to install it)
require = @command -v $(1) >/dev/null || { echo "make $@ needs $(1). $(2)" >&2; exit 1; }
GO = Install Go 1.26 or later.
JDK = Install a JDK 17 or later with Maven.
PHP = Install PHP 8.1 or later with its curl extension, or run make system.

# Containers may set this. Each of the many Python programs that tests start would then compile all
# that it imports.
unexport PYTHONDONTWRITEBYTECODE
# pip, uv, npm and Go cache in the home folder, which a user of a container may not have.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/build/home
$(shell mkdir -p '$(HOME)')
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo generate generate-check check lint types fix test contract clients docs \
	example pictures bench system build artefacts compatible workflows lock ci clean

help:
	@awk -F ':.*## ' '/^##@/ { print substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Every day:

demo: $(READY) ## Run a complete callback on the simulator (ARGS=NUMBER)
	@echo "The demo takes about 20 seconds."
	@$(BIN)/python scripts/demo.py $(ARGS)

check: lint types generate-check compatible workflows ## Run all checks except the tests (needs Go)

fix: generate ## Regenerate, fix what ruff can fix, and format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

generate: $(READY) ## Write generated/, the sync client and rules.json
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/generate_sync.py
	$(BIN)/python scripts/vectors.py

generate-check: $(READY) ## Check that generated files are up to date
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/generate_sync.py --check
	$(BIN)/python scripts/vectors.py --check

lint: $(READY) $(NODE_READY) ## Lint the API contracts and the code
	$(NODE_BIN)/redocly lint --config tools/redocly.yaml $(CONTRACTS) $(WORKFLOW)
	$(NODE_BIN)/spectral lint --ruleset tools/.spectral.yaml --fail-severity hint $(CONTRACTS)
	$(BIN)/openapi-spec-validator $(CONTRACTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check the types
	$(BIN)/mypy

##@ These take minutes:

test: $(READY) $(NODE_READY) $(if $(filter clients mutants,$(SUITE)),artefacts) ## Run the tests (ARGS='tests/cli -k call' runs a part)
##@                       SUITE=contract, clients, chaos or mutants runs another
	$(if $(filter clients mutants,$(SUITE)),$(call require,go,$(GO)))
	$(if $(filter clients,$(SUITE)),$(call require,mvn,$(JDK)))
	$(if $(filter clients,$(SUITE)),$(call require,php,$(PHP)))
	@$(if $(ARGS),,echo "The tests take about $(MINUTES_$(SUITE)) on two cores.")
	$(BIN)/pytest $(PARALLEL) $(TESTS) $(ARGS)

contract clients:
	@$(MAKE) --no-print-directory test SUITE=$@

ci: system check test ## Run everything that must pass before a merge
	@for suite in clients chaos mutants; do \
	  $(MAKE) --no-print-directory test SUITE=$$suite || exit; done

bench: $(READY) $(NODE_READY) ## Measure the figures in the docs
	$(BIN)/python benchmarks/peers.py --chart docs/pictures/peers.svg
	$(BIN)/python benchmarks/poll_interval.py --chart docs/pictures/poll-interval.svg
	for each in $(BENCHMARKS); do printf '\n%s\n' "$$each"; $(BIN)/python "$$each" || exit; done

##@ Now and then:

install: $(READY) $(NODE_READY) ## Install the development environment (done automatically)

system: ## Install missing system packages (Debian, Ubuntu)
	@PYTHON=$(PYTHON) scripts/system.sh

compatible: $(READY) ## Compare the contract with the last release (needs Go)
	$(call require,go,$(GO))
	$(BIN)/python scripts/compatible.py $(ARGS)

workflows: $(READY)
	$(call require,go,$(GO))
	$(ACTIONLINT)
	$(BIN)/zizmor --offline --quiet .github

docs: $(READY) ## Build the docs and the man page in build/
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs build/docs $(ARGS)
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet -b man docs build/man $(ARGS)

example: $(READY) ## Serve an example "call me back" page on the simulator
	$(BIN)/python examples/fastapi/app.py

pictures: $(READY) $(NODE_READY) ## Draw the pictures in the docs (needs Chromium)
	$(BIN)/python scripts/pictures.py docs/pictures
	PICTURES=docs/pictures $(BIN)/pytest $(SCREENSHOTS) $(ARGS)

artefacts: $(READY)
	@$(BIN)/python scripts/artefacts.py build/contract

build: $(READY) artefacts ## Build dist/ and, for other tools, build/contract/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

lock: ## Update the lock files (ARGS=--upgrade: newest versions)
	$(LOCK) pyproject.toml --all-extras --group dev -o requirements/dev.txt $(ARGS)
	$(LOCK) pyproject.toml --extra aiohttp --group bench -c requirements/dev.txt \
	  -o requirements/bench.txt $(ARGS)
	echo uv | $(LOCK) - -c requirements/dev.txt -o requirements/uv.txt

clean: ## Delete everything that the other targets have written
	rm -rf .venv .nox tools/node_modules dist build .coverage .*_cache .hypothesis .schemathesis
	for each in clients/*/Makefile; do $(MAKE) -s -C "$${each%/*}" clean; done

.venv/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml scripts/install.py
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) not found. Install Python 3.11 or later, or run: make install PYTHON=PATH" >&2; exit 1; }
	@echo "Installing the Python packages into .venv (this may take a minute)."
	@$(PYTHON) scripts/install.py
	@touch $@

$(NODE_READY): tools/package.json tools/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "npm not found. Install Node.js 20.19 or later, for Prism, Redocly and Spectral." >&2; exit 1; }
	@echo "Installing the Node packages into tools/node_modules (this may take a minute)."
	@cd tools && npm ci --no-progress
	@touch $@
