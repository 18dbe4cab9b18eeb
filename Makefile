# Two commands: `make demo` opens the page, `make test` checks everything.
# Each sets up all it needs: a virtual environment, the packages, and a browser for the tests.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
MAKEFLAGS += --jobs=2  # types are checked while a browser is installed

.PHONY: demo test check chromium vulkan clean

demo: .venv/demo
	$(BIN)/python app.py $(ARGS)

test: check chromium vulkan
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: .venv/test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright

.venv/bin/python:
	$(PYTHON) -m venv .venv || { apt-get update && apt-get install -y python3-venv && \
		$(PYTHON) -m venv .venv; }

.venv/demo: requirements.txt | .venv/bin/python
	$(PIP) -r requirements.txt
	@touch $@

.venv/test: requirements.txt tests/requirements.txt | .venv/bin/python
	$(PIP) -r tests/requirements.txt
	@touch $@ .venv/demo

# The browser of the system, or else the one that Playwright brings.
chromium: .venv/test
	@command -v chromium chromium-browser google-chrome > /dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; \
	then apt-get update -qq && apt-get install -y -qq chromium > /dev/null; \
	else $(BIN)/playwright install chromium; fi

# A Vulkan driver for rendering scenes: that of a GPU, or else Mesa's for the CPU.
vulkan: | chromium
	@find /usr/share/vulkan /etc/vulkan -path "*icd.d/*.json" 2> /dev/null | grep -q . || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then apt-get update -qq && \
		apt-get install -y -qq libvulkan1 mesa-vulkan-drivers > /dev/null; \
	else echo "no Vulkan driver: apt-get install libvulkan1 mesa-vulkan-drivers"; fi

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache
