# Every target sets up what it needs, from a fresh clone: Python 3.11 or newer with venv, git and make are enough.
VENV ?= .venv
BIN := $(VENV)/bin
# Programs of the environment come first: `bottle`, and a `python3` that can import it.
IN_ENV := PATH="$(abspath $(BIN)):$$PATH"
EXPORT := uv export --quiet --all-packages --no-emit-workspace --no-annotate --no-header --format requirements-txt
# What is in the proxy's image, whose Python is Debian's: not what only mitmproxy's own programs, add-ons and QUIC import.
# A test starts the proxy with these pins alone. They are hashed for every architecture, and all exist as wheels.
PROXY_IMAGE := plugins/mitmproxy/src/bottle_mitmproxy/image
PROXY_UNUSED := aioquic asgiref click flask ldap3 msgpack packaging passlib platformdirs pluggy publicsuffix2 pyparsing \
    pyperclip pyyaml ruamel-yaml sortedcontainers tornado urwid
PROXY_EXPORT := uv export --quiet --package bottle-mitmproxy --no-emit-workspace --no-annotate --no-header --no-hashes \
    --no-default-groups $(PROXY_UNUSED:%=--prune %)
PROXY_PINS := uv pip compile --quiet - --no-deps --python-version 3.11 --python-platform linux --generate-hashes \
    --no-annotate --no-header

# Where `make install` puts `bottle`: an environment in share, links in bin.
PREFIX ?= $(HOME)/.local

.PHONY: help install demo test check pytest test-user bench crowd corpus soak constraints clean setup-run setup-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

install: ## `bottle` for you, in ~/.local (PREFIX=... elsewhere); again after a `git pull`
	@tools/setup $(PREFIX)/share/claude-bottle user
	@mkdir -p $(PREFIX)/bin
	@ln -sf $(PREFIX)/share/claude-bottle/bin/bottle $(PREFIX)/share/claude-bottle/bin/claude-bottle $(PREFIX)/bin
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "$(PREFIX)/bin is not on your PATH: export PATH=\"$(PREFIX)/bin:\$$PATH\"" ;; esac

demo: setup-run ## a bottle at work: an allowed host, three refusals, the log, a clean teardown
	@$(IN_ENV) examples/demo/run

test: ## everything: the static part, all tests, and as root once more as a plain user from wheels
	@status=0; for leg in check pytest test-user; do $(MAKE) --no-print-directory $$leg || status=1; done; exit $$status

check: setup-dev ## the static part: ruff, pyright, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

pytest: setup-dev ## all tests as the current user; ARGS="-k name" narrows
	$(IN_ENV) $(BIN)/python -m pytest $(ARGS)

test-user: setup-dev ## as root: the tests as an unprivileged user, against built wheels
	@if [ "$$(id -u)" = 0 ]; then tools/test-as-user $(abspath $(BIN))/python $(ARGS); \
	else echo "test-user: left out, the tests ran unprivileged already"; fi

bench: setup-dev ## the benchmarks of docs/benchmarks.md, never part of the tests
	@$(IN_ENV) bench/run $(ARGS)

soak: setup-dev ## the real Claude Code, for each pair that is here a stream of six minutes and forty rounds of tools
	$(IN_ENV) $(BIN)/python -m pytest tests/agents/soak_claude.py $(ARGS)

crowd: setup-dev ## sixty bottles at once on an engine (ARGS=N: another number), and that nothing is left of them
	@$(IN_ENV) python3 bench/crowd.py $(ARGS)

corpus: setup-dev ## the corpus of docs/credentials.md through every proxy, also one that takes minutes
	@$(IN_ENV) BOTTLE_CORPUS=all $(BIN)/python -m pytest tests/matrix/test_credentials.py $(ARGS)

constraints: ## pin and hash anew what the pyproject files ask for (needs uv)
	uv lock --upgrade
	$(EXPORT) --all-extras --all-groups --output-file constraints.txt
	$(EXPORT) --all-extras --no-extra testing --no-default-groups --output-file constraints-run.txt
	$(EXPORT) --only-group build --output-file constraints-build.txt
	$(PROXY_EXPORT) | $(PROXY_PINS) --output-file $(PROXY_IMAGE)/requirements.txt

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) .work dist build .pytest_cache .ruff_cache .import_linter_cache .hypothesis uv.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-run setup-dev: setup-%:
	@tools/setup $(VENV) $*
