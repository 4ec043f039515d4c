"""JSON that keeps the text of every number: 1.0E10, 1E+400 and 12345678901234567890123 come out as they went in."""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """The text of a JSON number."""


def loads(text: str) -> Any:
    """Reads JSON; numbers become `Number`. NaN and Infinity are refused: JSON has none."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def dumps(value: Any) -> str:
    """Writes JSON with the numbers as they were read."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
