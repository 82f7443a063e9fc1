# Everything runs in .venv, which is made when it is needed and only then.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check clean

demo: $(INSTALLED)  ## fine-tune, validate and predict, offline
	$(BIN)/glint fit --config configs/demo.yaml
	$(BIN)/glint validate --config configs/demo.yaml --ckpt_path best
	$(BIN)/glint predict --config configs/demo.yaml --ckpt_path best
	$(BIN)/glint predict --config configs/demo.yaml --ckpt_path best \
		--text "The mayor of Dallas opened a new cinema on Sunday that cost 13 million dollars and took three years to build." \
		--text_pair "On Sunday, after three years of work, the Dallas mayor opened a 13 million dollar cinema."

test: $(INSTALLED)  ## the whole test suite, a file at a time on each core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

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

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
