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

# What is explored step by step draws a quarter of its cases under the race detector, which finds nothing there, and all of them
# without it.
EXPLORED := ^(TestNoOldValueStays|TestNearIsNeverStaleAfterAMessage|TestCountsAreExact|TestAListIsTrueOnceAllTasksHaveRun|TestWhateverComesBetween|TestOrderMakesNoDifference|TestBundlesGiveBackWhatTheyWereGiven|TestSearchFindsWhatMatches|TestSearchFindsTasksInBundles)$$

test: ## Test everything against private Redis and MariaDB servers
	@# Most tests wait more than they compute: more of them run at once than there are processors, and those begin that wait
	@# longest. make lint has vet look at them. tasks runs again with the switches of the broker off, whose own tests have the
	@# race detector look at both ways. The race detector leaves out SQLite's own code, which is C in Go's clothes; of other
	@# packages it may not: what they instantiate of sync and atomic, the whole program shares. Compiler and tests collect their
	@# garbage less often, for a sixth of the time.
	@deploy/install-test-deps.sh
	@if echo '#include <stdlib.h>' | $${CC:-gcc} -E - >/dev/null 2>&1; then race='-race -gcflags=modernc.org/sqlite/lib=-race=false'; export CGO_ENABLED=1; else race=; fi; \
	at_once='-p 4 -parallel 6 -vet=off'; export GOGC=300 GOMEMLIMIT=2GiB; \
	set -x; go test $$race $$at_once -timeout 14m ./deploy/chaos ./deploy/e2e ./worker/pool ./api/shop ./... && \
	PAIDUI_BROKER_PIPELINING=false PAIDUI_BROKER_WAKE_UP=false go test $$at_once -timeout 5m ./tasks && \
	if [ -n "$$race" ]; then go test $$at_once -timeout 5m -run '$(EXPLORED)' ./models/cache ./tasks/counter ./tasks/following ./tasks/history; fi

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
