#!/usr/bin/env python3
"""Makes `testdata/regressions/2.1-empty-name`: a cell without a name, which 2.1 writes and then takes for the end of the partition.

A DELETE of the column beside the empty clustering in a table with COMPACT STORAGE and one clustering column makes it (an INSERT is refused, a DELETE of the row is one of the partition). It comes
first in its partition, so that 2.1 shows nothing of the partition once it is flushed. 2.2 is the same.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from answers import ask, to_one_clock
from node import LINES, Node
from regression import save

KEYSPACE = "hidden"
TABLE = "behind"


def main() -> None:
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    line = LINES["2.1"]
    try:
        with Node(line, scratch / "node") as node:
            session = node.session()
            node.control("disableautocompaction", "system")
            session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
            session.execute(f"CREATE TABLE {KEYSPACE}.{TABLE} (p int, c text, v text, PRIMARY KEY (p, c)) WITH COMPACT STORAGE")
            node.control("disableautocompaction", KEYSPACE)
            for p in range(8):
                for c in "abc":
                    session.execute(f"INSERT INTO {KEYSPACE}.{TABLE} (p, c, v) VALUES ({p}, '{c}', '{c * 40}') USING TIMESTAMP {1000 + p}")
                if p in (2, 3, 5):
                    session.execute(f"DELETE v FROM {KEYSPACE}.{TABLE} USING TIMESTAMP 1 WHERE p = {p} AND c = ''")
            before = len(ask(session, line, KEYSPACE, TABLE).rows)
            node.flush([KEYSPACE])
            answers = [ask(session, line, KEYSPACE, TABLE)]
            print(f"{before} rows before the flush, {len(answers[0].rows)} after it")
            to_one_clock(answers)
            node.flush(["system"])
            node.control("drain")
        save(node, "2.1-empty-name", answers, "cells without a name")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
