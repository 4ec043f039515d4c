#!/usr/bin/env python3
"""Random workloads on a real node while `cassport tail` follows its commit log; then the final rows that `cassport sequence`
makes of the change records, applied naively in the order of its files, against Cassandra's answer, cell for cell.

`changes.py --line 4.1 --seeds 1..10 [--source cdc|commitlog] [--follow synced|marked] [--kills N] [--cassport PATH]`. Exit
code 1 if anything differs. `--kills N` kills the tail N times (SIGKILL, at random) while the workloads run, and the node as
often as `--node-kills M` says; both are started again with the same command. `--interrupt-sequence N` does the same to the
sequencer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, Callable

import corpusfile
import datadir
from answers import Answer, ask, to_one_clock
from compare import DEFAULT_CASSPORT, Outcome, compare, extract, read_lines
from differential import expected_of, seeds
from node import LINES, Node, NodeError
from workload import SHORT_TTL, Workload

CATCH_UP_SECONDS = 240


class Tail:
    """`cassport tail` of one node, started again whenever it is killed."""

    def __init__(self, cassport: Path, node: Node, output: Path, state: Path, source: str, follow: str, shipped: str) -> None:
        self.command = [
            str(cassport), "tail", "--data-dir", str(node.data), "--output", str(output), "--state-dir", str(state),
            "--flush-interval", "300ms", "--follow", follow, "--sync-period", "1s",
        ]
        if source == "cdc":
            self.command += ["--cdc-raw", str(node.directory / "cdc_raw"), "--shipped", shipped]
        if source == "commitlog" or node.line.number < (4, 0):
            self.command += ["--commitlog-dir", str(node.directory / "commitlog")]
        self.output, self.log = output, open(output.parent / "tail.log", "ab")
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def stop(self) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def wait_for(self, millis: int) -> None:
        """Until everything that was written before then is shipped."""
        end = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < end:
            assert self.process
            if self.process.poll() is not None:
                raise RuntimeError(f"tail ended with {self.process.returncode}: see {self.log.name}")
            marks = list(self.output.glob("_cassport/changes/*/watermark.json"))
            if marks and all(json.loads(mark.read_text())["time"] >= millis for mark in marks):
                return
            time.sleep(0.2)
        raise RuntimeError(f"tail has not caught up in {CATCH_UP_SECONDS} s: see {self.log.name}")


class Run:
    """Workloads that share a node."""

    def __init__(self, node: Node, numbers: range, cdc: bool) -> None:
        self.node, self.cdc = node, cdc
        self.session = node.session()
        self.workloads = [Workload(seed, node.line) for seed in numbers]

    def execute(self, statement: str) -> bool:
        from cassandra import AlreadyExists, InvalidRequest
        from cassandra.protocol import ConfigurationException

        if statement.startswith("CREATE TABLE"):
            # A tombstone that Cassandra purges lets older writes live that come later; the log has both.
            statement = re.sub(r"gc_grace_seconds = \d+", "gc_grace_seconds = 864000", statement)
            if self.cdc:
                statement += " AND cdc = true"
        try:
            self.session.execute(statement)
        except (AlreadyExists, ConfigurationException, InvalidRequest):
            return False
        except Exception as error:
            error.add_note(statement)
            raise
        return True

    def setup(self) -> None:
        for workload in self.workloads:
            workload.setup(self.execute)

    def play(self, between: Callable[[], None]) -> None:
        for phase in range(max(w.phases for w in self.workloads)):
            playing = [w for w in self.workloads if phase < w.phases]
            for workload in playing:
                workload.phase(self.execute)
            dice = Random(f"{playing[0].keyspace}/{phase}")
            if dice.random() < 0.5:
                self.node.flush(w.keyspace for w in playing)
            between()

    def answers(self) -> dict[int, list[Answer]]:
        found = {w.seed: [ask(self.session, self.node.line, w.keyspace, t.name) for t in w.tables] for w in self.workloads}
        to_one_clock([answer for group in found.values() for answer in group])
        return found


def sequence(cassport: Path, output: Path, state: Path, clock: int, interrupts: int, dice: Random) -> set[str]:
    """Runs the sequencer to its end; of the first runs some are killed. Returns tables that it stopped, whose schema changed."""
    at = datetime.fromtimestamp(clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    # Profile and metadata are those of the extract.
    command = [str(cassport), "sequence", "--output", str(output), "--state-dir", str(state), "--once", "--now", at,
               "--flush-size", "256KiB"]
    for _ in range(interrupts):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * 0.5)
        process.kill()
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True)
    stopped = set(re.findall(r"^  (\S+) is stopped:", done.stderr, re.M))
    if done.returncode != (1 if stopped else 0):
        raise RuntimeError(f"sequence: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return stopped


def applied(output: Path) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """The rows of each table by key, as they are when the files were applied one after the other."""
    tables: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for line in read_lines(sorted((output / "cdc-changes").glob("CDC*.jsonl"))):
        rows = tables.setdefault((line["keyspace"], line["table"]), {})
        key = json.dumps(line["key"], sort_keys=True, default=str)
        if line["op"] == "delete":
            rows.pop(key, None)
        else:
            rows[key] = line["row"]
    return tables


def in_order(answer: Answer, got: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in the order of the answer: files have the order of changes."""
    from cqltypes import canonical

    types = {c.name: c.type for c in answer.columns}
    name = lambda row: repr([canonical(types[k], row.get(k)) for k in answer.keys])
    place = {name(line["row"]): i for i, line in enumerate(answer.rows)}
    return sorted((_all_columns(answer, row) for row in got.values()), key=lambda row: place.get(name(row), len(place)))


def _all_columns(answer: Answer, row: dict[str, Any]) -> dict[str, Any]:
    """A row that was written before a column was added has nothing of it, and one from before a drop still has it."""
    full: dict[str, Any] = {}
    for column in answer.columns:
        full[column.name] = row.get(column.name)
        if column.name not in answer.keys:
            for what in ("writetime", "ttl"):
                full[f"{what}({column.name})"] = row.get(f"{what}({column.name})")
    return full


def flush_when_it_can(node: Node) -> None:
    """A node answers CQL before all of its management is there."""
    for attempt in range(20):
        try:
            return node.flush(["system"])
        except NodeError:
            if attempt == 19:
                raise
            time.sleep(0.5)


def extract_live(cassport: Path, data: Path, tables: list[tuple[str, str]], output: Path) -> None:
    """An extract of a running node without a snapshot: compactions of its own tables may take a file away."""
    for attempt in range(5):
        try:
            return extract(cassport, data, tables, int(time.time()), output)
        except RuntimeError:
            if attempt == 4:
                raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=LINES)
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--source", choices=("cdc", "commitlog"), default="cdc")
    parser.add_argument("--follow", choices=("synced", "marked"), default="synced")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--node-kills", type=int, default=0)
    parser.add_argument("--interrupt-sequence", type=int, default=0)
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=JSON", help="of cassandra.yaml")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="save data, cdc_raw and answers there, for the test `changes`")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    settings: dict[str, Any] = {"cdc_enabled": True} if arguments.source == "cdc" else {}
    if LINES[arguments.line].number < (3, 11):
        settings = {}
    for setting in arguments.setting:
        name, _, value = setting.partition("=")
        settings[name] = json.loads(value)
    output = scratch / "out"
    output.mkdir()
    dice = Random(f"{arguments.line}/{arguments.seeds}")
    total = Outcome()
    node = Node(LINES[arguments.line], scratch / "node", settings, flush_schema=True)
    try:
        with node:
            flush_when_it_can(node)
            run = Run(node, arguments.seeds, arguments.source == "cdc")
            run.setup()
            tail = Tail(arguments.cassport, node, output, scratch / "state", arguments.source, arguments.follow,
                        "keep" if arguments.corpus else "delete")
            tail.start()
            # Of empty tables: every row comes from changes, for one that an extract has and nobody touches again keeps its TTL.
            node.flush(w.keyspace for w in run.workloads)
            tables = [(w.keyspace, t.name) for w in run.workloads for t in w.tables]
            extract_live(arguments.cassport, node.data, tables, output)
            deaths = iter(range(arguments.node_kills))

            def between() -> None:
                if next(deaths, None) is not None:
                    assert node._process
                    os.killpg(node._process.pid, signal.SIGKILL)
                    node._process.wait()
                    node.stop()
                    node.start()
                    run.session = node.session()

            stop = threading.Event()

            def killer() -> None:
                for _ in range(arguments.kills):
                    if stop.wait(dice.random() * 1.5):
                        break
                    tail.kill()

            thread = threading.Thread(target=killer)
            thread.start()
            run.play(between)
            stop.set() if not arguments.kills else thread.join()
            thread.join()
            time.sleep(SHORT_TTL + 2)
            answers = run.answers()
            tail.wait_for(int(time.time() * 1000))
            code = tail.stop()
            if code:
                raise RuntimeError(f"tail: exit code {code}: see {tail.log.name}\n{Path(tail.log.name).read_text()[-3000:]}")
        clock = next(iter(answers.values()))[0].clock
        if arguments.corpus:
            flat = [answer for group in answers.values() for answer in group]
            datadir.copy(node.data, arguments.corpus / "data", [w.keyspace for w in run.workloads])
            shutil.rmtree(arguments.corpus / "cdc_raw", ignore_errors=True)
            shutil.copytree(node.directory / "cdc_raw", arguments.corpus / "cdc_raw")
            corpusfile.write(arguments.corpus, node.line, [(a, "random workload, a part of it in the commit log only") for a in flat], {})
        stopped = sequence(arguments.cassport, output, scratch / "sequence", clock, arguments.interrupt_sequence, dice)
        rows = applied(output)
        for workload in run.workloads:
            outcome = Outcome()
            for answer in answers[workload.seed]:
                if f"{answer.keyspace}.{answer.table}" in stopped:
                    print(f"  {answer.keyspace}.{answer.table} was stopped by the sequencer: its definition changed")
                    continue
                got = in_order(answer, rows.get((answer.keyspace, answer.table), {}))
                outcome.add(compare(expected_of(answer), got))
            print(f"seed {workload.seed}: {len(workload.tables)} tables, {outcome.rows} rows, {len(outcome.different)} different", flush=True)
            for text in outcome.different[:20]:
                print(f"  {text}")
            total.add(outcome)
        objects = len(list(output.glob("_cassport/changes/*/*.jsonl.zst")))
        print(f"{arguments.line} ({arguments.source}): {total.rows} rows and {total.cells} cells compared, {len(total.different)} different;"
              f" {objects} objects of changes, {tail.kills} kills of the tail, {arguments.node_kills} of the node")
    finally:
        if total.different or arguments.keep or sys.exc_info()[0]:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(total.different))


if __name__ == "__main__":
    main()
