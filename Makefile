# Every target builds with the TLS overlay (see scripts/tls-overlay), so that a message to a phone
# leaves in one TLS record at every version.
SHELL := /bin/sh
.DEFAULT_GOAL := build

OVERLAY := .build/overlay.json
export GOFLAGS := $(shell go env GOFLAGS) '-overlay=$(CURDIR)/$(OVERLAY)'
export CGO_ENABLED := 1

FUZZTIME ?= 20s
BENCH ?= .
ARGS ?=

.PHONY: build run test test-deps check race fuzz bench cover overlay

overlay:
	@GOFLAGS= scripts/tls-overlay .build

build: overlay
	go build -o bin/capf ./cmd/capf

# The main job on the sample data: migrate, build and distribute a CTL, serve, enrol. ARGS=--once ends by itself.
run: build
	@scripts/run $(ARGS)

test: test-deps overlay
	go test -timeout 30m ./...

test-deps:
	@scripts/test-deps

check: overlay
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt -l: $$files" >&2; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	scripts/check-imports
	go mod tidy -diff

race: overlay
	go test -race -timeout 60m ./...

fuzz: overlay
	scripts/fuzz $(FUZZTIME)

bench: build
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

cover: overlay
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -n 1
