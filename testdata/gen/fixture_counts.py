#!/usr/bin/env python3
"""Counts what Cassandra's SSTableExport shows of every SSTable below a directory: `fixture_counts.py DIR > fixtures.tsv`.

One line per Data.db of a BIG or BTI format: path, partitions, rows; or `refused` where SSTableExport gives up. A row is what it calls
one; static blocks and range tombstones are not counted. What it refuses is told on standard error, with its words. It reads
nothing of 2.x: the lines of those files are taken over from the fixtures.tsv that is there (`--keep FILE`).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from node import HERE, LINES, Node

NAME = re.compile(r"^((m[a-e]|n[a-c]|oa)-.*-big|da-.*-bti)-Data\.db$")
LEGACY_NAME = re.compile(r"(^|-)(ic|jb|ka|la|lb)-\d+-.*Data\.db$")
LINE = LINES["5.0"]
# What SSTableExport refuses and the README of the fixtures tells.
FROM_README = {
    f"legacy-sstables/na/legacy_tables/legacy_na_{name}_compact/na-1-big-Data.db": (5, rows)
    for name, rows in (("clust", 250), ("clust_counter", 250), ("simple", 0), ("simple_counter", 0))
}
HEADER = f"""\
# Every SSTable of the shared fixtures: path, partitions, rows, from 3.0 on as SSTableExport of {LINE.version} counts them.
# The four na files with _compact in their names SSTableExport refuses (they were written before 4.0 was released, without the
# transient flag); their numbers are those that the fixtures' README gives. `refused` is followed by words of our error.
# SSTableExport reads nothing of 2.x: the numbers of jb, ka, la and lb are those of the fixtures' README, of Cassandra's own tests
# of them (LegacySSTableTest), or counted from the names of their cells.
"""


def count(command: list[str], path: Path) -> tuple[int, int] | None:
    """Partitions and rows of one SSTable; none if SSTableExport gives up."""
    done = subprocess.run([*command, "org.apache.cassandra.tools.SSTableExport", str(path)], capture_output=True, text=True)
    try:
        partitions = json.loads(done.stdout)
    except ValueError:
        print(f"refused: {path}: {done.stderr.strip().splitlines()[:1]}", file=sys.stderr)
        return None
    rows = sum(1 for partition in partitions for row in partition.get("rows", []) if row.get("type") == "row")
    return len(partitions), rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keep", type=Path, metavar="FILE", default=HERE.parent / "fixtures.tsv")
    arguments = parser.parse_args()
    root: Path = arguments.directory
    kept = {line.split("\t")[0]: line for line in arguments.keep.read_text().splitlines()}
    sys.stdout.write(HEADER)
    with tempfile.TemporaryDirectory(prefix="gen-") as scratch:
        command = Node(LINE, Path(scratch)).tool_command()
        for path in sorted(p for p in root.rglob("*-Data.db") if NAME.match(p.name) or LEGACY_NAME.search(p.name)):
            name = str(path.relative_to(root))
            if LEGACY_NAME.search(path.name):
                print(kept[name], flush=True)
                continue
            found = count(command, path) or FROM_README.get(name)
            print(f"{name}\t" + (f"{found[0]}\t{found[1]}" if found else "refused"), flush=True)


if __name__ == "__main__":
    main()
