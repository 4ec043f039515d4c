"""The small scripted workload behind the corpora of 2.1 and 2.2: what is peculiar to their cells, and nothing that they do not have."""

from __future__ import annotations

from corpus import EMPTY, LONG, SHORT, VALUES, Corpus
from node import Line
from randomtypes import unknown_types

WIDE = 300


def build(line: Line) -> Corpus:
    """The whole workload of a line."""
    corpus = Corpus(line)
    for part in (_shop, _values, _deletes, _compact, _counters, _altered, _storage):
        part(corpus)
    return corpus


def _shop(c: Corpus) -> None:
    c.keyspace("shop")
    c.type("address (street text, city text, zip text)")
    c.table(
        "customers", "one row per customer, in several SSTables",
        """CREATE TABLE @ (id int PRIMARY KEY, name text, email text, home frozen<address>, phones map<text, text>, tags set<text>,
        history list<text>, balance decimal) WITH comment = 'it''s who buys'""",
        [
            """INSERT INTO @ (id, name, email, home, phones, tags, history, balance) VALUES (1, 'Ada', 'ada@example.com',
            {street: 'Lindenweg 4', city: 'Basel', zip: '4052'}, {'mobile': '01', 'work': '02'}, {'b', 'a'}, ['x', 'y'], 120.50)""",
            "INSERT INTO @ (id, name) VALUES (2, 'Bruno \"Bear\" Conti')",
            f"INSERT INTO @ (id, name) VALUES (3, 'soon gone') USING TTL {SHORT}",
            f"INSERT INTO @ (id, name) VALUES (4, 'stays') USING TTL {LONG}",
            "INSERT INTO @ (id) VALUES (5)",
        ],
        [
            "UPDATE @ SET balance = 95.25, phones['home'] = '03', history = history + ['z'], tags = tags - {'a'} WHERE id = 1",
            f"UPDATE @ USING TTL {SHORT} SET email = 'short' WHERE id = 2",
            "DELETE FROM @ WHERE id = 5",
        ],
        ["UPDATE @ SET phones = {'only': '04'} WHERE id = 1", "DELETE history[0] FROM @ WHERE id = 1", "DELETE name FROM @ WHERE id = 2"],
    )
    c.table(
        "orders", "static columns, two clustering columns in different order, partitions of nothing but static cells",
        """CREATE TABLE @ (customer text, year int, number bigint, tier text static, marks set<int> static, total decimal, tags set<text>,
        PRIMARY KEY (customer, year, number)) WITH CLUSTERING ORDER BY (year DESC, number ASC)""",
        [
            "INSERT INTO @ (customer, tier, marks) VALUES ('ada', 'gold', {2, 1})", "INSERT INTO @ (customer, tier) VALUES ('emma', 'new')",
            *(f"INSERT INTO @ (customer, year, number, total, tags) VALUES ('{who}', {year}, {n}, {n}.5, {{'t{n}'}})"
              for who in ("ada", "bruno") for year in (2022, 2023) for n in (1, 2)),
        ],
        ["UPDATE @ SET marks = {7} WHERE customer = 'ada'", "UPDATE @ SET tags = tags + {'late'} WHERE customer = 'ada' AND year = 2023 AND number = 1",
         "DELETE FROM @ WHERE customer = 'bruno' AND year = 2022"],
        ["DELETE tier FROM @ WHERE customer = 'emma'", "DELETE FROM @ WHERE customer = 'ada' AND year = 2022 AND number = 2",
         "INSERT INTO @ (customer, year, number) VALUES ('bruno', 2022, 9)"],
    )


def _values(c: Corpus) -> None:
    c.keyspace("types")
    types = [name for name in VALUES if name not in unknown_types(c.line)]
    rows = max(len(VALUES[name]) for name in types)

    def value(name: str, i: int) -> str:
        return VALUES[name][i % len(VALUES[name])]

    c.table(
        "scalars", "every scalar type as a regular column: extremes, empty values",
        f"CREATE TABLE @ (id int PRIMARY KEY, {', '.join(f'v_{name} {name}' for name in types)})",
        [f"INSERT INTO @ (id, {', '.join(f'v_{n}' for n in types)}) VALUES ({i}, {', '.join(value(n, i) for n in types)})" for i in range(rows)],
        [*(f"UPDATE @ SET v_{name} = {literal} WHERE id = 101" for name, literal in EMPTY.items()), "UPDATE @ SET v_text = '', v_blob = 0x WHERE id = 101"],
    )
    # An empty tinyint or smallint in a name stops a node of 2.2.
    keyed = [name for name in types if name not in ("tinyint", "smallint")]
    unique = dict.fromkeys(
        tuple(value(other, 0) if other != name else literal for other in keyed)
        for name in keyed for literal in [*VALUES[name], *([EMPTY[name]] if name in EMPTY else [])]
    )
    columns = ", ".join(f"c_{n}" for n in keyed)
    order = ", ".join(f"c_{n} {'DESC' if i % 2 else 'ASC'}" for i, n in enumerate(keyed))
    c.table(
        "clustered", "a clustering column of each type, every other one descending",
        f"CREATE TABLE @ (pk text, {', '.join(f'c_{n} {n}' for n in keyed)}, v int, PRIMARY KEY (pk, {columns})) "
        f"WITH CLUSTERING ORDER BY ({order})",
        [f"INSERT INTO @ (pk, {columns}, v) VALUES ('p', {', '.join(row)}, {i})" for i, row in enumerate(unique)],
    )
    c.type("point (x int, y double)")
    c.table(
        "nested", "frozen collections, tuples and user types in each other",
        """CREATE TABLE @ (id frozen<tuple<int, text>> PRIMARY KEY, fl frozen<list<int>>, t tuple<int, text>, u frozen<point>,
        deep map<text, frozen<map<int, frozen<list<frozen<tuple<int, text>>>>>>>, su set<frozen<point>>, ld list<double>)""",
        ["""INSERT INTO @ (id, fl, t, u, deep, su, ld) VALUES ((1, 'one'), [3, 1, 2], (1, null), {x: 1, y: null},
         {'k': {1: [(1, 'x'), (null, 'y')]}}, {{x: 2, y: 1}, {x: null, y: 3}}, [0.5, 1e300])"""],
        ["UPDATE @ SET deep['z'] = {}, su = su + {{x: 9, y: 9}}, ld = ld + [0.1] WHERE id = (1, 'one')"],
    )


def _deletes(c: Corpus) -> None:
    c.keyspace("deletes")
    rows = [(a, b) for a in range(6) for b in range(WIDE // 6)]
    c.table(
        "wide", "a partition with a promoted index, in the middle of whose blocks range tombstones are open, and rows that cross them",
        "CREATE TABLE @ (pk int, a int, b int, v text, l list<int>, w text, s text static, PRIMARY KEY (pk, a, b))",
        [
            "DELETE FROM @ USING TIMESTAMP 1000 WHERE pk = 1 AND a = 2", "DELETE FROM @ USING TIMESTAMP 5 WHERE pk = 1 AND a = 3",
            "UPDATE @ USING TIMESTAMP 2000 SET s = 'static' WHERE pk = 1",
            *(f"INSERT INTO @ (pk, a, b, v, l, w) VALUES (1, {a}, {b}, '{'x' * 90}', [{b}], 'w{b}') USING TIMESTAMP {900 + b * 10}" for a, b in rows),
            "DELETE FROM @ USING TIMESTAMP 1100 WHERE pk = 1 AND a = 4 AND b = 7", "DELETE v FROM @ WHERE pk = 1 AND a = 5 AND b = 8",
        ],
        ["DELETE FROM @ USING TIMESTAMP 1200 WHERE pk = 1 AND a = 0", "UPDATE @ USING TIMESTAMP 1300 SET l = [1, 2] WHERE pk = 1 AND a = 0 AND b = 1",
         "DELETE FROM @ USING TIMESTAMP 950 WHERE pk = 1 AND a = 0 AND b = 49"],
        ["INSERT INTO @ (pk, a, b) VALUES (2, 0, 0)", "DELETE FROM @ WHERE pk = 2", "DELETE FROM @ USING TIMESTAMP 901 WHERE pk = 1"],
    )
    c.table(
        "cut", "tombstones that 2.x cuts around those of collections",
        "CREATE TABLE @ (pk int, a int, b int, aa text, m map<int, int>, n map<int, int>, z text, PRIMARY KEY (pk, a, b))",
        [
            "INSERT INTO @ (pk, a, b, aa, m, n, z) VALUES (1, 1, 1, 'old', {1: 1}, {1: 1}, 'old') USING TIMESTAMP 10",
            "DELETE FROM @ USING TIMESTAMP 20 WHERE pk = 1 AND a = 1",
            "UPDATE @ USING TIMESTAMP 30 SET m = {2: 2}, n = {3: 3} WHERE pk = 1 AND a = 1 AND b = 1",
            "UPDATE @ USING TIMESTAMP 40 SET z = 'new' WHERE pk = 1 AND a = 1 AND b = 2",
            "DELETE FROM @ USING TIMESTAMP 50 WHERE pk = 1 AND a = 2 AND b = 2",
            "UPDATE @ USING TIMESTAMP 60 SET m = {2: 2}, aa = 'new' WHERE pk = 1 AND a = 2 AND b = 2",
        ],
        ["INSERT INTO @ (pk, a, b, aa, m, n, z) VALUES (1, 1, 1, 'late', {1: 1}, {1: 1}, 'late') USING TIMESTAMP 15",
         "INSERT INTO @ (pk, a, b, aa, m, n, z) VALUES (1, 1, 3, 'late', {1: 1}, {1: 1}, 'late') USING TIMESTAMP 25",
         "INSERT INTO @ (pk, a, b, aa, m, n, z) VALUES (1, 2, 2, 'late', {1: 1}, {1: 1}, 'late') USING TIMESTAMP 45"],
    )


def _compact(c: Corpus) -> None:
    c.keyspace("compact")
    c.table(
        "dense", "one clustering column: the name is its value", "CREATE TABLE @ (k int, c text, v text, PRIMARY KEY (k, c)) WITH COMPACT STORAGE",
        ["INSERT INTO @ (k, c, v) VALUES (1, 'a', 'x')", "INSERT INTO @ (k, c, v) VALUES (1, 'b', 'y')", f"INSERT INTO @ (k, c, v) VALUES (2, 'a', 'z') USING TTL {LONG}"],
        ["DELETE FROM @ WHERE k = 1 AND c = 'a'", "UPDATE @ SET v = 'w' WHERE k = 1 AND c = 'b'"],
    )
    c.table(
        "composite", "two clustering columns, trailing ones missing",
        "CREATE TABLE @ (k int, c text, d int, v text, PRIMARY KEY (k, c, d)) WITH COMPACT STORAGE AND CLUSTERING ORDER BY (c DESC, d ASC)",
        ["INSERT INTO @ (k, c, d, v) VALUES (1, 'a', 1, 'x')", "INSERT INTO @ (k, c, v) VALUES (1, 'a', 'short')", "INSERT INTO @ (k, c, d, v) VALUES (1, 'b', 1, 'y')"],
        ["DELETE FROM @ WHERE k = 1 AND c = 'b'", "INSERT INTO @ (k, c, d, v) VALUES (1, 'b', 2, 'z')"],
    )
    c.table(
        "only_key", "no value column", "CREATE TABLE @ (k int, c text, PRIMARY KEY (k, c)) WITH COMPACT STORAGE",
        ["INSERT INTO @ (k, c) VALUES (1, 'a')", "INSERT INTO @ (k, c) VALUES (1, 'b')"], ["DELETE FROM @ WHERE k = 1 AND c = 'a'"],
    )
    c.table(
        "fixed", "no clustering: a cell for each column", "CREATE TABLE @ (k int PRIMARY KEY, a text, b int) WITH COMPACT STORAGE",
        ["INSERT INTO @ (k, a, b) VALUES (1, 'x', 1)", "INSERT INTO @ (k, a) VALUES (2, 'y')", "INSERT INTO @ (k, b) VALUES (3, 3)"],
        ["UPDATE @ SET b = 7 WHERE k = 1", "DELETE a FROM @ WHERE k = 2", f"UPDATE @ USING TTL {LONG} SET a = 'z' WHERE k = 3"],
    )


def _counters(c: Corpus) -> None:
    c.keyspace("counters")
    for name, more in (("plain", ""), ("compact", " WITH COMPACT STORAGE")):
        c.table(
            name, "counters" + more.lower(), f"CREATE TABLE @ (k int, c int, n counter, PRIMARY KEY (k, c)){more}",
            ["UPDATE @ SET n = n + 5 WHERE k = 1 AND c = 1", "UPDATE @ SET n = n - 2 WHERE k = 1 AND c = 2", "UPDATE @ SET n = n + 9 WHERE k = 2 AND c = 1"],
            ["UPDATE @ SET n = n + 1 WHERE k = 1 AND c = 1", "DELETE FROM @ WHERE k = 2 AND c = 1"],
            ["UPDATE @ SET n = n + 1099511627776 WHERE k = 1 AND c = 2"],
        )


def _altered(c: Corpus) -> None:
    c.keyspace("altered")
    c.table(
        "columns", "columns dropped, and one of them added again",
        "CREATE TABLE @ (k int, c int, a int, b list<int>, d text, PRIMARY KEY (k, c))",
        ["INSERT INTO @ (k, c, a, b, d) VALUES (1, 1, 1, [1], 'old')", "INSERT INTO @ (k, c, b) VALUES (1, 2, [2])"],
        ["ALTER TABLE @ DROP b", "ALTER TABLE @ DROP d", "ALTER TABLE @ ADD e int"],
        ["ALTER TABLE @ ADD d text", "INSERT INTO @ (k, c, d, e) VALUES (1, 3, 'new', 3)"],
    )
    c.table(
        "indexed", "secondary indexes, whose SSTables 2.1 keeps beside those of the table", "CREATE TABLE @ (k int PRIMARY KEY, v int, tags set<text>)",
        ["CREATE INDEX indexed_v ON @ (v)", "CREATE INDEX indexed_tags ON @ (tags)", "INSERT INTO @ (k, v, tags) VALUES (1, 7, {'x'})", "INSERT INTO @ (k, v) VALUES (2, 8)"],
        ["UPDATE @ SET v = 9 WHERE k = 1"],
    )


def _storage(c: Corpus) -> None:
    c.keyspace("storage")
    for name, compression in (
        ("plain", "{'sstable_compression': ''}"), ("snappy", "{'sstable_compression': 'SnappyCompressor', 'chunk_length_kb': 4}"),
        ("deflate", "{'sstable_compression': 'DeflateCompressor', 'crc_check_chance': 0.5}"), ("lz4", "{'sstable_compression': 'LZ4Compressor', 'chunk_length_kb': 4}"),
    ):
        c.table(
            name, "several chunks, several partitions", f"CREATE TABLE @ (k int PRIMARY KEY, v text) WITH compression = {compression}",
            [f"INSERT INTO @ (k, v) VALUES ({i}, '{i:03}{'abcdefgh' * 12}')" for i in range(60)], [f"DELETE FROM @ WHERE k = {i}" for i in range(0, 60, 7)],
        )
