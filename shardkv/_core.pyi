"""Types of the compiled module. Pointers are opaque; csrc/include/shardkv.h is the contract."""

from typing import Any

class _Lib:
    def __getattr__(self, name: str) -> Any: ...

ffi: Any
lib: _Lib
