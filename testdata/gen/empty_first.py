#!/usr/bin/env python3
"""Makes `testdata/regressions/2.2-la-empty-first`: empty values of descending clustering columns, which up to 2.2.7 come first.

Later releases have them last, as is right (CASSANDRA-12127), and cannot merge the files of before without a scrub. Three SSTables of `la`,
which later ones do not write either; rows, bounds and deletions with empty values in all of them.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from answers import ask, to_one_clock
from node import LINES, Node
from regression import save

KEYSPACE = "descending"
TABLES = {
    "one": ("p int, c text, v int, PRIMARY KEY (p, c)", "c DESC"),
    "two": ("p int, a blob, b text, v int, PRIMARY KEY (p, a, b)", "a DESC, b DESC"),
    "mixed": ("p int, a text, b text, v int, PRIMARY KEY (p, a, b)", "a ASC, b DESC"),
}
VALUES = ["''", "'a'", "'b'", "'it'"]


def main() -> None:
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    line = LINES["2.2-la"]
    try:
        with Node(line, scratch / "node") as node:
            session = node.session()
            node.control("disableautocompaction", "system")
            session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
            for table, (columns, order) in TABLES.items():
                session.execute(f"CREATE TABLE {KEYSPACE}.{table} ({columns}) WITH CLUSTERING ORDER BY ({order})")
            node.control("disableautocompaction", KEYSPACE)
            for flush in range(3):
                time = 1000 * (flush + 1)
                for p in range(4):
                    for i, a in enumerate(VALUES):
                        if (i + p + flush) % 3:
                            session.execute(f"INSERT INTO {KEYSPACE}.one (p, c, v) VALUES ({p}, {a}, {flush}) USING TIMESTAMP {time + i}")
                        for j, b in enumerate(VALUES):
                            if (i + j + p + flush) % 3:
                                blob = f"textAsBlob({a})"
                                using = f"USING TIMESTAMP {time + i}"
                                session.execute(f"INSERT INTO {KEYSPACE}.two (p, a, b, v) VALUES ({p}, {blob}, {b}, {flush}) {using}")
                                session.execute(f"INSERT INTO {KEYSPACE}.mixed (p, a, b, v) VALUES ({p}, {a}, {b}, {flush}) {using}")
                using = f"USING TIMESTAMP {time + 500}"
                session.execute(f"DELETE FROM {KEYSPACE}.two {using} WHERE p = {flush} AND a = 0x")
                session.execute(f"DELETE FROM {KEYSPACE}.mixed {using} WHERE p = {flush} AND a = 'b'")
                session.execute(f"DELETE FROM {KEYSPACE}.one {using} WHERE p = 3 AND c = ''")
                node.flush([KEYSPACE])
            answers = [ask(session, line, KEYSPACE, table) for table in TABLES]
            to_one_clock(answers)
            node.flush(["system"])
            node.control("drain")
        save(node, "2.2-la-empty-first", answers, "empty values in descending columns")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
