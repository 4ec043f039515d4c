#!/usr/bin/env python3
"""Random workloads on a real node, and then cassport's answer against Cassandra's, cell for cell.

`differential.py --line 4.1 --seeds 1..50 --cassport target/release/cassport [--keep DIR]`. Exit code 1 if anything differs.
Of the BTI line `verify` must find nothing wrong with the SSTables either: an extract needs no more of their tries than borders.
`--keep DIR` saves what differed as a corpus that `compare.py` reads, DIR/<line>-<seed>/, with nothing in it but the
seed's tables. The seeds of a run share one node and its schema: repeat a single seed for the smallest corpus.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import corpusfile
import datadir
from answers import Answer, ask, to_one_clock
from compare import DEFAULT_CASSPORT, Expected, Outcome, compare, extract, extracted
from node import LINES, Node
from statements import accepted
from workload import SHORT_TTL, Workload

BATCH = 25


def seeds(text: str) -> range:
    """`7` or `1..50`, both ends included."""
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


class Run:
    """Workloads that share a node."""

    def __init__(self, node: Node, numbers: range) -> None:
        self.node = node
        self.session = node.session()
        self.workloads = [Workload(seed, node.line) for seed in numbers]

    def execute(self, statement: str) -> bool:
        return accepted(self.session, self.node.line, statement)

    def play(self) -> None:
        """Runs all workloads, phase by phase, so that one flush serves them all."""
        for workload in self.workloads:
            workload.setup(self.execute)
            self.node.control("disableautocompaction", workload.keyspace)
        for phase in range(max(w.phases for w in self.workloads)):
            playing = [w for w in self.workloads if phase < w.phases]
            for workload in playing:
                workload.phase(self.execute)
            self.node.flush(w.keyspace for w in playing)
            for workload in playing:
                self._compact(workload, phase)
        time.sleep(SHORT_TTL + 2)
        self.node.flush([*(w.keyspace for w in self.workloads), *own_keyspaces(self.node)])

    def _compact(self, workload: Workload, phase: int) -> None:
        """Now and then a compaction of everything, or of two SSTables of a table."""
        dice = Random(f"{workload.keyspace}/{phase}")
        draw = dice.random()
        if draw < 0.06:
            self.node.control("compact", workload.keyspace)
        elif draw < 0.12:
            table = dice.choice(workload.tables).name
            for directory in datadir.table_directories(self.node.data, workload.keyspace, table):
                files = sorted(map(str, directory.glob("*-Data.db")))
                if len(files) > 1:
                    self.node.control("compactfiles", ",".join(dice.sample(files, 2)))

    def answers(self) -> dict[int, list[Answer]]:
        """Cassandra's answers by seed, all at one clock."""
        found = {w.seed: [ask(self.session, self.node.line, w.keyspace, t.name) for t in w.tables] for w in self.workloads}
        to_one_clock([answer for group in found.values() for answer in group])
        return found


def play_and_compare(node: Node, numbers: range, cassport: Path, scratch: Path, keep: Path | None) -> Outcome:
    """One batch of seeds: plays them, asks both sides, prints a line per seed."""
    run = Run(node, numbers)
    run.play()
    answers = run.answers()
    output = scratch / f"out-{numbers[0]}"
    tables = [(answer.keyspace, answer.table) for group in answers.values() for answer in group]
    clock = next(iter(answers.values()))[0].clock
    extract(cassport, node.data, tables, clock, output)
    total = Outcome()
    for workload in run.workloads:
        outcome = Outcome()
        for answer in answers[workload.seed]:
            outcome.add(compare(expected_of(answer), extracted(output, answer.keyspace, answer.table)))
        shape = f"{workload.phases} phases, {workload.refused} refused"
        print(f"seed {workload.seed}: {len(workload.tables)} tables, {shape}, {outcome.rows} rows, {len(outcome.different)} different", flush=True)
        for text in outcome.different[:20]:
            print(f"  {text}")
        if outcome.different and keep:
            save(keep / f"{node.line.name}-{workload.seed}", node, answers[workload.seed], outcome)
        total.add(outcome)
    shutil.rmtree(output, ignore_errors=True)
    if node.line.bti:
        for text in verified(cassport, node.data, [w.keyspace for w in run.workloads]):
            print(f"  {text}")
            total.different.append(text)
    return total


def verified(cassport: Path, data: Path, keyspaces: list[str]) -> list[str]:
    """What `verify` has against the SSTables: their indexes, filters and statistics, which an extract does not need."""
    command = [str(cassport), "verify", "--data-dir", str(data), *(word for name in keyspaces for word in ("-k", name))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return [f"verify ends with {done.returncode}: {line}" for line in (done.stdout + done.stderr).splitlines()[:40]]


def own_keyspaces(node: Node) -> list[str]:
    """The keyspaces that a node keeps its schema and itself in."""
    return ["system", "system_schema"] if node.line.number >= (3, 0) else ["system"]


def expected_of(answer: Answer, any_spelling: bool = False) -> Expected:
    """`any_spelling`: of clusterings that are equal and written otherwise (1.0 and 1.00) any will do, as replicas have several."""
    columns = {c.name: c.type for c in answer.columns}
    spelled = frozenset(c.name for c in answer.columns if any_spelling and c.kind == "clustering")
    return Expected(answer.keyspace, answer.table, columns, answer.keys, answer.rows, spelled)


def save(target: Path, node: Node, answers: list[Answer], outcome: Outcome) -> None:
    """Keeps the tables that differ as a corpus."""
    guilty = [a for a in answers if any(text.startswith((f"{a.keyspace}.{a.table} ", f"{a.keyspace}.{a.table}:")) for text in outcome.different)]
    datadir.copy(node.data, target / "data", [guilty[0].keyspace], {a.table for a in guilty})
    corpusfile.write(target, node.line, [(a, "random workload") for a in guilty], {})
    print(f"  kept as {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=LINES)
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--partitioner", default="Murmur3Partitioner")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    total = Outcome()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    settings: dict[str, Any] = {"cdc_enabled": False} if LINES[arguments.line].number >= (3, 11) else {}
    settings["partitioner"] = f"org.apache.cassandra.dht.{arguments.partitioner}"
    try:
        with Node(LINES[arguments.line], scratch / "node", settings) as node:
            for keyspace in own_keyspaces(node):
                node.control("disableautocompaction", keyspace)
            for start in range(0, len(arguments.seeds), BATCH):
                batch = arguments.seeds[start : start + BATCH]
                total.add(play_and_compare(node, batch, arguments.cassport, scratch, arguments.keep))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"line {arguments.line}: {len(arguments.seeds)} workloads, {total.rows} rows compared, {total.cells} cells compared, "
          f"cells different {len(total.different)}")
    sys.exit(bool(total.different))


if __name__ == "__main__":
    main()
