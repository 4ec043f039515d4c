#!/usr/bin/env python3
"""Measures `cassport tail`: how soon a write is in the sink, what an idle tail costs, and how fast a log is decoded.

  tail.py [--line 4.1] [--rates 1000,10000] [--seconds 40] [--binary FILE] [--scratch DIR] [--keep-segments DIR]
  tail.py --segments DIR [--binary FILE] [--repeat N]     the last of these alone, of segments that --keep-segments left

A real node (testdata/gen/node.py: root, Maven, JDK 11 from Debian) is written to by processes of their own, each row a prepared
statement. The rate that was reached is said. Latency of a record: from when `_cdc.idx` was first seen to cover its mutation (the
file is read every 2 ms) to when its
object got its name in the output, a local directory; with `--flush-interval 200ms`. Decoding: `tail --once --base none` on one
core over the segments of the run, each copied under other ids until there are 512 MiB, into memory; the least CPU of three.
MB are millions of bytes of log, without the zeros behind its end. Needs Python 3.11 and `pip install cassandra-driver zstandard`.
"""

from __future__ import annotations

import argparse
import bisect
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

from run import ROOT, Failed, note, release_binary

sys.path.insert(0, str(ROOT / "testdata/gen"))

TABLE = "pk bigint, ck int, name text, amount decimal, count bigint, ratio double, at timestamp, id uuid, note text, PRIMARY KEY (pk, ck)"
COLUMNS = ("pk", "ck", "name", "amount", "count", "ratio", "at", "id", "note")
LOADERS = 2
# Of each loader.
IN_FLIGHT = 512
SENT_AT_ONCE = 64
INDEX_PAUSE = 0.002
IDLE_SECONDS = 30
SET_BYTES = 512 << 20


def row(pk: int, at: int, who: bytes, text: bytes) -> list[bytes]:
    """The values of one row, as the native protocol has them."""
    unscaled = pk.to_bytes((pk.bit_length() + 8) // 8, "big", signed=True)
    return [
        struct.pack(">q", pk), struct.pack(">i", 0), b"name %d" % pk, struct.pack(">i", 2) + unscaled, struct.pack(">q", pk * 7),
        struct.pack(">d", pk / 3), struct.pack(">q", at), who, text,
    ]


def execute(statement: bytes, stream: int, values: list[bytes]) -> bytes:
    """A frame of the native protocol 4: EXECUTE at consistency ONE."""
    body = struct.pack(f">H{len(statement)}sHBH", len(statement), statement, 1, 1, len(values))
    body += b"".join(struct.pack(">i", len(value)) + value for value in values)
    return struct.pack(">BBhBi", 4, 0, stream, 10, len(body)) + body


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:
        return b""


def answers(connection: socket.socket, ended: threading.Semaphore, failed: list[str]) -> None:
    """Counts the answers that come in, until the connection is closed."""
    pending = b""
    while data := received(connection):
        pending += data
        at = 0
        while len(pending) - at >= 9:
            _, _, _, opcode, length = struct.unpack_from(">BBhBi", pending, at)
            if len(pending) - at < 9 + length:
                break
            if opcode == 0:
                failed.append(repr(pending[at + 13 : at + 9 + length]))
            at += 9 + length
            ended.release()
        pending = pending[at:]
    if not ended.acquire(blocking=False):
        failed.append("the node closed the connection")
    ended.release(IN_FLIGHT)


def load(address: str, rate: int, seconds: float, number: int, done: Any) -> None:
    """One loader: writes at its part of the rate until the time is over. Frames are made and counted here: what a driver takes
    for a write at 10,000 of them a second is as much as the node has left."""
    from cassandra.cluster import Cluster

    cluster = Cluster([address], protocol_version=4, schema_metadata_enabled=False, token_metadata_enabled=False)
    insert = cluster.connect().prepare(f"INSERT INTO bench.t ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})")
    connection = socket.create_connection((address, 9042))
    connection.sendall(struct.pack(">BBhBi", 4, 0, 0, 1, 22) + struct.pack(">HH11sH5s", 1, 11, b"CQL_VERSION", 5, b"3.0.0"))
    if connection.recv(64)[4:5] != b"\x02":
        raise Failed("the node is not ready")
    at, who, text = 1_795_305_600_000, uuid.uuid4().bytes, b"some words that a user may have written, " * 2
    window, failed = threading.Semaphore(IN_FLIGHT), []
    reader = threading.Thread(target=answers, args=(connection, window, failed))
    reader.start()
    began, written = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        frames = []
        for _ in range(max(int(now * rate / LOADERS) - written, 0)):
            window.acquire()
            frames.append(execute(insert.query_id, written % 32768, row(written * LOADERS + number, at, who, text)))
            written += 1
            if len(frames) == SENT_AT_ONCE:
                break
        connection.sendall(b"".join(frames))
        if len(frames) < SENT_AT_ONCE:
            time.sleep(0.001)
    took = time.monotonic() - began
    for _ in range(IN_FLIGHT):
        window.acquire()
    done.put((written, took, failed[0] if failed else None))
    connection.shutdown(socket.SHUT_RDWR)
    reader.join()
    cluster.shutdown()


class Index(threading.Thread):
    """Notes when the index of each segment was first seen to cover what."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory, self.ended = directory, threading.Event()
        # Segment to offsets, and to the times at which they were seen.
        self.seen: dict[int, tuple[list[int], list[float]]] = {}

    def run(self) -> None:
        while not self.ended.wait(INDEX_PAUSE):
            for path in self.directory.glob("*_cdc.idx"):
                segment = int(path.name.split("-")[2].split("_")[0])
                try:
                    text = path.read_text().split("\n")[0]
                except OSError:
                    continue
                offsets, times = self.seen.setdefault(segment, ([], []))
                if text and (not offsets or int(text) > offsets[-1]):
                    offsets.append(int(text))
                    times.append(time.time())

    def time_of(self, segment: int, offset: int) -> float | None:
        offsets, times = self.seen.get(segment, ([], []))
        at = bisect.bisect_left(offsets, offset)
        return times[at] if at < len(offsets) else None


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_tail(binary: Path, node: Any, output: Path, state: Path) -> subprocess.Popen[bytes]:
    command = [binary, "tail", "--data-dir", node.data, "--cdc-raw", node.directory / "cdc_raw", "--shipped", "keep", "--output", output,
               "--state-dir", state, "--flush-interval", "200ms", "--sync-period", "1s"]
    return subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL)


def measure_latency(binary: Path, node: Any, scratch: Path, rate: int, seconds: float) -> dict[str, Any]:
    output = scratch / f"out{rate}"
    index = Index(node.directory / "cdc_raw")
    tail = start_tail(binary, node, output, scratch / f"state{rate}")
    time.sleep(3)
    index.start()
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    before = cpu_of(tail)
    loaders = [context.Process(target=load, args=(node.address, rate, seconds, i, done)) for i in range(LOADERS)]
    for loader in loaders:
        loader.start()
    results = [done.get() for _ in loaders]
    for loader in loaders:
        loader.join()
    time.sleep(3)
    cpu = cpu_of(tail) - before
    index.ended.set()
    index.join()
    tail.send_signal(signal.SIGTERM)
    if tail.wait(60):
        raise Failed(f"tail: exit code {tail.returncode}")
    if failures := [error for _, _, error in results if error]:
        note(f"a write failed: {failures[0]}")
    written, took = sum(w for w, _, _ in results), max(t for _, t, _ in results)
    import zstandard

    latencies = []
    for path in output.glob("_cassport/changes/*/*.jsonl.zst"):
        # Its name was given last.
        there = path.stat().st_ctime
        for line in zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().split(b"\n"):
            if line and b'"op":"upsert"' in line:
                position = json.loads(line)["position"]
                if (at := index.time_of(position["segment"], position["offset"])) is not None:
                    latencies.append((there - at) * 1000)
    latencies.sort()
    cut = statistics.quantiles(latencies, n=100)
    return {"rate": written / took, "asked": rate, "records": len(latencies), "p50": cut[49], "p99": cut[98], "max": latencies[-1],
            "cpuPercent": cpu / (took + 3) * 100}


def measure_idle(binary: Path, node: Any, scratch: Path) -> float:
    tail = start_tail(binary, node, scratch / "idle", scratch / "idle-state")
    time.sleep(10)
    before = cpu_of(tail)
    time.sleep(IDLE_SECONDS)
    percent = (cpu_of(tail) - before) / IDLE_SECONDS * 100
    tail.send_signal(signal.SIGTERM)
    tail.wait(60)
    return percent


# -- decoding --------------------------------------------------------------------------------------------------------


def renamed(content: bytes, old: int, new: int) -> bytes:
    """A segment as it would be under another id: the id is in its header and in the checksum of every marker."""
    halves = lambda number: struct.pack(">II", number & 0xFFFFFFFF, number >> 32)
    data = bytearray(content)
    (version,) = struct.unpack_from(">i", data)
    (length,) = struct.unpack_from(">H", data, 12)
    parameters = bytes(data[14:14 + length])
    struct.pack_into(">q", data, 4, new)
    struct.pack_into(">I", data, 14 + length, zlib.crc32(struct.pack(">i", version) + halves(new) + struct.pack(">i", length) + parameters))
    at = 18 + length
    while at + 8 <= len(data):
        end, crc = struct.unpack_from(">iI", data, at)
        if not end or crc != zlib.crc32(halves(old) + struct.pack(">i", at)):
            break
        struct.pack_into(">I", data, at + 4, zlib.crc32(halves(new) + struct.pack(">i", at)))
        at = end
    return bytes(data)


def make_set(source: Path, target: Path) -> int:
    """Copies the segments of `source` under other ids until there are enough; says how many bytes of them are written to."""
    logs = [path for path in sorted(source.glob("CommitLog-*.log")) if any(path.read_bytes()[4096:4096 + 65536])]
    target.mkdir(parents=True)
    size, used, number = 0, 0, 0
    first = max(int(log.stem.split("-")[2]) for log in logs) + 1_000_000
    while size < SET_BYTES:
        for log in logs:
            _, version, old = log.stem.split("-")
            new = first + number
            content = renamed(log.read_bytes(), int(old), new)
            (target / f"CommitLog-{version}-{new}.log").write_bytes(content)
            size, used, number = size + len(content), used + len(content.rstrip(b"\0")), number + 1
    return used


def measure_decoding(binary: Path, segments: Path, repeat: int) -> dict[str, Any]:
    """`segments` has `log` and `data`."""
    best: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="cassport-tail-", dir="/dev/shm") as memory:
        logs = Path(memory) / "log"
        size = make_set(segments / "log", logs)
        for i in range(repeat):
            output = Path(memory) / f"out{i}"
            command = ["taskset", "-c", "1", binary, "tail", "--once", "--base", "none", "--data-dir", segments / "data", "--archive", logs, "-t", "bench.t",
                       "--output", output, "--state-dir", Path(memory) / f"state{i}", "--log-format", "text"]
            began = time.monotonic()
            process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            assert process.stderr
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise Failed(f"tail: exit code {process.returncode}: {said[-2000:]}")
            cpu = usage.ru_utime + usage.ru_stime
            changes = [path.stat().st_size for path in output.glob("_cassport/changes/*/*.zst")]
            found = {"bytes": size, "cpu": cpu, "wall": time.monotonic() - began, "MBperSecond": size / cpu / 1e6, "written": sum(changes),
                     "said": said.strip().splitlines()[-1] if said.strip() else ""}
            if not best or cpu < best["cpu"]:
                best = found
            shutil.rmtree(output)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", default="4.1")
    parser.add_argument("--rates", default="1000,10000")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--binary", type=Path, help="default: built from here")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"))
    parser.add_argument("--keep-segments", type=Path, metavar="DIR")
    parser.add_argument("--segments", type=Path, metavar="DIR")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    binary = (arguments.binary or release_binary()).resolve()
    if arguments.segments:
        print(json.dumps(measure_decoding(binary, arguments.segments, arguments.repeat)))
        return 0
    import datadir
    from node import LINES, Node

    with tempfile.TemporaryDirectory(prefix="cassport-tail-", dir=arguments.scratch) as name:
        scratch = Path(name)
        node = Node(LINES[arguments.line], scratch / "node", {"cdc_enabled": True, "cdc_total_space_in_mb": 8192}, flush_schema=True)
        kept = arguments.keep_segments or scratch / "kept"
        with node:
            session = node.session()
            session.execute("CREATE KEYSPACE bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
            session.execute(f"CREATE TABLE bench.t ({TABLE}) WITH cdc = true")
            node.flush(["system", "system_schema"])
            print(f"idle: {measure_idle(binary, node, scratch):.2f} % of a core over {IDLE_SECONDS} s", flush=True)
            for rate in map(int, arguments.rates.split(",")):
                found = measure_latency(binary, node, scratch, rate, arguments.seconds)
                print(f"{found['asked']} writes/s asked, {found['rate']:.0f} reached: {found['records']} records, p50 {found['p50']:.0f} ms, "
                      f"p99 {found['p99']:.0f} ms, most {found['max']:.0f} ms; tail took {found['cpuPercent']:.1f} % of a core", flush=True)
            node.flush(["bench", "system", "system_schema"])
            datadir.copy(node.data, kept / "data", ["bench"])
            shutil.rmtree(kept / "log", ignore_errors=True)
            shutil.copytree(node.directory / "cdc_raw", kept / "log")
        found = measure_decoding(binary, kept, arguments.repeat)
        print(f"decoding: {found['bytes'] / 1e6:.0f} MB of log in {found['cpu']:.2f} s of CPU, {found['MBperSecond']:.0f} MB/s, to {found['written'] / 1e6:.0f} MB; "
              f"{found['said']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
