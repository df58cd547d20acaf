# `make serve` and `make test` need Python 3.11 or later and a C compiler, and write
# nothing outside this folder. Every other task is a session of nox: .venv/bin/nox -l

PYTHON ?= python3
export XDG_CACHE_HOME := $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Not those of an environment that happens to be active.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: serve test

serve: .venv/installed
	@exec .venv/bin/nox -s serve

test: .venv/installed
	@.venv/bin/nox -s tests docs

.venv/installed: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Roll needs Python 3.11 or later: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet 'nox[uv]>=2025.5'
	@touch $@
