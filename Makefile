# Everything sets itself up on a fresh Debian machine: `make demo` and `make test` need only make, the
# network and, where Debian packages are missing, root or sudo.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench screenshots lock clean

demo: .venv/ready
	$(BIN)/lmwatch demo $(DEMO_FLAGS)

# Integration tests wait for other programs most of the time, so more of them run at once.
test: .venv/ready .venv/tools
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not integration"
	$(BIN)/pytest -n 3 --dist loadfile -m integration --durations 15

check: lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not integration"

bench: .venv/ready
	$(BIN)/python -m bench

# The pictures in docs/, taken from the running demo; a few minutes.
screenshots: .venv/ready .venv/tools
	$(BIN)/python tools/screenshots.py

.PHONY: lint
lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The virtual environment, from the lock files alone.
.venv/ready: requirements.lock requirements-model.lock pyproject.toml
	tools/setup-python $(PYTHON)
	@touch $@

# Prometheus, Alertmanager, vmalert, a browser and more, where the machine has none.
# After the environment, which makes the folder; two at once would wait for the same lock of apt.
.venv/tools: tools/setup-debian | .venv/ready
	tools/setup-debian
	@touch $@

# Needs uv; writes hashes and no address of a package index.
lock:
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock

clean:
	rm -rf .venv
