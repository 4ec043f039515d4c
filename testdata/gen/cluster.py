#!/usr/bin/env python3
"""Proves on rings of three real nodes that agents side by side give each row once, and that replicas are reconciled.

`cluster.py [--line 4.1] [--topology racks|centers] [--cassport PATH] [--keep DIR]`. Exit code 1 if anything is not as it should
be. Addresses 127.0.0.11 to 127.0.0.13, so that it does not meet a node of `differential.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable

import ringload
from answers import Answer, ask, to_one_clock
from compare import DEFAULT_CASSPORT, Expected, compare, extracted
from differential import expected_of
from node import LINES
from ring import TOPOLOGIES, Ring, Topology

# Table (keyspace, name) to what Cassandra answered at consistency ALL.
Answers = dict[tuple[str, str], Answer]


class Proof:
    """The checks of one ring, each printed as a line."""

    def __init__(self, cassport: Path, topology: Topology, scratch: Path) -> None:
        self.cassport = cassport
        self.topology = topology
        self.scratch = scratch
        self.failures = 0

    def report(self, good: bool, what: str) -> None:
        self.failures += not good
        print(f"  {'ok  ' if good else 'FAIL'} {what}", flush=True)

    def start(self, output: Path, clock: int, *words: str) -> subprocess.Popen[str]:
        now = datetime.fromtimestamp(clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        command = [str(self.cassport), "extract", "--profile", "jsonl", "--metadata", "cell", "--now", now, "--threads", "1",
                   "--output", str(output), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def extract(self, output: Path, clock: int, *words: str) -> None:
        self.finish([self.start(output, clock, *words)])

    def finish(self, runs: Iterable[subprocess.Popen[str]]) -> None:
        for run in runs:
            said = run.communicate()[0]
            if run.returncode:
                raise RuntimeError(f"cassport: exit code {run.returncode}\n{said[-4000:]}")

    def seal(self, output: Path) -> tuple[int, str]:
        done = subprocess.run([self.cassport, "seal", "--output", output], capture_output=True, text=True)
        return done.returncode, done.stderr.strip().split("\n")[0]

    def compare(self, what: str, output: Path, answers: Answers, by_key: bool = False) -> None:
        """A line per keyspace: rows, cells, differences."""
        for keyspace in sorted({keyspace for keyspace, _ in answers}):
            rows = cells = 0
            different: list[str] = []
            for (_, table), answer in answers.items():
                if answer.keyspace != keyspace:
                    continue
                wanted, got = expected_of(answer), extracted(output, keyspace, table)
                outcome = compare(*_sorted(wanted, got)) if by_key else compare(wanted, got)
                rows, cells, different = rows + len(got), cells + outcome.cells, different + outcome.different
            self.report(not different, f"{what}: {keyspace}: {rows} rows, {cells} cells compared, {len(different)} different")
            for text in different[:8]:
                print(f"         {text[:400]}")

    def primaries(self, what: str, copies: list[Path], answers: Answers, whole: Path) -> None:
        """The agents of each data center side by side."""
        clock = next(iter(answers.values())).clock
        for center in sorted({center for center, _ in self.topology.places}):
            members = [i for i in range(len(copies)) if self.topology.center(i) == center]
            refused = self._refused(center, copies[members[0]], clock)
            output = self.scratch / f"primary-{center}"
            shutil.rmtree(output, ignore_errors=True)
            excluded = [word for keyspace in refused for word in ("--exclude", keyspace)]
            words = ["--ownership", "primary", *excluded]
            self.finish([self.start(output, clock, "--data-dir", str(copies[i]), *words) for i in members])
            unsealed = self.scratch / "unsealed"
            shutil.rmtree(unsealed, ignore_errors=True)
            shutil.copytree(output, unsealed)
            code, said = self.seal(output)
            self.report(code == 0, f"{what}, {center}: seal of {len(members)} agents: exit code {code} {said if code else ''}")
            if code:
                continue
            held = {key: answer for key, answer in answers.items() if key[0] not in refused}
            self.compare(f"{what}, {center}: primaries = SELECT * at ALL", output, held, by_key=True)
            self.digests(f"{what}, {center}: digests of primaries = digests of one run over all nodes", output, whole, len(held))
            if len(members) > 1:
                self.bad_seals(f"{what}, {center}", unsealed, copies[members[0]], clock, words)

    def _refused(self, center: str, copy: Path, clock: int) -> list[str]:
        """Keyspaces that the center does not hold all of: each must be refused in words."""
        refused = []
        for keyspace, replication in self.topology.keyspaces.items():
            elsewhere = sum(name != center for name, _ in self.topology.places)
            if not keyspace.startswith("simple") or replication["replication_factor"] > elsewhere:
                continue
            run = self.start(self.scratch / "refused", clock, "--data-dir", str(copy), "--ownership", "primary", "-k", keyspace)
            said = run.communicate()[0]
            good = run.returncode == 2 and keyspace in said and f"data center {center} does not hold all" in said
            self.report(good, f"{center}: {keyspace} refused: exit code {run.returncode}: {said.strip().splitlines()[0] if said else ''}")
            refused.append(keyspace)
        return refused

    def digests(self, what: str, one: Path, other: Path, tables: int) -> None:
        first, second = _digests(one), _digests(other)
        same = sum(second.get(key) == value for key, value in first.items())
        self.report(same == tables == len(first), f"{what}: {same} of {tables} tables")

    def bad_seals(self, what: str, output: Path, first: Path, clock: int, words: list[str]) -> None:
        """An output that misses an agent, or has one twice, is not sealed."""
        agents = sorted(path.name for path in (output / "_cassport/agents").iterdir())
        last = agents[-1]

        def refused(how: str, spoil: Any) -> None:
            spoiled = self.scratch / "spoiled"
            shutil.rmtree(spoiled, ignore_errors=True)
            shutil.copytree(output, spoiled)
            spoil(spoiled)
            code, said = self.seal(spoiled)
            good = code == 5 and not (spoiled / "_cassport/complete.json").exists()
            self.report(good, f"{what}: seal {how}: exit code {code}: {said}")

        def without(spoiled: Path, agent: str = last) -> None:
            shutil.rmtree(spoiled / "_cassport/agents" / agent)
            for file in spoiled.glob(f"*/*/LOAD{agent}*"):
                file.unlink()

        def by_hand(spoiled: Path) -> None:
            """The first agent's part under the number of the last."""
            without(spoiled)
            folder = spoiled / "_cassport/agents"
            shutil.copytree(folder / agents[0], folder / last)
            manifest = json.loads((folder / last / "manifest.json").read_text().replace(f"LOAD{agents[0]}", f"LOAD{last}"))
            manifest["agent"] = int(last, 16)
            (folder / last / "manifest.json").write_text(json.dumps(manifest))
            for file in spoiled.glob(f"*/*/LOAD{agents[0]}*"):
                shutil.copy(file, file.with_name(file.name.replace(f"LOAD{agents[0]}", f"LOAD{last}")))

        def own_number() -> str:
            alone = self.scratch / "number"
            shutil.rmtree(alone, ignore_errors=True)
            self.extract(alone, clock, "--data-dir", str(first), *words)
            return next((alone / "_cassport/agents").iterdir()).name

        def again(spoiled: Path) -> None:
            """One node extracted twice, the last one never."""
            number = agents[0] if own_number() == last else last
            without(spoiled, number)
            run = self.start(spoiled, clock, "--data-dir", str(first), "--agent", str(int(number, 16)), *words)
            said = run.communicate()[0]
            print(f"       the second extract of a node under another number: exit code {run.returncode}"
                  f"{': ' + said.strip().splitlines()[0] if run.returncode else ''}")

        refused("without an agent's manifest", lambda spoiled: (spoiled / f"_cassport/agents/{last}/manifest.json").unlink())
        refused("without an agent's folder", without)
        refused("with a part under two numbers", by_hand)
        refused("with a node extracted twice", again)
        refused("with a file of rows missing", lambda spoiled: next(spoiled.glob(f"*/*/LOAD{last}*")).unlink())

    def whole(self, what: str, copies: list[Path], answers: Answers) -> Path:
        """All nodes' directories in one run, and the same in three shards."""
        clock = next(iter(answers.values())).clock
        nodes = [word for i, copy in enumerate(copies) for word in ("--node", f"n{i + 1}={copy}")]
        output, shards = self.scratch / "whole", self.scratch / "shards"
        for directory in (output, shards):
            shutil.rmtree(directory, ignore_errors=True)
        self.extract(output, clock, *nodes)
        self.compare(f"{what}: --node three times = SELECT * at ALL", output, answers)
        self.finish([self.start(shards, clock, *nodes, "--shard", f"{i}/3") for i in range(3)])
        code, said = self.seal(shards)
        self.report(code == 0, f"{what}: seal of three shards over all nodes: exit code {code} {said if code else ''}")
        if not code:
            self.digests(f"{what}: digests of three shards = digests of one run", shards, output, len(answers))
        return output

    def alone(self, copies: list[Path], answers: Answers, replicas: dict[str, dict[int, set[int]]]) -> None:
        """How much each node by itself has wrong: what the other checks would not notice if replicas were alike."""
        clock = next(iter(answers.values())).clock
        wrong = Counter()
        for i, copy in enumerate(copies):
            output = self.scratch / f"alone{i}"
            shutil.rmtree(output, ignore_errors=True)
            self.extract(output, clock, "--data-dir", str(copy), "--ownership", "replica")
            for (keyspace, table), answer in answers.items():
                wanted = expected_of(_of_node(answer, replicas[keyspace], i))
                wrong[keyspace] += len(compare(*_sorted(wanted, extracted(output, keyspace, table))).different)
        divergent = [keyspace for keyspace in self.topology.keyspaces if self.topology.replicas(keyspace) > 1]
        self.report(all(wrong[k] > 0 for k in divergent), "nodes by themselves differ from ALL in cells: "
                    + ", ".join(f"{k} {wrong[k]}" for k in sorted(self.topology.keyspaces)))

    def replicas(self, copies: list[Path], answers: Answers, replicas: dict[str, dict[int, set[int]]]) -> None:
        """`--ownership replica` with SSTables of another node in the folders: its tokens do not come out."""
        clock = next(iter(answers.values())).clock
        for i, copy in enumerate(copies):
            stale = self.scratch / "stale"
            shutil.rmtree(stale, ignore_errors=True)
            shutil.copytree(copy, stale)
            for keyspace in self.topology.keyspaces:
                _add_sstables(stale / keyspace, copies[(i + 1) % len(copies)] / keyspace)
            outputs = {which: self.scratch / f"stale-{which}" for which in ("replica", "all")}
            for which, output in outputs.items():
                shutil.rmtree(output, ignore_errors=True)
                self.extract(output, clock, "--data-dir", str(stale), "--ownership", which)
            outside = sum(len(extracted(outputs["all"], *key)) - len(extracted(outputs["replica"], *key)) for key in answers)
            own = {key: _of_node(answer, replicas[key[0]], i) for key, answer in answers.items()}
            self.compare(f"node {i + 1}: --ownership replica = rows of its tokens", outputs["replica"], own)
            self.report(outside > 0, f"node {i + 1}: {outside} rows of other nodes' tokens lay there and were left out")


def _sorted(wanted: Expected, got: list[dict[str, Any]]) -> tuple[Expected, list[dict[str, Any]]]:
    """Both by key: agents' files follow each other by agent."""
    def key(row: dict[str, Any]) -> str:
        return repr([row.get(name) for name in wanted.keys])

    return replace(wanted, rows=sorted(wanted.rows, key=lambda line: key(line["row"]))), sorted(got, key=key)


def _of_node(answer: Answer, replicas: dict[int, set[int]], node: int) -> Answer:
    return replace(answer, rows=[line for line in answer.rows if node in replicas[int(line["row"]["pk"])]])


def _digests(output: Path) -> dict[tuple[str, str], tuple[int, str]]:
    complete = json.loads((output / "_cassport/complete.json").read_text())
    return {(table["keyspace"], table["table"]): (table["rows"], table["digest"]) for table in complete["tables"]}


def _add_sstables(target: Path, source: Path) -> None:
    """Puts the SSTables of another node beside those that are there, under generations of their own."""
    for file in source.glob("*/*-*-*-*"):
        renamed = re.sub(r"^(\w+)-(\d+)-", lambda m: f"{m[1]}-{int(m[2]) + 900}-", file.name)
        (target / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / file.parent.name / renamed)


def answers_of(ring: Ring) -> Answers:
    session = ring.nodes[0].session("ALL")
    found = {(k, t): ask(session, ring.line, k, t, slow=True) for k in ring.topology.keyspaces for t in ringload.TABLES}
    to_one_clock(list(found.values()))
    return found


def replicas_of(ring: Ring) -> dict[str, dict[int, set[int]]]:
    """Keyspace to partition to the nodes that have it, as the driver works it out."""
    place = {node.address: i for i, node in enumerate(ring.nodes)}
    partitions = max(ringload.PARTITIONS.values()) + 100
    with ring.session(metadata=True) as session:
        of = session.cluster.metadata.get_replicas
        return {
            keyspace: {pk: {place[host.address] for host in of(keyspace, pk.to_bytes(4, "big"))} for pk in range(partitions)}
            for keyspace in ring.topology.keyspaces
        }


def prove(line_name: str, topology: Topology, cassport: Path, scratch: Path) -> int:
    proof = Proof(cassport, topology, scratch)
    began = time.monotonic()
    print(f"line {line_name}, {topology.name}: {', '.join('/'.join(place) for place in topology.places)}", flush=True)
    with Ring(LINES[line_name], topology, scratch / "ring") as ring:
        with ring.session() as session:
            ringload.create(session, topology.keyspaces)
            ring.await_live()
            for keyspace in topology.keyspaces:
                ringload.write(session, keyspace, ringload.base(keyspace), "ALL")
        replicas = replicas_of(ring)
        alike = ring.copy(scratch / "alike")
        alike_answers = answers_of(ring)
        divergent = [keyspace for keyspace in topology.keyspaces if topology.replicas(keyspace) > 1]
        written = 0
        for number in (2, 1, 0):
            with ring.without(number), ring.session() as session:
                for keyspace in divergent:
                    written += ringload.write(session, keyspace, ringload.while_down(f"{keyspace}{number}"), "ONE")
        time.sleep(2)
        different = ring.copy(scratch / "different")
        # Reading repairs, so the copies come first.
        answers = answers_of(ring)
        repaired = ring.copy(scratch / "repaired")
    print(f"  {written} writes while a node was down; the ring took {time.monotonic() - began:.0f} s", flush=True)
    proof.primaries("alike", alike, alike_answers, proof.whole("alike", alike, alike_answers))
    proof.replicas(alike, alike_answers, replicas)
    proof.alone(different, answers, replicas)
    proof.whole("different", different, answers)
    proof.primaries("repaired", repaired, answers, proof.whole("repaired", repaired, answers))
    print(f"line {line_name}, {topology.name}: {proof.failures} failures", flush=True)
    return proof.failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", default="4.1", choices=LINES)
    parser.add_argument("--topology", choices=TOPOLOGIES, action="append")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave everything in this directory")
    arguments = parser.parse_args()
    failures = 0
    for name in arguments.topology or TOPOLOGIES:
        scratch = arguments.keep / name if arguments.keep else Path(tempfile.mkdtemp(prefix="gen-"))
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            failures += prove(arguments.line, TOPOLOGIES[name], arguments.cassport.resolve(), scratch)
        finally:
            if not arguments.keep:
                shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
