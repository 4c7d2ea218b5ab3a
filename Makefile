# `make run` and `make test` do everything on a fresh machine; the rest is for developers.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Files that mark what is installed: make runs pip again only when the requirements change.
READY     := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: run test bench record interpreter lint format chromium clean

run: $(READY)  ## open the lab in the browser
	$(BIN)/streamlit run app.py

# One browser at a time: with its server and worker it keeps two cores busy, and two of them are no faster.
# The tests start hundreds of Python processes and collect the tests three times: without bytecode on disk each would compile all again.
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY_DEV) chromium  ## everything: lint, unit and property tests, kernels under Triton's interpreter, headless Chromium
	$(MAKE) --no-print-directory -j 2 lint interpreter
	$(BIN)/pytest -n 2 -m "not browser and not interpreter"
	$(BIN)/pytest -m browser tests/browser

bench: $(READY_DEV)  ## measured speeds of this machine against their targets; no pass or fail
	$(BIN)/python -m lab.training.bench
	$(BIN)/python -m workloads.activations.bench
	$(BIN)/python -m workloads.fft_mixing.bench
	$(BIN)/python -m workloads.spectral_sparse_attention.bench
	$(BIN)/python -m workloads.moe_routing.bench
	$(BIN)/python -m lab calibrate

record: $(READY)  ## record the repository's recorded runs anew on this machine's GPU; an interrupted batch goes on
	$(BIN)/python -m lab record

# Triton reads its variable when it is imported: a process of its own.
interpreter: $(READY_DEV)
	TRITON_INTERPRET=1 $(BIN)/pytest -m interpreter tests/workloads

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The browser tests use the system's Chromium; where it is missing and cannot be installed they are skipped, and say so.
chromium:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium with apt-get"; \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; } >/dev/null \
			|| echo "chromium could not be installed: the browser tests will be skipped"; \
	else echo "no chromium here and no right to install it: the browser tests will be skipped"; fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(READY_DEV): requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(READY) $@

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
