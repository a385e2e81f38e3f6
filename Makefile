# Two commands matter: `make demo` shows the whole system at work, `make test` proves it. Neither needs a cloud account.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WHEELS := build/wheels/.ready

venv: $(READY)  ## the virtual environment that the program and the commands run in

.PHONY: venv demo sandbox drill test histories bench bench-quick check format docs lock clean

$(READY): requirements/dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing locked dependencies into $(VENV) (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

# What the bundle is made of, for both architectures: fetched here, so that no test reaches outside the machine.
$(WHEELS): requirements/runtime.lock | $(READY)
	@echo "fetching the runtime's wheels into $(@D) (once)"
	@rm -rf $(@D)
	@$(BIN)/python -m dualsync.components.bundle.builder wheels $(@D)
	@touch $@

demo: $(READY)  ## both stacks deployed to a local cloud emulator, real files synced both ways
	@$(BIN)/python -m sandbox demo

engine-demo: $(READY)  ## a pair's whole life under the real `pulumi` (needs it on PATH); TRANSCRIPT=file writes it down
	@$(BIN)/python -m tests.e2e.pulumi_lifecycle $(if $(TRANSCRIPT),--transcript $(TRANSCRIPT))

sandbox: $(READY)  ## the same, left running until Ctrl-C
	@$(BIN)/python -m sandbox serve

drill: $(READY)  ## the failure drill: inject faults, check status and alarms, apply the remedies; CASE=NAME for one, SCALE=0.1 for less
	@$(BIN)/python -m tests.e2e.drill $(if $(CASE),--case $(CASE)) $(if $(SCALE),--scale $(SCALE))

test: $(READY) $(WHEELS)  ## the whole suite
	@$(BIN)/python -m pytest -n 2

N ?= 100000
histories: $(READY)  ## N random histories of users, machines and faults against the reference model
	@$(BIN)/python -m tests.simulation.histories $(N)

bench: $(READY)  ## speed and cost beside targets and peers, on real servers (they come by go, mvn and java); writes docs/benchmarks.md
	@$(BIN)/python -m bench --write $(BENCH)

bench-quick: $(READY)  ## the benchmarks' harness with small numbers and no peers; skipped where the servers can't be had
	@$(BIN)/python -m bench small start --quick --no-peers --if-possible

check: $(READY)  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY)  ## the documentation as pages in build/site; needs no network, and every warning is an error
	@$(BIN)/python -m tools.docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/site/index.html"

lock:  ## pin anew what pyproject.toml's ranges allow (hashes, no index addresses)
	@test -x $(BIN)/uv || { test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); $(BIN)/pip install --quiet uv; }
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra dev --extra runtime pyproject.toml -o requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		requirements/runtime.in -c requirements/dev.lock -o requirements/runtime.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .sandbox build
