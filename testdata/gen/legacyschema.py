"""The schema as 2.x keeps it: `system.schema_*`, with Java class names for types. Here it becomes what `system_schema` says."""

from __future__ import annotations

import re
from typing import Any

from cqltypes import CqlType, UserTypes, decode

SCALARS = {
    "AsciiType": "ascii", "LongType": "bigint", "BytesType": "blob", "BooleanType": "boolean", "CounterColumnType": "counter",
    "DateType": "timestamp", "TimestampType": "timestamp", "DecimalType": "decimal", "DoubleType": "double", "FloatType": "float",
    "Int32Type": "int", "InetAddressType": "inet", "UTF8Type": "text", "UUIDType": "uuid", "TimeUUIDType": "timeuuid",
    "IntegerType": "varint", "ByteType": "tinyint", "ShortType": "smallint", "SimpleDateType": "date", "TimeType": "time",
    "LexicalUUIDType": "uuid",
}
COLLECTIONS = {"ListType": "list", "SetType": "set", "MapType": "map"}
KINDS = {"partition_key": "partition_key", "clustering_key": "clustering", "static": "static", "regular": "regular", "compact_value": "regular"}


def cql_type(text: str, frozen: bool = False) -> str:
    """CQL for a Java type expression. What is inside another is frozen, and so is every user type and tuple."""
    parsed, rest = _cql_type(text, frozen)
    if rest:
        raise ValueError(f"{text!r}: {rest!r} is left over")
    return parsed


def _cql_type(text: str, frozen: bool) -> tuple[str, str]:
    found = re.match(r"[\w.]+", text)
    assert found, text
    name, rest = found[0].rsplit(".", 1)[-1], text[found.end():]
    if name in SCALARS:
        return SCALARS[name], rest
    if name == "UserType":
        return _user_type(rest)
    if name in ("ReversedType", "FrozenType"):
        inner, rest = _cql_type(rest[1:], name == "FrozenType")
        return inner, rest[1:]
    params = []
    while rest[0] != ")":
        param, rest = _cql_type(rest[1:], True)
        params.append(param)
    inner = f"{COLLECTIONS.get(name, 'tuple')}<{', '.join(params)}>"
    return (f"frozen<{inner}>" if frozen or name == "TupleType" else inner), rest[1:]


def _user_type(rest: str) -> tuple[str, str]:
    head = re.match(r"\((\w+),([0-9a-f]*)", rest)
    assert head, rest
    rest = rest[head.end():]
    while rest[0] != ")":
        rest = _cql_type(rest[rest.index(":") + 1 :], True)[1]
    return f"frozen<{bytes.fromhex(head[2]).decode()}>", rest[1:]


def user_types(session: Any, keyspace: str) -> UserTypes:
    """Name to field names and field types of the keyspace's user types."""
    texts = CqlType("list", (CqlType("text"),))
    found = session.execute(f"SELECT type_name, field_names, field_types FROM system.schema_usertypes WHERE keyspace_name = '{keyspace}'")
    return {name.decode(): (decode(texts, names), [cql_type(t) for t in decode(texts, types)]) for name, names, types in found}


def columns(session: Any, keyspace: str, table: str) -> dict[str, tuple[str, str]]:
    """Kind and type by column name. What compact tables without clustering call regular is static in 3.0 and later."""
    found = list(session.execute(
        f"SELECT column_name, type, validator FROM system.schema_columns WHERE keyspace_name = '{keyspace}' AND columnfamily_name = '{table}'"
    ))
    return {name.decode(): (KINDS[kind.decode()], cql_type(validator.decode())) for name, kind, validator in found}
