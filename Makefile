# The front door. Each verb is defined here and nowhere else: noxfile.py runs these same recipes in environments of its own,
# with BIN set to theirs and READY and NODE_READY emptied.

PYTHON ?= python3
BIN ?= .venv/bin
READY ?= .venv/.ready
NODE_READY ?= node_modules/.package-lock.json
PARALLEL = --numprocesses auto --maxprocesses 4
CONTRACTS = openapi.yaml tenios_ext/simulator/control.yaml
ACTIONLINT = go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help install demo generate generate-check lint types workflows check fix test contract browser pictures bench build artefacts consumers mutants compatible example docs lock clean

help: ## Say what each verb does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: $(READY) $(NODE_READY) ## Install everything that the other verbs use (they do so themselves)

demo: $(READY) ## Run a whole callback on the simulator: no account, no telephone, no internet
	@$(BIN)/python scripts/demo.py $(ARGS)

generate: $(READY) ## Write generated/ from openapi.yaml
	$(BIN)/python scripts/generate.py

generate-check: $(READY) ## Fail when generated/ is not what openapi.yaml gives
	$(BIN)/python scripts/generate.py --check

lint: $(READY) $(NODE_READY) ## Judge the contract and the code's style
	npx --no-install redocly lint $(CONTRACTS) && npx --no-install spectral lint --fail-severity=hint $(CONTRACTS)
	$(BIN)/openapi-spec-validator $(CONTRACTS)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## Check the types, strictly
	$(BIN)/mypy

workflows: $(READY) ## Judge the GitHub workflows (actionlint, which needs Go, and zizmor)
	@command -v go >/dev/null || { echo "Go is missing; actionlint needs it. Install Go 1.24 or later."; exit 1; }
	$(ACTIONLINT)
	$(BIN)/zizmor --offline --quiet .github/workflows

compatible: $(READY) ## Fail when the contract has changed since its last release in a way that its version does not announce (needs Go)
	@command -v go >/dev/null || { echo "Go is missing; oasdiff needs it. Install Go 1.24 or later."; exit 1; }
	$(BIN)/python scripts/compatible.py $(ARGS)

check: lint types generate-check compatible workflows ## All that can be judged without running a test; never writes

fix: $(READY) ## Mend what ruff can mend; may write
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

test: $(READY) $(NODE_READY) ## Run all tests; ARGS='-k prism' chooses
	$(BIN)/pytest $(PARALLEL) --cov $(ARGS)

contract: $(READY) $(NODE_READY) ## Run the contract tests against Prism only
	$(BIN)/pytest tests/contract $(ARGS)

consumers: $(READY) $(NODE_READY) artefacts ## Build and try the clients in other languages (needs Go, and a JDK with Maven)
	$(BIN)/pytest $(PARALLEL) consumers $(ARGS)

mutants: $(READY) $(NODE_READY) artefacts ## Change the contract in each way that matters, and see the checks notice (needs Go)
	$(BIN)/pytest $(PARALLEL) mutants $(ARGS)

docs: $(READY) ## Build the site into build/docs/ and the man page into build/man/; a warning is an error
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs build/docs $(ARGS)
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet -b man docs build/man $(ARGS)

example: $(READY) ## Serve a "call me back" page on the simulator
	$(BIN)/python examples/fastapi/app.py

browser: ## Install Chromium where there is none (Debian and Ubuntu, as root); the console's tests need it
	@command -v chromium || command -v google-chrome || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

pictures: $(READY) $(NODE_READY) ## Make the documents' pictures anew
	$(BIN)/python scripts/pictures.py docs/pictures
	PICTURES=docs/pictures $(BIN)/pytest tests/simulator/test_console.py tests/examples -k 'everybody or what_happens' $(ARGS)

bench: $(READY) $(NODE_READY) ## Measure what the documents claim; ratios in one run, nothing is judged
	for each in benchmarks/*.py; do echo "$$each"; $(BIN)/python "$$each" || exit; done

build: $(READY) artefacts ## Build the wheel and the source distribution into dist/
	rm -rf dist && $(BIN)/python -m build --no-isolation

artefacts: $(READY) ## Write the contract as JSON, and its 3.0 copy, into build/contract/
	@$(BIN)/python scripts/artefacts.py build/contract

lock: ## Resolve the pinned development environment anew
	$(LOCK) pyproject.toml --all-extras --group dev -o requirements/dev.txt $(ARGS)
	echo uv | $(LOCK) - -c requirements/dev.txt -o requirements/uv.txt

clean: ## Remove everything that the verbs have made
	rm -rf .venv .nox node_modules dist build .coverage .*_cache .hypothesis .schemathesis
	for each in consumers/*/Makefile; do $(MAKE) -s -C "$${each%/*}" clean; done

.venv/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml scripts/install.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing. Install Python 3.11 or later, or name it: make PYTHON=..."; exit 1; }
	$(PYTHON) scripts/install.py && touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing; the contract's judges (Prism, Redocly, Spectral) need it. Install Node.js 20 or later."; exit 1; }
	npm ci --no-progress && touch $@
