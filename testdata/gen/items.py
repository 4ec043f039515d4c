#!/usr/bin/env python3
"""Items of an extract and the write requests of the sequencer behind them (`--profile ddb-json`), applied line by line on DynamoDB
Local, against Cassandra's answer.

`items.py --line 4.1 --seeds 1..5 [--cassport PATH]`. Random workloads on a node that `cassport tail` follows; half way its files are
copied. For both shapes, and for composite keys: an extract of the copy, its items put, then every line of the change files in their order
by the lines of the README, all twice. Exit code 1 if anything differs. Needs `pip install boto3`, and Maven for DynamoDB Local.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from changes import Run, Tail, flush_when_it_can, time_text
from compare import DEFAULT_CASSPORT, Expected, Outcome, compare
from differential import expected_of, own_keyspaces, seeds
from node import LINES, Node
from sinks import directory
from typed_profiles import dynamodb_expected, dynamodb_local, from_attribute, from_text, in_one_order, item_rows, load_items, without_refused
from workload import SHORT_TTL

SHAPES = (
    ("native", ("--ddb-shape", "native"), from_attribute),
    ("native, composite keys", ("--ddb-keys", "composite"), from_attribute),
    ("dms", ("--ddb-shape", "dms"), from_text),
)


WIDE = ("double", "float", "decimal", "varint", "date")


def run_cassport(codes: tuple[int, ...], *words: Any) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode not in codes:
        raise RuntimeError(f"{words}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return done.stderr


def apply(client: Any, output: Path) -> int:
    """The README's own lines, which apply all requests in order, run twice; how many requests there are."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", (Path(__file__).parents[2] / "README.md").read_text(), re.M | re.S)
    environment = {"AWS_ENDPOINT_URL": client.meta.endpoint_url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                   "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", snippet], cwd=output, env={**os.environ, **environment}, check=True)
    return sum(file.read_text().count("\n") for file in (output / "cdc-changes").glob("CDC*.json"))


def check(cassport: Path, client: Any, scratch: Path, changes: Path, tables: list[Expected], clock: int) -> Outcome:
    all_shapes = Outcome()
    for number, (name, words, read) in enumerate(SHAPES):
        output = scratch / f"items-{number}"
        shutil.copytree(changes, output)
        # What DynamoDB's numbers and days of four-digit years do not hold is text in both shapes then.
        wide = [f"{t.keyspace}.{t.table}.{c}=STRING" for t in tables for c, of in t.columns.items() if of.name in WIDE] if read is from_text else []
        words = (*words, *(word for column in wide for word in ("--column-type", column)))
        selection = [word for t in tables for word in ("-t", f"{t.keyspace}.{t.table}")]
        # Numbers and keys that DynamoDB does not take are refused: exit code 1.
        run_cassport((0, 1), cassport, "extract", "--data-dir", scratch / "clone", "--profile", "ddb-json", "--metadata", "cell",
                     "--now", time_text(clock), "--output", output, *words, *selection)
        said = run_cassport((0, 1), cassport, "sequence", "--output", output, "--state-dir", scratch / f"state-{number}", "--once",
                            "--now", time_text(clock), "--flush-size", "64KiB")
        stopped = set(re.findall(r"^  (\S+): [0-9,]+ rows? that the profile cannot carry", said, re.M))
        for table in stopped:
            print(f"  {table}: rows were refused, whose items stay as they were: not compared")
        stopped |= set(re.findall(r"^  (\S+) is stopped:", said, re.M))
        total, missing = Outcome(), 0
        typed = {f"{t.keyspace}.{t.table}": dynamodb_expected(t, read is from_attribute) for t in tables}
        put = sum(len(load_items(client, output, wanted)) for wanted in typed.values())
        lines = apply(client, output)
        for table, wanted in typed.items():
            if table in stopped:
                continue
            items: list[dict[str, Any]] = []
            for page in client.get_paginator("scan").paginate(TableName=table):
                items += page["Items"]
            got = item_rows(wanted, items, read)
            wanted, out = without_refused(wanted, got, len(wanted.rows) - len(got))
            missing += out
            total.add(compare(*in_one_order(wanted, got)))
        print(f"{name}: {put} items, {lines} requests, {total.rows} rows and {total.cells} cells compared, {len(total.different)} different, "
              f"{missing} refused by the extract", flush=True)
        for text in total.different[:20]:
            print(f"  {text}")
        all_shapes.add(total)
    return all_shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", required=True, choices=[name for name, line in LINES.items() if line.number >= (4, 0)])
    parser.add_argument("--seeds", required=True, type=seeds, metavar="A..B")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    output = directory(scratch / "out")
    total = Outcome()
    node = Node(LINES[arguments.line], scratch / "node", {"cdc_enabled": True}, flush_schema=True)
    try:
        with node:
            flush_when_it_can(node)
            run = Run(node, arguments.seeds, True, renames=False)
            run.setup()
            for keyspace in own_keyspaces(node):
                node.control("disableautocompaction", keyspace)
            tail = Tail(arguments.cassport, node, output, scratch / "state", "cdc", "synced", "keep")
            tail.start()
            tail.wait_for_beginning()
            half = max(w.phases for w in run.workloads) // 2
            played = 0

            def between() -> None:
                nonlocal played
                played += 1
                if played == half:
                    # What expires soon is gone before the copy is made: nobody tells an extract's items.
                    time.sleep(SHORT_TTL + 2)
                    node.flush([*(w.keyspace for w in run.workloads), *own_keyspaces(node)])
                    shutil.copytree(node.data, scratch / "clone")

            run.play(between)
            time.sleep(SHORT_TTL + 2)
            answers = [answer for group in run.answers().values() for answer in group]
            tail.wait_for(int(time.time() * 1000))
            if tail.stop():
                raise RuntimeError(f"tail failed: see {tail.log.name}")
        tables = [expected_of(answer) for answer in answers]
        with dynamodb_local(scratch) as client:
            total = check(arguments.cassport, client, scratch, output.path, tables, answers[0].clock)
    finally:
        if arguments.keep or total.different or sys.exc_info()[0]:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print(f"{arguments.line}: {total.rows} rows and {total.cells} cells compared, {len(total.different)} different")
    sys.exit(bool(total.different) or not total.rows)


if __name__ == "__main__":
    main()
