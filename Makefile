# Each target does all its own set-up: the virtual environment, what it needs, the extension.
#   make demo | test | test-slow | test-asan | test-tsan | lint | fmt | bench | bench-full | clean
# Needs Linux, Python 3.11 or newer with its headers and venv, and a C compiler.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(VENV)/bin/pytest
# Tests wait for the disk and for each other more than they compute.
PARALLEL := -n 3 --dist loadfile
JOBS := $(shell nproc)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

C_FILES := $(sort $(wildcard csrc/*.c))
DOORS := $(wildcard csrc/python/*.c)
EXTENSION_INPUTS := $(C_FILES) $(DOORS) $(wildcard csrc/*.h csrc/include/*.h csrc/python/*.h) compile_flags.txt setup.py shardkv/_ffi_build.py

.PHONY: demo test test-slow test-asan test-tsan lint fmt bench bench-full clean
.DELETE_ON_ERROR:

demo: $(VENV)/.has-demo
	$(PY) bench/demo.py

test: lint
	$(PYTEST) $(PARALLEL) tests

test-slow: $(VENV)/.has-test
	$(PYTEST) tests -m slow

lint: $(VENV)/.has-test
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy
	@$(MAKE) --no-print-directory -j$(JOBS) $(C_FILES:csrc/%.c=build/lint/%.o) $(DOORS:csrc/%.c=build/lint/%.o)

fmt: $(VENV)/.has-test
	$(VENV)/bin/ruff check --quiet --fix .
	$(VENV)/bin/ruff format .

# BENCH="--rows 1,2 --quick" measures something else; the last line times single operations.
BENCH ?= micro sustained --set seconds=0.8
bench: $(VENV)/.has-bench
	$(PY) -m bench $(BENCH)
	$(PY) -m bench report build/bench/result.json
	$(PYTEST) bench --benchmark-only --benchmark-max-time 0.3 -o timeout=0

# Every suite at its full size, for hours.
bench-full: $(VENV)/.has-bench
	$(PY) -m bench all --full --output build/bench/full.json
	$(PY) -m bench report build/bench/full.json

clean:
	rm -rf $(VENV) build dist *.egg-info shardkv/*.so .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Our C alone, every warning an error.
build/lint/%.o: csrc/%.c compile_flags.txt
	@mkdir -p $(@D)
	$(CC) @compile_flags.txt -Werror -O2 $(C_INCLUDES) -MMD -MP -c $< -o $@
# What meets Python's own headers.
$(DOORS:csrc/%.c=build/lint/%.o): C_INCLUDES = $(shell $(PY) -c "import sysconfig; print('-isystem', sysconfig.get_path('include'))")
-include $(wildcard build/lint/*.d build/lint/python/*.d)

# --- sanitizers: a second build of the package in build/, found before the installed one -----------

SANITIZE_asan := address,undefined
SANITIZE_tsan := thread
# The interpreter is not instrumented, so the runtime has to be there before it starts.
RUN_asan = LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
  ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
RUN_tsan = LD_PRELOAD="$$($(CC) -print-file-name=libtsan.so)" \
  TSAN_OPTIONS=halt_on_error=1:exitcode=66:ignore_noninstrumented_modules=1 setarch -R
# --capture=sys leaves the report of a sanitizer on the terminal.
# Python tests that are worth a sanitizer's time; SANITIZED="..." names others.
SANITIZED ?= $(wildcard tests/unit tests/format tests/property tests/model tests/stress tests/aio tests/history tests/peers)

# A thread that a forked child of threads starts is beyond what the thread sanitizer follows.
LEFT_OUT_tsan = --deselect tests/stress/test_fork.py \
  --deselect tests/aio/test_loops.py::test_a_forked_child_is_told_at_every_call_and_the_parent_goes_on

test-asan test-tsan: test-%: build/%/.built
	$(PYTEST) tests/c
	env PYTHONPATH=$(CURDIR)/build/$*/lib SHARDKV_HISTORY_SCALE=0.2 $(RUN_$*) $(PYTEST) $(PARALLEL) -o pythonpath="build/$*/lib . tests" \
	  --capture=sys --timeout 900 -m "not slow and not unsanitized" $(LEFT_OUT_$*) $(SANITIZED)

build/%/.built: $(EXTENSION_INPUTS) $(wildcard shardkv/*.py) | $(VENV)/.has-test
	@rm -rf build/$*/lib
	SHARDKV_SANITIZE=$(SANITIZE_$*) $(PY) setup.py --quiet build --build-base build/$* --build-lib build/$*/lib
	@touch $@

# --- set-up: environment, run-time requirements, the extension, then what one target wants ---------

define CHECK_PYTHON
import os, sys, sysconfig
need = "On Debian: apt-get install python3-venv python3-dev gcc"
if sys.version_info < (3, 11):
    sys.exit(f"shardkv needs Python 3.11 or newer; {sys.executable} is older. Name another: make PYTHON=...")
try:
    import ensurepip, venv
except ImportError:
    sys.exit(f"{sys.executable} cannot make virtual environments. {need}")
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit(f"{sys.executable} has no C headers (Python.h). {need}")
endef
export CHECK_PYTHON

# What pyproject.toml asks for: to build, to run, and for one extra.
define REQUIREMENTS
import sys, tomllib
told = tomllib.load(open("pyproject.toml", "rb"))
project = told["project"]
print(*told["build-system"]["requires"], *project["dependencies"], sep="\n")
print(*project["optional-dependencies"].get(sys.argv[1], []), sep="\n")
endef
export REQUIREMENTS
INSTALL = $(PY) -c "$$REQUIREMENTS" $(1) > $(VENV)/needs-$(1).txt && $(PY) -m pip install --quiet -r $(VENV)/needs-$(1).txt

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). On Debian: apt-get install python3-venv python3-dev gcc"; exit 1; }
	@command -v $(CC) >/dev/null || { echo "There is no C compiler ($(CC)). On Debian: apt-get install gcc"; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.has-run: pyproject.toml | $(PY)
	@echo "installing what shardkv needs into $(VENV)"
	@$(call INSTALL,run)
	@touch $@

# Installing in place builds the extension; when only C changed, only the extension is built again.
$(VENV)/.built: $(EXTENSION_INPUTS) $(VENV)/.has-run
	@echo "building the extension"
	@if [ $(VENV)/.installed -nt $(VENV)/.has-run ]; then \
	  $(PY) setup.py --quiet build_ext --inplace; \
	else \
	  $(PY) -m pip install --quiet --no-build-isolation --no-deps -e . && touch $(VENV)/.installed; \
	fi
	@touch $@

$(VENV)/.has-%: pyproject.toml | $(VENV)/.built
	@echo "installing what 'make' targets of '$*' need into $(VENV)"
	@$(call INSTALL,$*)
	@touch $@
