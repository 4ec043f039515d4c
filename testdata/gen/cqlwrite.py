"""Rows and deletions as cassport writes them, as CQL statements: what whoever loads them into a Cassandra has to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Iterable, Iterator

from answers import Column, quote
from cqltypes import TEXT_TYPES, CqlType
from jsontext import Number, loads

NUMBERS = {"tinyint", "smallint", "int", "bigint", "varint", "decimal", "float", "double", "counter"}
PLAIN = {"boolean", "uuid", "timeuuid", "duration", "blob"}
SHORT = 60


def literal(t: CqlType, value: Any) -> str:
    """A value of `jsonl` as a CQL term."""
    if value is None:
        return "null"
    if t.name in TEXT_TYPES:
        return "'" + value.replace("'", "''") + "'"
    if t.name == "udt":
        return "{" + ", ".join(f"{quote(f)}: {literal(p, value.get(f))}" for f, p in zip(t.fields, t.params)) + "}"
    if t.name == "tuple":
        return "(" + ", ".join(literal(p, v) for p, v in zip(t.params, value)) + ")"
    if t.name in ("list", "vector"):
        return "[" + ", ".join(literal(t.params[0], v) for v in value) + "]"
    if t.name == "set":
        return "{" + ", ".join(literal(t.params[0], v) for v in value) + "}"
    if t.name == "map":
        return "{" + ", ".join(f"{map_key(t.params[0], k)}: {literal(t.params[1], v)}" for k, v in value.items()) + "}"
    if t.name == "blob":
        return value
    if value == "":
        return f"blobAs{t.name.capitalize()}(0x)"
    if t.name == "decimal":
        return decimal(str(value))
    if t.name in NUMBERS:
        return str(value)
    if t.name in PLAIN:
        return str(value).lower() if t.name == "boolean" else str(value)
    if isinstance(value, Number):
        return str(value)
    return f"'{value}'"


def decimal(text: str) -> str:
    """By its bytes: the server cannot read all of them within a collection."""
    sign, digits, exponent = Decimal(text).as_tuple()
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    data = (-int(exponent)).to_bytes(4, "big", signed=True) + unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)
    return f"blobAsDecimal(0x{data.hex()})"


def map_key(t: CqlType, text: str) -> str:
    """The key of a map, which JSON has as text."""
    if t.name in ("list", "set", "map", "tuple", "udt", "vector"):
        return literal(t, loads(text))
    if t.name in NUMBERS and re.fullmatch(r"[-+0-9.eE]+", text):
        return literal(t, Number(text))
    if t.name in ("timestamp",) and re.fullmatch(r"-?[0-9]+", text):
        return text
    return literal(t, text)


@dataclass
class Target:
    """A table that is written to; `descending` are clustering columns whose order is turned round."""

    name: str
    columns: list[Column]
    descending: set[str]

    def of(self, kind: str) -> list[Column]:
        return [c for c in self.columns if c.kind == kind]

    def where(self, key: dict[str, Any], clustering: bool = True) -> str:
        columns = self.of("partition_key") + (self.of("clustering") if clustering else [])
        return " AND ".join(f"{quote(c.name)} = {literal(c.type, key[c.name])}" for c in columns)

    def is_static_only(self, row: dict[str, Any]) -> bool:
        return bool(self.of("clustering")) and all(row[c.name] is None for c in self.of("clustering"))

    # -- rows --------------------------------------------------------------------------------------------------------

    def insert(self, row: dict[str, Any]) -> str:
        """Without write times: the whole row in place of the one that is there."""
        kinds = ["partition_key", "static"] if self.is_static_only(row) else ["partition_key", "clustering", "static", "regular"]
        columns = [c for c in self.columns if c.kind in kinds]
        names = ", ".join(quote(c.name) for c in columns)
        return f"INSERT INTO {self.name} ({names}) VALUES ({', '.join(literal(c.type, row[c.name]) for c in columns)})"

    def cells(self, row: dict[str, Any], age: int = 0) -> Iterator[str]:
        """With the write time of each cell (`--metadata cell`), and with `age` seconds less of the TTL."""
        static_only = self.is_static_only(row)
        marker = row.get("writetime(primary key)")
        if marker is not None and not static_only:
            keys = self.of("partition_key") + self.of("clustering")
            names, values = ", ".join(quote(c.name) for c in keys), ", ".join(literal(c.type, row[c.name]) for c in keys)
            yield f"INSERT INTO {self.name} ({names}) VALUES ({values}){using(marker, row.get('ttl(primary key)'), age)}"
        for column in self.of("static") + ([] if static_only else self.of("regular")):
            value, times, ttls = row[column.name], row[f"writetime({column.name})"], row[f"ttl({column.name})"]
            if value is None:
                continue
            where = self.where(row, column.kind != "static")
            if not column.type.multi_cell:
                yield self.update(column, f"= {literal(column.type, value)}", times, ttls, where, age)
                continue
            for what, time, ttl in zip(self.elements(column, value), times, ttls or [None] * len(times), strict=True):
                if time is not None:
                    yield self.update(column, what, time, ttl, where, age)

    def elements(self, column: Column, value: Any) -> list[str]:
        """What an UPDATE says behind the column for each element alone."""
        t, name = column.type, quote(column.name)
        if t.name == "udt":
            return [f".{quote(f)} = {literal(p, value.get(f))}" for f, p in zip(t.fields, t.params)]
        if t.name == "map":
            return [f"= {name} + {{{map_key(t.params[0], k)}: {literal(t.params[1], v)}}}" for k, v in value.items()]
        return [f"= {name} + {{{literal(t.params[0], v)}}}" for v in value]

    def update(self, column: Column, what: str, time: Any, ttl: Any, where: str, age: int) -> str:
        space = "" if what.startswith(".") else " "
        return f"UPDATE {self.name}{using(time, ttl, age)} SET {quote(column.name)}{space}{what} WHERE {where}"

    # -- deletions ---------------------------------------------------------------------------------------------------

    def deletions(self, record: dict[str, Any], times: bool) -> Iterator[str]:
        """A record of `--deletes`. Without write times what it is about goes as a whole; rows that live are written after it."""
        op, key, is_static = record["op"], record["key"], record.get("static", False)
        when = f" USING TIMESTAMP {record['deleted']}" if times and "deleted" in record else ""
        if op == "delete_partition":
            yield f"DELETE FROM {self.name}{when} WHERE {self.where(key, False)}"
        elif op == "delete_range":
            for part in self.range(record["range"]):
                yield f"DELETE FROM {self.name}{when} WHERE {self.where(key, False)}{part}"
        elif not times and is_static:
            yield f"DELETE {', '.join(quote(c.name) for c in self.of('static'))} FROM {self.name} WHERE {self.where(key, False)}"
        elif not times:
            yield f"DELETE FROM {self.name} WHERE {self.where(key)}"
        else:
            yield from self.cell_deletions(record, self.where(key, not is_static), when)

    def cell_deletions(self, record: dict[str, Any], where: str, when: str) -> Iterator[str]:
        if when:
            yield f"DELETE FROM {self.name}{when} WHERE {where}"
        marker = record.get("marker")
        if marker:
            # It has expired: one of the same write time that expires at once takes the place of what is there.
            keys = self.of("partition_key") + self.of("clustering")
            names, values = ", ".join(quote(c.name) for c in keys), ", ".join(literal(c.type, record["key"][c.name]) for c in keys)
            yield f"INSERT INTO {self.name} ({names}) VALUES ({values}) USING TIMESTAMP {marker['writetime']} AND TTL 1"
        types = {c.name: c.type for c in self.columns}
        for name, cell in record.get("cells", {}).items():
            if "deleted" in cell:
                yield f"DELETE {quote(name)} FROM {self.name} USING TIMESTAMP {cell['writetime']} WHERE {where}"
            if "reset" in cell:
                yield f"DELETE {quote(name)} FROM {self.name} USING TIMESTAMP {cell['reset']} WHERE {where}"
            for element in cell.get("elements", []):
                t = types[name]
                if t.name == "udt":
                    what = f"{quote(name)}.{quote(element['key'])}"
                else:
                    what = f"{quote(name)}[{literal(t.params[0], element['key'])}]"
                yield f"DELETE {what} FROM {self.name} USING TIMESTAMP {element['writetime']} WHERE {where}"

    def range(self, bounds: dict[str, Any]) -> Iterator[str]:
        """A range as restrictions that CQL can say: the columns before by value, one by a range."""
        columns = self.of("clustering")
        start, end = bounds.get("start"), bounds.get("end")
        low, high = (start or {}).get("values", []), (end or {}).get("values", [])
        common = 0
        while common < min(len(low), len(high)) and low[common] == high[common]:
            common += 1

        def equal(values: list[Any]) -> str:
            return "".join(f" AND {quote(c.name)} = {literal(c.type, v)}" for c, v in zip(columns, values))

        def beyond(i: int, value: Any, after: bool) -> str:
            c = columns[i]
            sign = ">" if after != (c.name in self.descending) else "<"
            return f" AND {quote(c.name)} {sign} {literal(c.type, value)}"

        if common == len(low) == len(high):
            # Both ends at one prefix: its rows, if both are with them.
            if (not start or start["inclusive"]) and (not end or end["inclusive"]):
                yield equal(low)
            return
        if common == len(low):
            # The start is a prefix of the end: from the first of its rows to the end.
            if not start or start["inclusive"]:
                yield from self.ends(high, end, common, equal, beyond, after=False)
            return
        if common == len(high):
            if not end or end["inclusive"]:
                yield from self.ends(low, start, common, equal, beyond, after=True)
            return
        yield equal(low[:common]) + beyond(common, low[common], True) + beyond(common, high[common], False)
        yield from self.ends(low, start, common + 1, equal, beyond, after=True)
        yield from self.ends(high, end, common + 1, equal, beyond, after=False)

    def ends(self, values: list[Any], bound: dict[str, Any], first: int, equal: Any, beyond: Any, after: bool) -> Iterator[str]:
        """The rows with the first values of a bound and beyond it in one of the others, and those at it."""
        for i in range(first, len(values)):
            yield equal(values[:i]) + beyond(i, values[i], after)
        if bound["inclusive"]:
            yield equal(values)


def using(time: Any, ttl: Any, age: int) -> str:
    """A TTL that is nearly over is left out: a target that keeps what expires is the harder case."""
    return f" USING TIMESTAMP {time}" + (f" AND TTL {int(ttl) - age}" if ttl is not None and int(ttl) - age > SHORT else "")


def run(session: Any, statements: Iterable[str]) -> int:
    """Executes them one after the other; how many there were."""
    count = 0
    for statement in statements:
        try:
            session.execute(statement)
        except Exception as error:
            error.add_note(statement)
            raise
        count += 1
    return count
