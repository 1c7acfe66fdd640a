# `make up` runs Krill Logger on this machine, `make test` passes the tests, `make check` is lint, format and types.
PYTHON ?= python3
BIN := .venv/bin
BENCHES := bench-ingest bench-latency bench-query bench-pages bench-producer bench-producer-down bench-preload bench-export

.PHONY: up test fuzz faults faults-away check kafka setup lock schemas docs guide screenshots plots clean $(BENCHES)

up: setup
	@exec $(BIN)/krill-logger up

# One more than two cores: many tests wait for a server or a browser. With four, nothing ends sooner, and each waits longer.
PROCESSES ?= 3
# They start hundreds of Python processes: each module is compiled once, whatever the environment says.
test: export PYTHONDONTWRITEBYTECODE =
# Nobody multiplies matrices, but to start NumPy's threads for that takes as long as to start Python four times.
test: export OPENBLAS_NUM_THREADS = 1
test: setup
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

fuzz: setup
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest --timeout 3600 tests/unit/test_masking_properties.py tests/unit/test_normalise.py \
		tests/unit/test_paths.py tests/unit/test_filters.py

# `make faults SECONDS=60 SEED=7`; without a seed, one is chosen and printed.
faults: setup
	@exec $(BIN)/python -m tests.faults.run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

faults-away: setup
	@exec $(BIN)/python -m tests.faults.away $(if $(MINUTES),--minutes $(MINUTES))

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# `make kafka SECURE=1` starts it with TLS and a password.
kafka: setup
	@exec $(BIN)/krill-logger kafka $(if $(SECURE),--secure)

setup: .venv/.ready node_modules/.ready dashboard/static/manifest.json dashboard/guide/index.json $(patsubst %.po,%.mo,$(wildcard dashboard/translations/*/LC_MESSAGES/*.po))

.venv/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer, or name it with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: name it with PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

node_modules/.ready: package-lock.json package.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node 20 or newer." >&2; exit 1; }
	npm ci --silent
	touch $@

dashboard/static/manifest.json: node_modules/.ready $(shell find dashboard/assets -type f 2>/dev/null)
	npm run --silent build

# The user guide's pages, from docs/guide.
guide: setup

dashboard/guide/index.json: .venv/.ready deploy/guide.py $(shell find docs/guide docs/images -type f 2>/dev/null)
	$(BIN)/python -m deploy.guide

%.mo: %.po .venv/.ready
	$(BIN)/pybabel compile --input-file $< --output-file $@ --locale $(notdir $(patsubst %/LC_MESSAGES/,%,$(dir $<))) 2>/dev/null

lock:
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --universal --generate-hashes \
		--python-version 3.11 pyproject.toml --extra server --extra embedded --group dev -o requirements.lock

docs: setup
	$(BIN)/python -m deploy.reference

schemas: setup
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m tests.tables

screenshots: setup
	$(BIN)/python -m tests.browser.screenshots

# `make bench-ingest ARGS="--events 200000 --peers passthrough"`; ARGS=--help lists what there is. Rows that take long to
# make are kept in var/bench.
$(BENCHES): bench-%: setup
	$(BIN)/python -m tests.benchmarks.$(subst -,_,$*) $(ARGS)

# The figures of docs/performance.md, from what the benchmarks printed.
plots: setup
	$(BIN)/python -m tests.benchmarks.plots

clean:
	rm -rf .venv .cache var node_modules dashboard/static dashboard/guide
