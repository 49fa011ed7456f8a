"""The tree of errors: where each hangs, what it carries, that it survives a pickle."""

from __future__ import annotations

import errno
import pickle

import pytest

import shardkv
from shardkv import errors

ALL = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.Error)
]
# What a caller who knows nothing of shardkv would catch.
ALSO = {
    errors.KeyTooLongError: ValueError,
    errors.ValueTooLargeError: ValueError,
    errors.InvalidError: ValueError,
    errors.WrongTypeError: TypeError,
    errors.DiskError: OSError,
    errors.OutOfMemoryError: MemoryError,
    errors.OverloadedError: TimeoutError,
    errors.LockTimeoutError: TimeoutError,
    errors.LockOwnerError: RuntimeError,
}
BUILT_IN = (ValueError, TypeError, OSError, MemoryError, RuntimeError)


def test_every_error_is_public_and_comes_from_one_root() -> None:
    assert len(ALL) == 23
    for kind in ALL:
        assert getattr(shardkv, kind.__name__) is kind
        assert kind.__name__ in shardkv.__all__
        assert kind.__doc__


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_is_also_the_built_in_one_that_fits(kind: type[errors.Error]) -> None:
    assert [base for base in BUILT_IN if issubclass(kind, base)] == [
        base for base in BUILT_IN if issubclass(ALSO.get(kind, errors.Error), base)
    ]
    assert issubclass(kind, ALSO.get(kind, errors.Error))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_carries_its_place_also_through_a_pickle(kind: type[errors.Error]) -> None:
    made = kind("what", file="log/00000001.log", offset=512, seqno=7, sys_errno=errno.EIO)
    for error in (made, pickle.loads(pickle.dumps(made))):
        assert type(error) is kind
        assert (error.file, error.offset, error.seqno) == ("log/00000001.log", 512, 7)
        assert error.sys_errno == errno.EIO
        assert (
            not isinstance(error, OSError)
            or error.errno == errno.EIO
            or kind is not errors.DiskError
        )
        assert "what" in str(error)


def test_an_error_tells_file_and_offset_when_there_are_any() -> None:
    assert str(errors.Error("what")) == "what"
    assert str(errors.Error("what", offset=3)) == "what"
    assert str(errors.Error("what", file="MANIFEST")) == "MANIFEST: what"
    assert str(errors.Error("what", file="MANIFEST", offset=16)) == "MANIFEST at byte 16: what"
    assert str(errors.DiskError("what", file="MANIFEST", sys_errno=5)) == "MANIFEST: what"


def test_an_error_without_a_place_has_none() -> None:
    error = errors.CorruptionError("what")
    assert (error.file, error.offset, error.seqno, error.sys_errno) == ("", 0, 0, 0)


def test_a_locked_store_names_the_process_and_no_offset() -> None:
    error = errors.LockedError("open in process 41", file="LOCK", offset=41)
    assert error.pid == 41
    assert str(error) == "open in process 41"


def test_a_disk_error_has_the_errno_of_an_oserror() -> None:
    """It was None once, so that code which asked an OSError for its errno got no answer."""
    assert errors.DiskError("no space", sys_errno=errno.ENOSPC).errno == errno.ENOSPC
    assert errors.DiskError("what").errno is None
