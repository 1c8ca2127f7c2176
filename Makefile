# Everything people do here, one short target each. `make` alone lists them.
PYTHON ?= python3.11
BIN := .venv/bin
# A release by its recipe's name: make run RELEASE=sba
RELEASE ?=
ifneq ($(RELEASE),)
export TENFOLD_RELEASE := $(firstword $(wildcard models/releases/$(RELEASE)-*) $(RELEASE))
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test check format train data lock clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/installed  ## create .venv and install what the lock says

.venv/installed: requirements.lock
	@echo "Setting up .venv with $(PYTHON) (once; about two minutes) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

run: setup  ## serve the app on http://127.0.0.1:7860 (RELEASE=sba for the small-business release)
	$(BIN)/python app.py

test: setup  ## run all tests
	$(BIN)/python -m pytest

check: setup  ## formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## format and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: setup  ## train, evaluate and export both embedded releases from the committed loans
	$(BIN)/python -m models train

data: setup  ## fetch the loans from their sources again (needs the network)
	$(BIN)/python -m models.data.fetch_consumer
	$(BIN)/python -m models.data.fetch_sba

lock: setup  ## resolve requirements-dev.txt for Linux into requirements.lock, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --python-platform linux --python-version 3.11 \
		--no-header --no-annotate requirements-dev.txt -o requirements.lock

clean:  ## remove what make made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .downloads
