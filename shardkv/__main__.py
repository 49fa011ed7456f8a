"""`python -m shardkv`: the tools, when what they are made with is installed."""

from __future__ import annotations

import sys

NOT_DONE = 2


def main() -> None:
    """Run the tools."""
    try:
        from shardkv.plan_tool import plan
        from shardkv.tools import tools
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in ("click", "rich"):
            raise
        text = f"python -m shardkv needs {name}, which is not installed: pip install 'shardkv[cli]'"
        print(text, file=sys.stderr)
        sys.exit(NOT_DONE)
    tools.add_command(plan)
    tools(prog_name="python -m shardkv")


if __name__ == "__main__":
    main()
