# Everything people do here, one short target each. `make` alone lists them.
PYTHON ?= python3.11
BIN := .venv/bin
# Installs in a seventh of pip's time; where it cannot, pip does.
UV := 0.13.9
# Tests start hundreds of programs, and each would compile all that it imports where this is set.
unexport PYTHONDONTWRITEBYTECODE
# A release by its recipe's name, the one that DEFAULT lists: make run RELEASE=sba; or by its folder
RELEASE ?=
ifneq ($(RELEASE),)
export TENFOLD_RELEASE := $(firstword $(addprefix models/releases/,$(filter $(RELEASE)-%,$(shell cat models/releases/DEFAULT))) $(RELEASE))
endif

.DEFAULT_GOAL := help
.PHONY: help setup browser typescript proxies run quick coverage test test-core test-browser accept truth mutants audit check lint types format train data profile snakeviz-before snakeviz-after bench bench-engines bench-log bench-loans bench-restart bench-start bench-first bench-ledger bench-history bench-http bench-book bench-click bench-profile bench-cluster screenshots faults figures image image-folder lock clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# Two locks: what serving needs, and everything; of what is in both the versions are the same.
define install
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV) \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1); } >.venv/uv.log 2>&1 \
		|| { echo "uv cannot install here (.venv/uv.log says why): pip does, which takes longer …"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1); }
endef

setup: .venv/everything  ## create .venv and install everything: training, profiling, tests

.venv/everything: requirements-dev.lock requirements.lock
	@echo "Installing everything into .venv with $(PYTHON) (once; half a minute, or two with a slow network) …"
	$(call install,requirements-dev.lock)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .  # the command tenfold
	@echo "Compiling the engine on bits (once; a quarter of a minute) …"
	@$(BIN)/python -m inference compile >.venv/compile.log 2>&1 || echo "Not compiled (.venv/compile.log says why): each start does"
	@touch .venv/serving $@

.venv/serving: requirements.lock
	@echo "Installing what serving needs into .venv with $(PYTHON) (once; a quarter of a minute, or one with a slow network) …"
	$(call install,requirements.lock)
	@touch $@

run: .venv/serving  ## serve the app on http://127.0.0.1:7860 (RELEASE=sba for the small-business release)
	$(BIN)/python app.py

browser: setup  # an installed Chromium, else Debian's package where we are root, else Playwright's own
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "No Chromium here: installing Debian's package …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "No Chromium here: letting Playwright download its own …"; $(BIN)/playwright install chromium; fi

typescript:  # for the pages' scripts: what is there, else Debian's package where we are root; CI must have it
	@command -v tsc >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& echo "No TypeScript here: installing Debian's package …" && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq node-typescript >/dev/null; } \
		|| { echo "The pages' scripts are not type-checked: there is no tsc, and only as root on Debian it is installed" \
		"(node-typescript)"; test -z "$$CI"; }

proxies:  # for tests/test_proxies.py: Debian's packages, where we are root
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { command -v caddy && test -x /usr/sbin/nginx; } >/dev/null; then \
		echo "Installing nginx and caddy …"; apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light caddy >/dev/null; fi

test: setup browser  ## run all tests, in a real browser too
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-core test-browser

quick: setup  ## half a minute: what needs no app, no server, no browser and no training
	$(BIN)/python -m pytest --ignore=tests/browser --ignore=tests/faults -m "not slow" -n 2 --dist loadfile --hypothesis-profile=quick

coverage: setup  ## which lines the tests reach that need no browser
	$(BIN)/python -m pytest --ignore=tests/browser -n 2 --dist loadfile --cov --cov-report=term:skip-covered -W ignore::ResourceWarning

test-core: setup  # what needs no browser; beside it, what does
	$(BIN)/python -m pytest --ignore=tests/browser -n 2 --dist loadfile

test-browser: setup browser
	$(BIN)/python -m pytest tests/browser

accept: setup  ## draft every file of a folder of loans: make accept LOANS=folder (what loans cannot know: accept.toml there)
	$(BIN)/python -m models accept $(LOANS) $(if $(ANSWERS),--answers $(ANSWERS)) $(if $(ONLY),--only $(ONLY))

truth: setup  ## every sentence of the card and the what-if panel by brute force, 2,000 loans a release (half an hour)
	TRUTH=2000 $(BIN)/python -m pytest tests/test_truth.py -s

audit: setup  ## known vulnerabilities of what the lock installs
	@$(BIN)/python .ci/audit.py

check: setup  ## formatter, linter, type checkers, known vulnerabilities
	@$(MAKE) --no-print-directory -j3 --output-sync=target lint types audit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup typescript
	$(BIN)/mypy
	$(BIN)/mypy tests/browser/conftest.py
	@! command -v tsc >/dev/null || { echo "tsc --project jsconfig.json"; tsc --project jsconfig.json; }

format: setup  ## format and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: setup  ## train, evaluate and export both embedded releases from the committed loans
	$(BIN)/python -m models train

data: setup  ## fetch the loans from their sources again (needs the network)
	$(BIN)/python -m models.data.fetch_consumer
	$(BIN)/python -m models.data.fetch_sba

profile: setup  ## the old pandas path and the new NumPy path under cProfile, on real loans
	$(BIN)/python -m profiling profile

snakeviz-before snakeviz-after: snakeviz-%: setup  # of these two files only; without a display the address is printed
	@test -f profiling/out/$*.prof || $(MAKE) --no-print-directory profile
	$(BIN)/python -m snakeviz $(if $(DISPLAY)$(WAYLAND_DISPLAY),,--server) profiling/out/$*.prof

bench: bench-engines  ## the engines side by side; a score, its reasons and what-ifs beside XGBoost's own calls
	$(BIN)/python -m profiling.benchmarks.score
	$(BIN)/python -m profiling.benchmarks.reasons
	$(BIN)/python -m profiling.benchmarks.whatif

bench-engines: setup  ## engines and other programs on the same trees, one row to 48,744; bits on other processors
	$(BIN)/python -m profiling.benchmarks.engines
	$(BIN)/python -m profiling.benchmarks.processors

bench-loans: setup  ## 150,000 loans of 39 columns: first questions, draft, release, release with rivals
	$(BIN)/python -m profiling.benchmarks.own_loans

bench-log: setup  ## a million lines of a performance log read, and a score's p99 with the Performance page open
	$(BIN)/python -m profiling.benchmarks.log
	$(BIN)/python -m profiling.benchmarks.page

bench-start: setup  ## from python app.py to a green /readyz, beside the imports alone
	$(BIN)/python -m profiling.benchmarks.start

bench-first: setup browser  ## the first experience in a fresh clone, beside the last run's (REASON="…" where it is worse)
	$(BIN)/python -m profiling.benchmarks.first --reason "$(REASON)"

bench-ledger: setup  ## what a record costs, a million of them verified, and two servers on one ledger
	$(BIN)/python -m profiling.benchmarks.ledger
	$(BIN)/python -m profiling.benchmarks.turns

bench-history: setup  ## searches over a ledger of a million records, alone and 40 at once; its export
	$(BIN)/python -m profiling.benchmarks.history

bench-http: setup  ## the API, Gradio's API and other serving systems over HTTP, side by side (wrk, if installed)
	$(BIN)/python -m profiling.benchmarks.http

bench-book: setup  ## a file of 5 million applications by each engine and by other programs (an hour; BOOK="--rows 1000000")
	$(BIN)/python -m profiling.benchmarks.book $(BOOK)
	$(BIN)/python -m profiling.benchmarks.book_stages

bench-click: setup browser  ## from click to changed result, beside a bare Gradio page
	$(BIN)/python -m profiling.benchmarks.click

bench-cluster: setup  ## a book on a Dask cluster of this machine: one worker, two, two processes beside
	$(BIN)/python -m profiling.benchmarks.cluster --json

bench-profile: setup browser  ## profilers side by side on five programs; a log of 200 MB and a .prof of 100,000 functions
	$(BIN)/python -m profiling.benchmarks.profilers
	$(BIN)/python -m profiling.documents.figures

bench-restart: setup  ## a server replaced by another one under load, with another release: requests, failed, slowest
	$(BIN)/python -m profiling.benchmarks.restart

screenshots: setup browser  ## the pictures of the README and of docs/first-case.md, taken anew
	$(BIN)/python -m profiling.documents.screenshots
	$(BIN)/python -m profiling.documents.first_case

mutants: setup  ## small changes of the code, each of which must make a test fail (ONLY=name: those of a file or test)
	$(BIN)/python tests/mutants/run.py $(ONLY)

faults: setup  ## kill, cut, fill and fuzz in full (two hours; ONLY=name: one of tests/faults); figures go into docs/faults.md
	@command -v strace >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq strace >/dev/null; } \
		|| echo "No strace here: failing system calls are left out"
	FAULTS=full $(BIN)/python -m pytest tests/faults $(if $(ONLY),-k "$(ONLY)")
	$(BIN)/python -m profiling.documents.figures

figures: setup  ## write the documents' figures from the releases and profiling/out/bench.json
	$(BIN)/python -m profiling.documents.figures

image:  ## the container's image, by podman or docker (EXTRAS="book engines")
	@if command -v podman >/dev/null; then podman build --format docker --build-arg EXTRAS="$(EXTRAS)" -t tenfold .; \
	else docker build -f Containerfile --build-arg EXTRAS="$(EXTRAS)" -t tenfold .; fi

image-folder:  ## what the image holds, in build/image: its steps, where there is no container tool (EXTRAS="book engines")
	@rm -rf build/image
	@PYTHON=$(PYTHON) sh container/install.sh build/image $(EXTRAS)
	@du -sm build/image | awk '{print $$1 " MB in build/image; the image it stands on comes on top"}'

LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header --no-annotate

lock: setup  ## resolve requirements.txt and pyproject.toml into both locks, with hashes
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) pyproject.toml --all-extras --group dev --constraint requirements.lock -o requirements-dev.lock

clean:  ## remove what make made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .downloads
