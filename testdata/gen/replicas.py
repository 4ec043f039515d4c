#!/usr/bin/env python3
"""Random workloads on a ring of three real nodes with three replicas of everything, one node or another down for a while, and a
tail beside each node that ships to one output. What the sequencer makes of the three streams, applied naively in the order of
its files over the extract, against `SELECT *` at ALL, cell for cell.

`replicas.py --line 4.1 --seeds 1..4 [--missed hints|repair|nothing] [--kills N] [--sequence-kills N] [--cassport PATH]`. Exit code
1 if anything differs. What a node missed it gets by hints, by `nodetool repair` at the end, or not at all.

Proved besides: a row is only written when it is another one than was written of its key before; the rows at the end are the same
whatever the order in which the streams come, wherever their objects are cut and however large the files are; and with profile
dms load files and change files together are the load files of the end.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from decimal import Context, Decimal
from pathlib import Path
from random import Random
from typing import Any, Iterable

import zstandard

from answers import Answer, ask, to_one_clock
from changes import Tail, extract_live, in_order, sequence
from compare import DEFAULT_CASSPORT, Outcome, compare, extracted, read_lines
from differential import expected_of, seeds
from jsontext import Number
from node import LINES, Node
from ring import Ring, Topology
from sinks import Sink, directory
from statements import accepted, for_changes
from workload import SHORT_TTL, Workload

TOPOLOGY = Topology("replicas", (("dc1", "r1"),) * 3, {})
VARIANTS = 4
# The sort key of the record of a partition without rows, and what stands in our keys for its clustering.
OF_STATICS, STATICS = "%53%54", "\0statics"
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
# What a column is found by in an ALTER TABLE.
ALTERED = re.compile(r'ALTER TABLE (\S+) (ADD|DROP) ("[^"]+")')

Rows = dict[tuple[str, str], dict[str, dict[str, Any]]]


class Run:
    """Workloads that share a ring, written through any node that runs."""

    def __init__(self, ring: Ring, numbers: range) -> None:
        self.ring = ring
        self.workloads = [Workload(seed, ring.line) for seed in numbers]
        self.session: Any = None
        self.dropped: set[tuple[str, str]] = set()
        self.statements = 0

    @property
    def tables(self) -> list[tuple[str, str]]:
        return [(w.keyspace, t.name) for w in self.workloads for t in w.tables]

    @property
    def phases(self) -> int:
        return max(w.phases for w in self.workloads)

    def execute(self, statement: str) -> bool:
        statement = for_changes(statement.replace("'replication_factor': 1", "'replication_factor': 3"), cdc=False)
        if altered := ALTERED.match(statement):
            column = (altered[1], altered[3])
            if altered[2] == "DROP":
                self.dropped.add(column)
            elif column in self.dropped:
                # Rows that nobody touches after it keep in files what was dropped.
                return False
        done = accepted(self.session, self.ring.line, statement)
        self.statements += done
        return done

    def setup(self) -> None:
        with self.ring.session() as self.session:
            for workload in self.workloads:
                workload.setup(self.execute)
                if self.ring.line.number < (4, 0):
                    # Replicas meet what they missed at any time, not at the next flush.
                    for table in workload.tables:
                        table.used_times = Forever()

    def follow(self) -> None:
        """From here on the changes are in `cdc_raw`, and nothing that was written before."""
        with self.ring.session() as session:
            for keyspace, table in self.tables:
                session.execute(f"ALTER TABLE {keyspace}.{table} WITH cdc = true")
            self.ring.flush()
            # Dropping a table closes the segments that are written to.
            keyspace = self.tables[0][0]
            session.execute(f"CREATE TABLE {keyspace}.gone (k int PRIMARY KEY)")
            session.execute(f"DROP TABLE {keyspace}.gone")
        time.sleep(1)

    def play(self, phase: int, dice: Random) -> None:
        with self.ring.session() as self.session:
            for workload in self.workloads:
                if phase < workload.phases:
                    workload.phase(self.execute)
        if dice.random() < 0.5:
            for node in self.ring.running():
                node.flush(w.keyspace for w in self.workloads)

    def answers(self) -> dict[int, list[Answer]]:
        session, line = self.ring.nodes[0].session("ALL"), self.ring.line
        found = {w.seed: [ask(session, line, w.keyspace, t.name, slow=True) for t in w.tables] for w in self.workloads}
        to_one_clock([answer for group in found.values() for answer in group])
        return found


class Forever(dict[int, bool]):
    """Write times that are never free again."""

    def clear(self) -> None:
        pass


class Sequencer:
    """`cassport sequence` while the tails ship, started again whenever it is killed."""

    def __init__(self, cassport: Path, output: Sink, state: Path) -> None:
        self.command = [str(cassport), "sequence", *output.words, "--state-dir", str(state), "--flush-interval", "200ms",
                        "--flush-size", "64KiB", "--heartbeat", "500ms"]
        self.log = open(state.parent / "sequence.log", "ab")
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def kill(self) -> None:
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError(f"sequence ended with {self.process.returncode}: see {self.log.name}")
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(120) not in (0, 1):
            raise RuntimeError(f"sequence: exit code {self.process.returncode}: see {self.log.name}")


def as_text(workloads: Iterable[Workload]) -> list[str]:
    """Options by which profile dms carries values of all types: numbers and dates of any size as text."""
    odd = {"float", "double", "decimal", "varint", "date", "timestamp", "time", "duration"}
    return [
        word for w in workloads for t in w.tables for c in [*t.partition, *t.clustering, *t.statics, *t.regulars]
        if c.type.name in odd for word in ("--column-type", f"{w.keyspace}.{t.name}.{c.name}=STRING")
    ]


def extract_all(cassport: Path, ring: Ring, tables: list[tuple[str, str]], output: Path, clock: int, *more: str) -> None:
    nodes = [word for i, node in enumerate(ring.nodes) for word in ("--node", f"n{i + 1}={node.data}")]
    extract_live(cassport, nodes, tables, clock, directory(output), *more)


def extracted_rows(output: Path, answers: Iterable[Answer], seconds: int) -> Rows:
    """The rows of the extract by key, `seconds` after it."""
    rows: Rows = {}
    for answer in answers:
        of_table = rows.setdefault((answer.keyspace, answer.table), {})
        for row in extracted(output, answer.keyspace, answer.table):
            for name in row:
                if name.startswith("ttl(") and name not in answer.keys:
                    row[name] = _later(row[name], seconds)
            # A partition without rows has no clustering.
            of_table[_key({name: row[name] for name in answer.keys})] = row
    return rows


def _later(ttl: Any, seconds: int) -> Any:
    if isinstance(ttl, list):
        return [_later(item, seconds) for item in ttl]
    return None if ttl is None else Number(int(ttl) - seconds)


def _key(key: dict[str, Any]) -> str:
    """Rows of compact tables may be without their last clustering columns."""
    return json.dumps({name: value for name, value in key.items() if value is not None}, sort_keys=True, default=str)


def has(ttl: Any) -> Any:
    """Of a TTL only that there is one."""
    return [has(item) for item in ttl] if isinstance(ttl, list) else ttl is not None


def repeated(output: Path) -> list[str]:
    """Rows that were written again as they were."""
    last: dict[tuple[str, str, str], Any] = {}
    found = []
    for line in read_lines(sorted((output / "cdc-changes").glob("CDC*.jsonl"))):
        key = (line["keyspace"], line["table"], _key(line["key"]))
        if key in last and last[key] == line["row"]:
            found.append(f"{key}: written again without a change")
        last[key] = line["row"]
    return found


# -- the same streams in other orders --------------------------------------------------------------------------------


def recut(source: Path, target: Path, dice: Random) -> None:
    """The objects of one host, cut elsewhere between mutations."""
    target.mkdir(parents=True)
    segments: dict[str, list[tuple[int, list[bytes]]]] = {}
    for path in sorted(source.glob("*.jsonl.zst")):
        segment, _, start = path.name.partition(".")[0].partition("-")
        lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines(keepends=True)
        objects = segments.setdefault(segment, [])
        if offset_of(lines[0]) == int(start) or not objects:
            # A mutation that was held stands by itself, and may be inside of what another object covers.
            objects.append((int(start), lines))
        else:
            following = next((o for o in objects if offset_of(o[1][-1]) == int(start)), None)
            following[1].extend(lines) if following else objects.append((int(start), lines))
    for segment, objects in segments.items():
        for start, lines in objects:
            size, begun = dice.choice((1, 3, 20, 200)), 0
            for i, line in enumerate(lines):
                last = i + 1 == len(lines)
                if last or offset_of(lines[i + 1]) != offset_of(line) and dice.random() < 1 / size:
                    text = b"".join(lines[begun:i + 1])
                    (target / f"{segment}-{start:010}.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text))
                    begun, start = i + 1, offset_of(line)


def offset_of(line: bytes) -> int:
    return int(json.loads(line)["position"]["offset"])


def replay(cassport: Path, pristine: Path, streams: Path, target: Path, clock: int, variant: int) -> set[str]:
    """Gives the streams to a sequencer of their own in some order."""
    dice = Random(variant)
    shutil.copytree(pristine, target)
    changes = target / "_cassport/changes"
    hosts = sorted(path for path in streams.iterdir() if path.is_dir())
    pieces = target.parent / f"{target.name}-pieces"
    for host in hosts:
        if variant >= 2:
            recut(host, pieces / host.name, dice)
        else:
            shutil.copytree(host, pieces / host.name)
    options = (dice.choice(("16KiB", "64KiB", "1MiB")), "--memory", dice.choice(("16MiB", "64MiB", "256MiB")))
    state = target.parent / f"{target.name}-state"

    def run(interrupts: int = 0) -> set[str]:
        return sequence(cassport, directory(target), state, clock, interrupts, dice, *options)

    if variant == 1:
        # One host after the other, the last one first.
        for host in reversed(hosts):
            shutil.copytree(pieces / host.name, changes / host.name)
            run()
    elif variant >= 2:
        # In order within a segment, for that is how a tail ships; otherwise at random.
        queues = {}
        for path in sorted(pieces.glob("*/*.jsonl.zst")):
            queues.setdefault((path.parent.name, path.name.partition("-")[0]), []).append(path)
        left = sum(map(len, queues.values()))
        rounds = 12
        while queues:
            for _ in range(max(1, left // rounds)):
                if not queues:
                    break
                host, segment = dice.choice(sorted(queues))
                path = queues[host, segment].pop(0)
                (changes / host).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, changes / host / path.name)
                if not queues[host, segment]:
                    del queues[host, segment]
            run(dice.randint(0, 1))
    else:
        shutil.copytree(pieces, changes)
    stopped = run()
    shutil.rmtree(pieces)
    return stopped


# -- profile dms -----------------------------------------------------------------------------------------------------


def csv_rows(paths: Iterable[Path]) -> Iterable[list[str]]:
    for path in sorted(paths):
        with open(path, newline="", encoding="utf-8") as file:
            yield from csv.reader(file)


def dms_rows(output: Path, changes: bool) -> dict[tuple[str, str], dict[tuple[str, ...], dict[str, str]]]:
    """Load files, and change files over them, by key; rows by column."""
    manifest = json.loads((output / "_cassport/agents/000/manifest.json").read_text())
    columns = {(t["keyspace"], t["table"]): {c["name"]: c["kind"] for c in t["columns"]} for t in manifest["tables"]}
    tables: dict[tuple[str, str], dict[tuple[str, ...], dict[str, str]]] = {name: {} for name in columns}

    def lines() -> Iterable[tuple[str, tuple[str, str], list[str]]]:
        for keyspace, table in columns:
            for row in csv_rows((output / keyspace / table).glob("LOAD*.csv")):
                yield "INSERT", (keyspace, table), row
        if changes:
            for operation, table, keyspace, *row in csv_rows((output / "cdc-changes").glob("CDC*.csv")):
                yield operation, (keyspace, table), row

    for operation, name, values in lines():
        row = dict(zip(columns[name], values, strict=True))
        # The record of a partition without rows has no clustering, and is not the row whose clustering is empty.
        alone = row.get("cp_sk") == OF_STATICS
        texts = ((kind, STATICS if alone and kind == "clustering" else row[column]) for column, kind in columns[name].items())
        key = tuple(text for kind, text in texts if kind in ("partition_key", "clustering"))
        if operation == "DELETE":
            tables[name].pop(key, None)
        else:
            tables[name][key] = row
    return tables


def any_spelling(output: Path, outcome: Outcome, tables: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """The tables with clusterings that are equal as numbers (1.0 and 1.00) written in one way."""
    manifest = json.loads((output / "_cassport/agents/000/manifest.json").read_text())
    spelled: dict[tuple[str, str], Any] = {}
    for t in manifest["tables"]:
        name = (t["keyspace"], t["table"])
        keys = [c for c in t["columns"] if c["kind"] in ("partition_key", "clustering")]
        of_table = spelled.setdefault(name, {})
        for key, row in tables[name].items():
            number = [c["kind"] == "clustering" and "decimal" in c["type"] for c in keys]
            plain = tuple(NUMBER.sub(_plain, text) if is_number else text for text, is_number in zip(key, number, strict=True))
            if plain in of_table:
                outcome.different.append(f"dms {'.'.join(name)} {key}: two rows in the target are one to Cassandra")
            of_table[plain] = row | {c["name"]: text for c, text in zip(keys, plain)}
            if any(number) and "cp_sk" in row:
                # Their texts are in it.
                of_table[plain]["cp_sk"] = NUMBER.sub(_plain, row["cp_sk"])
    return spelled


def _plain(found: re.Match[str]) -> str:
    number = Decimal(found[0])
    return str(number.normalize(Context(prec=999999)) if number else 0)


def compare_dms(begun: Path, ended: Path, stopped: set[str]) -> Outcome:
    outcome = Outcome()
    ours = any_spelling(begun, outcome, dms_rows(begun, True))
    wanted = any_spelling(ended, outcome, dms_rows(ended, False))
    for name, rows in wanted.items():
        if ".".join(name) in stopped:
            continue
        outcome.rows += len(rows)
        outcome.cells += sum(map(len, rows.values()))
        for key in sorted(rows.keys() | ours[name].keys()):
            row, got = rows.get(key), ours[name].get(key)
            if row and got:
                # Files of fixed width keep columns that were dropped.
                got = {column: value for column, value in got.items() if column in row}
            if row != got:
                outcome.different.append(f"dms {'.'.join(name)} {key}: expected {row}, got {got}")
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=[name for name, line in LINES.items() if line.number >= (3, 11)])
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--missed", choices=("hints", "repair", "nothing"), default="hints")
    parser.add_argument("--follow", choices=("synced", "marked"), default="synced")
    parser.add_argument("--kills", type=int, default=0, help="of tails")
    parser.add_argument("--sequence-kills", type=int, default=0)
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    cassport = arguments.cassport.resolve()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    output, dms = scratch / "out", scratch / "dms"
    output.mkdir()
    dice = Random(f"{arguments.line}/{arguments.seeds}/{arguments.missed}")
    settings = {"cdc_enabled": True, "hinted_handoff_enabled": arguments.missed == "hints"}
    total = Outcome()
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {words}", flush=True)

    tails: list[Tail] = []
    ring = Ring(LINES[arguments.line], TOPOLOGY, scratch / "ring", settings, flush_schema=True)
    try:
        with ring:
            run = Run(ring, arguments.seeds)
            run.setup()
            TOPOLOGY.keyspaces.update({w.keyspace: {} for w in run.workloads})
            run.play(0, dice)
            time.sleep(SHORT_TTL + 1)
            run.follow()
            say(f"{run.statements} statements before the tails start")
            for i, node in enumerate(ring.nodes):
                tails.append(Tail(cassport, node, directory(output), scratch / f"state{i}", "cdc", arguments.follow, "delete"))
                tails[-1].start()
            # As a migration does it: extract then proves that nothing is missing between the snapshots and the tails.
            tails[0].wait_for_beginning(len(tails))
            with ring.session() as session:
                session.execute("CREATE KEYSPACE handoff WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
            for node in ring.nodes:
                node.control("snapshot", "handoff")
            extract_clock = int(time.time())
            snapshot = ("--snapshot", "handoff")
            extract_all(cassport, ring, run.tables, output, extract_clock, *snapshot, "--profile", "jsonl", "--metadata", "cell")
            extract_all(cassport, ring, run.tables, dms, extract_clock, *snapshot, "--profile", "dms", *as_text(run.workloads))
            pristine = scratch / "pristine"
            shutil.copytree(output, pristine, ignore=shutil.ignore_patterns("changes"))
            sequencer = Sequencer(cassport, directory(output), scratch / "sequence")
            sequencer.start()
            stop = threading.Event()
            troubles: list[Exception] = []

            def killer() -> None:
                victims = [dice.choice(tails).kill for _ in range(arguments.kills)] + [sequencer.kill] * arguments.sequence_kills
                dice.shuffle(victims)
                try:
                    for kill in victims:
                        if stop.wait(dice.random() * 3):
                            break
                        kill()
                except Exception as error:
                    troubles.append(error)

            thread = threading.Thread(target=killer)
            thread.start()
            for phase in range(1, run.phases):
                with ring.without(phase % 3) if phase < run.phases - 1 else nullcontext():
                    run.play(phase, dice)
                say(f"phase {phase} of {run.phases - 1}, {run.statements} statements")
            thread.join()
            if troubles:
                raise troubles[0]
            if arguments.missed == "hints":
                await_hints(ring)
            elif arguments.missed == "repair":
                for workload in run.workloads:
                    repair(ring.nodes[0], workload.keyspace)
                say("repaired")
            time.sleep(SHORT_TTL + 2)
            answers = run.answers()
            now = int(time.time() * 1000)
            for tail in tails:
                tail.wait_for(now)
            for tail in tails:
                if code := tail.stop():
                    raise RuntimeError(f"tail: exit code {code}: see {tail.log.name}\n{Path(tail.log.name).read_text()[-3000:]}")
            flat = [answer for group in answers.values() for answer in group]
            clock = flat[0].clock
            ring.flush()
            extract_all(cassport, ring, run.tables, scratch / "dms-end", clock, "--profile", "dms", *as_text(run.workloads))
        sequencer.stop()
        streams = output / "_cassport/changes"
        objects = len(list(streams.glob("*/*.jsonl.zst")))
        say(f"{objects} objects of changes, {sum(tail.kills for tail in tails)} kills of tails, {arguments.sequence_kills} of the sequencer")

        def check(what: str, where: Path, stopped: set[str], exact: bool) -> Rows:
            outcome = Outcome()
            changed = applied_over(where, extracted_rows(pristine, flat, clock - extract_clock))
            for answer in flat:
                name = f"{answer.keyspace}.{answer.table}"
                if name in stopped:
                    say(f"{what}: {name} was stopped by the sequencer: its definition changed")
                    continue
                expected = expected_of(answer, any_spelling=True)
                got = in_order(answer, changed.get((answer.keyspace, answer.table), {}))
                if not exact:
                    # Files that were written one after the other have different clocks.
                    got = [{name: has(value) if name.startswith("ttl(") else value for name, value in row.items()} for row in got]
                    expected.rows = [line | {"ttl": {name: has(ttl) for name, ttl in line["ttl"].items()}} for line in expected.rows]
                outcome.add(compare(expected, got))
            if exact:
                outcome.different += repeated(where)
            say(f"{what}: {outcome.rows} rows, {outcome.cells} cells, {len(outcome.different)} different, {len(stopped)} tables stopped")
            for text in outcome.different[:20]:
                print(f"  {text}")
            total.add(outcome)
            return changed

        check("as they came", output, sequence(cassport, directory(output), scratch / "sequence", clock, 0, dice, "64KiB"), False)
        for variant in range(VARIANTS):
            target = scratch / f"replay{variant}"
            check(f"order {variant}", target, replay(cassport, pristine, streams, target, clock, variant), True)
        shutil.copytree(streams, dms / "_cassport/changes")
        stopped = sequence(cassport, directory(dms), scratch / "dms-state", clock, 2, dice)
        outcome = compare_dms(dms, scratch / "dms-end", stopped)
        say(f"dms: {outcome.rows} rows, {outcome.cells} cells, {len(outcome.different)} different, {len(stopped)} tables stopped: {stopped}")
        for text in outcome.different[:20]:
            print(f"  {text}")
        total.add(outcome)
        print(f"{arguments.line}, missed {arguments.missed}: {total.rows} rows and {total.cells} cells compared, {len(total.different)} different")
    finally:
        for tail in tails:
            if tail.process and tail.process.poll() is None:
                tail.process.kill()
        if "sequencer" in locals() and sequencer.process and sequencer.process.poll() is None:
            sequencer.process.kill()
        if total.different or arguments.keep or sys.exc_info()[0]:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(total.different))


def applied_over(output: Path, rows: Rows) -> Rows:
    """The change files over the rows of the extract."""
    lines = read_lines(sorted((output / "cdc-changes").glob("CDC*.jsonl")))
    for line in lines:
        of_table = rows.setdefault((line["keyspace"], line["table"]), {})
        if line["op"] == "delete":
            of_table.pop(_key(line["key"]), None)
        else:
            of_table[_key(line["key"])] = line["row"]
    return rows


def await_hints(ring: Ring) -> None:
    """Until no node has a hint left, for a while: what comes later changes nothing of the rows."""
    end = time.monotonic() + 90
    while time.monotonic() < end and any(list((node.directory / "hints").glob("*.hints")) for node in ring.nodes):
        time.sleep(1)


def repair(node: Node, keyspace: str) -> None:
    command = [*node.tool_command(), "-Dcom.sun.jndi.rmiURLParsing=legacy", "org.apache.cassandra.tools.NodeTool", "-p", str(node.jmx_port),
               "repair", "-full", keyspace]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"repair: {done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
