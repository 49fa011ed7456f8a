"""shardkv for asyncio: the names of the synchronous store, awaitable.

>>> import shardkv.aio
>>> async def main():  # doctest: +SKIP
...     async with shardkv.aio.open("/tmp/example.skv") as store:
...         await store.put(b"key", b"value")  # on disk when this line is done
...         return await store.get(b"key")

No thread and no executor for an operation: what a task waits for is announced through one descriptor that the event
loop watches, and all tasks whose writes have become durable are resumed in one pass.
"""

from shardkv.aio.batch import Batch
from shardkv.aio.changes import Watch
from shardkv.aio.leases import Lease
from shardkv.aio.namespace import Namespace
from shardkv.aio.opening import open
from shardkv.aio.snapshot import Snapshot
from shardkv.aio.store import Store
from shardkv.aio.ticket import Ticket
from shardkv.aio.transaction import Transaction

__all__ = [
    "Batch",
    "Lease",
    "Namespace",
    "Snapshot",
    "Store",
    "Ticket",
    "Transaction",
    "Watch",
    "open",
]
