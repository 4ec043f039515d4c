"""Asks a node what is in a table, and keeps the answer as one JSON line per row.

A line is `{"row": {...}, "writetime": {...}, "ttl": {...}}`: the row as `output.md` section 2 writes it, and the write
time (microseconds) and remaining TTL (seconds) of every column whose write time the server can say.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import legacyschema
from cqltypes import NON_FINITE, TEXT_TYPES, CqlType, UserTypes, by_value, canonical, decode, has_floats, parse
from jsontext import Number, dumps, loads
from node import Line

WRITETIME_LIST = CqlType("list", (CqlType("bigint"),))
TTL_LIST = CqlType("list", (CqlType("int"),))


def quote(name: str) -> str:
    """An identifier as CQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Column:
    name: str
    kind: str
    type: CqlType
    cql_type: str


@dataclass
class Answer:
    """The rows of one table at `clock` (epoch seconds), in the order of SELECT."""

    keyspace: str
    table: str
    columns: list[Column]
    types: UserTypes
    clock: int
    rows: list[dict[str, Any]]
    odd: dict[str, int] = field(default_factory=dict)

    def shift(self, clock: int) -> None:
        """Moves the answer to a later clock, at which nothing more has expired: only the remaining TTLs change."""
        for row in self.rows:
            row["ttl"] = {name: _later(ttl, clock - self.clock) for name, ttl in row["ttl"].items()}
        self.clock = clock

    @property
    def keys(self) -> list[str]:
        return [c.name for c in self.columns if c.kind in ("partition_key", "clustering")]


def to_one_clock(answers: list[Answer]) -> None:
    """Moves all answers to the latest of their clocks, so that one extraction can be compared with them."""
    clock = max(answer.clock for answer in answers)
    for answer in answers:
        answer.shift(clock)


def _later(ttl: Any, seconds: int) -> Any:
    if isinstance(ttl, list):
        return [_later(item, seconds) for item in ttl]
    if ttl is None:
        return None
    if int(ttl) <= seconds + 60:
        raise ValueError("a TTL is too close to its end to be compared at another clock")
    return Number(int(ttl) - seconds)


def user_types(session: Any, line: Line, keyspace: str) -> UserTypes:
    """Name to field names and field types of the keyspace's user types."""
    if line.number < (3, 0):
        return legacyschema.user_types(session, keyspace)
    texts = CqlType("list", (CqlType("text"),), frozen=True)
    found = session.execute(f"SELECT type_name, field_names, field_types FROM system_schema.types WHERE keyspace_name = '{keyspace}'")
    return {name.decode(): (decode(texts, names), decode(texts, types)) for name, names, types in found}


def _schema(session: Any, line: Line, keyspace: str, table: str) -> dict[str, tuple[str, str]]:
    """Kind and type by column name."""
    if line.number < (3, 0):
        return legacyschema.columns(session, keyspace, table)
    found = session.execute(
        f"SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = '{keyspace}' AND table_name = '{table}'"
    )
    return {name.decode(): (kind.decode(), cql_type.decode()) for name, kind, cql_type in found}


def ask(session: Any, line: Line, keyspace: str, table: str, slow: bool = False) -> Answer:
    """The server's answer; values, write times and TTLs are asked for within one second of its clock.

    `slow` is for answers that take longer than that: nothing may expire meanwhile. TTLs are those of the second at which
    their query began, as the server counts them.
    """
    types = user_types(session, line, keyspace)
    source = f"{quote(keyspace)}.{quote(table)}"
    schema = _schema(session, line, keyspace, table)
    # SELECT * leaves out the columns that compact tables hide.
    columns = [
        Column(name, schema[name][0], parse(schema[name][1], types), schema[name][1])
        for name in session.execute(f"SELECT * FROM {source} LIMIT 1").column_names
    ]
    timed = [c for c in columns if _has_write_time(c, line)]
    # A static column that has none is selected too: a partition with nothing else is left out otherwise.
    untimed = [quote(c.name) for c in columns if c.kind == "static" and c not in timed]
    keys = [i for i, c in enumerate(columns) if c.kind in ("partition_key", "clustering")]
    named = [quote(columns[i].name) for i in keys]
    selection = ", ".join([f"writetime({quote(c.name)}), ttl({quote(c.name)})" for c in timed] + untimed + named)
    while True:
        clock = int(time.time())
        raw = list(session.execute(f"SELECT * FROM {source}"))
        if slow:
            clock = _start_of_second()
        found = [tuple(t) for t in session.execute(f"SELECT {selection} FROM {source}")] if timed else []
        if slow or int(time.time()) == clock:
            break
    # A memtable does not show a row whose row marker has expired where all that lives of it is older than the marker and in
    # columns that are not selected. SELECT * shows it.
    of_keys = [columns[i] for i in keys]
    by_key = {_same_row(of_keys, t[len(t) - len(keys) :]): t[: 2 * len(timed)] for t in found}
    none = (None,) * (2 * len(timed))
    times = [by_key.get(_same_row(of_keys, tuple(values[i] for i in keys)), none) for values in raw]
    answer = Answer(keyspace, table, columns, types, clock, [])
    server_rows = _select_json(session, source, columns, len(raw)) if line.number >= (2, 2) else [{}] * len(raw)
    for values, pairs, server in zip(raw, times, server_rows, strict=True):
        row = {c.name: _value(c, data, server, answer.odd) for c, data in zip(columns, values, strict=True)}
        if line.number < (3, 0):
            # The server says 0 of a static column without a value.
            there = {c.name for c, data in zip(columns, values) if data is not None}
            pairs = [data if c.name in there else None for c, data in zip([c for c in timed for _ in range(2)], pairs, strict=True)]
        answer.rows.append({
            "row": row,
            "writetime": {c.name: _time(c, WRITETIME_LIST, data) for c, data in zip(timed, pairs[::2])},
            "ttl": {c.name: _time(c, TTL_LIST, data) for c, data in zip(timed, pairs[1::2])},
        })
    if line.number < (3, 0):
        # From 3.0 on, columns whose names begin with a byte from 0x80 on come before the others of their kind.
        kinds = ["partition_key", "clustering", "static", "regular"]
        answer.columns.sort(key=lambda c: (kinds.index(c.kind), c.kind in kinds[2:] and c.name.encode()[0] < 0x80))
    return answer


def _start_of_second() -> int:
    time.sleep(1 - time.time() % 1)
    return int(time.time())


def _same_row(columns: list[Column], values: tuple[bytes | None, ...]) -> tuple[Any, ...]:
    """What the keys of one row share in all answers: of clusterings that are equal and not of the same bytes any may come."""
    return tuple(
        canonical(c.type, by_value(c.type, decode(c.type, data))) if c.kind == "clustering" and "decimal" in repr(c.type) else data
        for c, data in zip(columns, values, strict=True)
    )


def _has_write_time(column: Column, line: Line) -> bool:
    if column.kind not in ("regular", "static") or column.type.name == "counter":
        return False
    if line.number < (3, 0) and column.type.name in ("list", "set", "map"):
        # Not of frozen ones either.
        return False
    return not column.type.multi_cell or line.number >= (5, 0)


def _time(column: Column, list_type: CqlType, data: bytes | None) -> Any:
    return decode(list_type if column.type.multi_cell else list_type.params[0], data)


def _select_json(session: Any, source: str, columns: list[Column], count: int) -> list[dict[str, Any]]:
    """The server's own JSON, a dict per row; columns that it cannot write as JSON are missing from the dicts."""
    from cassandra.cluster import NoHostAvailable
    from cassandra.protocol import ErrorMessage

    failures = (NoHostAvailable, ErrorMessage, ValueError)
    try:
        return [_plain_names(loads(text.decode())) for (text,) in session.execute(f"SELECT JSON * FROM {source}")]
    except failures:
        rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for column in columns:
        try:
            texts = [text for (text,) in session.execute(f"SELECT JSON {quote(column.name)} FROM {source}")]
            parsed = [_plain_names(loads(text.decode())) for text in texts]
        except failures:
            continue
        # As above: rows that are not there would put those behind them in their places.
        if len(parsed) == len(rows):
            for row, found in zip(rows, parsed, strict=True):
                row.update(found)
    return rows


def _plain_name(name: str) -> str:
    """Cassandra writes case-sensitive names in CQL's quotes."""
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name


def _plain_names(row: dict[str, Any]) -> dict[str, Any]:
    return {_plain_name(name): value for name, value in row.items()}


def _value(column: Column, data: bytes | None, server: dict[str, Any], odd: dict[str, int]) -> Any:
    """The server's JSON where it says the same as the bytes, else what the bytes say; `odd` counts why."""
    ours = decode(column.type, data)
    if column.name not in server:
        _count(odd, "no JSON from the server")
        return ours
    theirs = _plain_fields(column.type, server[column.name])
    if _same(column.type, theirs, ours):
        return theirs
    if column.kind == "clustering" and _same(column.type, by_value(column.type, theirs), by_value(column.type, ours)):
        _count(odd, "another spelling of the clustering")
        return ours
    reason = _excuse(column.type, theirs, ours)
    if not reason:
        raise ValueError(f"{column.name} {column.cql_type}: server {dumps(theirs)}, bytes {dumps(ours)} ({data!r})")
    _count(odd, reason)
    return ours


def _count(odd: dict[str, int], reason: str) -> None:
    odd[reason] = odd.get(reason, 0) + 1


def _same(t: CqlType, theirs: Any, ours: Any) -> bool:
    try:
        return canonical(t, theirs) == canonical(t, ours)
    except (ValueError, TypeError, AttributeError):
        return False


def _plain_fields(t: CqlType, value: Any) -> Any:
    """Unquotes the field names of user types, wherever they are nested."""
    if isinstance(value, dict) and t.name == "udt":
        plain = _plain_names(value)
        return {f: _plain_fields(p, plain.get(f)) for f, p in zip(t.fields, t.params)} if set(plain) == set(t.fields) else value
    if isinstance(value, dict) and t.name == "map":
        return {k: _plain_fields(t.params[1], v) for k, v in value.items()}
    if isinstance(value, list) and t.name == "tuple" and len(value) == len(t.params):
        return [_plain_fields(p, v) for p, v in zip(t.params, value)]
    if isinstance(value, list) and t.params:
        return [_plain_fields(t.params[0], v) for v in value]
    return value


def _excuse(t: CqlType, theirs: Any, ours: Any) -> str | None:
    """Why the server's JSON may differ from the value: the known weaknesses of its text, each by name."""
    if _same(t, theirs, ours):
        return "same"
    if t.name == "udt" and isinstance(theirs, dict) and isinstance(ours, dict):
        return _excuse_all([(p, theirs.get(f), ours.get(f)) for f, p in zip(t.fields, t.params)])
    if t.name == "map" and has_floats(t.params[0]) and any(text in key for key in ours for text in NON_FINITE):
        # Several keys may be one then.
        return "not finite: null in a key"
    if t.name == "map" and isinstance(theirs, dict) and len(theirs) == len(ours):
        return _excuse_all([(t.params[1], a, b) for a, b in zip(theirs.values(), ours.values())]) and "map keys"
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        params = t.params if t.name == "tuple" else t.params * len(ours)
        return _excuse_all(list(zip(params, theirs, ours)))
    if theirs is None and ours in NON_FINITE:
        return "not finite: null"
    if ours == "":
        return "empty value"
    if ours is None:
        return None
    if t.name in TEXT_TYPES and any(c < " " for c in ours):
        return "control characters"
    if t.name == "timestamp":
        return "timestamp text"
    if t.name == "date" and (ours[0] in "+-" or ours.startswith("0000")):
        return "date text"
    if t.name == "duration" and ours == "0s":
        return "zero duration"
    return None


def _excuse_all(triples: list[tuple[CqlType, Any, Any]]) -> str | None:
    reasons = [_excuse(*triple) for triple in triples]
    return None if None in reasons else next((r for r in reasons if r != "same"), "same")
