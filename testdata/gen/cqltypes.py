"""CQL types: their text, their bytes, and what two JSON values of a type must have in common to be the same value.

`decode` is written from the formats, not from cassport, and says what `output.md` section 2 says. It is used beside
`SELECT JSON`: where the server answers, both must agree; where it cannot (empty values, NaN, old versions), `decode` answers.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
import uuid
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any, Mapping

from jsontext import Number, dumps, loads

# A varint may have thousands of digits.
sys.set_int_max_str_digits(0)

TEXT_TYPES = {"ascii", "text", "varchar"}
INTEGER_BYTES = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
FLOATS = {"float": ">f", "double": ">d"}
NON_FINITE = {"NaN", "Infinity", "-Infinity"}
FIRST_MILLIS = -62135596800000  # 0001-01-01
LAST_MILLIS = 253402300799999  # 9999-12-31T23:59:59.999


@dataclass(frozen=True)
class CqlType:
    """A type as `system_schema` spells it; `fields` are those of a user-defined type."""

    name: str
    params: tuple[CqlType, ...] = ()
    fields: tuple[str, ...] = ()
    frozen: bool = False
    dimension: int = 0

    @property
    def multi_cell(self) -> bool:
        """Whether a column of this type has one cell per element."""
        return not self.frozen and self.name in ("list", "set", "map", "udt")


UserTypes = Mapping[str, tuple[list[str], list[str]]]


def parse(text: str, user_types: UserTypes) -> CqlType:
    """Reads a type such as `map<text, frozen<list<"My Type">>>`. User types map a name to field names and field types."""
    parsed, rest = _parse(text.strip(), user_types)
    if rest.strip():
        raise ValueError(f"{text!r}: {rest!r} is left over")
    return parsed


def _parse(text: str, user_types: UserTypes) -> tuple[CqlType, str]:
    text = text.lstrip()
    if text.startswith('"'):
        end = 1
        while text[end] != '"' or text[end : end + 2] == '""':
            end += 2 if text[end] == '"' else 1
        name, rest = text[1:end].replace('""', '"'), text[end + 1 :]
    elif text.startswith("'"):
        end = text.index("'", 1)
        name, rest = text[: end + 1], text[end + 1 :]
    else:
        end = next((i for i, c in enumerate(text) if c in "<>, "), len(text))
        name, rest = text[:end], text[end:]
    if name in user_types:
        names, types = user_types[name]
        return CqlType("udt", tuple(parse(t, user_types) for t in types), tuple(names)), rest
    if not rest.startswith("<"):
        return CqlType(name), rest
    params: list[CqlType] = []
    dimension = 0
    rest = rest[1:]
    while True:
        rest = rest.lstrip()
        if name == "vector" and params:
            digits, rest = rest.split(">", 1)
            dimension = int(digits)
            break
        param, rest = _parse(rest, user_types)
        params.append(param)
        rest = rest.lstrip()
        separator, rest = rest[0], rest[1:]
        if separator == ">":
            break
    if name == "frozen":
        inner = params[0]
        return CqlType(inner.name, inner.params, inner.fields, True, inner.dimension), rest
    return CqlType(name, tuple(params), dimension=dimension, frozen=name in ("tuple", "vector")), rest


# -- bytes to JSON ---------------------------------------------------------------------------------------------------


def decode(t: CqlType, data: bytes | None) -> Any:
    """The JSON value of serialized bytes."""
    if data is None:
        return None
    if t.name in TEXT_TYPES:
        return data.decode()
    if t.name == "blob" or t.name.startswith("'"):
        return "0x" + data.hex()
    if t.name in ("tuple", "udt"):
        values = _decode_fields(t, data)
        return dict(zip(t.fields, values)) if t.name == "udt" else values
    if not data:
        return ""
    if t.name in ("list", "set"):
        return [decode(t.params[0], item) for item in _items(data, 1)]
    if t.name == "map":
        flat = _items(data, 2)
        return {_key_text(decode(t.params[0], k)): decode(t.params[1], v) for k, v in zip(flat[::2], flat[1::2])}
    if t.name == "vector":
        return [decode(t.params[0], item) for item in _vector_items(t, data)]
    return _decode_scalar(t.name, data)


def _decode_scalar(name: str, data: bytes) -> Any:
    if name == "boolean":
        return data != b"\0"
    if name in INTEGER_BYTES or name in ("counter", "varint"):
        return Number(int.from_bytes(data, "big", signed=True))
    if name == "decimal":
        return Number(_decimal_text(data))
    if name in FLOATS:
        return _float_text(FLOATS[name], data)
    if name in ("uuid", "timeuuid"):
        return str(uuid.UUID(bytes=data))
    if name == "inet":
        return _inet_text(data)
    if name == "timestamp":
        return timestamp_text(int.from_bytes(data, "big", signed=True))
    if name == "date":
        return date_text(int.from_bytes(data, "big") - 2**31)
    if name == "time":
        seconds, nanos = divmod(int.from_bytes(data, "big", signed=True), 10**9)
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{nanos:09}"
    if name == "duration":
        return _duration_text(data)
    raise ValueError(f"type {name}")


def _items(data: bytes, per_entry: int) -> list[bytes | None]:
    count, at = struct.unpack_from(">i", data)[0] * per_entry, 4
    items = []
    for _ in range(count):
        item, at = _sized(data, at)
        items.append(item)
    return items


def _sized(data: bytes, at: int) -> tuple[bytes | None, int]:
    size = struct.unpack_from(">i", data, at)[0]
    at += 4
    return (None, at) if size < 0 else (data[at : at + size], at + size)


def _decode_fields(t: CqlType, data: bytes) -> list[Any]:
    values, at = [], 0
    for field_type in t.params:
        item = None
        if at < len(data):
            item, at = _sized(data, at)
        values.append(decode(field_type, item))
    return values


def _fixed_size(t: CqlType) -> int | None:
    """The size of a value whose length is not written inside a vector."""
    sizes = {"boolean": 1, "int": 4, "float": 4, "bigint": 8, "double": 8, "timestamp": 8, "uuid": 16, "timeuuid": 16}
    if t.name == "vector":
        inner = _fixed_size(t.params[0])
        return None if inner is None else inner * t.dimension
    return sizes.get(t.name)


def _vector_items(t: CqlType, data: bytes) -> list[bytes]:
    size = _fixed_size(t.params[0])
    if size:
        return [data[i : i + size] for i in range(0, len(data), size)]
    items, at = [], 0
    for _ in range(t.dimension):
        length, at = _unsigned_vint(data, at)
        items.append(data[at : at + length])
        at += length
    return items


def _unsigned_vint(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    extra = 0
    while extra < 8 and first & (0x80 >> extra):
        extra += 1
    value = int.from_bytes(bytes([first & (0xFF >> extra)]) + data[at + 1 : at + 1 + extra], "big")
    return value, at + 1 + extra


def _key_text(key: Any) -> str:
    """Map keys are strings in JSON; what is no string is written as JSON text first."""
    return key if isinstance(key, str) and not isinstance(key, Number) else dumps(key)


def _decimal_text(data: bytes) -> str:
    scale = struct.unpack_from(">i", data)[0]
    unscaled = int.from_bytes(data[4:], "big", signed=True)
    with localcontext(Context(prec=999999, Emax=999999999999999999, Emin=-999999999999999999)):
        return str(Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale)))


def _float_text(layout: str, data: bytes) -> Any:
    value = struct.unpack(layout, data)[0]
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if layout == ">d":
        return Number(repr(value))
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return Number(next(text for text in texts if _same_single(text, data)))


def _same_single(text: str, data: bytes) -> bool:
    try:
        return struct.pack(">f", float(text)) == data
    except OverflowError:
        return False


def _inet_text(data: bytes) -> str:
    if len(data) == 16 and data.startswith(bytes(10) + b"\xff\xff"):
        data = data[12:]
    if len(data) == 4:
        return str(ipaddress.IPv4Address(data))
    return ":".join(f"{part:x}" for part in struct.unpack(">8H", data))


def civil(days: int) -> tuple[int, int, int]:
    """Year, month, day of a day count from 1970, in the Gregorian calendar extended both ways."""
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def timestamp_text(millis: int) -> Any:
    """A timestamp as JSON has it: a number where text would be ambiguous."""
    return instant_text(millis) if FIRST_MILLIS <= millis <= LAST_MILLIS else Number(millis)


def instant_text(millis: int) -> str:
    """A timestamp of any year as text."""
    days, rest = divmod(millis, 86400000)
    return f"{date_text(days)} {rest // 3600000:02}:{rest // 60000 % 60:02}:{rest // 1000 % 60:02}.{rest % 1000:03}Z"


def date_text(days: int) -> str:
    """A day count from 1970 as text; years of other than four digits have a sign."""
    year, month, day = civil(days)
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04}-{month:02}-{day:02}"


def _duration_text(data: bytes) -> str:
    months, at = _unsigned_vint(data, 0)
    days, at = _unsigned_vint(data, at)
    nanos, at = _unsigned_vint(data, at)
    months, days, nanos = ((v >> 1) ^ -(v & 1) for v in (months, days, nanos))
    negative = min(months, days, nanos) < 0
    text = ""
    for value, units in (
        (abs(months), (("y", 12), ("mo", 1))),
        (abs(days), (("d", 1),)),
        (abs(nanos), (("h", 3600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))),
    ):
        for unit, size in units:
            amount, value = divmod(value, size)
            text += f"{amount}{unit}" if amount else ""
    return ("-" if negative else "") + text if text else "0s"


# -- sameness --------------------------------------------------------------------------------------------------------


def canonical(t: CqlType, value: Any) -> Any:
    """A form of a JSON value that is equal for equal values, whatever the text: float bits, parsed addresses, milliseconds."""
    if value is None:
        return None
    if t.name in TEXT_TYPES or t.name == "blob" or t.name.startswith("'"):
        return value
    if value == "" and not isinstance(value, Number):
        return ("empty",)
    if t.name in ("list", "set", "vector"):
        return tuple(canonical(t.params[0], item) for item in value)
    if t.name == "map":
        return tuple((canonical_key(t.params[0], k), canonical(t.params[1], v)) for k, v in value.items())
    if t.name == "tuple":
        return tuple(canonical(p, item) for p, item in zip(t.params, value, strict=True))
    if t.name == "udt":
        if set(value) != set(t.fields):
            return ("fields", tuple(value))
        return tuple(canonical(p, value[f]) for p, f in zip(t.params, t.fields))
    return _canonical_scalar(t.name, value)


def by_value(t: CqlType, value: Any) -> Any:
    """The JSON value with its decimals written in one way: Cassandra takes 1.0 and 1.00 for one clustering, and keeps whichever
    it met."""
    if value is None or value == "" and not isinstance(value, Number):
        return value
    if t.name == "decimal":
        with localcontext(Context(prec=999999, Emax=999999999999999999, Emin=-999999999999999999)):
            number = Decimal(str(value))
            return Number(str(number.normalize() if number else 0))
    if t.name in ("list", "set", "vector"):
        return [by_value(t.params[0], item) for item in value]
    if t.name == "tuple":
        return [by_value(p, item) for p, item in zip(t.params, value)]
    if t.name == "udt":
        return {f: by_value(p, value.get(f)) for p, f in zip(t.params, t.fields)}
    if t.name == "map":
        simple = t.params[0].name == "decimal"
        return {dumps(by_value(t.params[0], Number(k))) if simple else k: by_value(t.params[1], v) for k, v in value.items()}
    return value


def has_floats(t: CqlType) -> bool:
    return t.name in FLOATS or any(map(has_floats, t.params))


def canonical_key(t: CqlType, text: str) -> Any:
    """As `canonical`, for a map key, which is always a string in JSON."""
    strings = TEXT_TYPES | {"blob", "uuid", "timeuuid", "inet", "timestamp", "date", "time", "duration"}
    if t.name in strings or text == "" or text in NON_FINITE:
        return canonical(t, Number(text) if t.name == "timestamp" and text.lstrip("-").isdigit() else text)
    return canonical(t, loads(text))


def _canonical_scalar(name: str, value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Number)
    if name in FLOATS:
        if not isinstance(value, str) or (is_text and value not in NON_FINITE):
            return ("malformed", value)
        return "NaN" if value == "NaN" else struct.pack(FLOATS[name], _to_float(name, value))
    if name == "inet" and is_text:
        address = ipaddress.ip_address(value)
        return (getattr(address, "ipv4_mapped", None) or address).packed
    if name == "timestamp":
        return int(value) if isinstance(value, Number) else _millis(value)
    # The text is the value: integers, decimals, dates, times, durations, uuids. A number is not a string of digits.
    return (type(value).__name__, str(value))


def _to_float(name: str, text: str) -> float:
    value = float(text)
    try:
        struct.pack(FLOATS[name], value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value


def _millis(text: str) -> Any:
    """Milliseconds of `2020-01-02 03:04:05.678Z`; a text of another shape stays as it is and so equals no number."""
    try:
        year, month, day = map(int, text[:10].split("-"))
        hours, minutes, seconds = map(int, text[11:19].split(":"))
        if text[10] != " " or text[19] != "." or text[23:] != "Z":
            return text
        shifted_year = year - (month <= 2)
        era, year_of_era = divmod(shifted_year, 400)
        day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
        days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
        return ((days * 24 + hours) * 60 + minutes) * 60000 + seconds * 1000 + int(text[20:23])
    except ValueError:
        return text
