# The two commands that matter: `make demo` and `make test`. Both install what they need.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
BIOME := node_modules/@biomejs/cli-linux-$(shell uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')/biome
SHELL_FILES = $(shell git grep -l '^#!/bin/sh' -- agent images setup .ci)
.DEFAULT_GOAL := help
.PHONY: help demo test check static bench fuzz coverage images clean debian format

help:
	@echo 'make demo    a machine with real firmware and a TPM boots from this server, then attacks are refused'
	@echo '             (make demo ARGS=--quick stops after the first boot; ARGS=--rollouts shows updates and fallbacks)'
	@echo 'make test    everything that proves it, end to end too'
	@echo 'make check   format, lint, types and the fast tests: before every commit'
	@echo 'make bench   measure, and write docs/benchmarks.md'
	@echo 'make fuzz    a minute of hostile bytes for every parser (docs/fuzzing.md)'
	@echo 'make coverage  every branch of src/tpm and src/attestation is tested, or this fails'
	@echo 'make images  build stage-0 and the demo operating system'
	@echo 'make clean   remove what was built'

demo: images
	node lab/demo.ts $(ARGS)

test: static images
	node test/run.ts unit slow agent e2e

check: static
	node test/run.ts unit

static: node_modules debian
	$(BIOME) check --error-on-warnings .
	tsc --noEmit
	shellcheck -x -s sh $(SHELL_FILES)

bench: images
	node test/bench/run.ts

fuzz: node_modules
	node test/fuzz/run.ts --seconds 60

images: node_modules debian
	node images/build.ts

# Without the corpora: whoever has only this repository sees the same.
coverage: node_modules
	BOOTWARD_CORPORA=none vitest run --project unit --project slow --coverage test/tpm test/attestation

format: node_modules
	$(BIOME) check --write .

# npm writes this file last, so an interrupted install is done again. The add-on for HSMs is the one package that
# is built, by a compiler of Debian's.
node_modules: node_modules/.package-lock.json node_modules/pkcs11js/build/Release/pkcs11.node
node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --loglevel=error
	@touch $@
node_modules/pkcs11js/build/Release/pkcs11.node: node_modules/.package-lock.json | debian
	npm run --silent build:hsm
	@touch $@

debian:
	@sh setup/debian-packages.sh

clean:
	rm -rf build dist coverage
