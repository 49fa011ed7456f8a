"""Every rule is seen to fail on a bad sample and to accept a good one."""

from __future__ import annotations

import pytest
from house import c_rules, c_source, format_rules, python_rules, symbol_rules
from house.tree import RULES, Allowance, Finding, judge, parse_exceptions


def _function(lines: int, head: str = "static int long_one(void)") -> str:
    return f"{head}\n{{\n" + "    step();\n" * (lines - 3) + "}\n"


def _python(lines: int) -> str:
    return 'def long_one():\n    """Say it."""\n' + "    step()\n" * (lines - 1)


MARK = "FIX" + "ME"
BEGIN, END = format_rules.CONTRACT_MARKS

BAD = [
    ("include-law", c_rules.include_law("csrc/hash.c", '#include "os.h"')),
    ("include-law", c_rules.include_law("csrc/flush_path.c", '#include "store.h"')),
    ("include-law", c_rules.include_law("csrc/read_path.c", '#include "scan_path.h"')),
    ("include-law", c_rules.include_law("csrc/manifest.h", '#include "ring.h"')),
    ("include-law", c_rules.include_law("csrc/log.c", "#include <pthread.h>")),
    ("include-law", c_rules.include_law("csrc/store.c", '#include "lmdb_api.h"')),
    ("include-law", c_rules.include_law("csrc/util.c", "")),
    (
        "include-circle",
        c_rules.include_circles({"csrc/a.h": '#include "b.h"', "csrc/b.h": '#include "a.h"'}),
    ),
    ("level-table", c_rules.levels_without_file(["csrc/hash.c"])),
    (
        "import-circle",
        python_rules.import_circles(
            {"shardkv/a.py": "from . import b", "shardkv/b.py": "import shardkv.a"}
        ),
    ),
    ("core-import", python_rules.core_only_in_native("shardkv/store.py", "from . import _core")),
    ("core-import", python_rules.core_only_in_native("bench/a.py", "import shardkv._core")),
    ("core-import", python_rules.core_only_in_native("shardkv/a.py", "f('shardkv._core')")),
    ("c-file-lines", c_rules.file_budget("csrc/log.c", "\n" * 401)),
    ("c-file-lines", c_rules.file_budget("csrc/log.h", "\n" * 131)),
    ("c-file-lines", c_rules.file_budget("csrc/include/shardkv.h", "\n" * 401)),
    ("c-function-lines", c_rules.function_budget("csrc/log.c", _function(61))),
    ("c-test-lines", c_rules.test_function_budget("tests/c/test_log.c", _function(41))),
    (
        "c-parameters",
        c_rules.function_budget(
            "csrc/log.c",
            "int f(int a, int b, int (*c)(int, int), int d, int e, int f, skv_error *err) { }",
        ),
    ),
    ("c-readable", c_rules.readable("csrc/log.c", "int f(void)\n{\n")),
    ("c-readable", c_rules.readable("csrc/log.c", "int f(void)\n}\n")),
    ("c-call", c_rules.calls("csrc/log.c", "if (fsync (fd))")),
    ("c-call", c_rules.calls("csrc/log.c", "x = malloc(8);")),
    ("c-call", c_rules.calls("csrc/log.c", "pthread_mutex_lock(&m);")),
    ("c-call", c_rules.calls("csrc/read_path.c", "mdb_get(t, d, &k, &v);")),
    ("c-call", c_rules.calls("csrc/sync.c", "pthread_create(&t, NULL, run, NULL);")),
    ("c-call", c_rules.calls("csrc/error.c", "sprintf(text, x);")),
    ("c-prefix", c_rules.header_names("csrc/log.h", "#define LOG_BYTES 4")),
    ("c-prefix", c_rules.header_names("csrc/log.h", "struct log { int fd; };")),
    ("c-prefix", symbol_rules.prefix("csrc/log.c", "0000 T log_open\n")),
    ("global", symbol_rules.no_globals("csrc/log.c", "0000 b counter.0\n")),
    ("global", symbol_rules.no_globals("csrc/log.c", "0000 D skv_table\n")),
    ("export", symbol_rules.exports("_core.so", "0 T PyInit__core\n0 T skv_open\n")),
    ("export", symbol_rules.exports("_core.so", "")),
    ("python-function-lines", python_rules.function_budget("shardkv/store.py", _python(41))),
    ("python-file-lines", python_rules.file_budget("shardkv/store.py", "\n" * 251)),
    ("broad-except", python_rules.broad_except("a.py", "try: f()\nexcept: pass")),
    ("broad-except", python_rules.broad_except("a.py", "try: f()\nexcept Exception: pass")),
    (
        "broad-except",
        python_rules.broad_except("a.py", "try: f()\nexcept (OSError, b.BaseException): pass"),
    ),
    ("module-state", python_rules.module_state("a.py", "def f():\n    global x\n    x = 1")),
    ("bytes-in-python", python_rules.bytes_only_in_c("a.py", "from struct import unpack")),
    ("word", c_rules.header_words("csrc/log.h", "int skv_wal_open(void);")),
    ("word", python_rules.python_words("a.py", "class ReplicaSet: pass")),
    ("word", python_rules.python_words("a.py", "self.last_lsn = 1")),
    ("test-sleep", python_rules.sleeps("tests/a.py", "time.sleep(1)")),
    ("test-sleep", python_rules.sleeps("tests/a.py", "sleep(1)")),
    ("test-sleep", python_rules.sleeps("tests/c/test_log.c", "usleep(10);")),
    ("leftover", python_rules.leftovers("csrc/log.c", f"/* {MARK} later */")),
    (
        "defined-twice",
        c_rules.defined_twice({"a.h": "#define SKV_A 1", "b.h": "#  define SKV_A 1"}),
    ),
    ("format-told-twice", format_rules.field_tables("README.md", "| offset | bytes | name |")),
    ("format-untold", format_rules.format_is_told("# Format\n")),
    (
        "contract-told-twice",
        format_rules.one_contract("shardkv/a.py", 'cdef("int skv_open(const char *path);")'),
    ),
    ("contract-marks", format_rules.contract_marks("shardkv.h", f"{END} {BEGIN}")),
    ("contract-marks", format_rules.contract_marks("shardkv.h", f"{BEGIN} {BEGIN} {END}")),
]

GOOD = [
    c_rules.include_law("csrc/shard.c", '#include "lmdb_api.h"\n#include "include/shardkv.h"'),
    c_rules.include_law("csrc/log.c", '#include "mark.h"\n/* #include "store.h" */'),
    c_rules.include_circles({"a.h": '#include "b.h"', "b.h": "", "c.h": '#include "b.h"'}),
    c_rules.file_budget("csrc/log.c", "\n" * 400),
    c_rules.function_budget("csrc/log.c", _function(60)),
    c_rules.function_budget(
        "csrc/log.c", "int f(int a, b c, d *e, g h[2], i j, skv_error *err) {}"
    ),
    c_rules.calls("csrc/log.c", 'os->fsync(fd); skv_os_open(p); /* malloc(1) */ say("free(x)");'),
    c_rules.calls("csrc/os.c", "fdatasync(fd);"),
    c_rules.header_names("csrc/log.h", "#define SKV_A 1\nstruct skv_log { int fd; };"),
    c_rules.header_words("csrc/log.h", "/* a journal */ int skv_walk(int bucket);"),
    symbol_rules.no_globals("csrc/log.c", "0000 r names\n0000 t step\n0000 T skv_open\n"),
    symbol_rules.exports("_core.so", "0000 T PyInit__calls\n0000 T PyInit__core\n"),
    python_rules.function_budget("shardkv/store.py", _python(40)),
    python_rules.core_only_in_native("shardkv/_native.py", "from shardkv._core import lib"),
    python_rules.broad_except("a.py", "try: f()\nexcept (OSError, errors.Error): pass"),
    python_rules.import_circles(
        {
            "shardkv/a.py": "if typing.TYPE_CHECKING:\n    from . import b",
            "shardkv/b.py": "from .a import x",
        }
    ),
    python_rules.python_words("a.py", "head = text.partition(':')"),
    python_rules.sleeps("tests/a.py", "event.wait(1)"),
    python_rules.sleeps("tests/a.py", "await asyncio.sleep(0)"),
    format_rules.field_tables("csrc/FORMAT.md", "| offset | bytes | name |"),
    format_rules.contract_marks("shardkv.h", f"{BEGIN}\nint a;\n{END}"),
]


@pytest.mark.parametrize(("rule", "found"), BAD)
def test_rule_finds_the_bad_sample(rule: str, found: list[Finding]) -> None:
    assert [finding.rule for finding in found][:1] == [rule]


@pytest.mark.parametrize("found", GOOD)
def test_rule_accepts_the_good_sample(found: list[Finding]) -> None:
    assert found == []


def test_every_rule_has_a_bad_sample() -> None:
    assert {rule for rule, _ in BAD} == set(RULES)


def test_functions_are_found_with_length_and_parameters() -> None:
    text = """
    #define SKV_X(f) f(
    struct skv_a { int b; };
    static const int table[] = { 1, 2 };
    static const char *name(int a, void (*visit)(int, int)) __attribute__((nonnull(1)))
    {
        return "}{"; /* } */
    }
    int skv_b(void) { if (1) { } return '{'; }
    """
    found = c_source.functions(text)
    assert [(f.name, f.lines, len(f.parameters)) for f in found] == [
        ("name", 4, 2),
        ("skv_b", 1, 0),
    ]


def test_an_exception_covers_its_finding_and_no_more() -> None:
    finding = Finding("c-function-lines", "csrc/log.c:f", 70, "at most 60 lines")
    assert judge([finding], []) == [str(finding)]
    assert judge([finding], [Allowance(finding.rule, finding.subject, 70, "why")]) == []
    assert judge([finding], [Allowance(finding.rule, finding.subject, 69, "why")]) != []


def test_an_exception_that_is_too_wide_or_idle_fails() -> None:
    finding = Finding("c-function-lines", "csrc/log.c:f", 70, "at most 60 lines")
    assert (
        "lower it to 70" in judge([finding], [Allowance(finding.rule, finding.subject, 71, "")])[0]
    )
    assert "take the line out" in judge([], [Allowance(finding.rule, finding.subject, 70, "")])[0]


def test_an_exception_needs_rule_subject_size_and_reason() -> None:
    good = "# why\n\ntest-sleep tests/a.py 1 the clock is what it tests\n"
    assert parse_exceptions(good) == [
        Allowance("test-sleep", "tests/a.py", 1, "the clock is what it tests")
    ]
    for bad in ("test-sleep tests/a.py 1", "no-rule tests/a.py 1 why", "test-sleep a.py one why"):
        with pytest.raises(ValueError, match="want `rule subject size reason`"):
            parse_exceptions(bad)
