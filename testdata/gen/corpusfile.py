"""Writes `corpus.json` and `answers/` of a corpus directory; `compare.py` reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from answers import Answer
from jsontext import dumps
from node import Line

# Where the texts may differ though the values are the same, and how to compare them.
NORMALISE = {
    "float": "the f32 that the text reads back to, by its bits",
    "double": "the f64 that the text reads back to, by its bits",
    "inet": "the address",
    "timestamp": "outside the years 0001 to 9999 a number of milliseconds, else text",
    "map keys": "a key that is no string in JSON is the text of its JSON value",
}


def write(target: Path, line: Line, answers: list[tuple[Answer, str]], more: dict[str, Any]) -> None:
    """Writes the answers, each with notes on its table. All must be of one clock."""
    shutil.rmtree(target / "answers", ignore_errors=True)
    (target / "answers").mkdir(parents=True)
    tables = []
    for answer, notes in answers:
        path = f"answers/{answer.keyspace}.{answer.table}.jsonl"
        (target / path).write_text("".join(dumps(row) + "\n" for row in answer.rows))
        tables.append({
            "keyspace": answer.keyspace, "table": answer.table, "clock": answer.clock, "answers": path, "rows": len(answer.rows),
            "columns": {c.name: c.cql_type for c in answer.columns}, "keys": answer.keys, "notes": notes,
            # Values that the server's SELECT JSON does not give, or gives in another text, by reason: decoded from its bytes.
            "notFromServerJson": answer.odd,
        })
    description = {
        "line": line.name, "releaseVersion": line.version, "clock": answers[0][0].clock, "tables": tables,
        "types": {answer.keyspace: answer.types for answer, _ in answers if answer.types}, "normalise": NORMALISE, **more,
    }
    (target / "corpus.json").write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n")
