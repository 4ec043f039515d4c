"""Small corpora under `testdata/regressions`: a few tables that a script writes, and little of the node's own beside them."""

from __future__ import annotations

import shutil
from typing import Any, Iterable

import corpusfile
import datadir
from answers import Answer, ask, to_one_clock
from generate import TESTDATA
from node import Node


def session_of(node: Node) -> Any:
    session = node.session()
    for keyspace in ("system", "system_schema"):
        node.control("disableautocompaction", keyspace)
    return session


def finish(node: Node, session: Any, keyspace: str, tables: Iterable[str]) -> list[Answer]:
    """Cassandra's answers; then everything but the tables in as few files as can be."""
    answers = [ask(session, node.line, keyspace, table) for table in tables]
    to_one_clock(answers)
    node.flush(["system", "system_schema"])
    node.control("compact", "system_schema")
    node.control("compact", "system", "local")
    node.control("drain")
    return answers


def save(node: Node, name: str, answers: list[Answer], notes: str, unneeded: Iterable[str] = ()) -> None:
    """Replaces the corpus `name`. `unneeded`: tables of the schema in which nothing of it is."""
    target = TESTDATA / "regressions" / name
    datadir.copy(node.data, target / "data", sorted({a.keyspace for a in answers}), {a.table for a in answers})
    for table in unneeded:
        for directory in (target / "data/system_schema").glob(f"{table}-*"):
            shutil.rmtree(directory)
    corpusfile.write(target, node.line, [(answer, notes) for answer in answers], {})
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    print(f"{name}: {sum(len(a.rows) for a in answers)} rows, {size} bytes")
