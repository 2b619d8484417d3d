# Every command of the project. `make help` lists them.
SHELL := /bin/bash
# Where this is set (many containers), what is not compiled at installation is compiled anew by every process.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
BENCHMARKS := batches curation datasets fairness faults guarantee hostile hosts load overhead page parquet poison precision reading resume search storm suggestions training webhooks writers

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-long test-fast check fix audit bench docs lock sync-client pictures browser pin-images image-sizes

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Install everything into .venv (seconds when nothing changed)

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[service,api,inference,lite2,training,export,s3,otel,ray,fuzz,dev]'
	@touch $@

demo: setup ## The main job, end to end, with no server installed (DATA=folder for your own class folders)
	@MAKE_PID=$$PPID exec $(BIN)/tsukiji demo $(if $(DATA),--data '$(DATA)')

up: setup ## Service and workers in the foreground; Ctrl-C stops everything
	@MAKE_PID=$$PPID exec $(BIN)/tsukiji up

test: setup ## The tests, faults and random orders in a short form
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m 'not long'

test-long: setup ## What test leaves out: faults on every stack, random orders, guides as run by readers; prints its seeds
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m long

test-fast: setup ## The tests that start no processes
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m 'not slow and not long'

check: setup ## Lint, formatting, types, import contracts; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npx >/dev/null; then npx --yes --package typescript@5.9 tsc -p api/page/static/jsconfig.json; else \
	  echo "LEFT OUT: the types of the page's script, because there is no npx (Node.js)"; fi

audit: setup ## Known vulnerabilities of what is installed; asks the advisory service of PyPI
	$(BIN)/pip-audit --skip-editable

fix: setup ## Repair what lint and formatting can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## All benchmarks, short form: half an hour or so
	@for name in $(BENCHMARKS); do $(BIN)/python -m bench.$$name --quick --json || exit 1; done

docs: setup ## Renew the pages that are generated: settings, errors, endpoints, commands
	$(BIN)/python -m devtools.generated_pages

pictures: setup browser ## Renew the pictures of the documents: follow the tutorial in Chromium, for minutes
	$(BIN)/python -m devtools.tutorial

sync-client: setup ## Derive the synchronous client from the asynchronous one
	$(BIN)/python -m devtools.sync_client

lock: setup ## Renew constraints.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --no-emit-index-url --no-emit-find-links --all-extras --python-version 3.11 --upgrade pyproject.toml --output-file constraints.txt

browser: ## Install headless Chromium for the page's tests (Debian and its children)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; }

pin-images: ## Write the images of docker-compose.yml by digest into .env (needs Docker and a registry)
	@deploy/pin-images .env

image-sizes: setup ## How large both container images are, computed from the wheels
	@PATH=$(BIN):$$PATH $(BIN)/python -m devtools.image_sizes
