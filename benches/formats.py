#!/usr/bin/env python3
"""Measures `cassport extract` on the same table in the format of each line of Cassandra.

  formats.py [--lines 2.1,2.2,3.11,4.1,5.0,5.0-bti] [--rows N] [--binary FILE] [--scratch DIR] [--keep DIR]

A real node of each line is given the same rows (13 columns, a set and a map among them, some 650 bytes and 15 cells), flushes and
compacts them into one SSTable; then all are extracted by turns on one thread, without files (`--discard`), in the page cache, and of
seven runs the one with the least CPU counts. The digests of the rows must agree. Rates are rows per CPU second, and as a part of
4.1's (`nb`). Needs what testdata/gen needs (root, Maven, JDK 17).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import uuid
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Iterator

from run import ROOT, Failed, measured, note, release_binary, warm

sys.path.insert(0, str(ROOT / "testdata/gen"))

REFERENCE = "4.1"
REPETITIONS = 7
PER_PARTITION = 12
# 2.1 has no dates: `due` is text, so that the rows are the same.
TABLE = (
    "customer uuid, placed timestamp, line int, status text, amount double, quantity int, product uuid, shipped timestamp, due text,"
    " note text, receipt blob, tags set<text>, attributes map<text, text>, PRIMARY KEY (customer, placed, line)"
)
COLUMNS = ("customer", "placed", "line", "status", "amount", "quantity", "product", "shipped", "due", "note", "receipt", "tags", "attributes")
WRITE_TIME = 1_700_000_000_000_000
COMPRESSION = {True: "'class': 'LZ4Compressor', 'chunk_length_in_kb': 16", False: "'sstable_compression': 'LZ4Compressor', 'chunk_length_kb': 16"}


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """The same rows whatever the line."""
    dice = Random(7)
    start = datetime(2024, 1, 1)
    words = "the quick brown fox jumps over the lazy dog and runs away from it all".split()
    customer, placed = uuid.UUID(int=1), start
    for i in range(count):
        if i % PER_PARTITION == 0:
            customer = uuid.UUID(int=dice.getrandbits(128), version=4)
            placed = start + timedelta(seconds=dice.randrange(10**7))
        note = " ".join(dice.choices(words, k=40))
        yield (
            customer, placed, i % PER_PARTITION, dice.choice(("open", "paid", "sent")), dice.random() * 1000, dice.randrange(100),
            uuid.UUID(int=dice.getrandbits(128), version=4), placed + timedelta(hours=i % 99), date(2024, 1, 1 + i % 28).isoformat(),
            note, dice.randbytes(64), {dice.choice(words) for _ in range(3)}, {f"key{n}": dice.choice(words) for n in range(3)},
        )


def fill(node: Any, count: int) -> None:
    from cassandra.concurrent import execute_concurrent_with_args

    session = node.session()
    session.execute("CREATE KEYSPACE bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    compression = COMPRESSION[node.line.number >= (3, 0)]
    session.execute(f"CREATE TABLE bench.orders ({TABLE}) WITH compression = {{{compression}}}")
    insert = session.prepare(
        f"INSERT INTO bench.orders ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) USING TIMESTAMP {WRITE_TIME}")
    for result in execute_concurrent_with_args(session, insert, rows(count), concurrency=128, raise_on_first_error=True, results_generator=True):
        if not result.success:
            raise Failed(str(result.result_or_exc))
    node.flush(["bench"])
    node.control("compact", "bench", "orders")
    node.flush(["system"] + (["system_schema"] if node.line.number >= (3, 0) else []))


def make(line: str, count: int, target: Path, scratch: Path) -> None:
    import datadir
    from node import LINES, Node

    with Node(LINES[line], scratch / f"node-{line}", {}) as node:
        fill(node, count)
        node.control("drain")
    datadir.copy(node.data, target, ["bench"])
    shutil.rmtree(node.directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", default="2.1,2.2,3.11,4.1,5.0,5.0-bti")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--binary", type=Path, help="default: built from here")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the tables are, or are to be; made if they are not there")
    arguments = parser.parse_args()
    binary = (arguments.binary or release_binary()).resolve()
    lines = arguments.lines.split(",")
    with tempfile.TemporaryDirectory(prefix="cassport-formats-", dir=arguments.scratch) as name:
        scratch = Path(name)
        tables = arguments.keep or scratch / "tables"
        for line in lines:
            if not (tables / line).is_dir():
                note(f"making the table of {line}")
                make(line, arguments.rows, tables / line, scratch)
        least: dict[str, float] = {}
        found: dict[str, dict[str, Any]] = {}
        output = scratch / "out"

        def extract(line: str, *more: str) -> float:
            command = [binary, "extract", "--data-dir", tables / line, "-t", "bench.orders", "--output", output, "--profile", "csv", "--threads", "1", "-q", *more]
            return measured(command, scratch / "log").cpu

        for line in lines:
            extract(line)
            found[line] = json.loads((output / "_cassport/agents/000/manifest.json").read_text())["tables"][0]
            shutil.rmtree(output)
        for _ in range(REPETITIONS):
            # By turns, so that what the machine does meanwhile meets all alike.
            for line in lines:
                warm(tables / line)
                cost = extract(line, "--discard")
                least[line] = min(least.get(line, cost), cost)
        digests = {table["digest"] for table in found.values()}
        for line in lines:
            table = found[line]
            formats = sorted({source["format"] for source in table["sources"]})
            rate = table["rows"] / least[line]
            part = least[REFERENCE] / least[line] if REFERENCE in least else float("nan")
            print(f"{line:<8} {'/'.join(formats):<4} {len(table['sources'])} SSTables, {table['rows']:,} rows in {least[line]:.3f} CPU s: "
                  f"{rate / 1e6:.3f} M rows/CPU s, {part:.2f} of {REFERENCE}'s")
        if len(digests) != 1:
            note(f"the rows differ: {digests}")
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        note(f"failed: {failure}")
        sys.exit(1)
