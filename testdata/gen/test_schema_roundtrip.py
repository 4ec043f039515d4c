"""Tests of the script that takes schemas through Cassandra."""

from __future__ import annotations

import unittest

from schema_roundtrip import sections, statements


class Statements(unittest.TestCase):
    def test_a_semicolon_ends_a_statement_only_outside_of_literals(self) -> None:
        cql = """-- no; statement
        CREATE TABLE a.b (c int PRIMARY KEY) WITH comment = 'it''s; fine';
        CREATE TABLE a."x;y" (c int PRIMARY KEY); // another; comment
        CREATE FUNCTION a.f() RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$return 1 - 2 / 3;$$;
        /* and; more */ DROP TABLE a.b"""
        found = list(statements(cql))
        self.assertEqual([s.split()[0] for s in found], ["CREATE", "CREATE", "CREATE", "DROP"])
        self.assertTrue(found[0].endswith("comment = 'it''s; fine'"))
        self.assertIn('"x;y"', found[1])
        self.assertTrue(found[2].endswith("$$return 1 - 2 / 3;$$"))

    def test_a_schema_is_cut_at_its_keyspaces(self) -> None:
        cql = "CREATE KEYSPACE a WITH x;\n\nCREATE TABLE a.t (\n);\n\nCREATE KEYSPACE b WITH x;\n"
        self.assertEqual(sections(cql), ["CREATE KEYSPACE a WITH x;\n\nCREATE TABLE a.t (\n);\n\n", "CREATE KEYSPACE b WITH x;\n\n"])


if __name__ == "__main__":
    unittest.main()
