# Regulars from a clean clone, with nothing but Python 3.11 or newer, git and make.
# Needs no GNU make newer than macOS has (3.81).

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
HOUSEHOLDS ?= 300
SECANTUSDB ?= yes
PYTEST_ARGS ?=
UPGRADE ?=
SECANTUS_RUST := 0.5.3-beta.193

RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
INSTALL = PYTHON='$(PYTHON)' SECANTUSDB='$(SECANTUSDB)' .ci/install
CHECKS := check-format check-lint check-types check-layers check-dependencies check-dead-code \
	check-docstrings check-yaml check-compose check-dockerfile check-shell check-house
COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile pyproject.toml --quiet \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up test check bench lock keys fast-mongo clean $(CHECKS)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(RUN) ## Live a year of a chain of shops: HOUSEHOLDS=300 (or a number, or all)
	$(BIN)/regulars demo --households $(HOUSEHOLDS)

up: $(RUN) ## Run everything in the foreground and print the addresses
	$(BIN)/regulars up

test: $(DEV) ## Run all tests: PYTEST_ARGS='tests/unit -k receipt' for some
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(CHECKS) ## Check everything but behaviour: make -k check shows all findings at once

check-format: $(DEV)
	$(BIN)/ruff format --check --quiet .

check-lint: $(DEV)
	$(BIN)/ruff check --quiet .

check-types: $(DEV)
	$(BIN)/mypy --no-error-summary

check-layers: $(DEV)
	$(BIN)/lint-imports --no-cache

check-dependencies: $(DEV)
	$(BIN)/deptry .

check-dead-code: $(DEV)
	$(BIN)/vulture

check-docstrings: $(DEV)
	$(BIN)/interrogate --quiet shared

check-yaml: $(DEV)
	$(BIN)/yamllint --strict .

check-compose: $(DEV)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

check-dockerfile: $(DEV)
	$(BIN)/hadolint deploy/Dockerfile

check-shell:
	bash -n .ci/run .ci/install

check-house: $(DEV)
	$(BIN)/python -m pytest --quiet tests/unit/test_house.py

bench: $(DEV) ## Measure, and print one JSON object
	@$(BIN)/python -m benchmarks

lock: $(DEV) ## Write the locks anew from pyproject.toml: UPGRADE=1 takes newer versions
	$(COMPILE) --extra embedded --extra demo --group build --output-file requirements.lock
	$(COMPILE) --all-extras --group build --constraints requirements.lock \
		--output-file requirements-dev.lock
	$(COMPILE) --constraints requirements.lock --output-file requirements-image.lock

keys: $(RUN) ## Make the secrets that docker-compose.yml hands to the services
	$(BIN)/python -c 'from deploy.cli import home_folder; \
		from deploy.embedded.home import ensure_keys; ensure_keys(home_folder())'

fast-mongo: ## Build the faster MongoDB stand-in with cargo (about 6 minutes, once)
	@command -v cargo >/dev/null || { \
		echo "There is no Rust toolchain here: cargo is not on PATH." >&2; \
		echo "Nothing needs it: without it the slower wheel serves, or a mongod on PATH." >&2; \
		exit 1; }
	cargo install secantus-mdb --version $(SECANTUS_RUST) --ignore-rust-version
	@command -v secantusd-rs >/dev/null \
		|| echo "Put cargo's bin folder on PATH, so that secantusd-rs is found."

clean: ## Remove the data of the demo (.regulars, or what REGULARS_HOME names)
	@.ci/clean.py "$${REGULARS_HOME:-.regulars}"

# In place: an install that fails leaves the packages that worked.
$(RUN): requirements.lock pyproject.toml .ci/install
	@$(INSTALL) $(VENV) requirements.lock
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml .ci/install
	@$(INSTALL) $(VENV) requirements-dev.lock
	@touch $(RUN) $@
