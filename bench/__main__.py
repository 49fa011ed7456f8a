"""`python -m bench [SUITE ...]`: measure the rows of the suites against the peers.

`python -m bench COMMAND ...` runs what else the benchmark does; see COMMANDS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from bench import compare, figures
from bench.options import run_options
from bench.page import command
from bench.run import measure
from bench.ycsb import command as ycsb

#: First word of the command line -> what it runs with the words after it; returns the exit status.
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "report": command.main,
    "compare": compare.main,
    "figures": figures.main,
    "ycsb": ycsb.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, or the suites; return the exit status."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    if words and words[0] in COMMANDS:
        return COMMANDS[words[0]](words[1:])
    return measure(run_options(words, COMMANDS))


if __name__ == "__main__":
    sys.exit(main())
