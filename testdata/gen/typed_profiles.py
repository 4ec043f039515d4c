#!/usr/bin/env python3
"""Loads profiles `parquet` and `ddb-json` with the programs that are to read them, and compares every row with Cassandra's answer.

    typed_profiles.py [CORPUS...] [--awkward] [--readers pyarrow,duckdb,spark,athena,dynamodb] [--cassport PATH]

A corpus is what `generate.py` makes; `--awkward` runs a node of 5.0 and makes one of the rows in `awkward.py`. Needed beside
`requirements.txt`: `pip install pyarrow duckdb pyspark boto3` for the readers asked for, a JDK, and Maven for DynamoDB Local.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import datetime
import glob
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import awkward
import corpusfile
import datadir
from answers import ask, to_one_clock
from compare import DEFAULT_CASSPORT, Expected, Outcome, _key, _numbered, compare, expected_tables
from cqltypes import NON_FINITE, CqlType, date_text, timestamp_text
from jsontext import Number, dumps, loads
from node import LINES, Node, fetched

DYNAMODB_LOCAL = "2.5.4"
MICROS_LIMIT = 9_223_372_036_854_775
NESTED = ("list", "set", "vector", "tuple", "map", "udt")


# What was read, what came of the comparison, and how many rows were refused.
Results = Iterator[tuple[str, Outcome, int]]


# -- the source ------------------------------------------------------------------------------------------------------


def make_awkward(target: Path, scratch: Path) -> Path:
    """A corpus of the rows in `awkward.py`."""
    line = LINES["5.0"]
    node = Node(line, scratch / "node", {})
    with node:
        session = node.session()
        for statement in awkward.schema():
            session.execute(statement)
        node.control("disableautocompaction", awkward.KEYSPACE)
        for number, statement in enumerate(awkward.statements()):
            try:
                session.execute(statement)
            except Exception as error:
                error.add_note(statement)
                raise
            if number == 40:
                node.flush([awkward.KEYSPACE])
        node.flush([awkward.KEYSPACE, "system_schema", "system"])
        answers = [(ask(session, line, awkward.KEYSPACE, table, slow=True), "") for table in awkward.TABLES]
        to_one_clock([answer for answer, _ in answers])
        node.control("drain")
    datadir.copy(node.data, target / "data", [awkward.KEYSPACE])
    corpusfile.write(target, line, answers, {"orphans": [], "snapshots": [], "leftOut": []})
    return target


def extract(cassport: Path, corpus: Path, description: dict[str, Any], tables: Iterable[Expected], output: Path, *words: str) -> dict[str, Any]:
    """Extracts and returns the report; the exit code is 1 where rows were refused."""
    clock = datetime.datetime.fromtimestamp(description["clock"], datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [str(cassport), "extract", "--data-dir", str(corpus / "data"), "--now", clock, "--output", str(output), *words]
    for table in tables:
        command += ["-t", f"{table.keyspace}.{table.table}"]
    if (corpus / "commitlog").is_dir():
        command += ["--commitlog-dir", str(corpus / "commitlog")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"cassport: exit code {done.returncode}\n{done.stderr[-4000:]}")
    report = json.loads((output / "_cassport/agents/000/report.json").read_text())
    if (report["total"]["rowsQuarantined"] != 0) != (done.returncode == 1):
        raise RuntimeError(f"exit code {done.returncode}, {report['total']['rowsQuarantined']} rows refused")
    subprocess.run([str(cassport), "verify", "--full", "--output", str(output)], check=True, capture_output=True)
    return report


# -- Parquet ---------------------------------------------------------------------------------------------------------


def from_arrow(t: CqlType, scalar: Any) -> Any:
    """What an Arrow scalar says, as `output.md` section 2 writes values of that CQL type."""
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if t.name in ("list", "set", "vector"):
        return [from_arrow(t.params[0], element) for element in scalar.values]
    if t.name == "map":
        entries = scalar.values
        keys, values = (entries.field(0), entries.field(1)) if entries is not None else ([], [])
        return {_text_of(from_arrow(t.params[0], key)): from_arrow(t.params[1], value) for key, value in zip(keys, values)}
    if t.name in ("udt", "tuple"):
        names = t.fields if t.name == "udt" else [f"_{i + 1}" for i in range(len(t.params))]
        fields = {name: from_arrow(of, scalar[i]) for i, (name, of) in enumerate(zip(names, t.params))}
        return fields if t.name == "udt" else list(fields.values())
    if t.name == "timestamp":
        if pa.types.is_integer(scalar.type):
            return timestamp_text(scalar.as_py())
        per_milli = {"ms": 1, "us": 1000, "ns": 1_000_000}[scalar.type.unit]
        if scalar.value % per_milli:
            raise ValueError(f"{scalar.value} {scalar.type.unit} are no whole milliseconds")
        return timestamp_text(scalar.value // per_milli)
    if t.name == "date":
        return date_text(scalar.value if pa.types.is_date32(scalar.type) else scalar.as_py())
    value = scalar.as_py()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if t.name == "float" and isinstance(value, float):
        return _float(value, scalar)
    if isinstance(value, bool) or isinstance(value, str) and t.name not in ("decimal", "varint"):
        return value
    if isinstance(value, float):
        return _float(value, scalar)
    return Number(value)


def _float(value: float, _: Any) -> Any:
    if value != value:
        return "NaN"
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(value) or Number(repr(value))


def _text_of(key: Any) -> str:
    return key if isinstance(key, str) else dumps(key)


def arrow_rows(expected: Expected, table: Any) -> list[dict[str, Any]]:
    """The rows of an Arrow table, with the names and values of `jsonl`."""
    names = {name: next((found for found in (name, name.lower()) if found in table.column_names), None) for name in expected.columns}
    columns: dict[str, list[Any]] = {
        name: [from_arrow(t, scalar) for scalar in table.column(names[name])] for name, t in expected.columns.items()
    }
    for name in expected.columns:
        for ours, theirs in (("cp_writetime_", "writetime"), ("cp_ttl_", "ttl")):
            if (found := next((n for n in (ours + name, ours + name.lower()) if n in table.column_names), None)) is not None:
                columns[f"{theirs}({name})"] = [_numbers(scalar.as_py()) for scalar in table.column(found)]
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def _numbers(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        return [_numbers(item) for item in value]
    return None if value is None else Number(value)


def read_pyarrow(files: list[str]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # One by one: a directory would be read as a data set with guessed partitions.
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def read_duckdb(files: list[str]) -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
    return connection.sql("SELECT * FROM read_parquet($files)", params={"files": files}).to_arrow_table()


class NoStatement(Exception):
    """Hive has no name for a field, as cassport says."""


class Spark:
    """One session for all files."""

    def __init__(self) -> None:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]").appName("typed-profiles").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.driver.memory", "1g")
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
        # Files before Spark 3 had dates of another calendar; ours have not.
        builder = builder.config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        # A catalogue of tables that is gone with the process: the statements for Athena are Hive's.
        builder = builder.config("spark.hadoop.javax.jdo.option.ConnectionURL", "jdbc:derby:memory:metastore;create=true")
        builder = builder.config("spark.hadoop.datanucleus.schema.autoCreateAll", "true").config("spark.hadoop.hive.metastore.schema.verification", "false")
        builder = builder.config("spark.driver.extraJavaOptions", "-Dderby.stream.error.file=/dev/null")
        self.session = builder.config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="gen-")).enableHiveSupport().getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def read(self, files: list[str]) -> Any:
        """By the reader of Parquet."""
        tables = [self._rows(self.session.read.parquet(file)) for file in files]
        return SparkRows(tables[0].column_names, [row for table in tables for row in table.rows])

    def read_by_statement(self, files: list[str]) -> Any:
        """As a table of Hive, made by the statement for Athena."""
        folder = Path(files[0]).parent
        root, keyspace, table = folder.parents[1], folder.parent.name, folder.name
        if not (root / f"_cassport/{keyspace}.{table}.athena.sql").exists():
            raise NoStatement
        statement = (root / f"_cassport/{keyspace}.{table}.athena.sql").read_text().replace("s3://BUCKET/PREFIX/", f"file://{root}/")
        self.session.sql(f"CREATE DATABASE IF NOT EXISTS `{keyspace}`")
        self.session.sql(f"DROP TABLE IF EXISTS `{keyspace}`.`{table}`")
        self.session.sql(statement.rstrip().removesuffix(";"))
        return self._rows(self.session.table(f"`{keyspace}`.`{table}`"))

    def _rows(self, frame: Any) -> SparkRows:
        """Row by row; timestamps as milliseconds, since Python's end with the year 9999."""
        from pyspark.sql import functions, types

        def plain(column: Any, of: Any) -> Any:
            if isinstance(of, (types.TimestampType, types.TimestampNTZType)):
                return functions.unix_millis(column)
            if isinstance(of, types.DateType):
                return functions.unix_date(column)
            if isinstance(of, types.ArrayType):
                return functions.transform(column, lambda element: plain(element, of.elementType))
            if isinstance(of, types.MapType):
                # As a list of entries: the order of a map is lost in Python.
                entries = functions.map_entries(column)
                return functions.transform(
                    entries,
                    lambda entry: functions.struct(plain(entry["key"], of.keyType).alias("key"), plain(entry["value"], of.valueType).alias("value")),
                )
            if isinstance(of, types.StructType):
                fields = [plain(column.getField(field.name), field.dataType).alias(field.name) for field in of.fields]
                return functions.when(column.isNotNull(), functions.struct(*fields))
            return column

        columns = [plain(frame["`" + f.name.replace("`", "``") + "`"], f.dataType).alias(f.name) for f in frame.schema.fields]
        return SparkRows([f.name for f in frame.schema.fields], frame.select(*columns).collect())


@dataclasses.dataclass
class SparkRows:
    """Rows that look like an Arrow table's, as far as `arrow_rows` looks."""

    column_names: list[str]
    rows: list[Any]

    def column(self, name: str) -> list[SparkValue]:
        place = self.column_names.index(name)
        return [SparkValue(row[place]) for row in self.rows]


@dataclasses.dataclass
class SparkValue:
    value: Any

    def as_py(self) -> Any:
        return self.value


def from_spark(t: CqlType, value: Any) -> Any:
    """What a value that Spark collected says, as `output.md` section 2 writes it."""
    if isinstance(value, SparkValue):
        value = value.value
    if value is None:
        return None
    if t.name in ("list", "set", "vector"):
        return [from_spark(t.params[0], element) for element in value]
    if t.name == "map":
        return {_text_of(from_spark(t.params[0], entry["key"])): from_spark(t.params[1], entry["value"]) for entry in value}
    if t.name == "udt":
        return {name: from_spark(of, value[i]) for i, (name, of) in enumerate(zip(t.fields, t.params))}
    if t.name == "tuple":
        return [from_spark(of, value[i]) for i, of in enumerate(t.params)]
    if t.name == "timestamp":
        return timestamp_text(value)
    if t.name == "date":
        return date_text(value)
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if isinstance(value, bool) or isinstance(value, str) and t.name not in ("decimal", "varint"):
        return value
    return _float(value, None) if isinstance(value, float) else Number(value)


def parquet_expected(expected: Expected) -> tuple[Expected, int]:
    """The answer without rows that Parquet cannot have, and their number; empty values of other types than text are null."""
    def beyond(t: CqlType, value: Any) -> bool:
        if value is None or value == "":
            return False
        if t.name == "timestamp":
            return isinstance(value, Number) and abs(int(value)) > MICROS_LIMIT
        if t.name in ("list", "set", "vector"):
            return any(beyond(t.params[0], item) for item in value)
        if t.name == "map":
            return any(beyond(t.params[0], _of_key(t.params[0], k)) or beyond(t.params[1], v) for k, v in value.items())
        if t.name == "udt":
            return any(beyond(of, value[name]) for name, of in zip(t.fields, t.params))
        return t.name == "tuple" and any(beyond(of, item) for of, item in zip(t.params, value))

    kept = [row for row in expected.rows if not any(beyond(t, row["row"][name]) for name, t in expected.columns.items())]
    rows = [{**row, "row": {name: _without_empty(expected.columns[name], value) for name, value in row["row"].items()}} for row in kept]
    return dataclasses.replace(expected, rows=rows), len(expected.rows) - len(kept)


def _of_key(t: CqlType, key: str) -> Any:
    """The value that a map's key is the text of."""
    if t.name in NESTED:
        return loads(key)
    return Number(key) if t.name == "timestamp" and key.lstrip("-").isdigit() else key


def _without_empty(t: CqlType, value: Any) -> Any:
    """Values of no bytes as null."""
    if value == "" and t.name not in ("text", "varchar", "ascii", "blob"):
        return None
    if isinstance(value, list) and t.name in ("list", "set", "vector"):
        return [_without_empty(t.params[0], item) for item in value]
    if isinstance(value, list) and t.name == "tuple":
        return [_without_empty(of, item) for of, item in zip(t.params, value)]
    if isinstance(value, dict) and t.name == "map":
        return {key: _without_empty(t.params[1], item) for key, item in value.items()}
    if isinstance(value, dict) and t.name == "udt":
        return {name: _without_empty(of, value[name]) for name, of in zip(t.fields, t.params)}
    return value


# -- DynamoDB --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def dynamodb_local(scratch: Path) -> Iterator[Any]:
    """DynamoDB Local, from Maven Central, without its telemetry."""
    import boto3
    from botocore.config import Config

    directory = fetched(f"dynamodb-local-{DYNAMODB_LOCAL}", "com.amazonaws", ["DynamoDBLocal"], DYNAMODB_LOCAL)
    port = 8000 + int(os.environ.get("CASSANDRA_ADDRESS", "127.0.0.1").rpartition(".")[2])
    command = ["java", "-Xmx768m", f"-Djava.library.path={directory}", "-cp", ":".join(glob.glob(f"{directory}/*.jar")),
               "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-port", str(port), "-disableTelemetry"]
    log = open(scratch / "dynamodb.log", "w")
    server = subprocess.Popen(command, cwd=scratch, stdout=log, stderr=log, env={**os.environ, "DDB_LOCAL_TELEMETRY": "0"})
    try:
        client = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="local",
                              aws_secret_access_key="local", config=Config(retries={"max_attempts": 20}, connect_timeout=5))
        for _ in range(120):
            with contextlib.suppress(Exception):
                client.list_tables()
                break
            time.sleep(1)
        yield client
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _with_bytes(attribute: dict[str, Any]) -> dict[str, Any]:
    """An attribute as the client wants it: binary as bytes."""
    (kind, value), = attribute.items()
    if kind == "B":
        return {kind: base64.b64decode(value, validate=True)}
    if kind == "BS":
        return {kind: [base64.b64decode(item, validate=True) for item in value]}
    if kind == "L":
        return {kind: [_with_bytes(item) for item in value]}
    if kind == "M":
        return {kind: {name: _with_bytes(item) for name, item in value.items()}}
    return attribute


def from_attribute(t: CqlType, attribute: Any) -> Any:
    """What an attribute of shape native says, as `output.md` section 2 writes it."""
    if attribute is None:
        return None
    (kind, value), = attribute.items()
    if kind == "NULL":
        return None
    if t.name in NESTED and kind == "S":
        return loads(value)
    if kind in ("SS", "NS", "BS"):
        # DynamoDB keeps no order in sets.
        return [from_attribute(t.params[0], {kind[0]: item}) for item in value]
    if t.name in ("list", "set", "vector"):
        return [from_attribute(t.params[0], item) for item in value]
    if t.name == "tuple":
        return [from_attribute(of, item) for of, item in zip(t.params, value)]
    if t.name == "map":
        return {_key_of_map(t.params[0], key): from_attribute(t.params[1], item) for key, item in value.items()}
    if t.name == "udt":
        return {name: from_attribute(of, value.get(name)) for name, of in zip(t.fields, t.params)}
    if kind == "B":
        return "0x" + bytes(value).hex()
    if t.name == "timestamp":
        return _timestamp_of(value)
    # What its numbers do not hold is text.
    if t.name in ("decimal", "varint", "float", "double") and value not in NON_FINITE or kind == "N":
        return Number(value)
    return value


def _timestamp_of(text: str) -> Any:
    """`2020-01-02T03:04:05.678Z`; years of other than four digits have a sign."""
    if text[0] not in "+-" and text[:4] != "0000":
        return text.replace("T", " ", 1)
    date, clock = text.rstrip("Z").split("T")
    sign = -1 if date[0] == "-" else 1
    year, month, day = (int(part) for part in date.lstrip("+-").split("-"))
    year *= sign
    # Days from the civil calendar (Howard Hinnant).
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    hours, minutes, seconds = clock.split(":")
    return Number(days * 86_400_000 + int(hours) * 3_600_000 + int(minutes) * 60_000 + round(Decimal(seconds) * 1000))


def _key_of_map(t: CqlType, key: str) -> str:
    return _text_of(_timestamp_of(key)) if t.name == "timestamp" else key


def as_dynamodb(t: CqlType, value: Any) -> Any:
    """What DynamoDB makes of a value: numbers have no scale and zero no sign, sets no order, an empty set is absent."""
    if value is None or value == "" and t.name not in ("text", "varchar", "ascii"):
        return None
    if t.name in ("decimal", "float", "double") and isinstance(value, Number):
        number = Decimal(value)
        return Number("0") if number == 0 else Number(str(number.normalize(_EXACT))) if t.name == "decimal" else value
    if t.name == "set" and isinstance(value, list):
        return sorted((as_dynamodb(t.params[0], item) for item in value), key=dumps)
    if t.name in ("list", "vector") and isinstance(value, list):
        return [as_dynamodb(t.params[0], item) for item in value]
    if t.name == "tuple" and isinstance(value, list):
        return [as_dynamodb(of, item) for of, item in zip(t.params, value)]
    if t.name == "map" and isinstance(value, dict):
        return {key: as_dynamodb(t.params[1], item) for key, item in sorted(value.items())}
    if t.name == "udt" and isinstance(value, dict):
        return {name: as_dynamodb(of, value.get(name)) for name, of in zip(t.fields, t.params)}
    return value



_EXACT = Context(prec=100_000, Emax=10**9, Emin=-(10**9))


def from_text(t: CqlType, attribute: Any) -> Any:
    """What an attribute of shape dms says."""
    if attribute is None:
        return None
    (kind, value), = attribute.items()
    if t.name in NESTED:
        return loads(value)
    if kind == "BOOL" or t.name in ("text", "varchar", "ascii"):
        return value
    if t.name == "blob":
        return "0x" + value
    if t.name == "boolean":
        return value == "true"
    if t.name == "timestamp":
        return value + "Z"
    if kind == "N" or t.name in ("tinyint", "smallint", "int", "bigint", "varint", "counter", "decimal", "float", "double"):
        return value if value in NON_FINITE else Number(value)
    return value


def load_items(client: Any, output: Path, expected: Expected) -> list[dict[str, Any]]:
    """Makes the table of the import request, puts every item, and scans them."""
    name = f"{expected.keyspace}.{expected.table}"
    request = json.loads((output / f"_cassport/{name}.import-table.json").read_text())
    parameters = request["TableCreationParameters"]
    with contextlib.suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=parameters["TableName"])
    client.create_table(**parameters)
    count = 0
    for file in sorted((output / expected.keyspace / expected.table).glob("LOAD*.json")):
        for line in file.read_text().split("\n"):
            if line:
                item = {key: _with_bytes(value) for key, value in json.loads(line)["Item"].items()}
                client.put_item(TableName=parameters["TableName"], Item=item)
                count += 1
    items = []
    for page in client.get_paginator("scan").paginate(TableName=parameters["TableName"]):
        items += page["Items"]
    if len(items) != count:
        raise RuntimeError(f"{name}: {count} items were put, {len(items)} are there: keys collide")
    return items


def item_rows(expected: Expected, items: list[dict[str, Any]], read: Callable[[CqlType, Any], Any]) -> list[dict[str, Any]]:
    rows = []
    for item in items:
        row = {}
        for name, t in expected.columns.items():
            found = next((item[n] for n in (name, "c_" + name) if n in item), None)
            row[name] = as_dynamodb(t, read(t, found))
        for name in expected.columns:
            for ours, theirs in (("cp_writetime_", "writetime"), ("cp_ttl_", "ttl")):
                row[f"{theirs}({name})"] = _fact(item.get(ours + name))
        rows.append(row)
    return rows


def _fact(attribute: Any) -> Any:
    if attribute is None or "NULL" in attribute:
        return None
    if "S" in attribute:
        return loads(attribute["S"])
    return Number(attribute["N"]) if "N" in attribute else [_fact(item) for item in attribute["L"]]


def dynamodb_expected(expected: Expected, native: bool) -> Expected:
    def of(t: CqlType, value: Any) -> Any:
        # An attribute cannot be a set without members; as text it can.
        return None if native and t.name == "set" and value == [] else as_dynamodb(t, value)

    rows = [{**row, "row": {n: of(expected.columns[n], v) for n, v in row["row"].items()}} for row in expected.rows]
    return dataclasses.replace(expected, rows=rows)


def in_one_order(expected: Expected, got: list[dict[str, Any]]) -> tuple[Expected, list[dict[str, Any]]]:
    """Both by key: DynamoDB has its own order. By write time where keys are one to it, as decimals 1.0 and 1.00 in other attributes are."""
    timed = sorted({name for line in expected.rows for name in line["writetime"]})
    lines = sorted(expected.rows, key=lambda line: (_key(expected, line["row"]), dumps([line["writetime"].get(n) for n in timed])))
    rows = sorted(got, key=lambda row: (_key(expected, row), dumps([row[f"writetime({n})"] for n in timed])))
    return dataclasses.replace(expected, rows=lines), rows


def without_refused(expected: Expected, got: list[dict[str, Any]], refused: int) -> tuple[Expected, int]:
    """The answer without the rows that are not there, as many as the report says were refused."""
    there = set(_numbered(_key(expected, row) for row in got))
    keys = _numbered(_key(expected, line["row"]) for line in expected.rows)
    kept = [line for key, line in zip(keys, expected.rows) if key in there]
    missing = len(expected.rows) - len(kept)
    return (dataclasses.replace(expected, rows=kept), missing) if missing == refused else (expected, 0)


# -- the whole -------------------------------------------------------------------------------------------------------


def refused_of(report: dict[str, Any], expected: Expected) -> int:
    for table in report["tables"]:
        if (table["keyspace"], table["table"]) == (expected.keyspace, expected.table):
            return table["rowsQuarantined"] if "rowsQuarantined" in table else table["books"]["rowsQuarantined"]
    return 0


def check_parquet(cassport: Path, corpus: Path, scratch: Path, readers: dict[str, Callable[[list[str]], Any]]) -> Results:
    description, tables = expected_tables(corpus)
    output = scratch / "parquet"
    report = extract(cassport, corpus, description, tables, output, "--profile", "parquet", "--metadata", "cell")
    for name, read in readers.items():
        total, refused = Outcome(), 0
        for expected in tables:
            wanted, out = parquet_expected(expected)
            refused += out
            files = sorted(map(str, (output / expected.keyspace / expected.table).glob("LOAD*.parquet")))
            try:
                table = read(files) if files else None
            except NoStatement:
                print(f"  {expected.keyspace}.{expected.table}: no statement for Athena")
                continue
            if isinstance(table, SparkRows):
                got = spark_rows(wanted, table)
            else:
                got = arrow_rows(wanted, table) if table is not None else []
            total.add(compare(wanted, got))
        if refused != report["total"]["rowsQuarantined"]:
            total.different.append(f"{refused} rows cannot be carried, {report['total']['rowsQuarantined']} were refused")
        yield f"parquet, {name}", total, refused


def spark_rows(expected: Expected, table: SparkRows) -> list[dict[str, Any]]:
    rows = []
    for row in table.rows:
        by_name = dict(zip(table.column_names, row))
        got = {name: from_spark(t, by_name.get(name, by_name.get(name.lower()))) for name, t in expected.columns.items()}
        for name in expected.columns:
            for ours, theirs in (("cp_writetime_", "writetime"), ("cp_ttl_", "ttl")):
                if (found := next((n for n in (ours + name, ours + name.lower()) if n in by_name), None)) is not None:
                    got[f"{theirs}({name})"] = _numbers(by_name[found])
        rows.append(got)
    return rows


def check_items(cassport: Path, corpus: Path, scratch: Path, client: Any) -> Results:
    description, tables = expected_tables(corpus)
    for number, (name, words, read) in enumerate((
        ("native", ("--ddb-shape", "native"), from_attribute),
        ("native, composite keys", ("--ddb-keys", "composite"), from_attribute),
        ("dms", ("--ddb-shape", "dms"), from_text),
    )):
        output = scratch / f"items-{number}"
        report = extract(cassport, corpus, description, tables, output, "--profile", "ddb-json", "--metadata", "cell", *words)
        total, missing = Outcome(), 0
        for expected in tables:
            wanted = dynamodb_expected(expected, read is from_attribute)
            got = item_rows(wanted, load_items(client, output, wanted), read)
            wanted, out = without_refused(wanted, got, len(wanted.rows) - len(got))
            missing += out
            total.add(compare(*in_one_order(wanted, got)))
        if missing != report["total"]["rowsQuarantined"]:
            total.different.append(f"{missing} rows are missing, {report['total']['rowsQuarantined']} were refused")
        counters: dict[str, int] = {}
        manifest = json.loads((output / "_cassport/agents/000/manifest.json").read_text())
        for table in manifest["tables"]:
            for counter, number in table["counters"].items():
                if number:
                    counters[counter] = counters.get(counter, 0) + number
        yield f"ddb-json {name} ({json.dumps(counters)})", total, missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", type=Path, metavar="CORPUS")
    parser.add_argument("--awkward", action="store_true", help="also the rows of awkward.py, on a node of 5.0")
    parser.add_argument("--keep", type=Path, help="keep the corpus of --awkward here")
    parser.add_argument("--readers", default="pyarrow,duckdb,spark,athena,dynamodb")
    parser.add_argument("--cassport", type=Path, default=DEFAULT_CASSPORT)
    arguments = parser.parse_args()
    wanted = arguments.readers.split(",")
    scratch = Path(tempfile.mkdtemp(prefix="gen-"))
    failed = False
    try:
        corpora = list(arguments.corpora)
        if arguments.awkward:
            corpora.append(make_awkward(arguments.keep or scratch / "awkward", scratch))
        readers: dict[str, Callable[[list[str]], Any]] = {}
        if "pyarrow" in wanted:
            readers["pyarrow"] = read_pyarrow
        if "duckdb" in wanted:
            readers["duckdb"] = read_duckdb
        if "spark" in wanted:
            readers["spark"] = Spark().read
        if "athena" in wanted:
            readers["Athena's statement"] = Spark().read_by_statement
        with dynamodb_local(scratch) if "dynamodb" in wanted else contextlib.nullcontext() as client:
            for corpus in corpora:
                place = Path(tempfile.mkdtemp(dir=scratch))
                results = [check_parquet(arguments.cassport, corpus, place, readers)] if readers else []
                results += [check_items(arguments.cassport, corpus, place, client)] if client else []
                for what, outcome, refused in itertools.chain(*results):
                    for text in outcome.different[:40]:
                        print(f"  {text}")
                    print(f"{corpus.name}: {what}: {outcome.rows} rows and {outcome.cells} cells compared, {len(outcome.different)} different, "
                          f"{refused} refused", flush=True)
                    failed |= bool(outcome.different) or not outcome.rows
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
