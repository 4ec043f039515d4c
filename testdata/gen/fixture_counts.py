#!/usr/bin/env python3
"""Counts what Cassandra's own SSTableExport shows of every SSTable below a directory: `fixture_counts.py DIR > fixtures.tsv`.

One line per Data.db of a BIG format from 3.0 on: path, partitions, rows, or the word `refused` where SSTableExport of the
newest line gives up. A row is what it calls one; static blocks and range tombstones are not counted.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node import Line, Node

NAME = re.compile(r"^(m[a-e]|n[a-c]|oa)-.*-big-Data\.db$")


def count(node: Node, path: Path) -> tuple[int, int] | None:
    done = node.tool("org.apache.cassandra.tools.SSTableExport", str(path))
    try:
        partitions = json.loads(done.stdout)
    except ValueError:
        return None
    rows = sum(1 for p in partitions for r in p.get("rows", []) if r.get("type") == "row")
    return len(partitions), rows


def main() -> None:
    root = Path(sys.argv[1])
    node = Node(Line.of("5.0"), Path(sys.argv[2]))
    node.write_conf()
    paths = sorted(p for p in root.rglob("*-Data.db") if NAME.match(p.name))
    with ThreadPoolExecutor(1) as pool:
        for path, found in zip(paths, pool.map(lambda p: count(node, p), paths)):
            shown = "refused" if found is None else f"{found[0]}\t{found[1]}"
            print(f"{path.relative_to(root)}\t{shown}", flush=True)


if __name__ == "__main__":
    main()
