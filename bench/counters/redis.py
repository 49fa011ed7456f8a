"""A Redis server of our own, with `appendfsync always`, over a unix socket."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis
import redis.asyncio

from bench.counters import KEY, Counter, Increment
from bench.loops import Caller

START_SECONDS = 30.0
LOOK_SECONDS = 0.01
CONNECTIONS = 128
#: Synced before it answers, nothing else on disk, no network: with port 0 it listens on the socket alone.
OPTIONS = {
    "--port": "0",
    "--appendonly": "yes",
    "--appendfsync": "always",
    "--no-appendfsync-on-rewrite": "no",
    "--auto-aof-rewrite-percentage": "0",
    "--save": "",
}


class RedisCounter(Counter):
    """INCRBY through redis-py with hiredis. The server syncs once for all that it read in one pass."""

    name = "redis"
    settings = (
        "appendfsync always; no snapshots; unix socket; hiredis; "
        f"on a loop: redis.asyncio with {CONNECTIONS} connections"
    )

    program = "redis-server"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # A socket's name may have 108 bytes; the scratch directory may be longer.
        self._short = tempfile.TemporaryDirectory(prefix="skv-redis-")
        self._socket = f"{self._short.name}/s"
        options = {**OPTIONS, "--dir": str(path), "--unixsocket": self._socket}
        self._server = subprocess.Popen(
            [self.program, *itertools.chain(*options.items())], stdout=subprocess.DEVNULL
        )
        self._client = redis.Redis(unix_socket_path=self._socket)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._client.ping()
            except redis.ConnectionError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return

    def caller(self) -> Caller:
        client = redis.Redis(unix_socket_path=self._socket)
        return Caller(client.incr, client.close)

    @asynccontextmanager
    async def on_loop(self) -> AsyncIterator[Increment]:
        pool = redis.asyncio.BlockingConnectionPool(
            max_connections=CONNECTIONS,
            timeout=None,
            connection_class=redis.asyncio.UnixDomainSocketConnection,
            path=self._socket,
        )
        client = redis.asyncio.Redis.from_pool(pool)
        try:
            await asyncio.gather(*(client.ping() for _ in range(CONNECTIONS)))  # all are made now
            yield client.incr
        finally:
            await client.aclose()

    def count(self) -> int:
        return int(self._client.get(KEY) or 0)

    def close(self) -> None:
        self._client.close()
        self._server.terminate()
        self._server.wait()
        self._short.cleanup()
