"""What all loader tests share: a node with awkward rows, extracts of its files, and the comparison of rows with rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
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

    @property
    def clock(self) -> float:
        """The run's clock, in epoch seconds."""
        text = json.loads((self.output / "_cassport/agents/000/manifest.json").read_text())["clock"]
        return datetime.fromisoformat(text).timestamp()

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


@dataclass(frozen=True)
class Loaded:
    """When files were loaded, in epoch seconds, and the clock for which they were extracted."""

    clock: float
    first: float
    last: float


def compare(
    tally: Tally, before: Answer, after: Answer, refused: dict[str, int], zero: bool, times: str = "none", loaded: Loaded | None = None
) -> None:
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
        if loaded:
            tally.different += [f"{name} {key}: {words}" for words in _times(before, after, wanted[key], got[key], times, loaded)]


def _times(answer: Answer, after: Answer, wanted: dict[str, Any], got: dict[str, Any], mode: str, loaded: Loaded) -> Iterable[str]:
    """What is wrong with the write times and TTLs of a row."""
    timed = [c for c in answer.columns if c.name in wanted["writetime"] and wanted["row"][c.name] not in (None, [], {})]
    if mode == "cell":
        # DSBulk has no times for the elements of a collection, as cassport says.
        for name in [c.name for c in timed if not c.type.multi_cell]:
            if wanted["writetime"][name] != got["writetime"][name]:
                yield f"write time of {name}: {wanted['writetime'][name]} became {got['writetime'][name]}"
            if problem := _expiry(answer, after, wanted["ttl"][name], got["ttl"][name], loaded):
                yield f"ttl of {name}: {problem}"
        return
    # One write time and one TTL for the row: the newest, and that which all have.
    newest = max((t for c in timed for t in _flat(wanted["writetime"][c.name])), default=None)
    ttls = {ttl for c in timed for ttl in _flat(wanted["ttl"][c.name], none=True)}
    ttl = ttls.pop() if len(ttls) == 1 else None
    for column in timed:
        times = set(_flat(got["writetime"][column.name]))
        # Every row of a partition writes its static columns: the newest of them counts.
        if times != {newest} and not (column.kind == "static" and len(times) == 1 and min(times) > newest):
            yield f"write time of {column.name}: {wanted['writetime'][column.name]} in a row of {newest} became {got['writetime'][column.name]}"
        for now in _flat(got["ttl"][column.name], none=True):
            if problem := _expiry(answer, after, ttl, now, loaded):
                yield f"ttl of {column.name}: {problem}"


def _flat(value: Any, none: bool = False) -> list[Any]:
    """The numbers of a column, or of the elements of a collection."""
    values = value if isinstance(value, list) else [value]
    return [None if v is None else int(v) for v in values if none or v is not None]


def _expiry(answer: Answer, after: Answer, before: Any, now: Any, loaded: Loaded) -> str | None:
    """What is wrong with the moment at which a value expires.

    A TTL is counted from the second of the load, and was said for the clock of the extract: the value lives on for as long as has passed
    between the two, and no second longer. Servers count in whole seconds, so that each end can be one off.
    """
    if before is None or now is None:
        return None if before is now else f"{before} became {now}"
    longer = after.clock + int(now) - answer.clock - int(before)
    if loaded.first - loaded.clock - 1 <= longer <= loaded.last - loaded.clock + 1:
        return None
    return f"expires {longer} s later, and was loaded {loaded.first - loaded.clock} to {loaded.last - loaded.clock} s after the clock of the extract"


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
