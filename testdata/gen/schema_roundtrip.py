#!/usr/bin/env python3
"""Whether Cassandra takes the schema that `cassport schema` writes, and has the same one afterwards.

`schema_roundtrip.py [LINE...] [--cassport PATH]`: the schema of each corpus of a line is written as CQL, every statement of it is
executed on an empty node of that line, and what `cassport schema` writes of the new node is compared with the original, byte
for byte. Exit code 1 if a statement was refused or a line differs.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator

from compare import DEFAULT_CASSPORT
from generate import TESTDATA
from node import LINES, Line, Node

# `cassport schema` writes the CQL of 3.0 and later, whatever it read.
WRITTEN = [name for name, line in LINES.items() if line.number >= (3, 0)]
# Literals, quoted names, bodies of functions and comments, in none of which a semicolon ends a statement.
PIECES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|/\*.*?\*/|--[^\n]*|//[^\n]*|;|[^'"$/;-]+|.""", re.S)


def statements(cql: str) -> Iterator[str]:
    """The statements of a script, without comments."""
    statement = ""
    for piece in PIECES.findall(cql):
        if piece == ";":
            yield statement.strip()
            statement = ""
        elif not piece.startswith(("--", "//", "/*")):
            statement += piece
    if statement.strip():
        yield statement.strip()


def written(cassport: Path, data: Path) -> str:
    """What `cassport schema` says."""
    return subprocess.run([cassport, "schema", "--data-dir", data], check=True, capture_output=True, text=True).stdout


def corpora(line: Line) -> list[Path]:
    """The data directories of a line; their keyspaces have different names."""
    kept = sorted((TESTDATA / "regressions").glob(f"{line.name}-*"))
    return [corpus / "data" for corpus in [TESTDATA / line.name, *kept]]


def execute(session: Any, line: Line, cql: str) -> tuple[int, int]:
    """Statements executed, and how many of them were refused."""
    count = refused = 0
    for statement in statements(cql):
        count += 1
        try:
            session.execute(statement)
        except Exception as error:  # Whatever it is, the statement was not taken.
            refused += 1
            print(f"{line.name} refused: {error}\n  {statement}")
    return count, refused


def round_trip(line: Line, cassport: Path, scratch: Path) -> bool:
    """Runs one line; true if everything was taken and is the same again."""
    originals = [written(cassport, data) for data in corpora(line)]
    count = refused = 0
    with Node(line, scratch / line.name) as node:
        session = node.session()
        for original in originals:
            done = execute(session, line, original)
            count, refused = count + done[0], refused + done[1]
        node.flush(["system_schema"])
        node.control("drain")
    # The new node has the keyspaces of all corpora.
    wanted = "".join(sorted(section for original in originals for section in sections(original))).splitlines()
    again = "".join(sorted(sections(written(cassport, node.data)))).splitlines()
    difference = list(difflib.unified_diff(wanted, again, "original", "again", n=1, lineterm=""))
    changed = sum(text[:1] in "+-" and text[:3] not in ("+++", "---") for text in difference)
    for text in difference[:200]:
        print(text)
    print(f"line {line.name}: {count} statements, {refused} refused; {len(wanted)} lines, {changed} different")
    return not refused and not changed


def sections(cql: str) -> list[str]:
    """A schema keyspace by keyspace."""
    parts = re.split(r"(?m)^(?=CREATE KEYSPACE )", cql)
    return [part.rstrip("\n") + "\n\n" for part in parts if part.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="*", metavar="LINE", help=f"of {', '.join(WRITTEN)}; default: all")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        same = [round_trip(LINES[name], arguments.cassport, scratch) for name in arguments.lines or WRITTEN]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(not all(same))


if __name__ == "__main__":
    main()
