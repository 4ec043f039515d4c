#!/usr/bin/env python3
"""Counts what Cassandra's SSTableExport shows of every SSTable below a directory: `fixture_counts.py DIR > fixtures.tsv`.

One line per Data.db of a BIG format from 3.0 on: path, partitions, rows; or `refused` where SSTableExport gives up. A row is
what it calls one; static blocks and range tombstones are not counted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from node import LINES, Node

NAME = re.compile(r"^(m[a-e]|n[a-c]|oa)-.*-big-Data\.db$")


def count(command: list[str], path: Path) -> str:
    """Partitions and rows of one SSTable as a tab-separated text."""
    done = subprocess.run([*command, "org.apache.cassandra.tools.SSTableExport", str(path)], capture_output=True, text=True)
    try:
        partitions = json.loads(done.stdout)
    except ValueError:
        return "refused"
    rows = sum(1 for partition in partitions for row in partition.get("rows", []) if row.get("type") == "row")
    return f"{len(partitions)}\t{rows}"


def main() -> None:
    root = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="gen-") as scratch:
        command = Node(LINES["5.0"], Path(scratch)).tool_command()
        for path in sorted(p for p in root.rglob("*-Data.db") if NAME.match(p.name)):
            print(f"{path.relative_to(root)}\t{count(command, path)}", flush=True)


if __name__ == "__main__":
    main()
