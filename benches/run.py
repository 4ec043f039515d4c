#!/usr/bin/env python3
"""Measures `cassport extract` against what the machine allows, in one run.

  run.py [--tables DIR] [--binary FILE] [--scratch DIR] [--json FILE] [--only NAME ...]

DIR (default /tmp/bench) holds what `benches/table/make_table.py` made: wide, five, onepart, tiny of 1 GiB each, and part, 64 MiB of
wide, for Cassandra's own exporter. What is missing is left out, and said.

CPU seconds are those of the process and the kernel on its behalf. MB are millions of bytes of uncompressed Data.db. The roofline
(benches/roofline.rs) is measured on each table right after the program: checksums and decompression, and with files also
writing as many bytes as the program wrote. "of limit" is CPU of the roofline over CPU of the program. A sketch for one fixed table
reached 0.70 without and 0.76 with files; the aim, three quarters of the sketch, is shown in brackets. Everything is read once
before it is measured: the page cache is warm. So is free memory: on a virtual machine, pages that the host has taken back cost many
times what writing to them does, so as much as is about to be written is touched and given back before each measurement, of the
program and of the roofline alike. Of three runs the one with the least CPU counts. Needs Python 3.11, and for sstabledump what
make_table.py needs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SAMPLE_SECONDS = 0.02
REPETITIONS = 3
# What is touched before a run: the text of the largest table, with room to spare.
FREE_MEMORY = 5 << 30
TIMEOUT_SECONDS = 1200
# What the sketch reached of its own roofline, times three quarters.
AIM_WITHOUT_FILES = 0.43
AIM_WITH_FILES = 0.55


@dataclass(frozen=True)
class Run:
    """One way to run the program on one table."""

    name: str
    table: str
    profile: str
    threads: int
    discard: bool = False


RUNS = [
    Run("wide, 1 thread", "wide", "dms", 1),
    Run("wide, 2 threads", "wide", "dms", 2),
    Run("wide, DSBulk's CSV, 1 thread", "wide", "csv", 1),
    Run("wide, 1 thread, no files", "wide", "dms", 1, discard=True),
    Run("wide, 2 threads, no files", "wide", "dms", 2, discard=True),
    Run("five overlapping, 1 thread", "five", "dms", 1),
    Run("five overlapping, 1 thread, no files", "five", "dms", 1, discard=True),
    Run("one partition, 1 thread", "onepart", "dms", 1),
    Run("one partition, 1 thread, no files", "onepart", "dms", 1, discard=True),
    Run("tiny rows, 1 thread", "tiny", "dms", 1),
    Run("tiny rows, 1 thread, no files", "tiny", "dms", 1, discard=True),
]


@dataclass
class Cost:
    cpu: float
    wall: float
    peak_anonymous: int = 0


@dataclass
class Line:
    """A line of the table."""

    name: str
    bytes: int
    rows: int
    cost: Cost
    text_bytes: int = 0
    of_limit: float | None = None
    aim: float | None = None


class Failed(RuntimeError):
    """A measured program ended with an error."""


def measured(command: list[str | Path], log: Path, stdout: Any = subprocess.DEVNULL) -> Cost:
    """Runs a command and watches its anonymous memory."""
    peak = 0
    with open(log, "wb") as errors:
        started = time.monotonic()
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors)
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(SAMPLE_SECONDS):
            peak = max(peak, anonymous_memory(process.pid))
            if time.monotonic() - started > TIMEOUT_SECONDS:
                process.kill()

    sampler = threading.Thread(target=sample)
    sampler.start()
    # Not process.wait(): only this tells what this one child used.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    sampler.join()
    if process.returncode != 0:
        raise Failed(f"exit code {process.returncode} of {' '.join(map(str, command))}\n{log.read_text(errors='replace')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)


def anonymous_memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def claim_memory() -> None:
    """Has the host back all of the memory that the next run may fill; in a process of its own, which then ends."""
    touch = f"import mmap\nm = mmap.mmap(-1, {FREE_MEMORY})\nfor at in range(0, {FREE_MEMORY}, 4096): m[at] = 1"
    subprocess.run([sys.executable, "-c", touch], check=True)


def warm(directory: Path) -> None:
    block = bytearray(1 << 20)
    for path in directory.rglob("*"):
        if path.is_file():
            with open(path, "rb", buffering=0) as file:
                while file.readinto(block):
                    pass


class Bench:
    """The runs, with what they share."""

    def __init__(self, tables: Path, binary: Path, scratch: Path) -> None:
        self.tables, self.binary, self.scratch = tables, binary, scratch
        self.lines: list[Line] = []
        self.digests: dict[str, tuple[int, str]] = {}
        self.rooflines: dict[str, dict[str, Cost]] = {}

    def made(self, table: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.tables / table / "table.json").read_text())
        except FileNotFoundError:
            return None

    def roofline(self, table: str, text_bytes: int) -> dict[str, Cost]:
        """Measured anew for every table and every length of text."""
        key = f"{table} {text_bytes}"
        if key not in self.rooflines:
            command = ["cargo", "bench", "-q", "--bench", "roofline", "--", "--json", "--table", self.tables / table / "data/bench"]
            if text_bytes:
                command += ["--text-bytes", str(text_bytes), "--scratch", self.scratch]
            out = subprocess.run([str(c) for c in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
            stages = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
            self.rooflines[key] = {s["name"]: Cost(s["cpu"], s["wall"]) for s in stages}
        return self.rooflines[key]

    def run(self, run: Run) -> None:
        made = self.made(run.table)
        if made is None:
            note(f"left out: {run.name}: no {self.tables / run.table}/table.json")
            return
        data = self.tables / run.table / "data"
        warm(data / "bench")
        output = self.scratch / "output"
        shutil.rmtree(output, ignore_errors=True)
        command = [self.binary, "extract", "--data-dir", data, "-t", made["table"], "--output", output, "--profile", run.profile,
                   "--threads", str(run.threads), "-q"]
        if run.discard:
            command.append("--discard")
        costs = []
        for _ in range(REPETITIONS):
            # Not --overwrite: what it removes would count as well.
            shutil.rmtree(output, ignore_errors=True)
            if not run.discard:
                claim_memory()
            costs.append(measured(command, self.scratch / "log"))
        cost = min(costs, key=lambda cost: cost.cpu)
        cost.wall = min(cost.wall for cost in costs)
        cost.peak_anonymous = max(cost.peak_anonymous for cost in costs)
        text_bytes = self.check(run, made, output) if not run.discard else 0
        shutil.rmtree(output, ignore_errors=True)
        stages = self.roofline(run.table, text_bytes)
        limit = stages["CRC, LZ4 by lz4_flex"].cpu + (stages["write files"].cpu if text_bytes else 0)
        aim = AIM_WITHOUT_FILES if run.discard else AIM_WITH_FILES
        self.add(Line(run.name, made["uncompressedBytes"], made["rows"], cost, text_bytes, limit / cost.cpu, aim))

    def check(self, run: Run, made: dict[str, Any], output: Path) -> int:
        """Compares what was written with what must come out; returns the length of the text."""
        table = json.loads((output / "_cassport/agents/000/manifest.json").read_text())["tables"][0]
        if table["rows"] != made["rows"]:
            raise Failed(f"{run.name}: {table['rows']} rows written, the table has {made['rows']}")
        # The five SSTables merge into the rows of the one.
        if run.table in ("wide", "five"):
            known, digest = self.digests.setdefault(run.profile, (made["rows"], table["digest"]))
            if known == made["rows"] and digest != table["digest"]:
                raise Failed(f"{run.name}: other rows than before: digest {table['digest']}, not {digest}")
        return sum(file["bytes"] for file in table["files"])

    def sstabledump(self) -> None:
        made = self.made("part")
        if made is None:
            note(f"left out: sstabledump: no {self.tables}/part/table.json")
            return
        sys.path.insert(0, str(HERE / "table"))
        import make_table

        data = next((self.tables / "part/data/bench").rglob("*-Data.db"))
        command = make_table.cassandra_tool("org.apache.cassandra.tools.SSTableExport", [str(data)], self.scratch)
        cost = measured(command, self.scratch / "log")
        self.add(Line("sstabledump, part of wide, JVM start included", made["uncompressedBytes"], made["rows"], cost))

    def add(self, line: Line) -> None:
        self.lines.append(line)
        note(f"done: {line.name}")

    def report(self) -> str:
        heading = f"{'':<46}{'CPU s':>8}{'wall s':>8}{'MB/CPU s':>10}{'MB/s':>8}{'M rows/CPU s':>14}{'of limit':>16}{'RssAnon MB':>12}"
        text = [machine(), *map(self.describe, self.measured_tables()), "", heading]
        for key, stages in self.rooflines.items():
            table, text_bytes = key.split(" ")
            made = self.made(table)
            if made is None:
                continue
            for name, cost in stages.items():
                writing = name == "write files"
                # Stages that only read are the same whatever is written: show them once.
                if not writing and key != next(k for k in self.rooflines if k.split(" ")[0] == table):
                    continue
                label = f"{table}: {name}" + (f", {int(text_bytes) / 1e6:.0f} MB" if writing else "")
                text.append(row(Line(label, int(text_bytes) if writing else made["uncompressedBytes"], made["rows"], cost)))
        text += ["", *map(row, self.lines)]
        return "\n".join(text)

    def measured_tables(self) -> list[str]:
        return list(dict.fromkeys(key.split(" ")[0] for key in self.rooflines))

    def describe(self, table: str) -> str:
        made = self.made(table)
        assert made
        return (f"{table}: {made['uncompressedBytes'] / 1e6:.0f} MB uncompressed, LZ4 to {made['ratio']:.0%}, {made['sstables']} SSTables,"
                f" {made['rows']:,} rows of {made['bytesPerRow']} bytes in {made['partitions']:,} partitions")


def row(line: Line) -> str:
    cost = line.cost
    limit = "" if line.of_limit is None else f"{line.of_limit:.2f} ({line.aim:.2f})"
    memory = f"{cost.peak_anonymous / 1e6:.0f}" if cost.peak_anonymous else ""
    return (f"{line.name:<46}{cost.cpu:>8.2f}{cost.wall:>8.2f}{line.bytes / cost.cpu / 1e6:>10.0f}{line.bytes / cost.wall / 1e6:>8.0f}"
            f"{line.rows / cost.cpu / 1e6:>14.2f}{limit:>16}{memory:>12}")


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    return f"{os.cpu_count()} CPUs, {model}; load {os.getloadavg()[0]:.1f} when this ended"


def note(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def release_binary() -> Path:
    command = ["cargo", "build", "--release", "--bin", "cassport", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Path(next(m["executable"] for line in reversed(out.splitlines()) if (m := json.loads(line)).get("executable")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("/tmp/bench"))
    parser.add_argument("--binary", type=Path, help="default: built from here")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"), help="the disk to write to")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only runs whose names contain one of these")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="cassport-bench-", dir=arguments.scratch) as scratch:
        bench = Bench(arguments.tables, arguments.binary or release_binary(), Path(scratch))
        steps = [(run.name, lambda run=run: bench.run(run)) for run in RUNS] + [("sstabledump", bench.sstabledump)]
        for name, step in steps:
            if arguments.only and not any(wanted in name for wanted in arguments.only):
                continue
            try:
                step()
            except Failed as failure:
                failures += 1
                note(f"failed: {failure}")
        print(bench.report())
        if arguments.json:
            found = {"lines": [asdict(line) for line in bench.lines],
                     "rooflines": {k: {n: asdict(c) for n, c in v.items()} for k, v in bench.rooflines.items()}}
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
