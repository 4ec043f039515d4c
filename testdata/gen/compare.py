#!/usr/bin/env python3
"""Compares what cassport extracts with what Cassandra answered: `compare.py CORPUS [--cassport PATH]`.

A corpus is a directory with `corpus.json`, `data/` and `answers/`, as `generate.py` and `differential.py --keep` write it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable

from cqltypes import CqlType, by_value, canonical, parse
from jsontext import dumps, loads

DEFAULT_CASSPORT = Path(__file__).resolve().parents[2] / "target/release/cassport"


@dataclass
class Outcome:
    """What was compared and what differed."""

    rows: int = 0
    cells: int = 0
    different: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.rows += other.rows
        self.cells += other.cells
        self.different += other.different


@dataclass
class Expected:
    """A table's answer: columns in order, which of them are keys, and the lines of its answers file."""

    keyspace: str
    table: str
    columns: dict[str, CqlType]
    keys: list[str]
    rows: list[dict[str, Any]]
    # Columns of which any spelling of an equal value is right.
    any_spelling: frozenset[str] = frozenset()

    def canonical(self, column: str, value: Any) -> Any:
        t = self.columns[column]
        return canonical(t, by_value(t, value) if column in self.any_spelling else value)


def read_lines(paths: Iterable[Path]) -> list[dict[str, Any]]:
    # Not splitlines(): JSON text may hold U+2028 and its like unescaped.
    return [loads(line) for path in paths for line in path.read_text().split("\n") if line]


def extract(cassport: Path, data: Path, tables: Iterable[tuple[str, str]], clock: int, output: Path, *words: str) -> None:
    """Runs `cassport extract`; any exit code but 0 is an error here, since the inputs are whole."""
    command = [
        str(cassport), "extract", "--data-dir", str(data), "--profile", "jsonl", "--metadata", "cell",
        "--now", datetime.fromtimestamp(clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "--output", str(output), *words,
    ]
    for keyspace, table in tables:
        command += ["-t", f"{keyspace}.{table}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cassport: exit code {done.returncode}\n{done.stderr[-4000:]}")


def extracted(output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    return read_lines(sorted((output / keyspace / table).glob("LOAD*.jsonl")))


def compare(expected: Expected, got: list[dict[str, Any]]) -> Outcome:
    """Row for row in order, cell for cell: values, write times, TTLs."""
    outcome = Outcome()
    name = f"{expected.keyspace}.{expected.table}"
    wanted_keys = _numbered(_key(expected, line["row"]) for line in expected.rows)
    got_keys = _numbered(_key(expected, row) for row in got)
    if wanted_keys != got_keys:
        missing = [key for key in wanted_keys if key not in got_keys]
        extra = [key for key in got_keys if key not in wanted_keys]
        outcome.different += [f"{name} {key}: row is missing" for key in missing]
        outcome.different += [f"{name} {key}: row is not Cassandra's" for key in extra]
        if not missing and not extra:
            outcome.different.append(f"{name}: order or number of rows: expected {wanted_keys}, got {got_keys}")
    by_key = dict(zip(got_keys, got))
    for key, line in zip(wanted_keys, expected.rows):
        if key in by_key:
            outcome.rows += 1
            for text in _compare_row(expected, line, by_key[key], outcome):
                outcome.different.append(f"{name} {key}: {text}")
    return outcome


def _numbered(keys: Iterable[str]) -> list[str]:
    """Keys that are there again get a number: a tuple without its last fields is another key than one with nulls, in the same text."""
    seen: dict[str, int] = {}
    numbered = []
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
        numbered.append(key if seen[key] == 1 else f"{key} ({seen[key]})")
    return numbered


def _key(expected: Expected, row: dict[str, Any]) -> str:
    """The key of a record, in a text that is the same for both sides."""
    return ", ".join(f"{k}={expected.canonical(k, row.get(k))!r}" for k in expected.keys)


def _compare_row(expected: Expected, line: dict[str, Any], got: dict[str, Any], outcome: Outcome) -> Iterable[str]:
    names = [name for name in got if not _is_metadata(expected, name)]
    if names != list(expected.columns):
        yield f"columns {names} for {list(expected.columns)}"
    for column, t in expected.columns.items():
        outcome.cells += 1
        if expected.canonical(column, line["row"][column]) != _canonical_or_text(expected, column, got.get(column)):
            yield f"{column}: expected {dumps(line['row'][column])}, got {dumps(got.get(column))}"
        for what in ("writetime", "ttl"):
            if column in line[what]:
                wanted, found = line[what][column], got.get(f"{what}({column})", "nothing")
                if wanted != found:
                    yield f"{what}({column}): expected {dumps(wanted)}, got {dumps(found)}"
        if column not in expected.keys and f"writetime({column})" not in got:
            yield f"no writetime({column})"


def _is_metadata(expected: Expected, name: str) -> bool:
    return name not in expected.columns and name.startswith(("writetime(", "ttl("))


def _canonical_or_text(expected: Expected, column: str, value: Any) -> Any:
    """The canonical form, or the plain text of a value that is none of its type: then it equals nothing."""
    try:
        return expected.canonical(column, value)
    except (ValueError, TypeError, AttributeError, KeyError):
        return ("malformed", dumps(value))


def expected_tables(corpus: Path) -> tuple[dict[str, Any], list[Expected]]:
    """A corpus's description, and the answers of its tables."""
    description = json.loads((corpus / "corpus.json").read_text())
    tables = [
        Expected(
            t["keyspace"], t["table"],
            {name: parse(text, description["types"].get(t["keyspace"], {})) for name, text in t["columns"].items()},
            t["keys"], read_lines([corpus / t["answers"]]),
        )
        for t in description["tables"]
    ]
    return description, tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path, metavar="CORPUS")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    arguments = parser.parse_args()
    failed = False
    for corpus in arguments.corpora:
        description, tables = expected_tables(corpus)
        total = Outcome()
        with tempfile.TemporaryDirectory(prefix="gen-") as scratch:
            output = Path(scratch, "out")
            log = corpus / "commitlog"
            options = ["--commitlog-dir", str(log)] if log.is_dir() else []
            names = [(t.keyspace, t.table) for t in tables]
            extract(arguments.cassport, corpus / "data", names, description["clock"], output, *options)
            for table in tables:
                total.add(compare(table, extracted(output, table.keyspace, table.table)))
        for text in total.different:
            print(text)
        print(f"{corpus.name}: {len(tables)} tables, {total.rows} rows and {total.cells} cells compared, {len(total.different)} different")
        failed |= bool(total.different)
    sys.exit(failed)


if __name__ == "__main__":
    main()
