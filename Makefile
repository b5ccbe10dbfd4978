# Each target makes what it needs, starting with its own environment in .venv.
# `make demo` runs the shop on a week of invoices; `make test` checks everything;
# `make simulate` looks for more, for as long as it may.

VENV := .venv
BIN := $(VENV)/bin
# The newest supported Python on the PATH that really runs; PYTHON=… chooses another.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3 python; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)

.PHONY: install demo test lint simulate bench clean
.DEFAULT_GOAL := test

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Twofold needs Python 3.11 or later on the PATH. Install it, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory system-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[http,cli,schedules]'
	@touch $@

# What only checks and benchmarks need, the peers among it, is no part of a first impression.
$(VENV)/checks: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[http,cli,kafka,nats,postgresql,rabbitmq,redis,schedules]' --group dev --group bench
	@touch $@

.PHONY: system-venv
system-venv:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy python3-venv; \
	else echo "This Python lacks the venv module. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; fi

demo: install
	@$(BIN)/python -m examples.shop --demo

lint: $(VENV)/checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Servers that tests start by themselves, and what runs and fetches Kafka, where we may install them; else the tests that need one say what to install.
SERVERS := rabbitmq-server redis-server
.PHONY: servers
servers:
	@missing=$$(for each in $(SERVERS); do dpkg -s $$each >/dev/null 2>&1 || echo $$each; done; \
	command -v java >/dev/null || echo default-jre-headless; command -v mvn >/dev/null || echo maven); \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -q && apt-get install -qy --no-install-recommends $$missing || echo "Could not install $$missing" >&2; fi

# What is quick to fail comes first; the suites share the cores; the last line is pytest's own.
test: lint servers
	$(BIN)/pytest --quiet --numprocesses 2 --dist loadfile

# Worlds until one of them breaks a rule: RUNS of them, or as many as SECONDS allow, for each service.
RUNS ?= 10000
SECONDS ?= 600
SEED ?= 0
simulate: install
	$(BIN)/twofold simulate examples.bank:bank --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED)
	$(BIN)/twofold simulate examples.shop:shop --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED)

bench: $(VENV)/checks
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
