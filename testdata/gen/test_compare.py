"""Tests of the comparer: equal answers are equal, and every kind of change is found."""

from __future__ import annotations

import copy
import unittest
from pathlib import Path
from typing import Any

from answers import _excuse
from compare import Expected, compare, expected_tables
from cqltypes import canonical, decode, parse
from jsontext import Number, dumps, loads
from legacyschema import cql_type

TESTDATA = Path(__file__).resolve().parent.parent


def as_cassport(expected: Expected) -> list[dict[str, Any]]:
    """The answer in the shape of cassport's jsonl with `--metadata cell`."""
    rows = []
    for line in expected.rows:
        row = {column: line["row"][column] for column in expected.columns}
        for column in expected.columns:
            if column not in expected.keys:
                for what in ("writetime", "ttl"):
                    row[f"{what}({column})"] = line[what].get(column)
        rows.append(row | {"writetime(primary key)": None, "ttl(primary key)": None})
    return rows


class CompareTest(unittest.TestCase):
    def setUp(self) -> None:
        corpora = sorted(path.parent for path in TESTDATA.glob("*/corpus.json"))
        self.tables = [table for corpus in corpora for table in expected_tables(corpus)[1]]
        self.assertTrue(self.tables)

    def test_an_answer_equals_itself(self) -> None:
        for table in self.tables:
            self.assertEqual(compare(table, as_cassport(table)).different, [])

    def test_every_changed_value_is_found(self) -> None:
        for table in self.tables:
            for column in table.columns:
                got = copy.deepcopy(as_cassport(table)[:1])
                if got:
                    got[0][column] = "changed" if got[0][column] is None else None
                    one = Expected(table.keyspace, table.table, table.columns, table.keys, table.rows[:1])
                    self.assertTrue(compare(one, got).different, (table.keyspace, table.table, column))

    def test_spellings_of_a_clustering_are_one_where_any_will_do(self) -> None:
        types = {"k": parse("decimal", {}), "c": parse("frozen<list<decimal>>", {}), "v": parse("decimal", {})}
        row = lambda k, c, v: {"k": Number(k), "c": [Number(c)], "v": Number(v), "writetime(v)": None}
        answer = [{"row": row("1.0", "0E-10", "1.0"), "writetime": {}, "ttl": {}}]
        strict = Expected("ks", "t", types, ["k", "c"], answer)
        loose = Expected("ks", "t", types, ["k", "c"], answer, frozenset("c"))
        self.assertTrue(compare(strict, [row("1.0", "0", "1.0")]).different)
        self.assertEqual(compare(loose, [row("1.0", "0", "1.0")]).different, [])
        self.assertTrue(compare(loose, [row("1", "0", "1.0")]).different, "a partition key has one spelling")
        self.assertTrue(compare(loose, [row("1.0", "0", "1")]).different, "and so has a value")
        self.assertTrue(compare(loose, [row("1.0", "0", "1.0"), row("1.0", "0.0", "1.0")]).different, "two rows in the target")

    def test_keys_of_maps_that_the_server_writes_as_null(self) -> None:
        t = parse("map<frozen<vector<double, 2>>, int>", {})
        ours = {'["Infinity", 1.0]': Number("1"), '["-Infinity", 1.0]': Number("2")}
        self.assertIsNotNone(_excuse(t, {"[null, 1.0]": Number("2")}, ours))
        self.assertIsNone(_excuse(t, {"[2.0, 1.0]": Number("2")}, {"[3.0, 1.0]": Number("1"), "[2.0, 1.0]": Number("2")}))

    def test_metadata_order_and_rows_count(self) -> None:
        table = next(t for t in self.tables if t.table == "orders")
        rows = as_cassport(table)
        self.assertTrue(compare(table, rows[1:]).different)
        self.assertTrue(compare(table, rows + rows[-1:]).different)
        self.assertTrue(compare(table, rows[::-1]).different)
        for name, value in rows[0].items():
            if name.startswith(("writetime(", "ttl(")) and value is not None:
                self.assertTrue(compare(table, [rows[0] | {name: None}, *rows[1:]]).different)
        self.assertTrue(compare(table, [rows[0] | {"surplus": None}, *rows[1:]]).different)


class SamenessTest(unittest.TestCase):
    def same(self, cql: str, one: str, two: str) -> bool:
        t = parse(cql, {})
        return bool(canonical(t, loads(one)) == canonical(t, loads(two)))

    def test_keys_with_the_same_text(self) -> None:
        row = {"row": {"k": [None], "v": Number("1")}, "writetime": {}, "ttl": {}}
        types = {"k": parse("frozen<tuple<int>>", {}), "v": parse("int", {})}
        expected = Expected("ks", "t", types, ["k"], [row, row | {"row": row["row"] | {"v": Number("2")}}])
        got = [{"k": [None], "v": Number(v), "writetime(v)": None} for v in "12"]
        self.assertEqual(compare(expected, got).different, [])
        self.assertEqual(len(compare(expected, got[::-1]).different), 2)

    def test_text_that_may_differ(self) -> None:
        self.assertTrue(self.same("float", "0.1", "1.0E-1"))
        self.assertTrue(self.same("double", "1e22", "1.0E22"))
        self.assertTrue(self.same("inet", '"::1"', '"0:0:0:0:0:0:0:1"'))
        self.assertTrue(self.same("map<frozen<list<int>>, int>", '{"[1, 2]": 1}', '{"[1,2]": 1}'))

    def test_text_that_may_not(self) -> None:
        self.assertFalse(self.same("double", "0.0", "-0.0"))
        self.assertFalse(self.same("float", "16777216", "16777218"))
        self.assertFalse(self.same("decimal", "1.0", "1.00"))
        self.assertFalse(self.same("bigint", "1", '"1"'))
        self.assertFalse(self.same("double", '"1.0"', "1.0"))
        self.assertFalse(self.same("list<int>", "[]", "null"))
        self.assertFalse(self.same("timestamp", '"2020-01-02 03:04:05.678Z"', '"2020-01-02 03:04:05.679Z"'))
        self.assertFalse(self.same("map<int, int>", '{"1": 1, "2": 2}', '{"2": 2, "1": 1}'))

    def test_numbers_keep_their_text(self) -> None:
        text = '{"a": 1E+400, "b": [1.00, -0.0, 123456789012345678901234567890]}'
        self.assertEqual(dumps(loads(text)), text)

    def test_decoding(self) -> None:
        self.assertEqual(decode(parse("decimal", {}), bytes.fromhex("fffffffe01")), Number("1E+2"))
        self.assertEqual(decode(parse("date", {}), b"\xff\xff\xff\xff"), "+5881580-07-11")
        self.assertEqual(decode(parse("timestamp", {}), (-1).to_bytes(8, "big", signed=True)), "1969-12-31 23:59:59.999Z")
        self.assertEqual(decode(parse("duration", {}), b"\x00\x00\x00"), "0s")
        self.assertEqual(decode(parse("float", {}), bytes.fromhex("3dcccccd")), Number("0.1"))
        self.assertEqual(decode(parse("int", {}), b""), "")


class LegacySchemaTest(unittest.TestCase):
    def test_types(self) -> None:
        m = "org.apache.cassandra.db.marshal."
        self.assertEqual(cql_type(f"{m}ReversedType({m}Int32Type)"), "int")
        self.assertEqual(cql_type(f"{m}MapType({m}UTF8Type,{m}ListType({m}LongType))"), "map<text, frozen<list<bigint>>>")
        self.assertEqual(cql_type(f"{m}FrozenType({m}SetType({m}DateType))"), "frozen<set<timestamp>>")
        self.assertEqual(cql_type(f"{m}TupleType({m}BytesType,{m}UserType(ks,7531,61:{m}Int32Type,62:{m}SetType({m}UTF8Type)))"),
                         "frozen<tuple<blob, frozen<u1>>>")


if __name__ == "__main__":
    unittest.main()
