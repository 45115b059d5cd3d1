# One obvious command for everything. A machine needs Python 3 and a package index; the rest is installed into .venv.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;q}' uv.lock)
UV := $(or $(shell command -v uv),.tools/bin/uv)
PYTHON := .venv/bin/python
READY := .venv/.ready
RIVALS := .tools/rivals/.ready
POSTGRES16 := .tools/postgres16/pgserver/pginstall/bin
CHECKOV := .tools/checkov/.ready
MUTANTS := .tools/mutants/.ready
LOCALSTACK := .tools/localstack/.ready
# Two processes: in one the running systems, in the other all else (tests/conftest.py).
IN_TWO := -n 2 --dist loadgroup --no-loadscope-reorder
PYTHON3 = $(shell command -v python3.13 || command -v python3)
NO_PYTHON = { echo "Opdex needs Python 3.13: install it, so that python3.13 is on PATH." >&2; exit 1; }

export PYTHONPATH := layers/core:.
export SAM_CLI_TELEMETRY := 0
export UV_PYTHON_PREFERENCE ?= system
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# An empty or missing HOME is no reason to fail, nor are caches in it that belong to another user.
export HOME := $(or $(HOME),$(CURDIR)/.local/home)
export __SAM_CLI_APP_DIR := $(CURDIR)/.aws-sam/cli
# WSL sets NAME to that of the machine; a key's is only what `make key NAME=` says.
ifneq ($(origin NAME),command line)
unexport NAME
endif
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uv
export UV_CACHE_DIR := $(or $(UV_CACHE_DIR),$(shell folder="$(CACHE)"; \
    until [ -e "$$folder" ]; do folder=$$(dirname "$$folder"); done; \
    if [ -d "$$folder" ] && [ -w "$$folder" ]; then echo "$(CACHE)"; else echo "$(CURDIR)/.tools/cache"; fi))

.PHONY: docs help run invoke key test test-localstack oldest check lock build deploy destroy bench eval faults fuzz mutants clean
help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s $$'\t'

run: $(READY)  ## Run everything on this machine; SPEC= PORT= DATA_DIR= WORKERS= EMBEDDING_PROVIDER= ... choose
	@$(PYTHON) -m local

invoke: $(READY)  ## Let built functions answer events on Lambda's own runtime; EVENT="events/….json …" names them
	@$(PYTHON) -m local.invoke

key: $(READY)  ## List the API keys; NAME= ROLE= EXPIRES= make one, REVOKE= ends one; OPDEX_URL= OPDEX_KEY= OPDEX_TOKEN= elsewhere
	@$(PYTHON) -m local.keys

test: $(READY)  ## Run all tests, on real Postgres and the AWS emulator, and hold the bounds of branch coverage
	rm -rf .coverage
	$(PYTHON) -m coverage run -m pytest $(IN_TWO)
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report --fail-under=90
	$(PYTHON) -m coverage report --fail-under=98 --include="layers/core/opdex/jobs/*,layers/core/opdex/indexing/*"

test-localstack: $(READY) $(if $(LOCALSTACK_ENDPOINT),,$(LOCALSTACK))  ## Run the end-to-end tests through LocalStack, that at LOCALSTACK_ENDPOINT= or its own
	OPDEX_ROAD=localstack $(PYTHON) -m pytest tests/e2e -m localstack

# All of tests/integration but what starts servers itself, which would be of the other release, and the index over
# vectors, whose half precision is younger than the pgvector of that wheel.
oldest: $(READY) $(POSTGRES16)  ## Run the tests of the SQL on the oldest Postgres that a wheel has, 16.2 (x86-64)
	OPDEX_POSTGRES=$(POSTGRES16) $(PYTHON) -m pytest $(IN_TWO) tests/integration $(addprefix --ignore tests/integration/test_,embedded_postgres.py near_vectors.py) -k "not by_index"

check: $(READY) $(CHECKOV)  ## Check the sources, side by side; CHECK= names some, AUDIT=required wants the audit done
	@$(PYTHON) -m checks $(CHECK)

build: $(READY)  ## Build what is deployed, into .aws-sam/build
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build

ENVIRONMENT ?= default
deploy: build  ## Build and deploy to AWS, as samconfig.toml says; ENVIRONMENT= names another table of it
	@$(PYTHON) -m deploy $(ENVIRONMENT)
	@$(PYTHON) -m deploy.protection $(ENVIRONMENT)

STACK ?= opdex
destroy: $(READY)  ## Delete a stack in AWS, after a question; STACK= names it
	@$(PYTHON) -m deploy.destroy $(STACK)

bench: $(READY) $(RIVALS)  ## Run the benchmarks, and make README's table of them; BENCH= names some of them
	$(PYTHON) -m tests.benchmarks $(BENCH)

eval: $(READY)  ## Ask the running service the queries of OPDEX_CORPUS, and compare what it finds with published figures
	$(PYTHON) -m tests.evaluation

MINUTES ?= 10
faults: $(READY)  ## Try to break the engine, for MINUTES=10; SEED= repeats a run
	$(PYTHON) -m tests.faults --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

fuzz: $(READY)  ## Send the API what nobody should, for MINUTES=10; SEED= repeats a run, OPDEX_CORPUS= names documents
	$(PYTHON) -m tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

docs: $(READY)  ## Make docs/configuration.md and docs/costs.md of code, template and figures
	@$(PYTHON) -m docs.pages

mutants: $(READY) $(MUTANTS)  ## Change jobs/ and indexing/ in small ways, and list what no test notices; MODULE= names one file
	nice .tools/mutants/bin/python -m tests.mutants $(MODULE)

lock: $(READY)  ## Lock the dependencies again; hosts are neutral, so that any index will do
	$(UV) lock --quiet
	sed -i -E 's#https://[^/"]+/simple#https://index.example/simple#; s#https://[^/"]+/packages/#https://files.example/packages/#' uv.lock

clean:  ## Remove what can be made again; the data in .local stays
	rm -rf .venv .tools .aws-sam .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The lock's addresses are neutral on purpose, so packages are installed from its export, by hash.
$(READY): pyproject.toml uv.lock .python-version $(filter .tools/%,$(UV))
	@echo "Installing what is needed into .venv ..." >&2
	@test -x $(PYTHON) || $(UV) python find --quiet 3.13 >/dev/null 2>&1 || \
	    UV_HTTP_TIMEOUT=10 UV_HTTP_RETRIES=1 $(UV) python install --quiet 3.13 >/dev/null 2>&1 || $(NO_PYTHON)
	@test -x $(PYTHON) || $(UV) venv --quiet --clear --python 3.13 .venv
	@$(UV) export --quiet --frozen --no-emit-project | $(UV) pip sync --quiet --python $(PYTHON) --require-hashes -
	@touch $@

# Tools that want other versions than Opdex, each in an environment of its own.
$(RIVALS) $(CHECKOV) $(LOCALSTACK): .tools/%/.ready: uv.lock $(READY)
	@echo "Installing $* into $(@D) ..." >&2
	@test -x $(@D)/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) $(@D)
	@$(UV) export --quiet --frozen --no-emit-project --only-group $* | \
	    $(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes -
	@touch $@

# The tests run in it, too, so it has what they need.
$(MUTANTS): uv.lock $(READY)
	@echo "Installing mutmut and what the tests need into $(@D) ..." >&2
	@test -x $(@D)/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) $(@D)
	@$(UV) export --quiet --frozen --no-emit-project --no-group local --group mutants | \
	    $(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes -
	@touch $@

# Its programs alone are used, whichever Python they were packed for.
$(POSTGRES16): $(READY)
	@echo "Installing Postgres 16 into .tools/postgres16 ..." >&2
	@echo "pgserver==0.1.4 --hash=sha256:1a5d07c61d51f2abfef4ef61e2ef5cd014b994f7e09de8d3c140d2cf370e84a8" | \
	    $(UV) pip install --quiet --python $(PYTHON) --target .tools/postgres16 --no-deps --require-hashes \
	    --python-version 3.12 --python-platform x86_64-manylinux_2_28 -r -
	@touch $@

.tools/bin/uv: uv.lock
	@echo "Installing uv into .tools ..." >&2
	@test -n "$(PYTHON3)" || $(NO_PYTHON)
	@$(PYTHON3) -m venv .tools
	@.tools/bin/pip install --quiet --no-cache-dir uv==$(UV_VERSION)
	@touch $@
