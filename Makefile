# Virtplane. "make help" lists the targets; each runs from a clean checkout by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

NODES ?= 2
FOCUS ?=
FOR ?= 30s
RECORD ?=
MOMENTS ?= 20
TO ?=
TAG ?= devel

# The folder of the local cluster. Its own kubectl and virtctl come first.
export VIRTPLANE_CLUSTER ?= $(CURDIR)/.cluster
export PATH := $(VIRTPLANE_CLUSTER)/bin:$(PATH)
export KUBECONFIG := $(VIRTPLANE_CLUSTER)/kubeconfig

cluster := go run ./test/cluster/cmd/cluster
generated := pkg/apis pkg/generated launcher/api

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-18s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

##### Build

.PHONY: deps build images push generate
deps: ## Install what a fresh Debian 12 lacks
	@hack/deps.sh

build: ## Build all programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$$(hack/ldflags.sh)" -o bin/ ./cmd/...

images: deps ## Build the images of our programs and of the guests
	@go run ./test/image/cmd/images build

push: deps ## Push them to a registry of yours (TO=registry.example.com/virtplane TAG=v1)
	@test -n "$(TO)" || { echo 'push: say where to: make push TO=registry.example.com/virtplane TAG=v1' >&2; exit 1; }
	@go run ./test/image/cmd/images push $(TO) $(TAG)

generate: deps ## Write all generated code anew
	@hack/generate.sh

##### Run

.PHONY: cluster-up cluster-down install demo
cluster-up: deps ## Start a real Kubernetes on this machine (NODES=2)
	@$(cluster) up --nodes $(NODES)

cluster-down: ## Stop it and remove what it made
	@$(cluster) down
	@[ ! -e .cluster-chaos ] || $(cluster) --dir .cluster-chaos down

install: ## Install this checkout into the local cluster and wait for it
	@hack/install.sh

demo: deps ## From nothing to the login prompt of a Linux guest
	@go run ./test/demo

##### Test

.PHONY: test test-unit test-integration test-e2e chaos fuzz spec-report
test: deps ## Run all tests; the last line counts them
	@go run ./test/run all

test-unit: deps ## Run the tests that need no cluster (FOCUS=regexp)
	@go run ./test/run -focus '$(FOCUS)' unit

test-integration: deps ## Run the tests with real API servers (FOCUS=regexp)
	@go run ./test/run -focus '$(FOCUS)' integration

test-e2e: deps ## Run the tests on the local cluster with real guests (FOCUS=regexp)
	@go run ./test/run -focus '$(FOCUS)' e2e

chaos: deps ## Kill each program MOMENTS times and take the store away, under running guests (MOMENTS=20)
	@$(MAKE) chaos-tests NODES=3 VIRTPLANE_CLUSTER=$(CURDIR)/.cluster-chaos

.PHONY: chaos-tests
chaos-tests: cluster-up install
	@VIRTPLANE_CHAOS_MOMENTS=$(MOMENTS) go test -v -count=1 -timeout=12h ./test/e2e/chaos

fuzz: deps ## Run each fuzz test for a while (FOR=30s, FOCUS=regexp)
	@go run ./test/run -for $(FOR) -focus '$(FOCUS)' fuzz

spec-report: ## Count the requirement rows by state and check the claims (RECORD=file of a run)
	@go run ./test/report $(if $(RECORD),-record $(RECORD))

##### Measure: each prints a table and writes .bench/NAME.json

.PHONY: bench-overhead bench-start bench-access bench-api
bench-overhead: deps ## Memory that a virtual machine costs beside its own
	@go run ./test/bench overhead

bench-start: deps ## Start of a virtual machine beside a plain pod with the same QEMU
	@go run ./test/bench start

bench-access: deps ## Ways to a running guest beside kubectl port-forward
	@go run ./test/bench access

bench-api: deps ## Our API server beside CustomResourceDefinitions
	@go run ./test/bench api

##### Check

.PHONY: lint verify
lint: deps ## Check the sources: format, vet, staticcheck, logcheck, walls, claims
	@hack/lint.sh

verify: deps ## lint, and fail if generated files are stale
	@hack/generate.sh
	@git diff --exit-code --stat -- $(generated) && test -z "$$(git ls-files --others --exclude-standard -- $(generated))" || \
		{ echo 'verify: generated files are stale; repair: make generate && git add $(generated)' >&2; exit 1; }
	@hack/lint.sh
