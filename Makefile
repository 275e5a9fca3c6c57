# What a change must pass, and the longer looks. `make` lists the targets.
#
# Output, tools and the tests' Python live in a cache under the home folder, where a fresh clone finds them again;
# without one, under target/. A step that fails fails its target.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

HOME_CACHE := $(shell d="$${HOME:-}/.cache/tidegate"; [ -n "$${HOME:-}" ] && mkdir -p "$$d" 2>/dev/null && [ -w "$$d" ] && echo "$$d")
CACHE := $(or $(HOME_CACHE),$(CURDIR)/target/cache)
export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(if $(HOME_CACHE),$(HOME_CACHE)/target,$(CURDIR)/target))
ifdef CI
# A clone is built once: what only a second build would need is left out.
export CARGO_INCREMENTAL := 0
endif

TAOSPY_VERSION := 2.8.10
# Python packages of the tests: one environment for each list of packages and version of Python.
VENV := $(CACHE)/venv/$(shell (python3 --version; echo $(TAOSPY_VERSION); cat tests/requirements.txt) | sha256sum | cut -c1-12)
PYTHON := $(VENV)/bin/python3
ELASTICSEARCH9 := $(CACHE)/venv/$(shell (python3 --version; cat tests/requirements_elasticsearch9.txt) | sha256sum | cut -c1-12)
DEBIAN := tools/debian_binary.sh $(CACHE)/debian

CARGO_FUZZ_VERSION := 0.13.2
INFLUXDB_PYTHON_VERSION := $(shell sed -n 's/^influxdb==//p' tests/requirements.txt)
TELEGRAF_VERSION := v1.37.2
TELEGRAF_PLUGINS := custom,inputs.cpu,inputs.mem,inputs.disk,outputs.influxdb,outputs.influxdb_v2,outputs.elasticsearch,outputs.opentsdb,outputs.file
# Programs that are written against client libraries, built again when they change.
CLIENTS := $(CACHE)/clients/$(shell (echo $(TELEGRAF_VERSION) $(TELEGRAF_PLUGINS); find tests/clients/*/ -type f -not -name '*.pyc' | sort | xargs cat) | sha256sum | cut -c1-12)
PYTHON_SUITE := $(CACHE)/clients/influxdb-$(INFLUXDB_PYTHON_VERSION)
KILLS ?= 30
CASES ?= 200
MINUTES ?= 10
SEEDS ?= 1000
FUZZ_SECONDS ?= 60
QUESTIONS ?= 20000
SEED ?= 1
# `none` finds panics, endless loops and unbounded memory; `address` also wants what only the compiler's own tests may use.
FUZZ_SANITIZER ?= none

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: test
test: machine ## everything a change must pass; the last line sums it up
	@python3 tools/sum_up.py lint rust conformance pyclients readers

.PHONY: machine
machine:
	@if ! cargo --version >/dev/null; then echo "cargo is not there: install Rust 1.90 or newer (with rustfmt and clippy), for example through rustup" >&2; exit 1; fi
	if ! python3 -c 'import tomllib'; then echo "python3 is older than 3.11" >&2; exit 1; fi
	tools/need.sh 'cc --version' build-essential

.PHONY: lint
lint: ## format, clippy, documentation links, licences and advisories, the checks' own tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	python3 tools/check_dependencies.py
	python3 -B -m unittest discover -s tools
	python3 -B -m unittest discover -s tests/conformance
	python3 -B -m unittest discover -s benches
	python3 -B -m unittest discover -s tests/clients

# Installed before the tests that ask for them, which would say nothing for minutes.
.PHONY: servers
servers:
	@tools/need.sh 'curl --version' curl
	tools/object_store.sh minio
	tools/object_store.sh azure

.PHONY: rust
rust: servers ## unit and integration tests, layering and a short crash test among them
	TIDEGATE_CRASH_KILLS=$(KILLS) cargo test --locked --no-fail-fast

.PHONY: stores
stores: servers ## the suite over every kind of object store
	cargo test --locked --test stores

.PHONY: build
build: ## the binary that the black-box tests start
	cargo build --locked

.PHONY: conformance
conformance: build ## the shared suites; fails when fewer cases pass than before (ARGS='--strict', '--update-floors', …)
	python3 -B tests/conformance/run.py $(ARGS)

.PHONY: crash
crash: servers ## kill the gateway 30 times while it is written to (KILLS=n)
	TIDEGATE_CRASH_KILLS=$(KILLS) cargo test --locked --test faults -- --nocapture

.PHONY: processes
processes: ## several gateways on one store, killed and put to sleep for MINUTES
	TIDEGATE_PROCESSES_MINUTES=$(MINUTES) cargo test --locked --test faults several_processes -- --nocapture

.PHONY: damage
damage: ## gateways over damaged stores and logs, CASES of them
	TIDEGATE_DAMAGE_SEEDS=$(CASES) cargo test --locked --lib gateway::tests::damage -- --nocapture

.PHONY: faults
faults: ## the long form: 300 kills; a minute without a store; SEEDS=1000 histories over a sick store and every failure; a million OpenTSDB lines; 2,000 cases of damage; MINUTES=10 of several gateways
	TIDEGATE_FAULT_SEEDS=$(SEEDS) TIDEGATE_FAULTS_ALL=1 TIDEGATE_OUTAGE_SECONDS=60 TIDEGATE_TELNET_LINES=1000000 $(MAKE) crash KILLS=300
	$(MAKE) damage CASES=2000
	$(MAKE) processes MINUTES=$(MINUTES)

.PHONY: clients
clients: pyclients $(CLIENTS)/ready $(ELASTICSEARCH9)/ready ## real clients write, SQL reads back: also npm, Go, Java, Telegraf
	@NODE_INFLUX=$(CLIENTS)/node_influx $(PYTHON) -B tests/clients/node_influx.py
	NODE_ELASTICSEARCH=$(CLIENTS)/node_elasticsearch $(PYTHON) -B tests/clients/node_elasticsearch.py
	NODE_TAOS=$(CLIENTS)/node_taos $(PYTHON) -B tests/clients/node_taos.py
	$(ELASTICSEARCH9)/bin/python3 -B tests/clients/python_elasticsearch.py
	GO_INFLUXDB=$(CLIENTS)/go_influxdb $(PYTHON) -B tests/clients/go_influxdb.py
	GO_ELASTICSEARCH=$(CLIENTS)/go_elasticsearch $(PYTHON) -B tests/clients/go_elasticsearch.py
	JAVA_INFLUXDB=$(CLIENTS)/java_influxdb/target $(PYTHON) -B tests/clients/java_influxdb.py
	JAVA_TAOS=$(CLIENTS)/java_taos/target $(PYTHON) -B tests/clients/java_taos.py
	tools/need.sh 'curl --version' curl
	rsyslogd=$$($(DEBIAN) rsyslog usr/sbin/rsyslogd rsyslog-elasticsearch libestr0 libfastjson4 liblognorm5)
	RSYSLOGD=$$rsyslogd $(PYTHON) -B tests/clients/rsyslog.py
	collectd=$$($(DEBIAN) collectd-core usr/sbin/collectd libcap2)
	COLLECTD=$$collectd $(PYTHON) -B tests/clients/collectd.py
	TELEGRAF=$(CLIENTS)/telegraf $(PYTHON) -B tests/clients/telegraf.py

.PHONY: pyclients
pyclients: build $(VENV)/ready $(PYTHON_SUITE)/ready ## the Python clients and the influx shell; the same questions to influxd
	@influx=$$($(DEBIAN) influxdb-client influx)
	INFLUX=$$influx $(PYTHON) -B tests/clients/influx_shell.py
	$(PYTHON) -B tests/clients/python_elasticsearch.py
	$(PYTHON) -B tests/clients/python_influxdb.py
	$(PYTHON) -B tests/clients/python_influxdb_suite.py $(PYTHON_SUITE)/source
	$(PYTHON) -B tests/clients/python_influxdb_client.py
	$(PYTHON) -B tests/clients/python_opentsdb.py
	$(PYTHON) -B tests/clients/python_taospy.py
	influxd=$$($(DEBIAN) influxdb influxd)
	INFLUXD=$$influxd $(PYTHON) -B tests/clients/grafana_differential.py
	INFLUXD=$$influxd $(PYTHON) -B tests/clients/continuous_differential.py
	INFLUXD=$$influxd $(PYTHON) -B tests/clients/influxd_differential.py --questions 500

.PHONY: differential
differential: build ## QUESTIONS=20000 of InfluxQL over random data (SEED=1), answered by influxd and by the gateway
	@influxd=$$($(DEBIAN) influxdb influxd)
	INFLUXD=$$influxd python3 -B tests/clients/influxd_differential.py --questions $(QUESTIONS) --seed $(SEED)

$(PYTHON_SUITE)/ready: $(VENV)/ready
	@rm -rf $(PYTHON_SUITE)
	mkdir -p $(PYTHON_SUITE)/source
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --no-binary influxdb --dest $(PYTHON_SUITE) influxdb==$(INFLUXDB_PYTHON_VERSION)
	tar xzf $(PYTHON_SUITE)/influxdb-$(INFLUXDB_PYTHON_VERSION).tar.gz -C $(PYTHON_SUITE)/source --strip-components 1
	touch $@

$(CLIENTS)/ready:
	@tools/need.sh 'node --version && npm --version' nodejs npm
	tools/need.sh 'go version' golang-go
	tools/need.sh 'mvn --version && javac --version' maven default-jdk-headless
	rm -rf $(CLIENTS)
	for name in node_influx node_elasticsearch node_taos; do
		mkdir -p $(CLIENTS)/$$name
		cp tests/clients/$$name/package*.json $(CLIENTS)/$$name
		npm ci --prefix $(CLIENTS)/$$name --silent --no-audit --no-fund
	done
	for name in go_influxdb go_elasticsearch; do
		(cd tests/clients/$$name && go build -buildvcs=false -o $(CLIENTS)/$$name .)
	done
	for name in java_influxdb java_taos; do
		cp -r tests/clients/$$name $(CLIENTS)/$$name
		mvn --quiet --batch-mode --file $(CLIENTS)/$$name/pom.xml package
	done
	GOBIN=$(CLIENTS) go install -buildvcs=false -tags $(TELEGRAF_PLUGINS) github.com/influxdata/telegraf/cmd/telegraf@$(TELEGRAF_VERSION)
	touch $@

.PHONY: readers
readers: build $(VENV)/ready ## DuckDB and pyarrow open the store
	$(PYTHON) -B tests/readers/readers.py

.PHONY: bench
bench: $(VENV)/ready ## side by side with InfluxDB and VictoriaMetrics (ARGS='…'); without ARGS also the four below
	cargo build --locked --profile dist
	influxd=$$($(DEBIAN) influxdb influxd)
	victoria=$$($(DEBIAN) victoria-metrics victoria-metrics)
	export MINIO=$$(tools/object_store.sh minio)
	TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate INFLUXD=$$influxd VICTORIA_METRICS=$$victoria $(PYTHON) -B benches/compare.py $(ARGS)
	if [ -z "$(ARGS)" ]; then $(MAKE) querybench tsdbbench taosbench bulkbench; fi

.PHONY: querybench
querybench: $(VENV)/ready ## queries side by side with InfluxDB and DuckDB (ARGS='…')
	cargo build --locked --profile dist
	influxd=$$($(DEBIAN) influxdb influxd)
	TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate INFLUXD=$$influxd $(PYTHON) -B benches/queries.py $(ARGS)

.PHONY: tsdbbench
tsdbbench: $(VENV)/ready ## OpenTSDB's queries side by side with DuckDB, its points with VictoriaMetrics (ARGS='…')
	cargo build --locked --profile dist
	export VICTORIA_METRICS=$$($(DEBIAN) victoria-metrics victoria-metrics) TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate
	$(PYTHON) -B benches/opentsdb.py $(ARGS)
	$(PYTHON) -B benches/puts.py $(ARGS)

.PHONY: taosbench
taosbench: $(VENV)/ready ## TDengine's INSERT, and its queries side by side with DuckDB (ARGS='…')
	cargo build --locked --profile dist
	TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate $(PYTHON) -B benches/taos.py $(ARGS)

.PHONY: bulkbench
bulkbench: $(VENV)/ready ## Elasticsearch's bulk beside line protocol (ARGS='…')
	cargo build --locked --profile dist
	TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate $(PYTHON) -B benches/bulk.py $(ARGS)

.PHONY: textbench
textbench: $(VENV)/ready ## full text search with and without filters, and by DuckDB (ARGS='…')
	cargo build --locked --profile dist
	TIDEGATE_BIN=$(CARGO_TARGET_DIR)/dist/tidegate $(PYTHON) -B benches/text.py $(ARGS)

# The fuzzed build locks the versions that the gateway locks.
.PHONY: fuzz
fuzz: machine ## each parser for FUZZ_SECONDS; findings and corpus stay in the cache
	export PATH="$(CACHE)/tools/bin:$$PATH"
	if ! command -v cargo-fuzz >/dev/null; then cargo install --locked --root $(CACHE)/tools --version $(CARGO_FUZZ_VERSION) cargo-fuzz; fi
	if [ $(FUZZ_SANITIZER) != none ]; then export RUSTC_BOOTSTRAP=1; fi
	cp Cargo.lock tests/fuzz/Cargo.lock
	targets=$$(cargo fuzz list --fuzz-dir tests/fuzz)
	[ -n "$$targets" ]
	for target in $$targets; do
		found=$(CACHE)/fuzz/$$target
		mkdir -p "$$found/corpus" "$$found/artifacts"
		cargo fuzz run --dev --fuzz-dir tests/fuzz --target-dir $(CACHE)/fuzz/target --sanitizer $(FUZZ_SANITIZER) "$$target" "$$found/corpus" -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$$found/artifacts/"
	done

$(VENV)/ready:
	@tools/need.sh 'python3 -c "import ensurepip, venv"' python3-venv
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	# It asks for an older typing_extensions than another package does, and works with either.
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps taospy==$(TAOSPY_VERSION)
	touch $@

$(ELASTICSEARCH9)/ready:
	@tools/need.sh 'python3 -c "import ensurepip, venv"' python3-venv
	rm -rf $(ELASTICSEARCH9)
	python3 -m venv $(ELASTICSEARCH9)
	$(ELASTICSEARCH9)/bin/python3 -m pip install --quiet --disable-pip-version-check --requirement tests/requirements_elasticsearch9.txt
	touch $@
