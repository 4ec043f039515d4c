#!/usr/bin/env python3
"""Measures `cassport extract` in every profile and compression on the same table.

  profiles.py [--line 4.1] [--rows N] [--binary FILE] [--scratch DIR] [--keep DIR]

The table is that of formats.py (13 columns, a set and a map among them), from a real node. One thread; source and files in memory
(--scratch, default /dev/shm): compression and the writing of files are counted, a disk is not. Of seven turns through all of them the
one with the least CPU counts for each. MB are millions of bytes of uncompressed Data.db. The last column is CPU beside what profile
jsonl takes. Needs what formats.py needs, and nothing with a table in --keep.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from formats import make
from run import Failed, measured, note, release_binary, warm

REPETITIONS = 7
REFERENCE = ("jsonl", "none")
RUNS = (
    ("dms", "none"), ("csv", "none"), ("csv", "zstd"), ("csv", "gzip"), ("cqlsh", "none"), ("datalake", "none"), ("datalake", "gzip"),
    ("jsonl", "none"), ("jsonl", "zstd"), ("jsonl", "gzip"), ("ddb-json", "none"), ("ddb-json", "zstd"), ("ddb-json", "gzip"),
    ("parquet", "none"), ("parquet", "snappy"), ("parquet", "zstd"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", default="4.1")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--binary", type=Path, help="default: built from here")
    parser.add_argument("--scratch", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where formats.py keeps its tables")
    arguments = parser.parse_args()
    binary = (arguments.binary or release_binary()).resolve()
    with tempfile.TemporaryDirectory(prefix="cassport-profiles-", dir=arguments.scratch) as name:
        scratch = Path(name)
        table = (arguments.keep or scratch / "tables") / arguments.line
        if not table.is_dir():
            make(arguments.line, arguments.rows, table, scratch)
        output = scratch / "out"

        def extract(profile: str, compression: str) -> float:
            command = [binary, "extract", "--data-dir", table, "-t", "bench.orders", "--output", output, "--profile", profile,
                       "--compression", compression, "--threads", "1", "-q"]
            return measured(command, scratch / "log").cpu

        written: dict[tuple[str, str], int] = {}
        least: dict[tuple[str, str], float] = {}
        rows, source = 0, 0
        for _ in range(arguments.repetitions):
            # By turns, so that what the machine does meanwhile meets all alike.
            for run in RUNS:
                warm(table)
                cost = extract(*run)
                least[run] = min(least.get(run, cost), cost)
                agent = output / "_cassport/agents/000"
                (found,) = json.loads((agent / "manifest.json").read_text())["tables"]
                rows, written[run] = found["rows"], sum(file["bytes"] for file in found["files"])
                source = json.loads((agent / "report.json").read_text())["total"]["bytesRead"]
                shutil.rmtree(output)
        print(f"{rows:,} rows, {source / 1e6:.0f} MB of Data.db uncompressed")
        print("| profile | compression | M rows/CPU s | MB/CPU s | MB written | CPU beside jsonl |\n|---|---|---|---|---|---|")
        for run in RUNS:
            cpu = least[run]
            print(f"| {run[0]} | {run[1]} | {rows / cpu / 1e6:.2f} | {source / cpu / 1e6:.0f} | {written[run] / 1e6:.0f} | {cpu / least[REFERENCE]:.2f} |")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        note(f"failed: {failure}")
        sys.exit(1)
