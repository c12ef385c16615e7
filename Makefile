# Every target sets itself up in .venv when needed; nothing has to be run before.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-xgboost3 test-all bench lint audit format clean

help: ## Show what there is to run
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with everything installed

# modules are compiled by all cores; some that are installed and never imported cannot be
define install
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" || { echo "error: Python 3.11 is needed; run make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile "$(1)"
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib > /dev/null 2>&1 || true
	@rm -rf build *.egg-info
endef

# what trains and serves
$(SERVING): pyproject.toml
	$(call install,.[postgres])
	@touch $@

# what tests and checks as well
$(READY): pyproject.toml
	$(call install,.[dev])
	@touch $(SERVING) $@

demo: $(SERVING) ## Train on simulated data, deploy, decide over HTTP, learn, open the console; SYSTEM=fraud for one alone
	@$(BIN)/python -m cluster.demo $(if $(SYSTEM),--system $(SYSTEM))

serve: $(SERVING) ## The same, left running: prints URLs and keys (sign in to the console with its own); Ctrl-C ends it
	@$(BIN)/python -m cluster.demo --keep-running $(if $(SYSTEM),--system $(SYSTEM))

# the tests of a file run on one worker, for they share models, servers and clusters;
# tests/long_files.py says which files are begun first
WORKERS := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(READY) ## The default tests
	$(BIN)/python -m pytest $(WORKERS) -m "not slow"

test-all: $(READY) ## All tests, the slow ones too
	$(BIN)/python -m pytest $(WORKERS)

# xgboost 3 lies beside the environment, not in it: xgboost-ray needs the one in there
XGBOOST3 := $(CURDIR)/$(VENV)/xgboost3

test-xgboost3: $(READY) ## Boosted trees beside xgboost 3: files, models, training over Ray Train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(XGBOOST3) "xgboost-cpu>=3.2,<4"
	PYTHONPATH=$(XGBOOST3) $(BIN)/python -m pytest -m "not slow" tests/boosting tests/fraud/test_model_scoring.py tests/jobs/test_fraud_on_ray.py

lint: $(READY) ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(READY) ## Compare what is installed with known advisories
	$(BIN)/python -m cluster.audit

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Real data: make bench TRANSACTIONS=path/to/handbook_transactions.parquet MACHINES=path/to/folder RETAIL=path/to/online_retail.parquet POSTS=path/to/folder
bench: $(READY) ## Run the benchmarks and write benchmarks.html
	$(BIN)/python -m tests.benchmarks $(if $(TRANSACTIONS),--transactions $(TRANSACTIONS)) $(if $(MACHINES),--machines $(MACHINES)) $(if $(RETAIL),--retail $(RETAIL)) $(if $(POSTS),--posts $(POSTS))

clean: ## Remove the environment and what was written
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
