# Sallyport. `make help` lists the targets; the two that matter first are `make run` and `make test`.

GO       ?= go
FUZZTIME ?= 60s
VERSION  := $(shell git describe --tags --exact-match 2>/dev/null || git describe --always --dirty --exclude '*' --abbrev=12 2>/dev/null | sed s/^/devel-/)

.DEFAULT_GOAL := help
.PHONY: build run test check lab lab-status lab-stop sdk bench grid grid-holdout fuzz clean help

build: ## build bin/sallyport: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.buildVersion=$(VERSION)" -o bin/sallyport ./cmd/sallyport

run: build ## start the gateway; without a provider key or a local model, with the lab's small model
	@scripts/run.sh

test: ## run every test, installing what is missing into ignored folders
	@scripts/test.sh

check: ## run all static gates, then every test
	@scripts/check.sh
	@scripts/test.sh

lab: ## install and serve the lab's two small real models on loopback
	@scripts/setup.sh python
	@python3 lab/lab.py install
	@python3 lab/lab.py serve

lab-status: ## say which lab models run
	@python3 lab/lab.py status

lab-stop: ## end the lab's servers
	@python3 lab/lab.py stop

sdk: build ## run the official SDKs of three languages against the built binary
	@scripts/setup.sh python node sdk-python sdk-node agent lab
	@test/sdk/run

bench: ## measure Sallyport against a plain reverse proxy in the same run
	$(GO) run ./bench all

grid: ## measure the audit's detectors on recorded models, small; see lab/README.md
	@$(GO) run ./lab/grid dev

grid-holdout: ## the same in full with frozen settings, on committed files only
	@$(GO) run ./lab/grid holdout

fuzz: ## run every fuzz target for FUZZTIME (60s)
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what was built; keeps data, .lab and .tools
	rm -rf bin

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
