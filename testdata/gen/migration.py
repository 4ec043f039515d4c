#!/usr/bin/env python3
"""A whole migration while the source is written to without a pause: tails on all nodes, a snapshot, its extract, the proof of the
hand-off, the sequencer; then the writes stop, `status --wait-caught-up` gives the signal, and what a target holds that loaded the
LOAD files and applied the change files of that moment one after the other is compared with `SELECT`, cell for cell.

`migration.py --line 4.1 --seeds 1..3 [--ring] [--source cdc|commitlog|backups] [--kills N] [--sequence-kills N] [--node-kills N]
[--late N] [--s3 VERSITYGW] [--cassport PATH]`. Exit code 1 if anything differs. `--seconds` is how long is written before and after the
snapshot. Profile dms is what runs; the same streams give jsonl at the end, which has write times, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any, Callable, Iterator

from answers import Answer, ask, to_one_clock
from changes import Tail, extract_live, flush_when_it_can, in_order, sequence, time_text
from compare import DEFAULT_CASSPORT, Outcome, compare
from differential import expected_of, seeds
from node import LINES, Line, Node
from replicas import TOPOLOGY, Forever, Sequencer, applied_over, as_text, compare_dms, extracted_rows, has
from ring import Ring
from sinks import Sink, Versity, directory
from statements import accepted, for_changes
from workload import SHORT_TTL, Workload

BULK = "bulk"
BULK_KEYS = 400
SPARSE = "sparse"
SPARSE_KEYS, SPARSE_ROWS = 300, 12
Write = tuple[str, tuple[Any, ...]]


def bulk_writes(dice: Random) -> Iterator[Write]:
    """Writes of all kinds to a table of fixed shape, for ever: few keys, so that most rows are changed again and again."""
    while True:
        pk, c, n = dice.randrange(BULK_KEYS), dice.randrange(12), dice.randrange(10**6)
        draw = dice.random()
        if draw < 0.45:
            yield "INSERT INTO {t} (pk, c, v, n) VALUES (?, ?, ?, ?)", (pk, c, f"v{n}" * dice.randint(1, 20), n)
        elif draw < 0.70:
            yield "UPDATE {t} SET n = ? WHERE pk = ? AND c = ?", (n, pk, c)
        elif draw < 0.78:
            yield "UPDATE {t} SET m = m + ? WHERE pk = ? AND c = ?", ({f"k{n % 7}": n}, pk, c)
        elif draw < 0.84:
            yield "UPDATE {t} SET s = ? WHERE pk = ?", (f"s{n}", pk)
        elif draw < 0.88:
            yield "INSERT INTO {t} (pk, c, v) VALUES (?, ?, ?) USING TTL 1", (pk, c, "short")
        elif draw < 0.96:
            yield "DELETE FROM {t} WHERE pk = ? AND c = ?", (pk, c)
        elif draw < 0.99:
            yield "DELETE v, m FROM {t} WHERE pk = ? AND c = ?", (pk, c)
        else:
            yield "DELETE FROM {t} WHERE pk = ?", (pk,)


def sparse_writes(dice: Random, line: Line) -> Iterator[Write]:
    """Mostly deletions of partitions and ranges of rows that nobody has touched since they were there."""
    while True:
        pk, c, draw = dice.randrange(SPARSE_KEYS), dice.randrange(SPARSE_ROWS), dice.random()
        if draw < 0.4 and line.number >= (3, 0):
            yield "DELETE FROM {s} WHERE pk = ? AND c >= ? AND c < ?", (pk, c, c + 3)
        elif draw < 0.7:
            yield "DELETE FROM {s} WHERE pk = ?", (pk,)
        else:
            yield "INSERT INTO {s} (pk, c, v) VALUES (?, ?, ?)", (pk, c, f"late{draw}")


class Writer(threading.Thread):
    """Writes until it is told to stop: random workloads, and many rows of one table between their phases."""

    def __init__(self, cluster: "Cluster", numbers: range, cdc: bool, dice: Random) -> None:
        super().__init__(name="writer")
        self.cluster, self.cdc = cluster, cdc
        self.workloads = [Workload(seed, cluster.line) for seed in numbers]
        self.bulk, self.sparse = bulk_writes(dice), sparse_writes(dice, cluster.line)
        self.statements = 0
        self.failed = 0
        self.trouble: Exception | None = None
        self.ended = threading.Event()
        self.session: Any = None
        self.prepared: dict[str, Any] = {}

    @property
    def tables(self) -> list[tuple[str, str]]:
        return [*((w.keyspace, t.name) for w in self.workloads for t in w.tables), (BULK, BULK), (BULK, SPARSE)]

    def connect(self) -> None:
        self.session = self.cluster.session()
        self.prepared = {}

    def execute(self, statement: str) -> bool:
        if statement.startswith("ALTER"):
            # Files of fixed width stop at it.
            return False
        statement = statement.replace("'replication_factor': 1", f"'replication_factor': {len(self.cluster.nodes)}")
        done = accepted(self.session, self.cluster.line, for_changes(statement, self.cdc))
        self.statements += done
        return done

    def setup(self) -> None:
        self.connect()
        for workload in self.workloads:
            workload.setup(self.execute)
            for table in workload.tables:
                # Flushes are not ours: what meets in a memtable is not known.
                table.used_times = Forever() if self.cluster.line.number < (4, 0) else {}
        self.execute(f"CREATE KEYSPACE {BULK} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
        self.execute(f"CREATE TABLE {BULK}.{BULK} (pk int, c int, v text, n int, m map<text, int>, s text STATIC, PRIMARY KEY (pk, c)) "
                     "WITH gc_grace_seconds = 0")
        self.execute(f"CREATE TABLE {BULK}.{SPARSE} (pk int, c int, v text, PRIMARY KEY (pk, c)) WITH gc_grace_seconds = 0")
        insert = "INSERT INTO {s} (pk, c, v) VALUES (?, ?, ?)"
        self.together([(insert, (pk, c, f"v{pk}")) for pk in range(SPARSE_KEYS) for c in range(SPARSE_ROWS)])
        self.forget()

    def forget(self) -> None:
        """What is there so far is in SSTables alone, as most of a cluster is when a tail comes to it."""
        self.cluster.flush([BULK])
        # Dropping a table closes the segments that are written to.
        self.session.execute(f"CREATE TABLE {BULK}.gone (k int PRIMARY KEY)")
        self.session.execute(f"DROP TABLE {BULK}.gone")
        self.cluster.flush(sorted({keyspace for keyspace, _ in self.tables}))
        time.sleep(1)
        for node in self.cluster.nodes:
            raw = sorted((node.directory / "cdc_raw").glob("CommitLog-*.log"))
            # The last one is not written to yet.
            for segment in raw[:-2]:
                segment.unlink(missing_ok=True)
                segment.with_name(f"{segment.stem}_cdc.idx").unlink(missing_ok=True)
            for file in node.data.glob("*/*/backups/*"):
                file.unlink(missing_ok=True)

    def some_bulk(self, count: int) -> None:
        self.together([next(self.bulk) for _ in range(count)] + [next(self.sparse) for _ in range(3)])

    def together(self, writes: list[Write]) -> None:
        from cassandra.concurrent import execute_concurrent

        bound = []
        for statement, values in writes:
            if statement not in self.prepared:
                named = statement.replace("{t}", f"{BULK}.{BULK}").replace("{s}", f"{BULK}.{SPARSE}")
                self.prepared[statement] = self.session.prepare(named)
            bound.append((self.prepared[statement], values))
        for done, error in execute_concurrent(self.session, bound, concurrency=16, raise_on_first_error=False):
            if not done:
                raise error
        self.statements += len(writes)

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                for workload in self.workloads:
                    workload.phase(self.execute, flushed=False)
                    self.some_bulk(150)
                    if self.ended.is_set():
                        return
            except Exception as error:
                # A node was killed: whether the last writes came through is not known, and the answers tell.
                self.failed += 1
                if not self.cluster.mending:
                    self.trouble = error
                    return
                while self.cluster.mending and not self.ended.is_set():
                    time.sleep(0.1)
                self.connect()

    def stop(self) -> None:
        self.ended.set()
        self.join()
        if self.trouble:
            raise self.trouble


class Cluster:
    """One node, or a ring of three with three replicas of everything. Use as a context manager."""

    def __init__(self, line: str, ring: bool, directory: Path, settings: dict[str, Any]) -> None:
        self.line = LINES[line]
        self.ring = Ring(self.line, TOPOLOGY, directory / "ring", settings, flush_schema=True) if ring else None
        self.nodes = self.ring.nodes if self.ring else [Node(self.line, directory / "node", settings, flush_schema=True)]
        self.mending = False
        self.kills = 0
        self._driver: Any = None

    def __enter__(self) -> Cluster:
        (self.ring or self.nodes[0]).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._driver:
            self._driver.shutdown()
        for node in self.nodes:
            node.stop()

    def session(self) -> Any:
        """A session to write with."""
        from cassandra import ConsistencyLevel
        from cassandra.cluster import Cluster as Driver, EXEC_PROFILE_DEFAULT, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy

        if self._driver:
            self._driver.shutdown()
        addresses = [node.address for node in self.nodes]
        level = ConsistencyLevel.QUORUM if self.ring else ConsistencyLevel.LOCAL_ONE
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(addresses), request_timeout=120, consistency_level=level)
        self._driver = Driver(addresses, protocol_version=4, connect_timeout=30, control_connection_timeout=30, schema_metadata_enabled=False,
                              token_metadata_enabled=False, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
        return self._driver.connect()

    def kill(self, node: Node) -> None:
        """SIGKILL, and the same node again."""
        assert node._process
        self.mending = True
        self.kills += 1
        os.killpg(node._process.pid, signal.SIGKILL)
        node._process.wait()
        node.stop()
        node.start()
        if self.ring:
            self.ring.await_live()
        time.sleep(1)
        self.mending = False

    def flush(self, keyspaces: list[str]) -> None:
        for node in self.nodes:
            node.flush([*keyspaces, "system"])

    def answers(self, tables: list[tuple[str, str]]) -> list[Answer]:
        session = self.nodes[0].session("ALL" if self.ring else "LOCAL_ONE")
        found = [ask(session, self.line, keyspace, table, slow=True) for keyspace, table in tables]
        to_one_clock(found)
        return found


def call(cassport: Path, *words: str) -> str:
    done = subprocess.run([str(cassport), *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def extract_agents(cassport: Path, cluster: Cluster, tables: list[tuple[str, str]], output: Sink, clock: int, *more: str) -> None:
    """An agent for each node, of its snapshot; then `seal`, which is automatic where there is one agent."""
    ownership = ("--ownership", "primary") if cluster.ring else ()
    agents = [
        threading.Thread(target=guarded, args=(failures := [], extract_live, cassport, ["--data-dir", str(node.data), "--snapshot", "handoff"],
                                               tables, clock, output, *ownership, *more))
        for node in cluster.nodes
    ]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
    if failures:
        raise failures[0]


def guarded(failures: list[Exception], work: Callable[..., None], *arguments: Any) -> None:
    try:
        work(*arguments)
    except Exception as error:
        failures.append(error)


def seal(cassport: Path, output: Sink, hosts: int) -> list[str]:
    """Seals, and says by what the hand-off of each host is proven."""
    call(cassport, "seal", *output.words)
    complete = json.loads((output.path / "_cassport/complete.json").read_text())
    proofs = [host["proof"] for host in complete["handOff"]]
    if len(proofs) != hosts or "unproven" in proofs:
        raise RuntimeError(f"the hand-off is not proven: {complete['handOff']}")
    return proofs


def streams_to(target: Path, output: Path) -> None:
    shutil.copytree(output / "_cassport/changes", target / "_cassport/changes")


def caught_up(cassport: Path, output: Sink, source: str, tails: list[Tail], sequencer: Sequencer, cluster: Cluster, keyspaces: list[str]) -> float:
    """Waits for the signal of cut-over, for everything that was written until now. Returns how long that took."""
    began = time.monotonic()
    since = time_text(int(time.time()) + 1)
    status = ["status", *output.words, "--wait-caught-up", "--since", since]
    if source == "backups":
        # Flushes are all that is seen; that is known, and said.
        if subprocess.run([str(cassport), *status], capture_output=True).returncode == 0:
            raise RuntimeError("status gives the signal for a tail that does not see writes")
        cluster.flush(keyspaces)
        for tail in tails:
            stop_well(tail)
            call(cassport, *tail.command[1:], "--once")
        sequencer.stop()
        call(cassport, *sequencer.command[1:], "--once")
    else:
        call(cassport, *status)
    return time.monotonic() - began


def stop_well(tail: Tail) -> None:
    if code := tail.stop():
        raise RuntimeError(f"tail: exit code {code}: see {tail.log.name}\n{Path(tail.log.name).read_text()[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=LINES)
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--ring", action="store_true", help="three nodes, three replicas")
    parser.add_argument("--source", choices=("cdc", "commitlog", "backups"), default="cdc")
    parser.add_argument("--follow", choices=("synced", "marked"), default="synced")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=0, help="of tails")
    parser.add_argument("--sequence-kills", type=int, default=0)
    parser.add_argument("--node-kills", type=int, default=0)
    parser.add_argument("--late", type=int, default=0, help="times that tails stand still while their nodes flush and compact all")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--s3", type=Path, metavar="VERSITYGW", help="write to a bucket of this server")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    cassport, line = arguments.cassport.resolve(), LINES[arguments.line]
    if arguments.source == "cdc" and line.number < (3, 11):
        parser.error("no CDC before 3.8")
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    dice = Random(f"migration/{arguments.line}/{arguments.seeds}/{arguments.source}")
    cdc = arguments.source == "cdc"
    settings: dict[str, Any] = {"cdc_enabled": cdc} if line.number >= (3, 11) else {}
    if arguments.source == "backups":
        settings["incremental_backups"] = True
    if arguments.ring:
        settings["hinted_handoff_enabled"] = True
    server = Versity(arguments.s3, scratch / "s3") if arguments.s3 else None
    output = server.sink("out") if server else directory(scratch / "out")
    cluster = Cluster(arguments.line, arguments.ring, scratch, settings)
    writer = Writer(cluster, arguments.seeds, cdc, dice)
    tails: list[Tail] = []
    sequencer = Sequencer(cassport, output, scratch / "sequence")
    total = Outcome()
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {words}", flush=True)

    try:
        with server or nullcontext(), cluster:
            for node in cluster.nodes:
                flush_when_it_can(node)
            writer.setup()
            keyspaces = sorted({keyspace for keyspace, _ in writer.tables})
            writer.start()
            time.sleep(arguments.seconds / 2)
            say(f"{writer.statements} statements before the tails start")
            for i, node in enumerate(cluster.nodes):
                (scratch / f"tail{i}").mkdir()
                tails.append(Tail(cassport, node, output, scratch / f"tail{i}" / "state", arguments.source, arguments.follow, "delete"))
                tails[-1].start()
            sequencer.start()
            if arguments.source == "backups":
                time.sleep(5)
                cluster.flush(keyspaces)
            tails[0].wait_for_beginning(len(tails))
            say(f"the tails have begun; {writer.statements} statements")
            for node in cluster.nodes:
                node.control("snapshot", "handoff")
            clock, words = int(time.time()), as_text(writer.workloads)
            failures: list[Exception] = []

            def killer() -> None:
                of_nodes = [lambda: cluster.kill(dice.choice(cluster.nodes))] * arguments.node_kills
                late = [lambda: stand_still(tails, cluster, keyspaces)] * arguments.late
                victims = late + [lambda: dice.choice(tails).kill()] * arguments.kills + [sequencer.kill] * arguments.sequence_kills + of_nodes
                dice.shuffle(victims)
                for kill in victims:
                    time.sleep(dice.random() * 2 * arguments.seconds / len(victims))
                    if not writer.is_alive():
                        return
                    kill()

            thread = threading.Thread(target=guarded, args=(failures, killer))
            thread.start()
            extract_agents(cassport, cluster, writer.tables, output, clock, "--profile", "dms", *words)
            proofs = seal(cassport, output, len(tails))
            say(f"extracted; hand-off proven by {', '.join(proofs)}; {writer.statements} statements")
            plain = directory(scratch / "plain")
            extract_agents(cassport, cluster, writer.tables, plain, clock, "--profile", "jsonl", "--metadata", "cell")
            call(cassport, "seal", *plain.words)
            time.sleep(arguments.seconds)
            thread.join()
            if failures:
                raise failures[0]
            writer.stop()
            say(f"the writes stop: {writer.statements} statements, {writer.failed} interruptions")
            time.sleep(SHORT_TTL + 2)
            if cluster.ring:
                from replicas import await_hints
                await_hints(cluster.ring)
            took = caught_up(cassport, output, arguments.source, tails, sequencer, cluster, keyspaces)
            # What is there at the signal is all that counts.
            target = scratch / "target"
            shutil.copytree(output.path, target, ignore=shutil.ignore_patterns(".*.tmp"))
            say(f"caught up {took:.1f} s later")
            # A memtable does not say the write time of a row of which all that was selected has expired.
            for node in cluster.nodes:
                node.flush(keyspaces)
            answers = cluster.answers(writer.tables)
            if arguments.source != "backups":
                for tail in tails:
                    stop_well(tail)
                sequencer.stop()
            data = [word for node in cluster.nodes for word in ("--data-dir", str(node.data))]
            if cluster.ring:
                data = [word for i, node in enumerate(cluster.nodes) for word in ("--node", f"n{i + 1}={node.data}")]
            ended = directory(scratch / "ended")
            extract_live(cassport, data, writer.tables, answers[0].clock, ended, "--profile", "dms", *words)

        objects = len(list((target / "_cassport/changes").glob("*/*.jsonl.zst")))
        files = len(list((target / "cdc-changes").glob("CDC*")))
        say(f"{objects} objects of changes, {files} change files; kills: {sum(t.kills for t in tails)} of tails, {sequencer.kills} of the "
            f"sequencer, {cluster.kills} of nodes")
        of_dms = compare_dms(target, ended.path, set())
        of_dms.different += bulk_by_text(target, next(a for a in answers if a.table == BULK))
        streams_to(plain.path, target)
        stopped = sequence(cassport, plain, scratch / "plain-state", answers[0].clock, 2, dice)
        changed = applied_over(plain.path, extracted_rows(plain.path, answers, 0))
        of_rows = Outcome()
        for answer in answers:
            expected = expected_of(answer, any_spelling=True)
            got = in_order(answer, changed.get((answer.keyspace, answer.table), {}))
            # Rows that nobody touched since have what was left at the time of the extract.
            got = [{name: has(value) if name.startswith("ttl(") else value for name, value in row.items()} for row in got]
            expected.rows = [row | {"ttl": {name: has(ttl) for name, ttl in row["ttl"].items()}} for row in expected.rows]
            of_rows.add(compare(expected, got))
        for what, outcome in (("dms", of_dms), ("jsonl", of_rows)):
            say(f"{what}: {outcome.rows} rows, {outcome.cells} cells, {len(outcome.different)} different")
            for text in outcome.different[:20]:
                print(f"  {text}")
            total.add(outcome)
        if stopped:
            total.different.append(f"stopped: {stopped}")
        print(f"{arguments.line}{' ring' if arguments.ring else ''} ({arguments.source}{', S3' if server else ''}), seeds {arguments.seeds[0]}"
              f"..{arguments.seeds[-1]}: {total.rows} rows and {total.cells} cells compared, {len(total.different)} different; "
              f"{writer.statements} statements; kills: {sum(t.kills for t in tails)} tail, {sequencer.kills} sequencer, {cluster.kills} node")
    finally:
        writer.ended.set()
        for process in [*(tail.process for tail in tails), sequencer.process]:
            if process and process.poll() is None:
                process.kill()
        if total.different or arguments.keep or sys.exc_info()[0]:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(total.different))


def stand_still(tails: list[Tail], cluster: Cluster, keyspaces: list[str]) -> None:
    """What deletions of partitions and ranges hit is compacted away before a tail comes to them."""
    still = [tail.process for tail in tails if tail.process and tail.process.poll() is None]
    for process in still:
        process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(2)
        cluster.flush(keyspaces)
        for node in cluster.nodes:
            for keyspace in keyspaces:
                node.control("compact", keyspace)
    finally:
        for process in still:
            process.send_signal(signal.SIGCONT)


def bulk_by_text(target: Path, answer: Answer) -> list[str]:
    """What a target of profile dms has in the table of fixed shape against the answer itself: simple values as text."""
    from replicas import dms_rows

    held = dms_rows(target, True)[answer.keyspace, answer.table]
    simple = ("pk", "c", "v", "n", "s")
    text = lambda value: "\\N" if value is None else str(value)
    wanted = sorted(tuple(text(line["row"][name]) for name in simple) for line in answer.rows)
    found = sorted(tuple(row[name] for name in simple) for row in held.values())
    missing, extra = set(wanted) - set(found), set(found) - set(wanted)
    return [f"{BULK} in dms: missing {row}" for row in missing] + [f"{BULK} in dms: not Cassandra's {row}" for row in extra]


if __name__ == "__main__":
    main()
