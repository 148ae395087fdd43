# Needs make and Python 3.11 or newer, nothing else. Everything lives in .venv and, when the hub
# runs, in its state directory (HUB_STATE_DIR).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header pyproject.toml

# Every test that starts the hub would compile all of it anew, were its bytecode not kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test nightly lint types schema lock clean

run: $(VENV)/installed-run
	@$(BIN)/hub up

test: $(VENV)/installed-dev
	@$(BIN)/pytest -n 3

# The same, for hours: what takes long histories and much chance to find.
nightly: $(VENV)/installed-dev
	HUB_MACHINE_EXAMPLES=10000 HUB_BANK_OPERATIONS=200 HUB_FUZZ_EXAMPLES=20000 \
	HUB_PLANS_EXAMPLES=5000 HUB_GROUPS_EXAMPLES=100 HUB_MONTHS_EXAMPLES=200 HUB_SALES_EXAMPLES=100 \
	HUB_DISPUTES_EXAMPLES=100 \
	HUB_CARTS_EXAMPLES=200 HUB_OPERATIONS_EXAMPLES=20 HUB_QUOTA_EXAMPLES=200 HUB_QUOTE_EXAMPLES=200 \
	HUB_REFERRAL_EXAMPLES=200 HUB_TIERS_EXAMPLES=200 HUB_TILLS_EXAMPLES=200 HUB_VOUCHER_EXAMPLES=200 \
	HUB_GIVEN_UP_TURNS=400 HUB_TILLS_KILLS=5 \
	  $(BIN)/pytest -n 2 --timeout 0 tests/property tests/integration/test_bank.py tests/conformance \
	  tests/integration/test_given_up_at_random.py tests/faults/test_tills_killed.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(VENV)/installed-dev
	$(BIN)/mypy

schema: $(VENV)/installed-dev
	$(BIN)/python -m graphql_schema.export --check
	$(BIN)/python -m graphql_schema.changes
	$(BIN)/python -m hub.entrypoints.till_openapi --check

lock: $(VENV)/installed-dev
	$(LOCK) --extra build --output-file requirements/run.txt
	$(LOCK) --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The hub needs Python 3.11 or newer; $(PYTHON) is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed-run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the pinned dependencies"
	@$(PIP) install --require-hashes --requirement requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The tools for development include everything the hub runs on, in the same versions.
$(VENV)/installed-dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the pinned dependencies and the tools for development"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/installed-run $@
