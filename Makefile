.DEFAULT_GOAL := help
.PHONY: run test build new lint bench bench-peers chaos help

# Debian keeps servers in sbin, which is not in every user's PATH.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILDFLAGS = -trimpath -buildvcs=false -ldflags '-s -w -X github.com/paidui/paidui/deploy/boot.version=$(VERSION)'
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

run: ## Run everything in one process; needs nothing but Go
	@mkdir -p bin
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/paidui ./deploy/local
	@bin/paidui

test: ## Test everything against private Redis and MariaDB servers
	@deploy/install-test-deps.sh
	@deploy/test.sh

build: ## Build api, worker, scheduler and paidui into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/ ./api ./worker ./scheduler
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/paidui ./deploy/local

new: ## Begin a program of your own: make new APP=../reports
	@test -n "$(APP)" || { echo "name a folder that is not there yet: make new APP=../reports"; exit 2; }
	@go run ./deploy/local new-app --replace . $(APP)

lint: ## Check the format, go vet, staticcheck, the import rules and, online, known vulnerabilities
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -count=1 -run '^TestImport' ./deploy
	@deploy/vulncheck.sh

bench: ## Measure against plain asynq on private servers, some minutes; BENCH="--quick" or "--only run" for less
	@deploy/install-test-deps.sh bench
	go run ./deploy/bench $(BENCH)

bench-peers: ## The same with Celery and BullMQ beside, where they are installed
	@deploy/install-test-deps.sh bench
	go run ./deploy/bench --peers deploy/bench/peers $(BENCH)

chaos: build ## Break it by a plan and judge it: make chaos SEED=7 MINUTES=10
	@deploy/install-test-deps.sh chaos
	go run ./deploy/chaos --bin bin --seed $(or $(SEED),7) --minutes $(or $(MINUTES),10)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
