#!/usr/bin/env python3
"""Makes a large Cassandra data directory to measure with.

  make_table.py --out DIR --gib N --shape wide|five|onepart|tiny [--format nb|da]

  wide     13 columns (3 key, 8 simple, a set and a map), some 650 bytes and 15 cells a row, 12.5 rows a partition, one SSTable
  five     the rows of wide, their columns spread and overwritten over five SSTables
  onepart  rows like those of wide in a single partition
  tiny     23 bytes and one cell a row, 1000 rows a partition

DIR gets `data` (what `--data-dir` takes: the table and its schema, as Cassandra 5.0 wrote them in format nb or da (BTI), LZ4,
16 KiB chunks) and `table.json` (what was made). The same N and shape give the same rows. Needs JDK 17, Maven for the first run, and the
packages of testdata/gen/requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "testdata/gen"))
import datadir  # noqa: E402
import node  # noqa: E402

LINE = node.LINES["5.0"]
KEYSPACE = "bench"
# What makes a node write SSTables of a version.
FORMATS = {"nb": {"mode": "CASSANDRA_4", "selected": "big"}, "da": {"mode": "NONE", "selected": "bti"}}
# Compaction only when told to: several SSTables must stay several. Grace as long as it gets: the written deletions are old.
OPTIONS = (
    "compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}"
    " AND compaction = {'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'} AND gc_grace_seconds = 600000000"
)
ORDERS = (
    "CREATE TABLE bench.orders (customer uuid, placed timestamp, line int, status text, amount double, quantity int,"
    " product uuid, shipped timestamp, due date, note text, receipt blob, tags set<text>, attributes map<text, text>,"
    f" PRIMARY KEY (customer, placed, line)) WITH {OPTIONS}"
)
POINTS = (
    "CREATE TABLE bench.points (series bigint, position bigint, reading bigint, PRIMARY KEY (series, position))"
    f" WITH {OPTIONS}"
)
# Shape: (statement, bytes of Data.db per row before compression)
SHAPES = {"wide": (ORDERS, 648), "five": (ORDERS, 648), "onepart": (ORDERS, 648), "tiny": (POINTS, 23)}


def java(program: list[str], class_path: list[str], configuration: Path, heap: str) -> list[str]:
    """How to run a class of Cassandra's artifact, or beside it, with the settings of a node."""
    opened = [f"--add-{how}={package}=ALL-UNNAMED" for package in node.OPENED[LINE.jdk] for how in ("opens", "exports")]
    flags = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-Djdk.attach.allowAttachSelf=true",
             "-Djava.security.manager=allow", f"-Dcassandra.config=file://{configuration}", f"-Dlogback.configurationFile={HERE / 'logback.xml'}"]
    return [*java_home("java"), *opened, *flags, "-cp", ":".join([*class_path, *node.jars(LINE)]), *program]


def cassandra_tool(name: str, arguments: list[str], scratch: Path) -> list[str]:
    """How to run one of Cassandra's own tools. `scratch` takes its configuration and must stay until it has ended."""
    server = node.Node(LINE, scratch / "tool")
    server._write_configuration()
    return java([name, *arguments], [], server.directory / "conf/cassandra.yaml", "1g")


def java_home(tool: str) -> list[str]:
    return [str(Path(node._modern_java()).with_name(tool))]


def write_sstables(shape: str, rows: int, configuration: Path, scratch: Path) -> tuple[int, int]:
    """Runs TableWriter. The SSTables are then in numbered directories under `scratch`/sstables."""
    classes = scratch / "classes"
    subprocess.run(
        [*java_home("javac"), "-d", classes, "-cp", ":".join(node.jars(LINE)), "-proc:none", *HERE.glob("*.java")], check=True
    )
    program = ["-Dcassandra.clock=FixedClock", "TableWriter", shape, SHAPES[shape][0], str(rows), str(scratch / "sstables")]
    done = subprocess.run(java(program, [str(classes)], configuration, "1200m"), check=True, stdout=subprocess.PIPE, text=True)
    written, partitions = done.stdout.split()[-2:]
    return int(written), int(partitions)


def move_sstables(scratch: Path, target: Path, version: str) -> int:
    """Moves the written SSTables into a table directory, numbered through."""
    number = 0
    kind = FORMATS[version]["selected"]
    for data in sorted((scratch / "sstables").glob(f"*/{version}-*-{kind}-Data.db"), key=lambda p: (int(p.parent.name), int(p.name.split("-")[1]))):
        number += 1
        prefix = data.name.removesuffix("Data.db")
        for component in data.parent.glob(f"{prefix}*"):
            component.rename(target / f"{version}-{number}-{kind}-{component.name.removeprefix(prefix)}")
    return number


def uncompressed_length(info: Path) -> int:
    """The data length in a CompressionInfo.db."""
    data = info.read_bytes()
    at = 2 + struct.unpack_from(">H", data)[0]
    options = struct.unpack_from(">I", data, at)[0]
    at += 4
    for _ in range(2 * options):
        at += 2 + struct.unpack_from(">H", data, at)[0]
    return struct.unpack_from(">Q", data, at + 8)[0]


def make(shape: str, gib: float, version: str, out: Path, scratch: Path) -> dict[str, object]:
    create, bytes_per_row = SHAPES[shape]
    rows = max(1, round(gib * 2**30 / bytes_per_row))
    settings = {
        "storage_compatibility_mode": FORMATS[version]["mode"], "sstable": {"selected_format": FORMATS[version]["selected"]},
        "column_index_size_in_kb": 4, "compaction_throughput_mb_per_sec": 0,
    }
    server = node.Node(LINE, scratch / "node", settings)
    with server:
        session = server.session()
        session.execute(
            f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        session.execute(create)
        server.flush(["system", "system_schema"])
        server.control("drain")
    table = create.split()[2].split(".")[1]
    directory = datadir.table_directories(server.data, KEYSPACE, table)[0]
    started = time.monotonic()
    rows, partitions = write_sstables(shape, rows, server.directory / "conf/cassandra.yaml", scratch)
    seconds = time.monotonic() - started
    count = move_sstables(scratch, directory, version)
    if shape == "onepart" and count > 1:
        with server:
            server.control("compact", KEYSPACE, table)
            server.control("drain")
    datadir.copy(server.data, out / "data", [])
    (out / "data" / KEYSPACE).mkdir()
    shutil.move(directory, out / "data" / KEYSPACE / directory.name)
    datadir.remove_empty(out / "data")
    files = out / "data" / KEYSPACE / directory.name
    infos, datas = sorted(files.glob("*-CompressionInfo.db")), list(files.glob("*-Data.db"))
    uncompressed = sum(map(uncompressed_length, infos))
    return {
        "shape": shape, "format": version, "table": f"{KEYSPACE}.{table}", "rows": rows, "partitions": partitions, "sstables": len(datas),
        "uncompressedBytes": uncompressed, "ratio": round(sum(d.stat().st_size for d in datas) / uncompressed, 3),
        "bytesPerRow": round(uncompressed / rows, 1), "secondsToWrite": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--format", choices=FORMATS, default="nb")
    parser.add_argument("--address", help="loopback address of the node that makes the schema, if 127.0.0.1 is taken")
    arguments = parser.parse_args()
    if arguments.address:
        node.ADDRESS = arguments.address
        node.JMX_PORT = 7400 + int(arguments.address.rsplit(".", 1)[1])
    out = arguments.out.resolve()
    shutil.rmtree(out / "data", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=out) as scratch:
        made = make(arguments.shape, arguments.gib, arguments.format, out, Path(scratch))
    (out / "table.json").write_text(json.dumps(made, indent=1) + "\n")
    print(json.dumps(made))


if __name__ == "__main__":
    main()
