"""Copies out of a node's data directory what a corpus needs: user tables, the schema, and who the node is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

SCHEMA_TABLES = ("keyspaces", "tables", "columns", "dropped_columns", "types", "views", "indexes", "triggers", "functions", "aggregates")
SYSTEM_TABLES = ("local", "peers", "peers_v2")
# Where 2.x keeps its schema, in the keyspace system.
LEGACY_SCHEMA_TABLES = ("schema_keyspaces", "schema_columnfamilies", "schema_columns", "schema_usertypes", "schema_triggers",
                        "schema_functions", "schema_aggregates")
TABLE_DIRECTORY = re.compile(r"(\w+)-[0-9a-f]{32}")


def copy(source: Path, target: Path, keyspaces: list[str], tables: set[str] | None = None) -> None:
    """Replaces `target` by a pruned copy of the data directory `source`. `tables` limits the user tables by name."""
    shutil.rmtree(target, ignore_errors=True)
    wanted = {"system_schema": set(SCHEMA_TABLES), "system": {*SYSTEM_TABLES, *LEGACY_SCHEMA_TABLES}}
    wanted |= {keyspace: tables for keyspace in keyspaces}
    for keyspace, names in wanted.items():
        if not (source / keyspace).is_dir():
            continue
        for directory in sorted((source / keyspace).iterdir()):
            found = TABLE_DIRECTORY.fullmatch(directory.name)
            if found and (names is None or found[1] in names):
                shutil.copytree(directory, target / keyspace / directory.name)
    remove_empty(target)


def remove_empty(directory: Path) -> None:
    """Removes directories without files, which git would not keep either."""
    for sub in sorted(directory.rglob("*"), reverse=True):
        if sub.is_dir() and not any(sub.iterdir()):
            sub.rmdir()


def table_directories(data: Path, keyspace: str, table: str) -> list[Path]:
    return sorted(d for d in (data / keyspace).iterdir() if (m := TABLE_DIRECTORY.fullmatch(d.name)) and m[1] == table)
