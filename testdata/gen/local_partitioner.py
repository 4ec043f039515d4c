#!/usr/bin/env python3
"""Makes `testdata/regressions/*-local`: a table with a secondary index, whose own table has LocalPartitioner: its partitions stand in the
order of the indexed column's type. Negative numbers and decimals that are equal as numbers come in several SSTables.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from node import LINES, Line, Node
from regression import finish, save, session_of

KEYSPACE = "indexed"
TABLE = "numbers"
# What is in each SSTable: number and decimal.
ROUNDS = (
    [(-5, "1.0"), (3, "-2"), (70000, "1E+3"), (-1, "0.0")],
    [(3, "1.00"), (-70000, "1000"), (0, "-2.0"), (2147483647, "1")],
    [(-1, "0"), (4, "-0.5"), (-2147483648, "1.0"), (3, "999.9")],
)
UNNEEDED = ("aggregates", "functions", "triggers", "views")


def play(node: Node, session: Any) -> None:
    session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    session.execute(f"CREATE TABLE {KEYSPACE}.{TABLE} (k int PRIMARY KEY, n int, d decimal)")
    session.execute(f"CREATE INDEX by_n ON {KEYSPACE}.{TABLE} (n)")
    session.execute(f"CREATE INDEX by_d ON {KEYSPACE}.{TABLE} (d)")
    node.control("disableautocompaction", KEYSPACE)
    key = 0
    for values in ROUNDS:
        for number, decimal in values:
            key += 1
            session.execute(f"INSERT INTO {KEYSPACE}.{TABLE} (k, n, d) VALUES ({key}, {number}, {decimal}) USING TIMESTAMP {1000 + key}")
        node.flush([KEYSPACE])


def one_line(line: Line, scratch: Path) -> None:
    with Node(line, scratch / line.name) as node:
        session = session_of(node)
        play(node, session)
        answers = finish(node, session, KEYSPACE, [TABLE])
    save(node, f"{line.name}-local", answers, "secondary indexes, ordered by the types of their columns", UNNEEDED)


def main() -> None:
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        for name in ("4.1", "5.0-bti"):
            one_line(LINES[name], scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
