#!/usr/bin/env python3
"""A target that holds an older state, and then the rows and deletions of a newer one (`extract --deletes`), on real Cassandra.

`deletes.py --line 4.1 --seeds 1..20 [--cassport PATH]`. Random workloads; half way the files are copied and extracted, and two
targets (keyspaces of the same node) get the rows. At the end rows and deletions of all files are written to both: to one with the
write time of every cell, to the other without any, deletions before rows. Both must answer what the source answers, cell for
cell, the first also the same write times. Exit code 1 if anything differs. Counters cannot be written so and are left out; in the
target with write times also tables with lists, whose elements CQL cannot name.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from answers import Answer, ask, quote, to_one_clock
from compare import DEFAULT_CASSPORT, Outcome, extract, extracted, read_lines
from cqltypes import canonical
from cqlwrite import Target, run
from differential import own_keyspaces, seeds
from node import LINES, Node
from statements import accepted, for_changes
from workload import SHORT_TTL, Workload

BATCH = 10


class Source:
    """A workload, and the keyspaces of its two targets."""

    def __init__(self, session: Any, node: Node, seed: int) -> None:
        self.session, self.node = session, node
        self.workload = Workload(seed, node.line)

    def execute(self, statement: str) -> bool:
        # Of a column that was dropped there are no tombstones.
        if statement.startswith("ALTER"):
            return False
        statement = for_changes(statement, False)
        done = accepted(self.session, self.node.line, statement)
        if done and statement.startswith("CREATE"):
            for kind in "ab":
                copy = re.sub(rf"\bd{self.workload.seed}\b", f"{kind}{self.workload.seed}", statement)
                self.session.execute(re.sub(r"default_time_to_live = \d+", "default_time_to_live = 0", copy))
        return done

    def target(self, kind: str, answer: Answer) -> Target:
        found = self.session.execute(
            f"SELECT column_name, clustering_order FROM system_schema.columns WHERE keyspace_name = '{answer.keyspace}' AND table_name = '{answer.table}'"
        )
        descending = {name.decode() for name, order in found if order == b"desc"}
        return Target(f"{kind}{self.workload.seed}.{quote(answer.table)}", answer.columns, descending)


def load(session: Any, target: Target, rows: list[dict[str, Any]], times: bool, age: int = 0) -> int:
    return run(session, (s for row in rows for s in (target.cells(row, age) if times else [target.insert(row)])))


def compare(wanted: Answer, found: Answer, times: bool) -> Outcome:
    """By key: values and, if the target has them, write times."""
    outcome = Outcome()
    types = {c.name: c.type for c in wanted.columns}
    # Of decimals that are one number (0 and 0E-10) a clustering keeps the spelling that it was first written with.
    number = lambda t, value: Decimal(value).normalize() if t.name == "decimal" and value != "" and value is not None else canonical(t, value)
    key = lambda line: repr([number(types[k], line["row"][k]) for k in wanted.keys])
    got = {key(line): line for line in found.rows}
    name = f"{found.keyspace}.{found.table}"
    for line in wanted.rows:
        outcome.rows += 1
        other = got.pop(key(line), None)
        if other is None:
            outcome.different.append(f"{name} {key(line)}: row is missing")
            continue
        for column, t in types.items():
            outcome.cells += 1
            if column in wanted.keys and t.name == "decimal":
                continue
            if canonical(t, line["row"][column]) != canonical(t, other["row"][column]):
                outcome.different.append(f"{name} {key(line)}: {column}: expected {line['row'][column]}, got {other['row'][column]}")
            if times and line["writetime"].get(column) != other["writetime"].get(column):
                outcome.different.append(
                    f"{name} {key(line)}: writetime({column}): expected {line['writetime'][column]}, got {other['writetime'][column]}")
    outcome.different += [f"{name} {other}: row should be gone" for other in got]
    return outcome


def play(node: Node, numbers: range, cassport: Path, scratch: Path) -> Outcome:
    session = node.session()
    sources = [Source(session, node, seed) for seed in numbers]
    for source in sources:
        source.workload.setup(source.execute)
        node.control("disableautocompaction", source.workload.keyspace)
    phases = max(source.workload.phases for source in sources)
    keyspaces = [source.workload.keyspace for source in sources]
    older_clock = 0
    for phase in range(phases):
        for source in sources:
            if phase < source.workload.phases:
                source.workload.phase(source.execute)
        node.flush(keyspaces)
        if phase + 1 == min(source.workload.phases for source in sources) // 2 + 1:
            node.flush(own_keyspaces(node))
            older_clock = int(time.time()) - SHORT_TTL - 2
            shutil.copytree(node.data, scratch / "older")
    time.sleep(SHORT_TTL + 2)
    node.flush(own_keyspaces(node))
    answers = {s: [ask(session, node.line, s.workload.keyspace, t.name) for t in s.workload.tables if not t.counter] for s in sources}
    flat = [answer for group in answers.values() for answer in group]
    to_one_clock(flat)
    tables = [(answer.keyspace, answer.table) for answer in flat]
    extract(cassport, scratch / "older", tables, older_clock, scratch / "from-older")
    extract(cassport, node.data, tables, flat[0].clock, scratch / "from-newer", "--deletes")
    total = Outcome()
    for source, group in answers.items():
        outcome, statements, records, replaced = Outcome(), 0, 0, 0
        for answer in group:
            older = extracted(scratch / "from-older", answer.keyspace, answer.table)
            newer = extracted(scratch / "from-newer", answer.keyspace, answer.table)
            deletions = read_lines(sorted((scratch / "from-newer" / answer.keyspace / f"{answer.table}-deletes").glob("LOAD*.jsonl")))
            records += len(deletions)
            replaced += len(older)
            lists = any(c.type.multi_cell and c.type.name == "list" for c in answer.columns)
            for kind, times in (("a", False), ("b", True)):
                if times and lists:
                    continue
                target = source.target(kind, answer)
                # Of two cells of one write time that expire the one that does so later wins: what is left is that of one clock.
                statements += load(session, target, older, times, flat[0].clock - older_clock)
                statements += run(session, (s for record in deletions for s in target.deletions(record, times)))
                statements += load(session, target, newer, times)
        time.sleep(2)
        for answer in group:
            lists = any(c.type.multi_cell and c.type.name == "list" for c in answer.columns)
            for kind, times in (("a", False), ("b", True)):
                if not (times and lists):
                    found = ask(session, node.line, f"{kind}{source.workload.seed}", answer.table, slow=True)
                    outcome.add(compare(answer, found, times))
        print(f"seed {source.workload.seed}: {len(group)} tables, {replaced} older rows, {records} deletions, {statements} statements, "
              f"{outcome.rows} rows compared, {len(outcome.different)} different", flush=True)
        for text in outcome.different[:20]:
            print(f"  {text}")
        total.add(outcome)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=[name for name, line in LINES.items() if line.number >= (4, 0)])
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    total = Outcome()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        with Node(LINES[arguments.line], scratch / "node", {"cdc_enabled": False}) as node:
            for keyspace in own_keyspaces(node):
                node.control("disableautocompaction", keyspace)
            for start in range(0, len(arguments.seeds), BATCH):
                part = scratch / f"batch-{start}"
                part.mkdir()
                total.add(play(node, arguments.seeds[start : start + BATCH], arguments.cassport, part))
    finally:
        if arguments.keep:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print(f"line {arguments.line}: {len(arguments.seeds)} workloads, {total.rows} rows and {total.cells} cells compared, {len(total.different)} different")
    sys.exit(bool(total.different))


if __name__ == "__main__":
    main()
