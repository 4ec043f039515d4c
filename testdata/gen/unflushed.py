#!/usr/bin/env python3
"""Random workloads of which some was never flushed when the node ended, and then cassport's answer against Cassandra's.

`unflushed.py --line 4.1 --seeds 1..10 --cassport target/release/cassport [--compression LZ4] [--keep DIR]`. Cassandra
answers from SSTables and memtables, then the node ends (`--end kill|term|copy`); cassport has its data directory and its commit log.
Exit code 1 if anything differs, or if the outputs of two sizes of memory are not the same bytes. `--keep DIR` makes DIR a
corpus that `compare.py` reads, with the commit log beside the data.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import corpusfile
import datadir
from answers import Answer, ask, quote, to_one_clock
from compare import DEFAULT_CASSPORT, Outcome, compare, extract, extracted
from differential import Run, expected_of, own_keyspaces, seeds
from node import LINES, Node
from workload import SHORT_TTL


class UnflushedRun(Run):
    """Workloads whose phases are flushed now and then, and the last of them rarely."""

    truncations = 0

    def play(self) -> None:
        for workload in self.workloads:
            workload.setup(self.execute)
            self.node.control("disableautocompaction", workload.keyspace)
        for phase in range(max(w.phases for w in self.workloads)):
            for workload in self.workloads:
                if phase < workload.phases:
                    self._phase(workload, phase)
        time.sleep(SHORT_TTL + 2)
        # As every node does by itself at each change of the schema, but for a switch of `node.py`.
        self.node.flush(["system_schema" if self.node.line.number >= (3, 0) else "system"])

    def _phase(self, workload: Any, phase: int) -> None:
        dice = Random(f"{workload.keyspace}/{phase}/flush")
        workload.phase(self.execute, flushed=self.flushed.get(workload.seed, True))
        if dice.random() < 0.12:
            self.truncations += 1
            self.execute(f"TRUNCATE {workload.keyspace}.{quote(dice.choice(workload.tables).name)}")
        flush = dice.random() < (0.15 if phase == workload.phases - 1 else 0.5)
        if flush:
            self.node.flush([workload.keyspace])
            self._compact(workload, phase)
        self.flushed[workload.seed] = flush

    def __init__(self, node: Node, numbers: range) -> None:
        super().__init__(node, numbers)
        self.flushed: dict[int, bool] = {}


def end(node: Node, how: str, scratch: Path) -> None:
    """Ends the node: `kill`: it is gone at once, and what it had not flushed is in its commit log only; `term`: it is told to
    stop, and drains; `copy`: the directories are copied while it runs, the log last, and the copy stands
    in for the node's own."""
    if how == "copy":
        for name in ("data", "commitlog"):
            shutil.copytree(node.directory / name, scratch / "copy" / name)
    if how == "kill" or how == "copy":
        assert node._process
        # Of several processes (unshare, the JVM) all are of one session.
        os.killpg(node._process.pid, signal.SIGKILL)
        node._process.wait()
    node.stop()
    if how == "copy":
        for name in ("data", "commitlog"):
            shutil.rmtree(node.directory / name)
            (scratch / "copy" / name).rename(node.directory / name)


def report(output: Path) -> dict[str, Any]:
    return json.loads((output / "_cassport/agents/000/report.json").read_text())


def check(node: Node, answers: dict[int, list[Answer]], cassport: Path, scratch: Path, drained: bool) -> Outcome:
    tables = [(answer.keyspace, answer.table) for group in answers.values() for answer in group]
    clock = next(iter(answers.values()))[0].clock
    log = ["--commitlog-dir", str(node.directory / "commitlog")]
    output, again = scratch / "out", scratch / "again"
    extract(cassport, node.data, tables, clock, output, *log)
    extract(cassport, node.data, tables, clock, again, *log, "--memory", "96MiB", "--threads", "3", "--spill-dir", str(scratch))
    total = Outcome()
    for seed, group in answers.items():
        outcome = Outcome()
        for answer in group:
            outcome.add(compare(expected_of(answer), extracted(output, answer.keyspace, answer.table)))
        print(f"seed {seed}: {len(group)} tables, {outcome.rows} rows, {len(outcome.different)} different", flush=True)
        for text in outcome.different[:20]:
            print(f"  {text}")
        total.add(outcome)
    for keyspace, table in tables:
        ours, theirs = output / keyspace / table, again / keyspace / table
        names = [sorted(p.name for p in d.glob("*")) for d in (ours, theirs)]
        same = names[0] == names[1] and filecmp.cmpfiles(ours, theirs, names[0], shallow=False)[0] == names[0]
        if not same:
            total.different.append(f"{keyspace}.{table}: other bytes with other memory")
    of_log = report(output)["commitLogs"][0]
    print(f"taken from {len(of_log['segments'])} segments: {of_log['updatesTaken']} updates, "
          f"{of_log['updatesFlushed']} more are in SSTables; books balanced: {report(output)['balanced']}")
    if drained == bool(of_log["updatesTaken"]) or not report(output)["balanced"]:
        total.different.append("nothing was left to the commit log (or something after a drain), or the books do not balance")
    return total


def save(target: Path, node: Node, answers: list[Answer]) -> None:
    """Keeps all as a corpus, the segments without the zeros at their ends."""
    datadir.copy(node.data, target / "data", sorted({a.keyspace for a in answers}))
    corpusfile.write(target, node.line, [(a, "partly in the commit log only") for a in answers], {})
    log = target / "commitlog"
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir()
    for segment in sorted((node.directory / "commitlog").glob("*.log")):
        # Of a segment that was made in advance nothing is left but the header.
        (log / segment.name).write_bytes(segment.read_bytes().rstrip(b"\0") + bytes(8))
    print(f"kept as {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=LINES)
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--compression", metavar="NAME", help="LZ4, Snappy or Deflate, Zstd from 4.0 on")
    parser.add_argument("--partitioner", default="Murmur3Partitioner")
    parser.add_argument("--end", choices=("kill", "term", "copy"), default="kill")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    settings: dict[str, Any] = {"partitioner": f"org.apache.cassandra.dht.{arguments.partitioner}"}
    if arguments.compression:
        settings["commitlog_compression"] = [{"class_name": f"{arguments.compression}Compressor"}]
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    try:
        node = Node(LINES[arguments.line], scratch / "node", settings)
        try:
            node.start()
            for keyspace in own_keyspaces(node):
                node.control("disableautocompaction", keyspace)
            run = UnflushedRun(node, arguments.seeds)
            run.play()
            answers = {w.seed: [ask(run.session, node.line, w.keyspace, t.name) for t in w.tables] for w in run.workloads}
            to_one_clock([answer for group in answers.values() for answer in group])
            # Longer than commitlog_sync_period: a compressed log is written then, and not before.
            time.sleep(2)
            end(node, arguments.end, scratch)
        finally:
            node.stop()
        total = check(node, answers, arguments.cassport, scratch, arguments.end == "term")
        if arguments.keep:
            save(arguments.keep, node, [answer for group in answers.values() for answer in group])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"line {arguments.line} ({arguments.end}): {len(arguments.seeds)} workloads, {run.truncations} truncations, {total.rows} rows compared, "
          f"{total.cells} cells compared, cells different {len(total.different)}")
    for text in total.different[:5]:
        print(text)
    sys.exit(bool(total.different))


if __name__ == "__main__":
    main()
