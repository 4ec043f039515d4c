"""What all loader tests share: a node with awkward rows, extracts of its files, and the comparison of rows with rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "testdata/gen"))

from answers import Answer, ask  # noqa: E402
from cqltypes import CqlType, canonical  # noqa: E402
from node import LINES, Node  # noqa: E402

LINE = LINES["5.0"]
# What DSBulk 1.10 makes of -0.0, and what an empty value of a type other than text and blob becomes in CSV.
TEXTUAL = {"text", "ascii", "blob", "varchar"}


@dataclass
class Tally:
    """What one loader did with one output."""

    loader: str
    rows: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    # What cassport says that the loader changes.
    counted: dict[str, int] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)

    def line(self) -> str:
        refused = ", ".join(f"{name} {count}" for name, count in sorted(self.refused.items())) or "none"
        counted = "".join(f"; counted: {name} {count}" for name, count in sorted(self.counted.items()))
        return f"{self.loader}: {self.rows} rows compared, {len(self.different)} different, refused: {refused}{counted}"

    def report(self) -> bool:
        print(self.line(), flush=True)
        for text in self.different[:20]:
            print("   ", text[:600], flush=True)
        return not self.different


@dataclass
class Extracted:
    """An output of cassport, and what it said."""

    output: Path
    said: str
    code: int

    @property
    def refused(self) -> dict[str, dict[str, int]]:
        """Refused rows by table and counter."""
        report = json.loads((self.output / "_cassport/agents/000/report.json").read_text())
        return {table["table"]: table.get("refused", {}) for table in report["tables"]}

    def counters(self, table: str) -> dict[str, int]:
        manifest = json.loads((self.output / "_cassport/agents/000/manifest.json").read_text())
        return next(t["counters"] for t in manifest["tables"] if t["table"] == table)

    def commands(self, table: str) -> list[str]:
        """The loader's commands for a table, as cassport said them."""
        lines = [line for line in self.said.splitlines() if line.startswith(("next: ", "and   "))]
        marks = (f" -t {table} ", f".{table}.static.urls", f".{table} (", f".\"{table}\" (", f"/{table}'", f"/{table}/")
        return [line[6:] for line in lines if any(mark in line for mark in marks)]


def extract(cassport: Path, data: Path, output: Path, keyspace: str, *words: str) -> Extracted:
    """Extracts a keyspace; exit code 1 says that rows were refused, and the report how many."""
    shutil.rmtree(output, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CASSPORT_")}
    command = [str(cassport), "extract", "--data-dir", str(data), "-k", keyspace, "--output", str(output), "--threads", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stderr}")
    verified = subprocess.run([str(cassport), "verify", "--output", str(output), "--full"], capture_output=True, text=True, env=environment)
    if verified.returncode:
        raise RuntimeError(f"verify: {verified.stdout}")
    return Extracted(output, done.stderr, done.returncode)


def execute(session: Any, statements: Iterable[str]) -> None:
    for statement in statements:
        session.execute(statement)


def snapshot(node: Node, keyspace: str, directory: Path) -> Path:
    """The node's files with everything flushed, as they are now."""
    node.flush([keyspace, "system_schema", "system"])
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(node.data, directory, ignore=lambda d, names: [n for n in names if "-tmp-" in n])
    return directory


def read(session: Any, keyspace: str, table: str) -> Answer:
    return ask(session, LINE, keyspace, table, slow=True)


def _normal(t: CqlType, value: Any, zero: bool) -> Any:
    """A value to compare: `zero` for loaders that know no -0.0."""
    value = canonical(t, value)
    return _no_negative_zero(value) if zero else value


def _no_negative_zero(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes) and value in (b"\x80" + b"\0" * 3, b"\x80" + b"\0" * 7):
        # `canonical` has the bits of floats.
        return b"\0" * len(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_no_negative_zero(item) for item in value)
    if isinstance(value, frozenset):
        return frozenset(_no_negative_zero(item) for item in value)
    if isinstance(value, dict):
        return {_no_negative_zero(k): _no_negative_zero(v) for k, v in value.items()}
    return value


def _empty_to_null(column: Any, value: Any) -> Any:
    return None if value == "" and column.type.name not in TEXTUAL else value


def rows_by_key(answer: Answer, zero: bool = False) -> dict[str, dict[str, Any]]:
    """The lines of an answer by their keys."""
    found = {}
    for line in answer.rows:
        key = repr([_normal(c.type, line["row"][c.name], zero) for c in answer.columns if c.name in answer.keys])
        found[key] = line
    return found


def compare(tally: Tally, before: Answer, after: Answer, refused: dict[str, int], zero: bool, times: str = "none") -> None:
    """The rows of a table before and after it was loaded from its files. `times` is the metadata that went with them."""
    wanted, got = rows_by_key(before, zero), rows_by_key(after, zero)
    name = before.table
    for kind, count in refused.items():
        tally.refused[kind] = tally.refused.get(kind, 0) + count
    missing = [key for key in wanted if key not in got]
    if len(missing) != sum(refused.values()) - (len(before.rows) - len(wanted)) and len(missing) != sum(refused.values()):
        tally.different.append(f"{name}: {len(missing)} rows are missing, {sum(refused.values())} were refused: {missing[:3]}")
    tally.different += [f"{name} {key}: not in the source" for key in got if key not in wanted]
    for key in wanted:
        if key not in got:
            continue
        tally.rows += 1
        for column in before.columns:
            a = _normal(column.type, _empty_to_null(column, wanted[key]["row"][column.name]), zero)
            b = _normal(column.type, got[key]["row"][column.name], zero)
            if repr(a) != repr(b):
                tally.different.append(f"{name} {key} {column.name}: {str(a)[:200]!r} became {str(b)[:200]!r}")
        if times != "none":
            tally.different += [f"{name} {key}: {words}" for words in _times(before, after, wanted[key], got[key], times)]


def _times(answer: Answer, after: Answer, wanted: dict[str, Any], got: dict[str, Any], mode: str) -> Iterable[str]:
    plain = [c.name for c in answer.columns if c.name in wanted["writetime"] and not c.type.multi_cell]
    if mode == "row":
        flat = lambda value: [int(v) for v in (value if isinstance(value, list) else [value]) if v is not None]
        newest = lambda line: max((t for v in line["writetime"].values() for t in flat(v)), default=None)
        if newest(wanted) is not None and newest(got) is not None and newest(wanted) > newest(got):
            yield f"newest write time {newest(wanted)} became {newest(got)}"
    for name in plain:
        if mode == "cell" and wanted["row"][name] is not None:
            if wanted["writetime"][name] != got["writetime"][name]:
                yield f"write time of {name}: {wanted['writetime'][name]} became {got['writetime'][name]}"
            a, b = wanted["ttl"][name], got["ttl"][name]
            # The loader counts from the moment of the load, which is a while after the clock of the extract.
            later = 0 if a is None or b is None else after.clock + int(b) - answer.clock - int(a)
            if (a is None) != (b is None) or not -5 <= later <= 900:
                yield f"ttl of {name}: {a} became {b}"


class Source:
    """The node, its files and its answers."""

    def __init__(self, scratch: Path, cassport: Path) -> None:
        self.scratch, self.cassport = scratch, cassport
        shutil.rmtree(scratch / "node", ignore_errors=True)
        self.node = Node(LINE, scratch / "node", flush_schema=True)
        self.data = scratch / "data"
        self.answers: dict[str, Answer] = {}
        self.session: Any = None

    def __enter__(self) -> Source:
        self.node.start()
        self.session = self.node.session()
        return self

    def __exit__(self, *_: object) -> None:
        self.node.stop()

    def write(self, keyspace: str, statements: Iterable[str], tables: Iterable[str]) -> None:
        """Executes, flushes, and keeps files and answers."""
        execute(self.session, statements)
        self.data = snapshot(self.node, keyspace, self.scratch / f"data-{int(time.time())}")
        self.answers |= {table: read(self.session, keyspace, table) for table in tables}

    def truncate(self, keyspace: str, tables: Iterable[str]) -> None:
        for table in tables:
            self.session.execute(f'TRUNCATE {keyspace}."{table}"')
