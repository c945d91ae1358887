# How to run everything. CI runs `make ci`, and noxfile.py runs `make test` with BIN and READY set for its own environments.

PYTHON ?= python3
BIN ?= .venv/bin
READY ?= .venv/.ready
NODE_READY = tools/node_modules/.package-lock.json
NODE_BIN = tools/node_modules/.bin
PARALLEL = --numprocesses auto --maxprocesses 4
SCREENSHOTS = tests/simulator/server/test_console.py::test_pages_are_accessible \
	tests/examples/test_fastapi_page.py::test_page_shows_the_progress_of_the_call
WORKFLOW = callback.arazzo.yaml
CONTRACTS = openapi.yaml tenios_simulator/server/control.yaml
# Those that draw no chart. benchmarks/chaos.py measures no speed.
BENCHMARKS = $(filter-out %/chaos.py %/peers.py %/poll_interval.py,$(wildcard benchmarks/[!_]*.py))
ACTIONLINT = go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
# Fail with one sentence if a program is missing: $(call require,program,how to get it)
require = @command -v $(1) >/dev/null || { echo "$(1) is missing, but make $@ needs it. $(2)" >&2; exit 1; }
GO = Install Go 1.26 or later.
JDK = Install a JDK 17 or later with Maven.
PHP = Install PHP 8.1 or later with its curl extension, or run make php.

# Many tests start Python programs. Where containers set this, each of them would compile everything that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo generate generate-check check lint types fix test contract clients chaos mutants clients-table docs example pictures bench \
	browser database php libraries build artefacts compatible workflows lock ci clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(READY) $(NODE_READY) ## Install the development environment (the other targets do this when needed)

demo: $(READY) ## Run a complete callback on the simulator (ARGS=NUMBER calls another number)
	@$(BIN)/python scripts/demo.py $(ARGS)

test: $(READY) $(NODE_READY) ## Run the tests (ARGS='-k prism' selects some, ARGS=--cov tells which lines they reach)
	$(BIN)/pytest $(PARALLEL) --ignore tests/clients --ignore tests/mutation --ignore tests/campaign/test_chaos.py $(ARGS)

check: lint types generate-check compatible workflows ## Run all checks except the tests; changes no file

fix: generate ## Regenerate, fix what ruff can fix, and format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

generate: $(READY) ## Write generated/ and the sync client from their sources
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/generate_sync.py

generate-check: $(READY) ## Fail if generated/ or the sync client is out of date
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/generate_sync.py --check

lint: $(READY) $(NODE_READY) ## Lint the contracts and the code
	$(NODE_BIN)/redocly lint --config tools/redocly.yaml $(CONTRACTS) $(WORKFLOW)
	$(NODE_BIN)/spectral lint --ruleset tools/.spectral.yaml --fail-severity hint $(CONTRACTS)
	$(BIN)/openapi-spec-validator $(CONTRACTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check the types
	$(BIN)/mypy

compatible: $(READY) ## Compare the contract with the last release; fail if its version is too low for the changes (needs Go)
	$(call require,go,$(GO))
	$(BIN)/python scripts/compatible.py $(ARGS)

workflows: $(READY) ## Lint the GitHub workflows (needs Go)
	$(call require,go,$(GO))
	$(ACTIONLINT)
	$(BIN)/zizmor --offline --quiet .github

contract: $(READY) $(NODE_READY) ## Run the contract tests
	$(BIN)/pytest tests/contract $(ARGS)

clients: $(READY) $(NODE_READY) artefacts ## Build and test the clients in other languages (needs Go, a JDK with Maven, and PHP)
	$(call require,go,$(GO))
	$(call require,mvn,$(JDK))
	$(call require,php,$(PHP))
	$(BIN)/pytest $(PARALLEL) tests/clients $(ARGS)

chaos: $(READY) ## Kill processes of campaigns at random while requests fail, and see that nobody is called twice
	$(BIN)/pytest $(PARALLEL) tests/campaign/test_chaos.py $(ARGS)

mutants: $(READY) $(NODE_READY) artefacts ## Change the contract in many ways and see that the checks notice (needs Go)
	$(call require,go,$(GO))
	$(BIN)/pytest $(PARALLEL) tests/mutation $(ARGS)

clients-table: $(READY) $(NODE_READY) php libraries ## Run tools and HTTP libraries of other languages and write their tables in the docs (takes 20 minutes)
	$(call require,go,$(GO))
	$(call require,mvn,$(JDK))
	$(call require,cargo,Install Rust 1.88 or later.)
	$(BIN)/python scripts/readers.py
	$(BIN)/python scripts/generators.py
	$(BIN)/python scripts/http_libraries.py

docs: $(READY) ## Build the site into build/docs/ and the man page into build/man/
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs build/docs $(ARGS)
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet -b man docs build/man $(ARGS)

example: $(READY) ## Serve an example "call me back" page on the simulator
	$(BIN)/python examples/fastapi/app.py

pictures: $(READY) $(NODE_READY) ## Draw the pictures of the documents (needs Chromium)
	$(BIN)/python scripts/pictures.py docs/pictures
	PICTURES=docs/pictures $(BIN)/pytest $(SCREENSHOTS) $(ARGS)

bench: $(READY) $(NODE_READY) ## Measure the speed that the documents state, and draw their charts
	$(BIN)/python benchmarks/peers.py --chart docs/pictures/peers.svg
	$(BIN)/python benchmarks/poll_interval.py --chart docs/pictures/poll-interval.svg
	for each in $(BENCHMARKS); do printf '\n%s\n' "$$each"; $(BIN)/python "$$each" || exit; done

browser: ## Install Chromium if there is none (Debian and Ubuntu, as root); the tests of the web pages need it
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	  command -v apt-get >/dev/null || { echo "apt-get is missing. Install Chromium or Chrome in another way." >&2; exit 1; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

database: ## Install PostgreSQL and pgbouncer if missing (Debian and Ubuntu, as root); the tests of the ledger need them
	@{ ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null || command -v postgres; } && \
	  { command -v pgbouncer || ls /usr/sbin/pgbouncer 2>/dev/null; } || { \
	  command -v apt-get >/dev/null || { echo "apt-get is missing. Install PostgreSQL and pgbouncer in another way." >&2; exit 1; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql pgbouncer; }

php: ## Install PHP with its curl extension if there is none (Debian and Ubuntu, as root); the PHP client needs it
	@php -m 2>/dev/null | grep -x curl || { \
	  command -v apt-get >/dev/null || { echo "apt-get is missing. Install PHP and its curl extension in another way." >&2; exit 1; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends php-cli php-curl; }

libraries: ## Install Guzzle and Ruby with Typhoeus if missing (Debian and Ubuntu, as root); the table of HTTP libraries needs them
	@php -r "exit((int) !@include 'GuzzleHttp/autoload.php');" 2>/dev/null && ruby -e "require 'typhoeus'" 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo "apt-get is missing. Install Guzzle and Ruby with Typhoeus in another way." >&2; exit 1; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends php-guzzlehttp-guzzle ruby-typhoeus; }

artefacts: $(READY) ## Write the contract for other tools into build/contract/
	@$(BIN)/python scripts/artefacts.py build/contract

build: $(READY) artefacts ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

lock: ## Update the lock files in requirements/ (ARGS=--upgrade takes the newest versions)
	$(LOCK) pyproject.toml --all-extras --group dev -o requirements/dev.txt $(ARGS)
	$(LOCK) pyproject.toml --extra aiohttp --group bench -c requirements/dev.txt -o requirements/bench.txt $(ARGS)
	echo uv | $(LOCK) - -c requirements/dev.txt -o requirements/uv.txt

ci: browser database php check test clients chaos mutants ## Run everything that must pass before a merge (needs Go and a JDK with Maven)

clean: ## Remove everything that the other targets have made
	rm -rf .venv .nox tools/node_modules dist build .coverage .*_cache .hypothesis .schemathesis
	for each in clients/*/Makefile; do $(MAKE) -s -C "$${each%/*}" clean; done

.venv/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml scripts/install.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing. Install Python 3.11 or later, or name another one: make PYTHON=..." >&2; exit 1; }
	@echo "Installing the Python packages into .venv (this may take a minute)."
	@$(PYTHON) scripts/install.py
	@touch $@

$(NODE_READY): tools/package.json tools/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing; Prism, Redocly and Spectral need it. Install Node.js 20.19 or later." >&2; exit 1; }
	@echo "Installing the Node packages into tools/node_modules (this may take a minute)."
	@cd tools && npm ci --no-progress
	@touch $@
