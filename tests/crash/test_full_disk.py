"""No space: typed errors, and everything acknowledged is there at the next opening (T14, T16)."""

import contextlib
import errno
import os
import random
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from .children import Child, Children, open_request, rows_of, run_request
from .oracle import check_lives
from .plan import Plan
from .power import scaled
from .shim import Fault, settings


def check_after(
    openers: Children, store: Path, plans: list[Plan], journal: Path, story: str
) -> None:
    after = openers.ask(open_request("verify", store, plans[-1].seed))
    assert "rows" in after, f"{story}: {after}"
    try:
        check_lives(plans, journal.read_bytes(), rows_of(after))
    except AssertionError as error:
        raise type(error)(f"{story}: {error}") from None


def test_a_limit_on_file_size_gives_typed_errors_and_loses_nothing(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    limits = [0, 100, 4096, 20_000, 4_194_303, 4_194_304, 4_300_000, 6_000_000]
    for limit in [*limits, *(rng.randrange(8_000_000) for _ in range(scaled(4)))]:
        plan = Plan(rng.getrandbits(32), 30, flavour="large")
        store, journal, pipe = (
            scratch / f"{name}-{limit}" for name in ("store", "journal", "pipe")
        )
        os.mkfifo(pipe)  # the limit holds for the diary too, so it goes through a pipe
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        with Child() as child:  # of its own: the limit cannot be lifted again
            answer = child.ask(run_request(store, plan, pipe) | {"file_bytes": limit})
        assert not answer.get("untyped"), f"{plan}, limit {limit}: {answer}"
        assert "finding" not in answer, f"{plan}, limit {limit}: {answer}"
        journal.write_bytes(os.read(reader, 1 << 20))
        os.close(reader)
        check_after(
            openers, store, [plan], journal, f"{plan}, limit {limit}, errors {answer['errors']}"
        )


def test_no_space_for_a_while_loses_nothing_acked(
    shim: Path, runners: Children, openers: Children, scratch: Path, rng: random.Random
) -> None:
    def work(seed: int) -> None:
        plan, where = Plan(seed, 25, flavour="large"), scratch / str(seed)
        (where / "root").mkdir(parents=True)
        fault = Fault(
            "fail", seed % 150 + 1, sticky=True, error=errno.ENOSPC, classes="write,name,open"
        )
        request = run_request(
            where / "root" / "store", plan, where / "journal", shim=settings(where / "root", fault)
        )
        answer = runners.ask(request)
        assert "finding" not in answer, f"{plan}, {fault}: {answer}"
        assert not answer["untyped"], f"{plan}, {fault}: {answer}"
        check_after(
            openers, where / "root" / "store", [plan], where / "journal", f"{plan}, {fault}"
        )
        shutil.rmtree(where)

    openers.for_each([rng.getrandbits(32) for _ in range(scaled(20))], work)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real ext4 of 40 MiB on a loop device; skipped, loudly, where nobody may mount."""
    where = Path(tempfile.mkdtemp(prefix="shardkv-disk-"))
    image, mount = where / "image", where / "mount"
    mount.mkdir()
    image.touch()
    os.truncate(image, 40 << 20)
    try:
        if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
            raise PermissionError("needs root and loop devices")
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
        subprocess.run(
            ["mount", "-o", "loop", str(image), str(mount)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(where)
        warnings.warn(f"NOT RUN: a really full ext4: {error}", stacklevel=1)
        pytest.skip(f"NOT RUN: a really full ext4: {error}")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)
    shutil.rmtree(where)


def fill(mount: Path, leave: int) -> Path:
    """Take all but about `leave` bytes of the file system."""
    ballast = mount / "ballast"
    space = os.statvfs(mount)
    wanted = max(space.f_bavail * space.f_frsize - leave, 1)
    with ballast.open("wb") as file:
        with contextlib.suppress(
            OSError
        ):  # the file system's own blocks may leave less than it says
            os.posix_fallocate(file.fileno(), 0, wanted)
    return ballast


def test_a_really_full_disk_gives_typed_errors_and_keeps_everything_acked(
    openers: Children, small_disk: Path, scratch: Path, rng: random.Random
) -> None:
    for number in range(scaled(6)):
        seed = rng.getrandbits(32)
        plans = [Plan(seed, 10), Plan(seed, 60, flavour="large", life=1), Plan(seed, 20, life=2)]
        store, journal = small_disk / f"store-{number}", scratch / f"journal-{number}"
        first = openers.ask(run_request(store, plans[0], journal))
        leave = rng.randrange(0, 12 << 20)
        ballast = fill(small_disk, leave)
        full = openers.ask(run_request(store, plans[1], journal), 120)
        story = f"{plans[1]}, {leave} bytes left"
        assert not first["errors"], f"{story}: {first}"
        assert "finding" not in full, f"{story}: {full}"
        assert not full["untyped"], f"{story}: {full}"
        ballast.unlink()
        check_after(openers, store, plans, journal, f"{story}, errors {full['errors']}")
        last = openers.ask(run_request(store, plans[2], journal))
        assert not last["errors"], f"{story}: with space again: {last}"
        check_after(openers, store, plans, journal, f"{story}, and space again")
        shutil.rmtree(store)
