#!/usr/bin/env python3
"""DuckDB and pyarrow on what cassport writes of a committed corpus, against Cassandra's answers: `corpus_readers.py CORPUS --cassport PATH`.

Needs no node: this is what runs in CI. Spark too with `--only duckdb,pyarrow,spark`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

from common import Tally, extract
from compare import expected_tables
from readers import READERS, Unreadable, compare_read

OUTPUTS = (("datalake", "none"), ("datalake", "gzip"), ("csv", "gzip"), ("jsonl", "zstd"))
# pyarrow makes one type of a column of JSON, and objects of maps.
NO_JSON = ("pyarrow",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cassport", type=Path, required=True)
    parser.add_argument("--only", default="duckdb,pyarrow")
    arguments = parser.parse_args()
    description, tables = expected_tables(arguments.corpus)
    clock = datetime.fromtimestamp(description["clock"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    bad = False
    with tempfile.TemporaryDirectory(prefix="readers-") as scratch:
        for profile, compression in OUTPUTS:
            words = ["--profile", profile, "--compression", compression, "--now", clock, "--json-numbers", "text"]
            keyspaces = sorted({table.keyspace for table in tables})
            outputs = {k: extract(arguments.cassport, arguments.corpus / "data", Path(scratch, f"{profile}-{compression}-{k}"), k, *words) for k in keyspaces}
            for name in arguments.only.split(","):
                if (name in NO_JSON and profile == "jsonl") or (name == "spark" and compression == "zstd"):
                    continue
                tally = Tally(f"{name}, {profile}, {compression}")
                for table in tables:
                    made = outputs[table.keyspace]
                    folder = made.output / table.keyspace / table.table
                    answer = SimpleNamespace(
                        table=table.table, keys=table.keys, rows=table.rows, columns=[SimpleNamespace(name=n, type=t) for n, t in table.columns.items()],
                    )
                    if not [*folder.glob("LOAD*"), *folder.glob("STATIC*")]:
                        # Nothing to read, so nothing may be missing but what was refused.
                        if len(table.rows) != sum(made.refused.get(table.table, {}).values()):
                            tally.different.append(f"{table.table}: no files")
                        continue
                    try:
                        rows = READERS[name][profile](folder, made.output, table.keyspace, table.table)
                    except Unreadable as error:
                        tally.refused[f"{table.table}: {error}"] = len(table.rows)
                        continue
                    compare_read(tally, answer, made, table.table, rows, profile)
                bad |= not tally.report()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
