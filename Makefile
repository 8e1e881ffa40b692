.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
BIN := $(VENV)/bin
ARGS ?=
# Threads that wait do not spin: on a busy machine they would hold up those that work.
export OMP_WAIT_POLICY ?= PASSIVE
COMMANDS := $(patsubst src/project/%/__main__.py,%,$(wildcard src/project/*/__main__.py))
-include tools/*.mk

.PHONY: help install train curves test update format lint types check clean $(COMMANDS)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@$(if $(COMMANDS),echo 'With what ARGS="--help" says: $(addprefix make ,$(sort $(COMMANDS)))')

install: $(VENV)/.installed ## Make .venv and install the pinned versions and the package (the others do it if needed)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11")'
	@echo "Installing into $(VENV): this happens once and takes some minutes."
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --constraint $(CONSTRAINTS) setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --no-build-isolation --editable '.[dev]'
	@touch $@

train: install ## Train what configs/fit.yaml says; ARGS="--optimizer SGD --optimizer.lr 0.1" changes it
	@$(BIN)/python -m project.fit $(ARGS)

$(COMMANDS): install
	@$(BIN)/python -m project.$@ $(ARGS)

curves: install ## Show the curves of all runs in TensorBoard and print its address
	@$(BIN)/tensorboard --logdir logs $(ARGS)

test: install ## Run the tests on all cores; ARGS="-m slow" runs the slow ones
	@$(BIN)/pytest --numprocesses auto --dist worksteal $(ARGS)

update: ## Renew the pins in constraints.txt, if the newest versions pass `make check`; KEEP="torch" holds some back
	@"$(PYTHON)" .ci/update.py $(KEEP)

format: install ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: install ## Check format and style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: install ## Check types
	@$(BIN)/mypy

check: lint types test ## Lint, types and tests

clean: ## Remove .venv and what tools left behind; runs in logs/ stay
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
