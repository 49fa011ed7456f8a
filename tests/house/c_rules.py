"""The house rules that C text can break. Each checker is a pure function of names and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from house import c_source
from house.tree import Finding, over, places

# A file includes its own header and those of strictly lower levels; the contract is below all.
LEVELS = {
    "ground": "error memory bytes hash radix record frame format msgpack number io known",
    "world": "os sync lmdb_api",
    "the clock": "clock",
    "what parts tell": "notify helper",
    "parts": """ring segment log log_state log_pool log_sync log_scan log_find log_read log_walk
        log_retire log_copy log_cursor log_frames log_remains remnants mark manifest origin pressure admission
        shard shard_state shard_read shard_apply shard_repack shard_copy shard_pages
        acks""",
    "parts that point into the log": "run index index_state index_room index_order index_count",
    "parts made of parts": "lane",
    "what a path is handed": "parts",
    "what a path asks": "condition",
    "paths": "write_path snapshot replay_path copy_path ship_path mend_path",
    "paths that take another": "read_path scan_source keep_path batch",
    "paths that take two": "atomic_path sweep_path flush_path scan_path",
    "house": "home still remains mend store settings loops copying copying_proof increment",
    "contract": """api_read api_scan api_write api_expiry api_atomic api_changes api_stats api_notify
        api_copy api_check api_scrub api_mend api_peers api_standing""",
}
# Neighbours on one level that may know each other, as long as no circle comes of it.
FAMILIES = (
    LEVELS["ground"],
    """segment log log_state log_pool log_sync log_scan log_find log_read log_walk log_retire log_copy
        log_cursor log_frames log_remains remnants mark""",
    "shard shard_state shard_read shard_apply shard_repack shard_copy shard_pages",
    "manifest origin",
    LEVELS["parts that point into the log"],
    LEVELS["house"],
)
CONTRACT = ("shardkv", "shardkv_dirs")

ONLY_IN_HEADERS = {
    "pthread.h": "sync",
    "linux/futex.h": "sync",
    "dlfcn.h": "lmdb_api",
    "fcntl.h": "os",
    "dirent.h": "os",
    "sys/eventfd.h": "os",
    "sys/file.h": "os",
    "sys/mman.h": "os",
    "sys/random.h": "os",
    "sys/stat.h": "os",
    "sys/statvfs.h": "os",
    "unistd.h": "os sync",
    "sys/syscall.h": "os sync",
    "lmdb_api.h": "lmdb_api shard shard_state",
    "lmdb.h": "",
    "threads.h": "",
    "signal.h": "",
}
# Calls and the only parts that may make them; a name that ends in * is a beginning.
ONLY_IN_CALLS = {
    "os": """open openat openat2 creat close read pread preadv readv write pwrite pwritev pwritev2
        writev lseek fsync fdatasync sync syncfs sync_file_range msync mmap munmap mremap mprotect
        madvise posix_madvise mlock ftruncate truncate fallocate posix_fallocate posix_fadvise
        rename renameat renameat2 link linkat symlink unlink unlinkat remove mkdir mkdirat rmdir
        opendir fdopendir readdir closedir stat fstat fstatat lstat statx statfs fstatfs statvfs
        fstatvfs access faccessat fcntl ioctl flock lockf dup dup2 pipe pipe2 eventfd eventfd_read
        eventfd_write getrandom fopen fdopen freopen fclose fread fwrite fflush chmod fchmod sendfile
        copy_file_range""",
    "os sync": "syscall",
    "sync": "pthread_* sem_* nanosleep clock_nanosleep clock_gettime gettimeofday time sched_yield",
    "memory": """malloc calloc realloc reallocarray free strdup strndup aligned_alloc memalign
        posix_memalign asprintf vasprintf getline open_memstream""",
    "lmdb_api": "dlopen dlmopen dlsym dlvsym dlclose dlerror",
    "lmdb_api shard shard_read shard_apply": "mdb_* mdb09_*",
    "": """pthread_create thrd_create fork vfork system popen exit _exit _Exit abort atexit signal
        sigaction raise kill sleep usleep alarm printf vprintf fprintf vfprintf puts putchar perror
        fputs sprintf vsprintf strcpy strcat strncpy strncat stpcpy gets strtok alloca rand srand
        random atoi atol atof setjmp longjmp getenv setenv setlocale""",
}

FUNCTION_LINES, TEST_FUNCTION_LINES, PARAMETERS = 60, 40, 5
FILE_LINES, HEADER_LINES, CONTRACT_LINES = 400, 130, 400

BANNED_WORDS = {
    "wal": "log",
    "journal": "log",
    "partition": "shard",
    "partitions": "shards",
    "replica": "peer",
    "replicas": "peers",
    "follower": "peer",
    "lsn": "seqno",
    "txid": "seqno",
}


def _part(name: str) -> str:
    return PurePath(name).stem


def _level(part: str) -> int:
    for number, parts in enumerate(LEVELS.values()):
        if part in parts.split():
            return number
    return -1


def _may_include(part: str, other: str) -> bool:
    if other == part or other in CONTRACT:
        return True
    family = any(part in family.split() and other in family.split() for family in FAMILIES)
    return family or 0 <= _level(other) < _level(part)


def include_law(name: str, text: str) -> list[Finding]:
    """Includes point down; the doors to kernel, threads, loader and LMDB are one file each."""
    part = _part(name)
    wrong = [] if part in CONTRACT or _level(part) >= 0 else [f"{part} stands in no level"]
    for system, header in c_source.includes(text):
        only = ONLY_IN_HEADERS.get(header)
        if only is not None and part not in only.split():
            wrong.append(f"{header} belongs to {only or 'nobody'}")
        elif not system and not _may_include(part, _part(header)):
            wrong.append(f"{header} is not below {part}")
    return places("include-law", name, wrong)


def include_circles(headers: Mapping[str, str]) -> list[Finding]:
    """No header reaches itself."""
    graph = {
        _part(name): {_part(other) for system, other in c_source.includes(text) if not system}
        for name, text in headers.items()
    }
    return [
        Finding("include-circle", part, 1, "reaches itself through its includes")
        for part in sorted(graph)
        if part in reachable(graph, part)
    ]


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return all that can be reached from a node in one or more steps."""
    seen: set[str] = set()
    ahead = set(graph.get(start, ()))
    while ahead:
        node = ahead.pop()
        if node not in seen:
            seen.add(node)
            ahead |= graph.get(node, set())
    return seen


def levels_without_file(names: list[str]) -> list[Finding]:
    """Every name in the table of levels stands for a file."""
    there = {_part(name) for name in names}
    named = " ".join(LEVELS.values()).split()
    return [Finding("level-table", part, 1, "no such file") for part in named if part not in there]


def readable(name: str, text: str) -> list[Finding]:
    """Braces pair, whichever branch of a conditional is taken."""
    try:
        c_source.functions(text)
    except ValueError as problem:
        return [Finding("c-readable", name, 1, str(problem))]
    return []


def file_budget(name: str, text: str) -> list[Finding]:
    """Files stay small."""
    most = FILE_LINES
    if name.endswith(".h"):
        most = CONTRACT_LINES if _part(name) in CONTRACT else HEADER_LINES
    return over("c-file-lines", name, len(text.splitlines()), most, "lines")


def _given(parameters: tuple[str, ...]) -> int:
    """Return how many things a function is given: a buffer and its length are one, err none."""
    names = [re.sub(r"\[.*", "", p).split()[-1].lstrip("*") for p in parameters]
    lengths = {f"{name}_bytes" for name in names}
    return sum(
        "skv_error *" not in p and "skv_io *" not in p and p != "..." and name not in lengths
        for p, name in zip(parameters, names, strict=True)
    )


def function_budget(name: str, text: str) -> list[Finding]:
    """Functions and their lists of parameters stay small."""
    found: list[Finding] = []
    for function in c_source.functions(text):
        subject = f"{name}:{function.name}"
        found += over("c-function-lines", subject, function.lines, FUNCTION_LINES, "lines")
        found += over(
            "c-parameters", subject, _given(function.parameters), PARAMETERS, "before err"
        )
    return found


def test_function_budget(name: str, text: str) -> list[Finding]:
    """A function of a C test holds one behaviour."""
    found: list[Finding] = []
    for function in c_source.functions(text):
        subject = f"{name}:{function.name}"
        found += over("c-test-lines", subject, function.lines, TEST_FUNCTION_LINES, "lines")
    return found


def calls(name: str, text: str) -> list[Finding]:
    """A call that belongs to one part is made there and nowhere else."""
    owners = {call: only for only, names in ONLY_IN_CALLS.items() for call in names.split()}
    beginnings = {call[:-1]: only for call, only in owners.items() if call.endswith("*")}
    wrong = []
    for line, call in c_source.calls(text):
        only = owners.get(call)
        if only is None:
            only = next((o for start, o in beginnings.items() if call.startswith(start)), None)
        if only is not None and _part(name) not in only.split():
            wrong.append(f"line {line}: {call} belongs to {only or 'nobody'}")
    return places("c-call", name, wrong)


def header_names(name: str, text: str) -> list[Finding]:
    """What a header defines for others wears the prefix: SKV_ for macros, skv_ for tags."""
    macros = [macro for macro in c_source.macros(text) if not macro.startswith("SKV_")]
    tags = re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", c_source.code(text))
    wrong = [f"macro {macro}" for macro in macros if macro != "SHARDKV_H"]
    wrong += [f"tag {tag}" for tag in tags if not tag.startswith("skv_")]
    return places("c-prefix", name, wrong)


def words(name: str, names: set[str]) -> list[Finding]:
    """One word per thing: the banned synonyms name nothing."""
    wrong = []
    for identifier in sorted(names):
        parts = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", identifier).lower().split("_")
        wrong += [f"{identifier}: say {BANNED_WORDS[p]}" for p in parts if p in BANNED_WORDS]
    return places("word", name, wrong)


def header_words(name: str, text: str) -> list[Finding]:
    """The banned synonyms do not stand in a header, nor in a file's name."""
    return words(name, c_source.identifiers(text) | {_part(name)})


def defined_twice(texts: Mapping[str, str]) -> list[Finding]:
    """A macro of ours is defined in one file only: one description of each fact."""
    homes: dict[str, set[str]] = {}
    for name, text in texts.items():
        for macro in c_source.macros(text):
            if macro.startswith("SKV_"):
                homes.setdefault(macro, set()).add(name)
    return [
        Finding("defined-twice", macro, len(files), " and ".join(sorted(files)))
        for macro, files in sorted(homes.items())
        if len(files) > 1
    ]


def check_file(name: str, text: str) -> Iterator[Finding]:
    """Yield what one file of csrc breaks."""
    yield from include_law(name, text)
    yield from file_budget(name, text)
    unreadable = readable(name, text)
    yield from unreadable or function_budget(name, text)
    yield from calls(name, text)
    if name.endswith(".h"):
        yield from header_names(name, text)
        yield from header_words(name, text)
