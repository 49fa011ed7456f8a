"""How the compiled module is made: cut the contract for cffi, name the sources, choose the flags.

Build time only: setup.py runs it from the repository root and nothing in the package imports it.
SHARDKV_SANITIZE=address,undefined (or thread) in the environment adds those sanitizers.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from cffi import FFI

CONTRACT = (Path("csrc/include/shardkv.h"), Path("csrc/include/shardkv_dirs.h"))
FLAGS = Path("compile_flags.txt")
BEGIN, END = "/* cffi: begin */", "/* cffi: end */"
SANITIZERS = {"address", "undefined", "thread"}

# What cffi writes is not ours to tidy, so only our own files meet the strict warnings.
PREAMBLE = """
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "shardkv_dirs.h"
"""


def cut_contract() -> str:
    """Return the declarations of the contract that cffi reads."""
    cut = []
    for path in CONTRACT:
        header = path.read_text()
        if header.count(BEGIN) != 1 or header.count(END) != 1:
            raise SystemExit(f"{path}: expected exactly one {BEGIN} and one {END}")
        cut.append(header.split(BEGIN)[1].split(END)[0])
    return "".join(cut)


def sanitizers() -> list[str]:
    """Return the sanitizers that the environment asks for."""
    asked = [name for name in os.environ.get("SHARDKV_SANITIZE", "").split(",") if name]
    if not SANITIZERS.issuperset(asked):
        raise SystemExit(f"SHARDKV_SANITIZE={','.join(asked)}: names are {sorted(SANITIZERS)}")
    return asked


def compile_args() -> list[str]:
    """Return the compiler's arguments: the shared flags, then what this build adds."""
    args = shlex.split(FLAGS.read_text())
    if asked := sanitizers():
        sanitize = f"-fsanitize={','.join(asked)}"
        return [*args, sanitize, "-fno-omit-frame-pointer", "-fno-wrapv", "-g", "-O1", "-UNDEBUG"]
    return [*args, "-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]


def link_args() -> list[str]:
    """Return the linker's arguments."""
    if asked := sanitizers():
        return ["-pthread", f"-fsanitize={','.join(asked)}"]
    return ["-pthread", "-Wl,-z,relro,-z,now"]


ffi = FFI()
ffi.cdef(cut_contract())
ffi.set_source(
    "shardkv._core",
    PREAMBLE,
    sources=sorted(
        str(path) for path in [*Path("csrc").glob("*.c"), *Path("csrc/python").glob("*.c")]
    ),
    depends=[str(FLAGS), *sorted(str(path) for path in Path("csrc").rglob("*.h"))],
    extra_compile_args=compile_args(),
    extra_link_args=link_args(),
)
