# Everything runs in .venv, which is made when it is needed and only then.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TPU := .venv-tpu

.PHONY: demo test test-gpu test-tpu check clean

demo: $(INSTALLED)  ## from a task to a small, fast model and a report about it, offline
	$(BIN)/glint compress --config configs/recipes/demo.yaml
	$(BIN)/glint report runs/compress/demo
	$(BIN)/glint predict --artifact runs/compress/demo/artifacts/small \
		--text "The mayor of Dallas opened a new cinema on Sunday that cost 13 million dollars and took three years to build." \
		--text_pair "On Sunday, after three years of work, the Dallas mayor opened a 13 million dollar cinema."

test: $(INSTALLED)  ## the whole test suite, a file at a time on each core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

test-gpu: $(INSTALLED)  ## every callback on one CUDA device; GLINT_TEST_DEVICE=cpu: as far as it goes without
	$(BIN)/python -m pytest tests/gpu $(ARGS)

# A warning of torch_xla's own is no error.
test-tpu: $(TPU)/.installed  ## fits under XLA, on its CPU client; downloads 3.5 GB at first
	OMP_NUM_THREADS=1 $(TPU)/bin/python -m pytest tests/tpu -W default $(ARGS)

check: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The constraints pin torch: a plain newer torch pulls gigabytes of CUDA packages.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) with the tested versions: a minute or two"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[embedded,onnx,openvino,search,postgresql,benchmark,dev]'
	touch $@

$(TPU)/.installed: pyproject.toml constraints-tpu.txt
	@echo "Setting up $(TPU) with torch_xla: some minutes"
	test -x $(TPU)/bin/python || $(PYTHON) -m venv $(TPU)
	$(TPU)/bin/python -m pip install --quiet --no-deps -r constraints-tpu.txt
	$(TPU)/bin/python -m pip install --quiet --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) $(TPU) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
