"""The benchmark: shardkv beside plyvel, rocksdict, py-lmdb and sqlite3 at equal durability."""
