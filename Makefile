# `make demo` shows the whole system, `make test` tests it. Neither needs a cloud account. `make help` lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LEAN := $(VENV)/.ready-demo
# The full environment serves every target, so the small one is not made where the full one exists.
RUN := $(if $(wildcard $(READY)),$(READY),$(LEAN))
WHEELS := build/wheels/.ready

.DEFAULT_GOAL := help
.PHONY: help venv venv-dev demo engine engine-demo examples sandbox drill soak chaos profile test conformity histories explore floor bench bench-quick check format docs lock clean

help:  ## print this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(RUN)  ## create the small virtual environment that deploys, runs the commands, the demo and the sandbox

venv-dev: $(READY)  ## create the full one, which also tests, checks and documents

$(LEAN): requirements/demo.lock pyproject.toml
	@$(PYTHON) tools/environment.py demo $(VENV)
	@touch $@

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) tools/environment.py dev $(VENV)
	@touch $@

# The bundle's wheels for both architectures. They are downloaded here, so that no test leaves the machine.
$(WHEELS): requirements/runtime.lock | $(READY)
	@echo "downloading the runtime's wheels into $(@D) (once)"
	@rm -rf $(@D)
	@$(BIN)/python -m dualsync.components.bundle.builder wheels $(@D)
	@touch $@

demo: $(RUN)  ## deploy both stacks to a local cloud emulator, sync real files both ways, compare everything
	@$(BIN)/python -m sandbox demo

# The dependencies of the TypeScript example. Its package of this project is generated, and no script of a package runs.
NODE_MODULES := examples/typescript/node_modules/.package-lock.json
$(NODE_MODULES): examples/typescript/package.json
	@npm install --prefix $(<D) --ignore-scripts --no-audit --no-fund --no-package-lock --silent
	@touch $@

examples: $(READY) $(NODE_MODULES)  ## deploy the example of each language by the real engine (`pulumi` and `node` must be on PATH)
	@$(BIN)/python -m pytest -q -n 0 --long --no-skips tests/integration/package/test_examples.py

engine-demo: $(READY)  ## run a pair's whole life under the real `pulumi` (must be on PATH); TRANSCRIPT=FILE writes a transcript, SECTION=NAME runs one part
	@$(BIN)/python -m tests.e2e.pulumi_lifecycle $(if $(SECTION),--section $(SECTION)) $(if $(TRANSCRIPT),--transcript $(TRANSCRIPT))

sandbox: $(RUN)  ## start the same environment and leave it running; Ctrl-C removes it
	@$(BIN)/python -m sandbox serve

drill: $(READY)  ## run the failure drill: failures, their alarms and remedies; CASE=NAME for one, SCALE=0.1 for smaller numbers
	@$(BIN)/python -m tests.e2e.drill $(if $(CASE),--case $(CASE)) $(if $(SCALE),--scale $(SCALE))

test: $(READY) $(WHEELS)  ## run the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal

engine: $(READY)  ## run all tests of the real engine, with the longest; prints how to get `pulumi` if it is absent
	@$(BIN)/python -m tests.e2e.pulumi_lifecycle --check
	@$(BIN)/python -m pytest -n 2 -m engine --long

# ministack wants another botocore than this project, so it has an environment of its own.
CONFORMITY := build/conformity/.ready
$(CONFORMITY): requirements/conformity.lock
	@echo "installing ministack into $(@D) (once)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/conformity.lock
	@touch $@

conformity: $(READY) $(CONFORMITY)  ## run the contract tests and a pair over ministack, which verifies signatures and IAM policies
	@$(BIN)/python -m pytest -q -n 0 -k ministack tests/contract tests/integration/ministack

# The oldest versions that pyproject.toml allows have an environment of their own.
FLOOR := build/floor/.ready
$(FLOOR): requirements/floor.lock pyproject.toml
	@$(PYTHON) tools/environment.py floor $(@D)
	@touch $@

floor: $(FLOOR)  ## run the tests of the component, the pack and the commands with the oldest versions that are allowed; QUICK=1 without the engine's
	@build/floor/bin/python -m pytest -q -n 2 -p no:cacheprovider $(if $(QUICK),-m "not engine") \
		tests/unit/components tests/unit/policy tests/unit/runtime/commands

MINUTES ?= 30
soak: $(READY)  ## steady load with faults and key rotations for MINUTES=30: what the workers hold must not grow
	@$(BIN)/python -m tests.e2e.soak --minutes $(MINUTES)

chaos: $(READY)  ## users and real workers for MINUTES=30 under kill -9, SIGSTOP and a bad proxy, judged at the end; SEED=N repeats a run's choices
	@$(BIN)/python -m tests.e2e.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(UNVERSIONED),--unversioned)

# Benchmarks run with the system's Python, as the deployed worker does. Distributions compile theirs with profiles, which
# makes Python code a third faster; other builds often are not.
BENCH_PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) $(PYTHON))
BENCH_READY := build/bench/.ready
$(BENCH_READY): requirements/dev.lock pyproject.toml
	@$(BENCH_PYTHON) tools/environment.py dev $(@D)
	@touch $@

profile: $(BENCH_READY)  ## profile the worker over small objects (needs the benchmarks' servers); writes docs/profile.md
	@build/bench/bin/python -m bench.profile

N ?= 100000
histories: $(READY)  ## run N=100000 random histories of users, machines and faults against the reference model
	@$(BIN)/python -m tests.simulation.histories $(N)

explore: $(READY)  ## run every schedule of all short histories (hours); QUICK=1 for those of the test suite, ROW=NAME for some
	@$(BIN)/python -m tests.simulation.exploration $(if $(QUICK),--quick) $(if $(ROW),--row "$(ROW)")

bench: $(BENCH_READY)  ## run the benchmarks over TLS against targets and peers (needs go, mvn, java); writes docs/benchmarks.md
	@build/bench/bin/python -m bench --write $(BENCH)

bench-quick: $(READY)  ## run the benchmarks' harness with small numbers and no peers; skipped if the servers are not available
	@$(BIN)/python -m bench small start --quick --no-peers --if-possible

check: $(READY)  ## check style, types and prose
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.prose_check
	@$(BIN)/codespell

format: $(READY)  ## fix style where ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY)  ## build the documentation in build/site, without network; each warning is an error
	@$(BIN)/python -m tools.docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/site/index.html"

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

lock:  ## update the lock files to the newest versions that pyproject.toml's ranges allow (hashes, no index addresses)
	@test -x $(BIN)/uv || { test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
		$(BIN)/pip install --quiet --require-hashes -r requirements/installer.lock; }
	@$(COMPILE) --extra dev --extra runtime pyproject.toml -o requirements/dev.lock
	@$(COMPILE) requirements/runtime.in -c requirements/dev.lock -o requirements/runtime.lock
	@$(COMPILE) --only-binary :all: --extra deploy pyproject.toml requirements/demo.in -c requirements/dev.lock \
		-o requirements/demo.lock
	@$(COMPILE) --only-binary :all: --extra deploy pyproject.toml -c requirements/dev.lock -o requirements/deploy.lock
	@$(COMPILE) --only-binary :all: requirements/audit.in -o requirements/audit.lock
	@$(COMPILE) --only-binary :all: requirements/installer.in -o requirements/installer.lock
	@$(COMPILE) --only-binary :all: requirements/build.in -c requirements/dev.lock -o requirements/build.lock
	@$(COMPILE) requirements/conformity.in -o requirements/conformity.lock
	@$(COMPILE) --resolution lowest-direct --only-binary :all: --extra deploy pyproject.toml requirements/floor.in \
		-o requirements/floor.lock
	@version=$$(sed -n 's/^pulumi-aws==\([^ ]*\).*/\1/p' requirements/deploy.lock); \
		grep -q "^aws v$$version " requirements/plugins.lock || \
		sed -i "s/^aws v.*/aws v$$version linux-amd64 unrecorded/" requirements/plugins.lock

clean:  ## remove everything that make created
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .sandbox build
