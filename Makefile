.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help install train tune curves test schema update format lint types check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

# example: begin
.PHONY: compare bench
compare: install ## Compare the optimizers of configs/compare.yaml; ARGS="--data Wine" changes it
	@$(BIN)/python -m project.compare $(ARGS)

bench: install ## Measure speed, side by side with plain PyTorch and stock Lightning (some minutes)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

# example: end
tune: install ## Search for settings in the ranges of configs/tune.yaml
	@$(BIN)/python -m project.tune $(ARGS)

curves: install ## Show the curves of all runs in TensorBoard and print its address
	@$(BIN)/tensorboard --logdir logs $(ARGS)

test: install ## Run the tests on all cores; ARGS="-m slow" runs the slow ones
	@$(BIN)/pytest --numprocesses auto --dist worksteal $(ARGS)

schema: install ## Write configs/schema.json, by which editors complete and check the YAML files
	@$(BIN)/python -m project.json_schema $(ARGS)

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

# template: begin
.PHONY: fork
fork: install ## Make a repository of your own: NAME=churn DIR=../churn (BARE=1 leaves out the examples)
	$(if $(call given,NAME),,$(error NAME is missing: make fork NAME=churn DIR=../churn))
	@$(BIN)/python -m project.fork "$(NAME)" $(if $(call given,DIR),"$(DIR)") $(if $(call given,BARE),--bare)
# From the command line alone, for some systems have variables of these names.
given = $(and $(filter command line,$(origin $1)),$(filter-out 0,$($1)))

# template: end
clean: ## Remove .venv and what tools left behind; runs in logs/ stay
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
