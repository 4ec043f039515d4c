#!/usr/bin/env python3
"""Makes `testdata/regressions/*-dropped-udt`: columns of a user type that were dropped, as 3.0 and 3.11 left them on disk.

Neither the header of an SSTable nor `dropped_columns` says how such a column was stored: 3.0 writes frozen user types
without `FrozenType`, 3.11 writes non-frozen ones so, and both remember the dropped column as a frozen tuple. (Files of 3.0
stay as they are until a 3.11 that has the repair of CASSANDRA-15035 starts on them: it writes `FrozenType` into their headers.)
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from node import LINES, Line, Node
from regression import finish, save, session_of

KEYSPACE = "dropped"
TABLES = ("regular", "statics")
# Tables of the schema in which nothing of the corpus is.
UNNEEDED = ("aggregates", "functions", "indexes", "triggers", "views")


def create(session: Any) -> None:
    session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    session.execute(f"CREATE TYPE {KEYSPACE}.pair (a int, b text)")
    session.execute(f"CREATE TABLE {KEYSPACE}.regular (pk int, c int, v text, m map<int, text>, PRIMARY KEY (pk, c)) WITH bloom_filter_fp_chance = 1")
    session.execute(
        f"CREATE TABLE {KEYSPACE}.statics (pk int, c int, s text static, v text, PRIMARY KEY (pk, c)) WITH bloom_filter_fp_chance = 1"
    )


def play(node: Node, session: Any, frozen: bool, column: str, first: int) -> None:
    """Adds a column of the user type, writes it, drops it, and writes on without it. Simple columns come on both sides of its name."""
    kind = "frozen<pair>" if frozen else "pair"
    session.execute(f"ALTER TABLE {KEYSPACE}.regular ADD {column} {kind}")
    session.execute(f"ALTER TABLE {KEYSPACE}.statics ADD {column} {kind} static")
    for i in range(first, first + 3):
        value = f"{{a: {i}, b: 'dropped {i}'}}"
        session.execute(
            f"INSERT INTO {KEYSPACE}.regular (pk, c, {column}, v, m) VALUES ({i % 2}, {i}, {value}, 'v{i}', {{{i}: 'm'}}) USING TIMESTAMP {1000 + i}"
        )
        session.execute(f"INSERT INTO {KEYSPACE}.statics (pk, c, {column}, s, v) VALUES ({i}, 1, {value}, 's{i}', 'v{i}') USING TIMESTAMP {1000 + i}")
    if not frozen:
        session.execute(f"UPDATE {KEYSPACE}.regular USING TIMESTAMP 2000 AND TTL 40000000 SET {column}.b = 'field' WHERE pk = 0 AND c = {first}")
        session.execute(f"UPDATE {KEYSPACE}.statics USING TIMESTAMP 2000 SET {column}.a = null WHERE pk = {first}")
    session.execute(f"DELETE {column} FROM {KEYSPACE}.regular USING TIMESTAMP 2001 WHERE pk = 1 AND c = {first + 1}")
    node.flush([KEYSPACE])
    for table in TABLES:
        session.execute(f"ALTER TABLE {KEYSPACE}.{table} DROP {column}")
    session.execute(f"INSERT INTO {KEYSPACE}.regular (pk, c, v) VALUES (0, {first}, 'after the drop') USING TIMESTAMP 3000")
    session.execute(f"INSERT INTO {KEYSPACE}.statics (pk, c, s) VALUES ({first}, 2, 'after the drop') USING TIMESTAMP 3000")
    node.flush([KEYSPACE])


def one_line(line: Line, scratch: Path) -> None:
    node = Node(line, scratch / line.name)
    with node:
        session = session_of(node)
        create(session)
        node.control("disableautocompaction", KEYSPACE)
        play(node, session, True, "k_frozen", 0)
        if line.number >= (3, 11):
            play(node, session, False, "n_cells", 10)
        answers = finish(node, session, KEYSPACE, TABLES)
    save(node, f"{line.name}-dropped-udt", answers, "dropped columns of a user type", UNNEEDED)


def main() -> None:
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        one_line(LINES["3.0"], scratch)
        one_line(LINES["3.11"], scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
