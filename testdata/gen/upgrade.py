#!/usr/bin/env python3
"""Carries one data directory through release lines, with random writes at each, and compares at every step.

`upgrade.py [--chain 2.1,2.2,3.11,4.1,5.0] --seeds 1..6 [--cassport PATH]`. Each node starts on what the one before left; before
and after `upgradesstables` everything is extracted and compared with Cassandra's answer, cell for cell. So directories mix the
formats of all lines so far, under the system tables of the last. 4.0 and later do not start on files of 2.x: there
`upgradesstables` has to come before. Exit code 1 if anything differs.

One difference is known and left (seed 4 of the chain from 2.1): where 2.x splits a range tombstone around the deletions of
collections in three or more rows, 3.x takes the pieces between two of them for deletions of that collection (the names of both
ends are equal: `LegacyLayout.LegacyRangeTombstone`), and shows again what 2.x shows as deleted. cassport goes by 2.x.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from compare import DEFAULT_CASSPORT, Outcome, compare, extract, extracted
from differential import Run, expected_of, own_keyspaces, seeds
from node import LINES, Node
from workload import SHORT_TTL, Table, Workload


def format_of(data_file: str) -> str:
    """`ks-t-ka-1-Data.db` up to 2.1, `la-1-big-Data.db` after."""
    parts = data_file.split("-")
    return parts[-3] if parts[0] not in ("la", "lb") and parts[-2].isdigit() else parts[0]


class CarriedWorkload(Workload):
    """What the oldest line of the chain can do, without compact tables: 4.0 does not start with them."""

    def _random_table(self, name: str) -> Table:
        while True:
            table = super()._random_table(name)
            if not table.compact:
                return table


class Step(Run):
    """One line of the chain, with the workloads of all."""

    def __init__(self, node: Node, workloads: list[Workload]) -> None:
        self.node, self.session, self.workloads = node, node.session(), workloads

    def write(self, first: bool) -> None:
        for workload in self.workloads:
            if first:
                workload.setup(self.execute)
                for table in workload.tables:
                    # Not by nodetool: that holds until the next start.
                    self.execute(f"ALTER TABLE {workload.keyspace}.{table.name} WITH compaction = "
                                 "{'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'}")
            workload.phase(self.execute)
        self.node.flush(w.keyspace for w in self.workloads)
        time.sleep(SHORT_TTL + 2)
        self.node.flush(own_keyspaces(self.node))

    def compare(self, cassport: Path, output: Path, when: str) -> Outcome:
        found = self.answers()
        answers = [answer for group in found.values() for answer in group]
        extract(cassport, self.node.data, [(a.keyspace, a.table) for a in answers], answers[0].clock, output)
        total = Outcome()
        for answer in answers:
            total.add(compare(expected_of(answer), extracted(output, answer.keyspace, answer.table)))
        shutil.rmtree(output)
        files = [path.name for w in self.workloads for path in self.node.data.glob(f"{w.keyspace}/*/*Data.db")]
        formats = Counter(format_of(name) for name in files)
        shown = ", ".join(f"{count} {name}" for name, count in sorted(formats.items()))
        print(f"{self.node.line.name} {when}: {total.rows} rows, {total.cells} cells, {len(total.different)} different; SSTables: {shown}",
              flush=True)
        for text in total.different[:20]:
            print(f"  {text}")
        return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chain", default="2.1,2.2,3.11,4.1,5.0", help="release lines, from old to new")
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    arguments = parser.parse_args()
    chain = [LINES[name] for name in arguments.chain.split(",")]
    workloads: list[Workload] = [CarriedWorkload(seed, chain[0]) for seed in arguments.seeds]
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    total = Outcome()
    try:
        for line, following in zip(chain, [*chain[1:], None]):
            settings = {"cdc_enabled": False} if line.number >= (3, 11) else {}
            with Node(line, scratch / "node", settings) as node:
                step = Step(node, workloads)
                step.write(first=line is chain[0])
                total.add(step.compare(arguments.cassport, scratch / "out", "as it is"))
                # Every other step leaves old files to the next, as far as that reads them.
                must = following is not None and following.number >= (4, 0) and line.number < (4, 0)
                if must or chain.index(line) % 2:
                    for directory in sorted(node.data.iterdir()):
                        node.control("upgradesstables", directory.name)
                    total.add(step.compare(arguments.cassport, scratch / "out", "after upgradesstables"))
                node.control("drain")
        print(f"{arguments.chain}: {total.rows} rows, {total.cells} cells compared, {len(total.different)} different")
    finally:
        if total.different or sys.exc_info()[0]:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(total.different))


if __name__ == "__main__":
    main()
