"""DuckDB, pyarrow and Spark on jsonl, csv and datalake files: what they read against what Cassandra answered."""

from __future__ import annotations

import json
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

from common import Answer, Extracted, Source, Tally, extract
from cqltypes import instant_text


OUTPUTS = (("datalake", "none"), ("datalake", "gzip"), ("csv", "none"), ("csv", "gzip"), ("jsonl", "none"), ("jsonl", "gzip"), ("jsonl", "zstd"))


class Unreadable(Exception):
    """The reader has no way to read a table, and says so."""


def read_all(source: Source, keyspace: str, tables: list[str], wanted: list[str]) -> list[Tally]:
    tallies: list[Tally] = []
    if not wanted:
        return tallies
    for profile, compression in OUTPUTS:
        words = ["--profile", profile, "--compression", compression]
        if profile == "jsonl":
            words += ["--json-numbers", "text"]
        made = extract(source.cassport, source.data, source.scratch / f"{profile}-{compression}", keyspace, *words)
        for name in wanted:
            reader = READERS[name].get(profile)
            if not reader or (name, profile, compression) == ("spark", "jsonl", "zstd"):
                # Spark's zstd needs Hadoop's native library.
                continue
            tally = Tally(f"{name}, {profile}, {compression}")
            for table in tables:
                if name == "pyarrow" and profile == "jsonl" and any("map" in repr(c.type) for c in source.answers[table].columns):
                    tally.refused[f"{table}: a map becomes an object with the keys of all rows"] = len(source.answers[table].rows)
                    continue
                try:
                    rows = reader(made.output / keyspace / table, made.output, keyspace, table)
                except Unreadable as error:
                    tally.refused[f"{table}: {error}"] = len(source.answers[table].rows)
                    continue
                compare_read(tally, source.answers[table], made, table, rows, profile)
            tally.report()
            tallies.append(tally)
    return tallies


def texts(t: Any, value: Any) -> Any:
    """A value as the text that the files have of it, as far as all readers agree on it."""
    if value is None:
        return None
    name = t.name
    if name in ("float", "double"):
        number = float(value)
        if name == "float" and not math.isinf(number):
            # The shortest digits of a float and its value as a double are the same float.
            number = struct.unpack(">f", struct.pack(">f", number))[0]
        return "NaN" if math.isnan(number) else number + 0.0
    if name in ("decimal", "varint"):
        return Decimal(str(value)).normalize() if value != "" else None
    if name in ("int", "bigint", "smallint", "tinyint", "counter"):
        return int(value) if value != "" else None
    if name == "boolean":
        # Text to a reader that was told of text only.
        return {"true": True, "false": False, "": None}.get(value, value)
    return value


def compare_read(tally: Tally, answer: Answer, made: Extracted, table: str, got: list[dict[str, Any]], profile: str) -> None:
    """Rows in the order of their keys' text; a reader has no types for half of CQL, so values are compared as text of JSON."""
    refused = made.refused.get(table, {})
    for kind, count in refused.items():
        tally.refused[kind] = tally.refused.get(kind, 0) + count
    # Those who take a quoted token for NULL too; cassport counts what they lose.
    token = profile == "datalake" and not tally.loader.startswith("pyarrow")
    if token and (count := made.counters(table).get("textEqualToNullToken", 0)):
        tally.counted["textEqualToNullToken"] = tally.counted.get("textEqualToNullToken", 0) + count
    expected = [reference_row(answer, {c: None if token and v == "\\N" else v for c, v in line["row"].items()}) for line in answer.rows]
    found = [reference_row(answer, row, profile) for row in got]
    remaining: dict[str, int] = {}
    for row in expected:
        remaining[row] = remaining.get(row, 0) + 1
    extra = []
    for row in found:
        if remaining.get(row, 0):
            remaining[row] -= 1
            tally.rows += 1
        else:
            extra.append(row)
    missing = [row for row, count in remaining.items() for _ in range(count)]
    tally.different += [f"{table}: not in the source: {row[:500]}" for row in extra[:5]]
    if len(missing) != sum(refused.values()):
        tally.different.append(f"{table}: {len(missing)} rows are missing, {sum(refused.values())} were refused: {missing[:3]!s:.900}")


def reference_row(answer: Answer, row: dict[str, Any], profile: str | None = None) -> str:
    """A row in a form in which what was read and what was answered are equal."""
    return repr([(c.name, reference(c.type, row.get(c.name), profile)) for c in answer.columns])


def reference(t: Any, value: Any, profile: str | None) -> Any:
    if value is None:
        return None
    if value == "" and t.name not in ("text", "ascii", "blob"):
        return None
    if t.name in ("list", "set", "map", "tuple", "udt", "vector"):
        parsed = json.loads(value, parse_float=Decimal) if isinstance(value, str) else value
        return inner(t, parsed)
    if t.name == "blob":
        text = str(value)
        return text if text.startswith("0x") else "0x" + text
    if t.name == "timestamp":
        return instant(value.replace("T", " ") if profile == "csv" else value)
    if t.name == "date":
        # pyarrow guesses times of all text that looks like it.
        return str(value).removesuffix(" 00:00:00")
    return texts(t, value)


def inner(t: Any, value: Any) -> Any:
    if value is None:
        return None
    if t.name in ("list", "set", "vector"):
        return [inner(t.params[0], item) for item in value]
    if t.name == "tuple":
        return [inner(p, item) for p, item in zip(t.params, value)]
    if t.name == "map":
        pairs = value.items() if isinstance(value, dict) else value
        return [(key_of(t.params[0], k), inner(t.params[1], v)) for k, v in pairs]
    if t.name == "udt":
        return [(f, inner(p, value.get(f))) for f, p in zip(t.fields, t.params)]
    if t.name == "timestamp":
        return instant(value)
    if value == "" and t.name not in ("text", "ascii", "blob"):
        return ""
    return texts(t, value)


def key_of(t: Any, key: Any) -> str:
    """A map key, which JSON has as text."""
    nested = t.name in ("list", "set", "map", "tuple", "udt", "vector") and isinstance(key, str)
    return str(inner(t, json.loads(key, parse_float=Decimal) if nested else key))


def instant(value: Any) -> Any:
    """A time as text without zone and with three digits behind the second."""
    import datetime

    if isinstance(value, datetime.datetime):
        zoned = value if value.tzinfo is None else value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return f"{zoned.year:04}-" + zoned.strftime("%m-%d %H:%M:%S.") + f"{zoned.microsecond // 1000:03}"
    text = str(value)
    # Beyond the years of four digits JSON has a number.
    return (instant_text(int(text)) if text.lstrip("-").isdigit() else text).removesuffix("Z")


# -- DuckDB ----------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("LOAD*"))


def duckdb_jsonl(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import duckdb

    # Whole objects: what DuckDB would make of the values by guessing is not what is tested.
    rows = duckdb.sql(f"SELECT json FROM read_json_objects({_files(folder)}, format = 'newline_delimited', maximum_object_size = 100000000)").fetchall()
    return [json.loads(row) for (row,) in rows]


DDL_TO_DUCKDB = {"STRING": "VARCHAR"}


def ddl(output: Path, keyspace: str, table: str) -> list[tuple[str, str]]:
    """Names and types of a spark-schema.ddl."""
    lines = (output / f"_cassport/{keyspace}.{table}.spark-schema.ddl").read_text().rstrip("\n").split(",\n")
    parts = [line.rpartition("` ") for line in lines]
    return [(name[1:].replace("``", "`"), type_) for name, _, type_ in parts]


def duckdb_datalake(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import duckdb

    columns = {name: DDL_TO_DUCKDB.get(type_, type_) for name, type_ in ddl(output, keyspace, table)}
    # Dates and times as text: Python has no year 0 and no infinity.
    columns = {name: "VARCHAR" if type_ in ("TIMESTAMP", "DATE") else type_ for name, type_ in columns.items()}
    shown = ", ".join("'" + name.replace("'", "''") + "': '" + type_ + "'" for name, type_ in columns.items())
    relation = duckdb.sql(
        f"SELECT * FROM read_csv({_files(folder)}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '\\N', "
        f"columns = {{{shown}}}, max_line_size = 10000000, strict_mode = true, new_line = '\\n')"
    )
    return [without_lead(dict(zip(columns, row))) for row in relation.fetchall()]


def csv_files(folder: Path) -> list[tuple[str, list[str]]]:
    """Files of profile csv with their columns: those of partitions without rows have fewer."""
    import csv
    import gzip

    files = []
    for path in sorted([*folder.glob("LOAD*"), *folder.glob("STATIC*")]):
        opened = gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="")
        with opened as lines:
            files.append((str(path), next(csv.reader(lines))))
    return files


def duckdb_csv(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import duckdb

    rows = []
    for path, columns in csv_files(folder):
        shown = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in columns)
        relation = duckdb.sql(
            f"SELECT * FROM read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
            f"allow_quoted_nulls = false, columns = {{{shown}}}, max_line_size = 10000000, strict_mode = true, new_line = '\\n')"
        )
        rows += [dict(zip(columns, row)) for row in relation.fetchall()]
    return rows


def without_lead(row: dict[str, Any]) -> dict[str, Any]:
    if row.pop("Op") != "I" or not row.pop("cp_ts"):
        raise ValueError(f"no operation or time: {row}")
    return row


# -- pyarrow ---------------------------------------------------------------------------------------------------------


def pyarrow_jsonl(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import json as reader

    rows = []
    for path in _files(folder):
        with pa.input_stream(path) as stream:
            try:
                found = reader.read_json(stream, read_options=reader.ReadOptions(block_size=16 << 20))
            except pa.ArrowInvalid as error:
                # It has one type for a column, and NaN is no number in JSON.
                raise Unreadable(str(error)[:100]) from error
        rows += found.to_pylist()
    return rows


def pyarrow_datalake(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv as reader

    # Types that pyarrow's CSV has none of its own text for are read as text.
    types = {"BIGINT": pa.int64(), "INT": pa.int32(), "SMALLINT": pa.int16(), "TINYINT": pa.int8(), "BOOLEAN": pa.bool_(), "DOUBLE": pa.float64(),
             "FLOAT": pa.float32()}
    columns = {name: types.get(type_, pa.string()) for name, type_ in ddl(output, keyspace, table)}
    rows = []
    for path in _files(folder):
        with pa.input_stream(path) as stream:
            found = reader.read_csv(
                stream, read_options=reader.ReadOptions(block_size=16 << 20),
                parse_options=reader.ParseOptions(newlines_in_values=True, double_quote=True),
                convert_options=reader.ConvertOptions(column_types=columns, null_values=["\\N"], strings_can_be_null=True, quoted_strings_can_be_null=False),
            )
        rows += found.to_pylist()
    return [without_lead(row) for row in rows]


def pyarrow_csv(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv as reader

    rows = []
    for path, columns in csv_files(folder):
        with pa.input_stream(path) as stream:
            found = reader.read_csv(
                stream, read_options=reader.ReadOptions(block_size=16 << 20),
                parse_options=reader.ParseOptions(newlines_in_values=True, double_quote=True),
                convert_options=reader.ConvertOptions(column_types={name: pa.string() for name in columns}, null_values=[""], strings_can_be_null=True,
                                                      quoted_strings_can_be_null=False),
            )
        rows += found.to_pylist()
    return rows


# -- Spark -----------------------------------------------------------------------------------------------------------

_SESSION: Any = None


def spark() -> Any:
    global _SESSION
    if _SESSION is None:
        from pyspark.sql import SparkSession

        _SESSION = (
            SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "1g")
            .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").config("spark.sql.shuffle.partitions", "1").getOrCreate()
        )
        _SESSION.sparkContext.setLogLevel("OFF")
    return _SESSION


def spark_datalake(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    """With the command that cassport says, word by word."""
    session = spark()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    text = session.read.text(f"{output}/_cassport/{keyspace}.{table}.spark-schema.ddl", wholetext=True).first()[0]
    frame = session.read.schema(text).csv(
        f"{output}/{keyspace}/{table}", header=True, multiLine=True, quote='"', escape='"', nullValue="\\N", positiveInf="Infinity",
        negativeInf="-Infinity", mode="FAILFAST",
    )
    times = [(name, type_) for name, type_ in ddl(output, keyspace, table)]
    shown = [
        f"date_format(`{n}`, 'yyyy-MM-dd HH:mm:ss.SSS') AS `{n}`" if t == "TIMESTAMP" else f"CAST(`{n}` AS STRING) AS `{n}`" if t == "DATE" else f"`{n}`"
        for n, t in [(name.replace("`", "``"), type_) for name, type_ in times]
    ]
    return [without_lead(row.asDict()) for row in frame.selectExpr(*shown).collect()]


# In no text of the tests.
NO_TEXT = "\ue000"


def spark_csv(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    """The NULL of this profile is an empty field, an empty text a quoted one: Spark tells them apart if told of another NULL."""
    rows = []
    for path, columns in csv_files(folder):
        schema = ", ".join("`" + name.replace("`", "``") + "` STRING" for name in columns)
        frame = spark().read.schema(schema).csv(path, header=True, multiLine=True, quote='"', escape='"', nullValue=NO_TEXT, mode="FAILFAST")
        rows += [row.asDict() for row in frame.collect()]
    return rows


def spark_jsonl(folder: Path, output: Path, keyspace: str, table: str) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in spark().read.option("lineSep", "\n").text(_files(folder)).collect()]


READERS = {
    "duckdb": {"csv": duckdb_csv, "jsonl": duckdb_jsonl, "datalake": duckdb_datalake},
    "pyarrow": {"csv": pyarrow_csv, "jsonl": pyarrow_jsonl, "datalake": pyarrow_datalake},
    "spark": {"csv": spark_csv, "jsonl": spark_jsonl, "datalake": spark_datalake},
}
