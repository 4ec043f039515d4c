#!/usr/bin/env python3
"""Loads what cassport writes with real loaders and compares with the source: `loaders.py [--only NAME,...] [--cassport PATH]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import awkward
import cql_loaders
import readers
from common import ROOT, Source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cassport", type=Path, default=ROOT / "target/release/cassport")
    parser.add_argument("--only", default="dsbulk,cqlsh,duckdb,pyarrow,spark", help="loaders to run")
    parser.add_argument("--tables", default="", help="tables to load; all if none")
    parser.add_argument("--scratch", type=Path, help="where to work; a temporary directory if none")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    tables = [t for t in awkward.TABLES if not arguments.tables or t in arguments.tables.split(",")]
    scratch = arguments.scratch or Path(tempfile.mkdtemp(prefix="loaders-"))
    scratch.mkdir(parents=True, exist_ok=True)
    tallies = []
    with Source(scratch, arguments.cassport) as source:
        keyspace = awkward.KEYSPACE
        source.write(keyspace, awkward.statements(), list(awkward.TABLES))
        if "dsbulk" in only:
            tallies += cql_loaders.dsbulk(source, keyspace, tables)
        if not arguments.tables or "vectors" in arguments.tables:
            # Tables that were emptied are not in these files, so they are asked for by themselves.
            full = source.data
            source.write(keyspace, awkward.vector_statements(), ["vectors"])
            vectors, source.data = source.data, full
        if "cqlsh" in only:
            tallies += cql_loaders.cqlsh(source, keyspace, tables)
            if not arguments.tables or "vectors" in arguments.tables:
                source.data = vectors
                tallies += cql_loaders.cqlsh(source, keyspace, ["vectors"])
                source.data = full
        tallies += readers.read_all(source, keyspace, tables, [name for name in only if name not in ("dsbulk", "cqlsh")])
    return 1 if any(tally.different for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
