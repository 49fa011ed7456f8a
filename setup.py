"""The dynamic part of the build; everything else stands in pyproject.toml."""

import sys
import sysconfig

from setuptools import setup

if sys.platform != "linux":
    sys.exit(f"shardkv needs Linux (futex, eventfd, open-file locks); this is {sys.platform}.")

# The limited interface makes one wheel serve every CPython from 3.11 on; free-threaded
# interpreters do not have it.
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
setup(
    cffi_modules=["shardkv/_ffi_build.py:ffi"],
    options={} if free_threaded else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
