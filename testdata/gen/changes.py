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
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, Callable, Iterable

import corpusfile
import datadir
from answers import Answer, ask, to_one_clock
from compare import DEFAULT_CASSPORT, Outcome, compare, read_lines
from differential import expected_of, seeds
from node import LINES, Node, NodeError
from sinks import Sink, Versity, directory
from statements import accepted, for_changes
from workload import SHORT_TTL, Workload

CATCH_UP_SECONDS = 240


class Tail:
    """`cassport tail` of one node, started again whenever it is killed."""

    def __init__(self, cassport: Path, node: Node, output: Sink, state: Path, source: str, follow: str, shipped: str,
                 one_process: bool = False) -> None:
        self.command = [
            str(cassport), "tail", "--data-dir", str(node.data), *output.words, "--state-dir", str(state),
            "--flush-interval", "300ms", "--follow", follow, "--sync-period", "1s",
        ]
        if source == "cdc":
            self.command += ["--cdc-raw", str(node.directory / "cdc_raw"), "--shipped", shipped]
        if source == "backups":
            self.command += ["--backups"]
        elif source == "commitlog" or node.line.number < (4, 0):
            self.command += ["--commitlog-dir", str(node.directory / "commitlog")]
        if one_process:
            self.command += ["--profile", "jsonl"]
        self.output, self.log = output.path, open(state.parent / "tail.log", "ab")
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

    def wait_for_beginning(self, tails: int = 1) -> None:
        """Until everything that was written before it began is shipped; of all tails of the output."""
        end = time.monotonic() + CATCH_UP_SECONDS
        while len(list(self.output.glob("_cassport/changes/*/began.json"))) < tails:
            if time.monotonic() > end:
                raise RuntimeError(f"tail has not begun in {CATCH_UP_SECONDS} s: see {self.log.name}")
            time.sleep(0.1)

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

    def __init__(self, node: Node, numbers: range, cdc: bool, renames: bool) -> None:
        """`renames`: fields of types may be renamed, at which the sequencer stops."""
        self.node, self.cdc, self.renames = node, cdc, renames
        self.session = node.session()
        self.workloads = [Workload(seed, node.line) for seed in numbers]

    def execute(self, statement: str) -> bool:
        if not self.renames and statement.startswith("ALTER TYPE") and "RENAME" in statement:
            return False
        return accepted(self.session, self.node.line, for_changes(statement, self.cdc))

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


def time_text(clock: int) -> str:
    return datetime.fromtimestamp(clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def sequence(cassport: Path, output: Sink, state: Path, clock: int, interrupts: int, dice: Random, flush_size: str = "256KiB", *more: str) -> set[str]:
    """Runs the sequencer to its end; of the first runs some are killed. Returns tables that it stopped, whose schema changed."""
    # Profile and metadata are those of the extract.
    command = [str(cassport), "sequence", *output.words, "--state-dir", str(state), "--once", "--now", time_text(clock),
               "--flush-size", flush_size, "--heartbeat", "500ms", *more]
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
    expected = expected_of(answer, any_spelling=True)
    name = lambda row: repr([expected.canonical(k, row.get(k)) for k in answer.keys])
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


def copy_log(source: Path, target: Path) -> None:
    """Copies segments without the zeros that nothing was written to."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for segment in target.glob("*.log"):
        segment.write_bytes(segment.read_bytes().rstrip(b"\0") + bytes(64))


def extract_live(cassport: Path, inputs: Iterable[str], tables: list[tuple[str, str]], clock: int, output: Sink, *more: str) -> None:
    """An extract of nodes that run, without a snapshot: compactions of their own tables may take a file away."""
    command = [str(cassport), "extract", *inputs, *output.words, "--now", time_text(clock), *more]
    for keyspace, table in tables:
        command += ["-t", f"{keyspace}.{table}"]
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
    raise RuntimeError(f"extract: exit code {done.returncode}\n{done.stderr[-4000:]}")


def extract_snapshot(cassport: Path, node: Node, run: Run, tail: Tail, tables: list[tuple[str, str]], output: Sink) -> None:
    """As a migration does it: the tail has begun, then a snapshot is taken and extracted; the end of `extract` proves that
    nothing is missing between the two, by what was written and flushed after the tail began."""
    tail.wait_for_beginning()
    run.session.execute("CREATE KEYSPACE handoff WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    node.control("snapshot", "handoff")
    extract_live(cassport, ["--data-dir", str(node.data), "--snapshot", "handoff"], tables, int(time.time()), output,
                 "--profile", "jsonl", "--metadata", "cell")
    complete = json.loads((output.path / "_cassport" / "complete.json").read_text())
    proofs = [host["proof"] for host in complete["handOff"]]
    if len(proofs) != 1 or proofs[0] == "unproven":
        raise RuntimeError(f"the hand-off is not proven: {complete['handOff']}")
    print(f"hand-off: {proofs[0]}: {complete['handOff'][0]['words']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=LINES)
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--source", choices=("cdc", "commitlog"), default="cdc")
    parser.add_argument("--follow", choices=("synced", "marked"), default="synced")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--node-kills", type=int, default=0)
    parser.add_argument("--interrupt-sequence", type=int, default=0)
    parser.add_argument("--one-process", action="store_true", help="tail --profile: the tail writes the rows too")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=JSON", help="of cassandra.yaml")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--s3", type=Path, metavar="VERSITYGW", help="write to a bucket of this server")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="save data, log and answers there, for the test `tail`")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    settings: dict[str, Any] = {"cdc_enabled": True} if arguments.source == "cdc" else {}
    if LINES[arguments.line].number < (3, 11):
        settings = {}
    for setting in arguments.setting:
        name, _, value = setting.partition("=")
        settings[name] = json.loads(value)
    server = Versity(arguments.s3, scratch / "s3") if arguments.s3 else None
    output = server.sink("out") if server else directory(scratch / "out")
    dice = Random(f"{arguments.line}/{arguments.seeds}")
    total = Outcome()
    node = Node(LINES[arguments.line], scratch / "node", settings, flush_schema=True)
    try:
        with server or nullcontext(), node:
            flush_when_it_can(node)
            run = Run(node, arguments.seeds, arguments.source == "cdc", renames=not arguments.corpus)
            run.setup()
            tail = Tail(arguments.cassport, node, output, scratch / "state", arguments.source, arguments.follow,
                        "keep" if arguments.corpus else "delete", arguments.one_process)
            tail.start()
            # Of empty tables: every row comes from changes, for one that an extract has and nobody touches again keeps its TTL.
            node.flush(w.keyspace for w in run.workloads)
            tables = [(w.keyspace, t.name) for w in run.workloads for t in w.tables]
            extract_snapshot(arguments.cassport, node, run, tail, tables, output)
            deaths = iter(range(arguments.node_kills))

            def between() -> None:
                if arguments.corpus:
                    # Dropping a table closes the segment that is written to.
                    run.session.execute(f"CREATE TABLE {run.workloads[0].keyspace}.gone (k int PRIMARY KEY)")
                    run.session.execute(f"DROP TABLE {run.workloads[0].keyspace}.gone")
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
            rows_state = scratch / "state" / "sequence" if arguments.one_process else scratch / "sequence"
            early = len(list((output.path / "cdc-changes").glob("CDC*.jsonl")))
            stopped = sequence(arguments.cassport, output, rows_state, clock, arguments.interrupt_sequence, dice)
        if arguments.corpus:
            flat = [answer for group in answers.values() for answer in group]
            datadir.copy(node.data, arguments.corpus / "data", [w.keyspace for w in run.workloads])
            # Up to 3.11 a segment comes to cdc_raw only when nothing of it is in memory.
            for name in ("cdc_raw",) if node.line.number >= (4, 0) else ("cdc_raw", "commitlog"):
                copy_log(node.directory / name, arguments.corpus / name)
            corpusfile.write(arguments.corpus, node.line, [(a, "random workload, a part of it in the commit log only") for a in flat], {})
        rows = applied(output.path)
        for workload in run.workloads:
            outcome = Outcome()
            for answer in answers[workload.seed]:
                if f"{answer.keyspace}.{answer.table}" in stopped:
                    print(f"  {answer.keyspace}.{answer.table} was stopped by the sequencer: its definition changed")
                    continue
                got = in_order(answer, rows.get((answer.keyspace, answer.table), {}))
                found = compare(expected_of(answer, any_spelling=True), got)
                if arguments.one_process:
                    # What is left of a TTL depends on when the tail wrote the row.
                    found.different = [text for text in found.different if not re.search(r": ttl\(.*expected \d+, got \d+$", text)]
                outcome.add(found)
            print(f"seed {workload.seed}: {len(workload.tables)} tables, {outcome.rows} rows, {len(outcome.different)} different", flush=True)
            for text in outcome.different[:20]:
                print(f"  {text}")
            total.add(outcome)
        objects = len(list(output.path.glob("_cassport/changes/*/*.jsonl.zst")))
        if arguments.one_process:
            print(f"{early} files of rows were written by the tail itself", flush=True)
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
