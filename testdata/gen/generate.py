#!/usr/bin/env python3
"""Makes the committed corpora: `generate.py [LINE...]` writes testdata/LINE/ with what a real node of that line wrote and answered."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import corpusfile
import datadir
from answers import Answer, ask, to_one_clock
import corpus as scripted
import legacycorpus
from corpus import SHORT, Corpus
from node import LINES, Line, Node

TESTDATA = Path(__file__).resolve().parent.parent
# Left in several SSTables on one line, so that merging the schema itself is tested too.
SCHEMA_UNCOMPACTED = {"4.0"}
# From this phase on the SSTables of 4.1 have time UUIDs for names, beside older ones that are numbered.
UUID_NAMES_PHASE = {"4.1": 2}


def generate(line: Line, scratch: Path) -> None:
    """Runs the workload and replaces testdata/LINE."""
    target = TESTDATA / line.name
    legacy = line.number < (3, 0)
    corpus = (legacycorpus if legacy else scripted).build(line)
    keyspaces = [name.strip('"') for name in corpus.keyspaces]
    settings: dict[str, Any] = {"uuid_sstable_identifiers_enabled": True} if line.number >= (5, 0) else {}
    node = Node(line, scratch / line.name, settings)
    orphans: list[Path] = []
    # Where the schema is.
    own = ["system"] if legacy else ["system_schema"]
    with node:
        session = _ready(node)
        for number, statements in enumerate(corpus.phases):
            if number == UUID_NAMES_PHASE.get(line.name):
                node.control("drain")
                node.stop()
                node.settings["uuid_sstable_identifiers_enabled"] = True
                node.start()
                session = _ready(node)
                _disable_compaction(node, keyspaces)
            for statement in statements:
                if statement.startswith("DROP TABLE"):
                    orphans.append(_set_aside(node, statement.split()[2], scratch / line.name / "orphans"))
                _execute(session, statement)
            if number == 0:
                _disable_compaction(node, keyspaces)
            node.flush([*keyspaces, *own])
            if number == 1 and "snap" in keyspaces:
                node.control("snapshot", "snap1", "snap")
        time.sleep(SHORT + 2)
        answers = _ask_all(session, line, corpus)
        node.flush(["system", *own])
        if legacy:
            node.control("compact", "system", "schema_columnfamilies", "schema_columns", "schema_keyspaces", "schema_usertypes")
        elif line.name not in SCHEMA_UNCOMPACTED:
            node.control("compact", "system_schema")
        node.control("compact", "system", "local")
        node.control("drain")
    time.sleep(1)
    datadir.copy(node.data, target / "data", keyspaces)
    for orphan in orphans:
        shutil.copytree(orphan, target / "data" / orphan.parent.name / orphan.name, dirs_exist_ok=True)
    datadir.remove_empty(target / "data")
    corpusfile.write(target, line, answers, {
        "orphans": [f"{o.parent.name}/{o.name}" for o in orphans],
        "snapshots": [] if "snap" not in keyspaces else [{"keyspace": "snap", "table": "frozen_in_time", "tag": "snap1"}],
        "leftOut": [] if "special" not in keyspaces else [{"keyspace": "special", "table": "base_by_v", "why": "materialized view"},
                    {"keyspace": "special", "table": "base.base_w", "why": "secondary index"}],
    })


def _execute(session: Any, statement: str) -> None:
    try:
        session.execute(statement)
    except Exception as error:
        error.add_note(statement)
        raise


def _ready(node: Node) -> Any:
    session = node.session()
    for keyspace in ("system", "system_schema")[: 1 if node.line.number < (3, 0) else 2]:
        node.control("disableautocompaction", keyspace)
    return session


def _disable_compaction(node: Node, keyspaces: list[str]) -> None:
    for keyspace in keyspaces:
        node.control("disableautocompaction", keyspace)


def _set_aside(node: Node, table: str, target: Path) -> Path:
    """Copies the directory of a table that is about to be dropped, with its SSTables."""
    keyspace, name = table.split(".")
    directory = datadir.table_directories(node.data, keyspace, name)[0]
    return Path(shutil.copytree(directory, target / keyspace / directory.name))


def _ask_all(session: Any, line: Line, corpus: Corpus) -> list[tuple[Answer, str]]:
    answers = [(ask(session, line, ks.strip('"'), table.strip('"')), notes) for ks, table, notes in corpus.tables]
    to_one_clock([answer for answer, _ in answers])
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", metavar="LINE", help=f"of {', '.join(LINES)}; default: all")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' directories")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        for name in arguments.lines or LINES:
            generate(LINES[name], scratch)
            size = sum(f.stat().st_size for f in (TESTDATA / name).rglob("*") if f.is_file())
            print(f"{name}: {size} bytes")
    finally:
        if arguments.keep:
            print(scratch)
        else:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
