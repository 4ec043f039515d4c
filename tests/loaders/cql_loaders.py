"""DSBulk and cqlsh, with the commands that cassport says at the end of an extract, into a real node."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
from pathlib import Path

from common import Answer, Extracted, Loaded, Source, Tally, compare, extract, read
from node import ADDRESS, fetched

DSBULK_VERSION = "1.10.0"
DSBULK_MODULES = ("dsbulk-runner", "dsbulk-workflow-load", "dsbulk-connectors-csv", "dsbulk-codecs-text", "dsbulk-executor-reactor",
                  "dsbulk-batcher-reactor")


def dsbulk_jars() -> str:
    """DSBulk's class path (its distribution is not there to be fetched, its modules are)."""
    return f"{fetched(f'dsbulk-{DSBULK_VERSION}', 'com.datastax.oss', DSBULK_MODULES, DSBULK_VERSION)}/*"


def run_dsbulk(command: str, scratch: Path) -> str:
    """Runs the command in a shell, as a user would, with `dsbulk` being its jars and the address of the node."""
    java = f"java -Xmx512m -cp '{dsbulk_jars()}' com.datastax.oss.dsbulk.runner.DataStaxBulkLoader"
    line = command.replace("dsbulk load", f"{java} load -h {ADDRESS} --driver.basic.load-balancing-policy.local-datacenter datacenter1 "
                           f"--log.directory {scratch}/dsbulk-logs --monitoring.console false --executor.maxPerSecond -1", 1)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"exit {done.returncode}: {(done.stderr or done.stdout)[-1500:]}"


def run_cqlsh(command: str, scratch: Path) -> str:
    configuration = scratch / "cqlshrc"
    configuration.write_text("[csv]\nfield_size_limit = 1000000000\n")
    statement = command.removesuffix(" in cqlsh")
    done = subprocess.run(
        [sys.executable, "-m", "cqlshlib.cqlshmain", "--cqlshrc", str(configuration), "--request-timeout", "60", ADDRESS, "9042", "-e", statement]
        if not (found := glob.glob(f"{sys.prefix}/bin/cqlsh"))
        else [found[0], "--cqlshrc", str(configuration), "--request-timeout", "60", ADDRESS, "9042", "-e", statement],
        capture_output=True, text=True, cwd=scratch, env=os.environ | {"TZ": "America/New_York"},
    )
    said = done.stdout + done.stderr
    failed = done.returncode != 0 or "Failed" in said or "rror" in done.stderr
    return f"exit {done.returncode}: {said[-1500:]}" if failed else ""


def load(source: Source, keyspace: str, tables: list[str], extracted: Extracted, loader: str, times: str = "none") -> Tally:
    """Empties the tables, loads them from their files and compares."""
    tally = Tally(loader)
    source.truncate(keyspace, tables)
    for table in tables:
        first = time.time()
        commands = extracted.commands(table)
        if not commands:
            tally.different.append(f"{table}: no command was said")
        for command in commands:
            run = run_cqlsh if command.startswith("COPY") else run_dsbulk
            if failure := run(command, source.scratch):
                tally.different.append(f"{table}: {command[:300]}: {failure}")
        loaded = None if times == "none" else Loaded(extracted.clock, first, time.time())
        after: Answer = read(source.session, keyspace, table)
        compare(tally, source.answers[table], after, extracted.refused.get(table, {}), loader.startswith("DSBulk"), times, loaded)
    tally.report()
    return tally


def dsbulk(source: Source, keyspace: str, tables: list[str]) -> list[Tally]:
    tallies = []
    # Each table is a start of a JVM: what is compressed and timed is tried with those that have something to lose by it.
    for compression, some in (("none", tables), ("gzip", ["texts", "statics"]), ("zstd", ["texts", "statics"])):
        made = extract(source.cassport, source.data, source.scratch / "csv", keyspace, "--profile", "csv", "--compression", compression)
        tallies.append(load(source, keyspace, [t for t in some if t in tables], made, f"DSBulk {DSBULK_VERSION}, csv, {compression}"))
    timed = [table for table in tables if table in ("times", "statics", "names")]
    for metadata in ("row", "cell"):
        made = extract(source.cassport, source.data, source.scratch / "csv", keyspace, "--profile", "csv", "--metadata", metadata)
        tallies.append(load(source, keyspace, timed, made, f"DSBulk {DSBULK_VERSION}, csv, --metadata {metadata}", metadata))
    return tallies


def cqlsh(source: Source, keyspace: str, tables: list[str]) -> list[Tally]:
    made = extract(source.cassport, source.data, source.scratch / "cqlsh", keyspace, "--profile", "cqlsh")
    return [load(source, keyspace, tables, made, "cqlsh, cqlsh")]
