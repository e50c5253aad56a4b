# accelsim: `make demo` to see it run, `make test` before a change is handed in, `make help` for the rest.
# Everything is set up in .venv by whichever target needs it first.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The newest Python of at least 3.11 that starts; evaluated only when the set-up runs.
FIND_PYTHON = for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3 python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; then echo $$python; break; fi; done
WORKERS ?= auto
# Installs Debian's packages in $$absent, as root or by sudo; else says what to type. $$what: what their tests are of.
INSTALL = if [ -n "$$absent" ]; then \
	  as=; if [ "$$(id -u)" != 0 ]; then as=sudo; fi; \
	  if command -v apt-get >/dev/null 2>&1 && { [ -z "$$as" ] || sudo -n true >/dev/null 2>&1; }; then \
	    echo "installing $$absent"; \
	    $$as apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive $$as apt-get install -qy --no-install-recommends $$absent >/dev/null; \
	  else \
	    echo "the tests of $$what need $$absent; on Debian: apt-get install $$absent" >&2; exit 2; \
	  fi; \
	fi

.PHONY: demo test check evidence bench docs notebooks rtl rtl-tools browser shells lint setup help clean

demo: $(READY)  ## map the default workload onto the default machine
	@$(BIN)/accelsim map workloads/attention.yaml --arch spatial

test: lint rtl-tools browser shells  ## everything: style, types, all tests
	$(BIN)/python -m pytest -n $(WORKERS) tests

check: lint  ## the quick part of `make test`
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not benchmark" --no-rtl --no-browser tests

evidence: lint rtl-tools browser shells  ## the full sizes: more random cases, more mutations
	ACCELSIM_EVIDENCE=1 HYPOTHESIS_PROFILE=evidence $(BIN)/python -m pytest -n $(WORKERS) tests

bench: $(READY)  ## speed, one process
	@set -e; for each in tests/benchmarks/bench_*.py; do echo "$$each"; $(BIN)/python $$each; done

docs: $(READY)  ## the documentation as a site, in build/site; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs/site . build/site
	@echo "open build/site/index.html"

rtl: $(READY) rtl-tools  ## the hardware: every module of hw/rtl against the simulator, lint, synthesis
	$(BIN)/python -m pytest -n $(WORKERS) tests/rtl

notebooks: $(READY)  ## every notebook in a clean kernel: five to seven minutes on two cores
	ACCELSIM_EVIDENCE=1 timeout 900 $(BIN)/python -m pytest -n 2 --durations 13 tests/test_notebooks.py

rtl-tools:  ## iverilog, verilator, g++, yosys, z3 and zlib, from Debian's packages
	@absent=; for tool in iverilog verilator g++ yosys z3; do command -v $$tool >/dev/null 2>&1 || absent="$$absent $$tool"; done; \
	printf '#include <zlib.h>\n' | g++ -fsyntax-only -x c++ - >/dev/null 2>&1 || absent="$$absent zlib1g-dev"; \
	what="the hardware"; $(INSTALL)

browser:  ## a headless Chromium, from Debian's packages, for the tests of pages
	@absent=; for name in $(ACCELSIM_BROWSER) chromium-headless-shell chromium chromium-browser google-chrome chrome-headless-shell none; do \
	  if command -v $$name >/dev/null 2>&1; then break; fi; \
	  if [ $$name = none ]; then absent=chromium; if apt-cache show chromium-headless-shell >/dev/null 2>&1; then absent=chromium-headless-shell; fi; fi; \
	done; \
	what="pages"; $(INSTALL)

shells:  ## zsh and fish, from Debian's packages, for the tests of completion
	@absent=; for tool in zsh fish; do command -v $$tool >/dev/null 2>&1 || absent="$$absent $$tool"; done; \
	what="completion"; $(INSTALL)

lint: $(READY)  ## only style and types
	$(BIN)/ruff check .
	$(BIN)/mypy --strict accelsim

setup: $(READY)  ## only the virtual environment

$(READY): pyproject.toml
	@set -e; \
	python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ] || ! $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing python3 and python3-venv"; \
	    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy python3 python3-venv >/dev/null; \
	    python=$$($(FIND_PYTHON)); \
	  fi; \
	fi; \
	if [ -z "$$python" ] || ! $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "accelsim needs Python 3.11 or newer with venv; on Debian: apt-get install python3 python3-venv" >&2; exit 2; \
	fi; \
	echo "setting up $(VENV) with $$($$python --version)"; \
	if ! $(BIN)/python -c '' >/dev/null 2>&1; then rm -rf $(VENV); $$python -m venv $(VENV); fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	touch $@

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1: /p' Makefile

clean:  ## remove the virtual environment and whatever tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
