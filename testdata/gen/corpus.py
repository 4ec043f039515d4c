"""The scripted workload behind the committed corpora: what is written to which table, and between which flushes.

Every table goes through the same phases; after each phase everything is flushed, so that a row written in three phases
lies in three SSTables. Data that is meant to meet only in the merge (ties above all) is therefore in different phases.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import permutations

from node import Line

PHASES = 5
LONG = 50_000_000
SHORT = 1


@dataclass
class Corpus:
    """Keyspaces in order of creation, and the statements of each phase."""

    line: Line
    keyspaces: list[str] = field(default_factory=list)
    tables: list[tuple[str, str, str]] = field(default_factory=list)
    phases: list[list[str]] = field(default_factory=lambda: [[] for _ in range(PHASES)])

    def keyspace(self, name: str) -> None:
        self.keyspaces.append(name)
        self.phases[0].append(
            f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )

    def table(self, name: str, notes: str, create: str, *phases: list[str]) -> None:
        """Adds a table of the latest keyspace. In `create` and the phases, `@` stands for its full name and `$` for the keyspace."""
        keyspace = self.keyspaces[-1]
        self.tables.append((keyspace, name, notes))
        for number, statements in enumerate([[create, *phases[0]], *phases[1:]]):
            self.phases[number] += [s.replace("@", f"{keyspace}.{name}").replace("$", keyspace) for s in statements]

    def type(self, definition: str) -> None:
        self.phases[0].append(f"CREATE TYPE {self.keyspaces[-1]}.{definition}")


def build(line: Line) -> Corpus:
    """The whole workload of a line."""
    corpus = Corpus(line)
    parts = (_shop, _types, _deletes, _ttl, _ties, _collections, _counters, _statics, _altered, _storage, _names, _compact, _special)
    for part in (_shop, _types, _deletes, _statics, _tries) if line.bti else parts:
        part(corpus)
    return corpus


# -- a readable demo -------------------------------------------------------------------------------------------------


def _shop(c: Corpus) -> None:
    c.keyspace("shop")
    c.type("address (street text, city text, zip text)")
    c.table(
        "customers", "demo: one row per customer",
        """CREATE TABLE @ (id uuid PRIMARY KEY, name text, email text, since date, home frozen<address>, phones map<text, text>,
        newsletter boolean, balance decimal) WITH comment = 'who buys'""",
        [
            """INSERT INTO @ (id, name, email, since, home, phones, newsletter, balance) VALUES (62c36092-82a1-4a00-93d1-46196ee77201,
            'Ada Fischer', 'ada@example.com', '2019-03-14', {street: 'Lindenweg 4', city: 'Basel', zip: '4052'},
            {'mobile': '+41 79 555 01 01', 'work': '+41 61 555 01 02'}, true, 120.50)""",
            """INSERT INTO @ (id, name, email, since, home, newsletter, balance) VALUES (62c36092-82a1-4a00-93d1-46196ee77202,
            'Bruno "Bear" Conti', 'bruno@example.org', '2020-11-02', {street: 'Via Roma 12, int. 3', city: 'Torino', zip: '10121'}, false, 0)""",
            """INSERT INTO @ (id, name, since, balance) VALUES (62c36092-82a1-4a00-93d1-46196ee77203, 'Chloé Dubois', '2021-07-30', -15.00)""",
            """INSERT INTO @ (id, name, email) VALUES (62c36092-82a1-4a00-93d1-46196ee77204, 'Dimitri Ivanov', 'dimitri@example.net')""",
        ],
        [
            "UPDATE @ SET balance = 95.25, phones['home'] = '+41 61 555 01 03' WHERE id = 62c36092-82a1-4a00-93d1-46196ee77201",
            "UPDATE @ SET email = 'chloe@example.fr', home = {street: '5 rue du Lac', city: 'Annecy', zip: '74000'} WHERE id = 62c36092-82a1-4a00-93d1-46196ee77203",
            """INSERT INTO @ (id, name, email, since, newsletter, balance) VALUES (62c36092-82a1-4a00-93d1-46196ee77205, '山田 恵',
            'megumi@example.jp', '2024-02-29', true, 3000)""",
        ],
        [
            "DELETE FROM @ WHERE id = 62c36092-82a1-4a00-93d1-46196ee77204",
            "DELETE email FROM @ WHERE id = 62c36092-82a1-4a00-93d1-46196ee77202",
            "DELETE phones['work'] FROM @ WHERE id = 62c36092-82a1-4a00-93d1-46196ee77201",
        ],
    )
    orders = [
        ("ada", 2023, 1001, "39.90", "{'book'}", "['packed', 'sent']"),
        ("ada", 2023, 1002, "12.00", "{'pen', 'paper'}", "['packed']"),
        ("ada", 2024, 1003, "250.00", "{'lamp', 'fragile'}", "['packed', 'sent', 'delivered']"),
        ("bruno", 2024, 1004, "8.75", "{'pen'}", "['cancelled']"),
        ("chloe", 2024, 1005, "1299.00", "{'desk', 'bulky'}", "['packed', 'sent']"),
        ("chloe", 2025, 1006, "59.99", "{'chair'}", "['packed']"),
    ]
    c.table(
        "orders", "demo: clustering in descending order, static columns, collections, one expiring voucher",
        """CREATE TABLE @ (customer text, year int, order_id bigint, tier text static, visits int static, total decimal,
        tags set<text>, history list<text>, placed timestamp, voucher text, PRIMARY KEY (customer, year, order_id))
        WITH CLUSTERING ORDER BY (year DESC, order_id ASC)""",
        [
            "INSERT INTO @ (customer, tier, visits) VALUES ('ada', 'gold', 17)",
            "INSERT INTO @ (customer, tier, visits) VALUES ('emma', 'new', 1)",
            *(
                f"""INSERT INTO @ (customer, year, order_id, total, tags, history, placed) VALUES
                ('{who}', {year}, {number}, {total}, {tags}, {history}, '{year}-05-0{number % 10} 10:15:30.250+0000')"""
                for who, year, number, total, tags, history in orders
            ),
        ],
        [
            "UPDATE @ SET history = history + ['returned'], total = 0.00 WHERE customer = 'ada' AND year = 2023 AND order_id = 1002",
            "UPDATE @ SET visits = 18 WHERE customer = 'ada'",
            f"UPDATE @ USING TTL {LONG} SET voucher = 'SPRING25' WHERE customer = 'chloe' AND year = 2025 AND order_id = 1006",
            f"INSERT INTO @ (customer, year, order_id, voucher) VALUES ('bruno', 2025, 1007, 'GONE') USING TTL {SHORT}",
        ],
        [
            "DELETE FROM @ WHERE customer = 'bruno' AND year = 2024",
            "UPDATE @ SET tags = tags - {'fragile'} WHERE customer = 'ada' AND year = 2024 AND order_id = 1003",
            "INSERT INTO @ (customer, year, order_id, total) VALUES ('bruno', 2025, 1008, 4.20)",
        ],
    )


# -- types -----------------------------------------------------------------------------------------------------------

TRICKY_TEXT = [
    "''", "'it''s \"quoted\"'", "'comma, semicolon; tab\there'", "'line\nbreak\r\nand return'", r"'\N'", r"'back\slash'",
    "'\x01\x02\x1b\x7f'", "'Grüße, 世界 🚀'", "'null'", "' leading and trailing '",
]
TIMEUUIDS = [
    "50554d6e-29bb-11e5-b345-feff819cdc9f", "00000000-0000-1000-8080-808080808080", "ffffffff-ffff-1fff-7f7f-7f7f7f7f7f7f",
    "50554d6e-29bb-11e5-8045-feff819cdc9f",
]
VALUES: dict[str, list[str]] = {
    "ascii": ["'plain'", "'~'", "''"],
    "bigint": ["0", "9223372036854775807", "-9223372036854775808"],
    "blob": ["0x", "0x00", "0xff80007f"],
    "boolean": ["true", "false"],
    "date": ["'2020-02-29'", "0", "4294967295", "'0001-01-01'", "'1582-10-10'", "'0000-06-01'"],
    "decimal": ["0", "1.50", "-0.001", "1E10", "blobAsDecimal(0xfffffe70ff)", "0E-10", "123456789012345678901234567890.123456789", "1E-7", "0.0000001000"],
    "double": ["0.1", "-0.0", "NaN", "Infinity", "blobAsDouble(0xfff0000000000000)", "4.9E-324", "1.7976931348623157E308", "1e22", "100"],
    "float": ["0.1", "-0.0", "NaN", "Infinity", "blobAsFloat(0xff800000)", "1.4E-45", "3.4028235E38", "16777217", "1e10"],
    "inet": ["'127.0.0.1'", "'::1'", "'2001:db8::ff00:42:8329'", "blobAsInet(0x00000000000000000000ffff01020304)", "'0.0.0.0'"],
    "int": ["0", "2147483647", "-2147483648"],
    "smallint": ["0", "32767", "-32768"],
    "text": TRICKY_TEXT,
    "time": ["'00:00:00'", "'23:59:59.999999999'", "'10:20:30.04'"],
    "timestamp": ["0", "-1", "'2020-01-02 03:04:05.678+0000'", "-62135596800000", "-62135596800001", "253402300799999",
                  "253402300800000", "9223372036854775807", "-9223372036854775808", "-30000000000000"],
    "timeuuid": TIMEUUIDS,
    "tinyint": ["0", "127", "-128"],
    "uuid": ["62c36092-82a1-3a00-93d1-46196ee77204", "00000000-0000-0000-0000-000000000000",
             "ffffffff-ffff-ffff-ffff-ffffffffffff", TIMEUUIDS[0], "62c36092-82a1-4a00-13d1-46196ee77204"],
    "varint": ["0", "-1", "127", "128", "-129", str(2**400), str(-(2**400) - 1)],
}
# Types whose values may have no bytes at all, and the function that makes such a value.
EMPTY = {
    name: f"blobAs{name.capitalize()}(0x)"
    for name in ("bigint", "boolean", "decimal", "double", "float", "inet", "int", "timestamp", "timeuuid", "uuid", "varint")
}


def _types(c: Corpus) -> None:
    c.keyspace("types")
    types = list(VALUES)
    if c.line.number >= (3, 11):
        types.append("duration")
    rows = max(len(values) for values in VALUES.values())
    durations = ["1y2mo3d4h5m6s7ms8us9ns", "-1mo2d3ns", "2147483647mo2147483647d9223372036854775807ns", "0s", "36h"]

    def value(name: str, i: int) -> str:
        values = durations if name == "duration" else VALUES[name]
        return values[i % len(values)]

    declared = ", ".join(f"v_{name} {name}" for name in types)
    names = ", ".join(f"v_{name}" for name in types)
    c.table(
        "scalars", "every scalar type as a regular column: extremes, odd text, empty values, nulls",
        f"CREATE TABLE @ (id int PRIMARY KEY, {declared})",
        [f"INSERT INTO @ (id, {names}) VALUES ({i}, {', '.join(value(n, i) for n in types)})" for i in range(rows)],
        [
            "INSERT INTO @ (id) VALUES (100)",
            *(f"UPDATE @ SET v_{name} = {literal} WHERE id = 101" for name, literal in EMPTY.items()),
            "UPDATE @ SET v_text = '', v_ascii = '', v_blob = 0x WHERE id = 101",
        ],
        [f"UPDATE @ SET {', '.join(f'v_{n} = {value(n, i + 1)}' for n in types[i::2])} WHERE id = {i}" for i in (0, 1)],
    )
    keyed = [name for name in types if name != "duration"]
    c.table(
        "composite", "every scalar type in a composite partition key, empty values among them",
        f"CREATE TABLE @ ({', '.join(f'k_{n} {n}' for n in keyed)}, v int, PRIMARY KEY (({', '.join(f'k_{n}' for n in keyed)})))",
        [f"INSERT INTO @ ({', '.join(f'k_{n}' for n in keyed)}, v) VALUES ({', '.join(value(n, i) for n in keyed)}, {i})" for i in range(5)],
        [
            f"INSERT INTO @ ({', '.join(f'k_{n}' for n in keyed)}, v) VALUES ({', '.join(EMPTY.get(n, value(n, 0)) for n in keyed)}, 99)",
            f"UPDATE @ SET v = 7 WHERE {' AND '.join(f'k_{n} = {value(n, 1)}' for n in keyed)}",
        ],
    )
    for half, table in enumerate(("clustered_a", "clustered_b")):
        columns = keyed[half::2]
        rows_by_column = [
            [value(other, 0) if other != name else literal for other in columns]
            for name in columns
            for literal in dict.fromkeys([*VALUES[name], *([EMPTY[name]] if name in EMPTY else [])])
        ]
        unique = list(dict.fromkeys(map(tuple, rows_by_column)))
        inserts = [
            f"INSERT INTO @ (pk, {', '.join(f'c_{n}' for n in columns)}, v) VALUES ('p', {', '.join(row)}, {i})"
            for i, row in enumerate(unique)
        ]
        order = ", ".join(f"c_{n} {'DESC' if i % 2 else 'ASC'}" for i, n in enumerate(columns))
        c.table(
            table, "many clustering columns, mixed order: rows that differ in one of them, for the order of each type",
            f"CREATE TABLE @ (pk text, {', '.join(f'c_{n} {n}' for n in columns)}, v int, "
            f"PRIMARY KEY (pk, {', '.join(f'c_{n}' for n in columns)})) WITH CLUSTERING ORDER BY ({order})",
            inserts[::2], inserts[1::2],
        )
    c.type("point (x int, y double)")
    c.type('person (name text, "Born" date, home frozen<point>, tags frozen<set<text>>)')
    c.table(
        "nested", "frozen collections in each other, tuples, user types; map keys of odd types",
        """CREATE TABLE @ (id frozen<tuple<int, text>> PRIMARY KEY, fl frozen<list<int>>, fs frozen<set<text>>, fm frozen<map<int, text>>,
        t tuple<int, text, frozen<list<double>>>, u frozen<person>, deep map<text, frozen<map<int, frozen<list<frozen<tuple<int, text>>>>>>>,
        mu map<frozen<point>, frozen<set<int>>>, md map<double, text>, mt map<timestamp, boolean>, ml map<frozen<list<int>>, blob>,
        mb map<boolean, inet>, su set<frozen<point>>, lt list<frozen<tuple<int, text>>>, sd set<decimal>, ld list<double>)""",
        [
            """INSERT INTO @ (id, fl, fs, fm, t, u, deep, mu, md, mt, ml, mb, su, lt, sd, ld) VALUES ((1, 'one'), [3, 1, 2], {'b', 'a'},
            {2: 'two', 1: 'it''s'}, (1, null, [0.5, -0.0, NaN]), {name: 'Ada', "Born": '1815-12-10', home: {x: 1, y: null}, tags: {'q"q'}},
            {'k"1': {1: [(1, 'x'), (null, 'y')]}}, {{x: 1, y: 2}: {3, 2}}, {1.5: 'a', -0.0: 'b', NaN: 'c', Infinity: 'd'},
            {'1970-01-01 00:00:00.001+0000': true}, {[1, 2]: 0x01, []: 0x}, {true: '::1', false: '10.0.0.1'}, {{x: 2, y: 1}, {x: null, y: 3}},
            [(1, 'a'), (1, 'a')], {1.0, 10, -1E3}, [Infinity, 1e300])""",
            "INSERT INTO @ (id, fl, fs, fm, t, u) VALUES ((null, ''), [], {}, {}, (null, null, null), {name: ''})",
            "INSERT INTO @ (id, t) VALUES ((2, null), (2, 'x'))",
        ],
        [
            "UPDATE @ SET fl = [9], deep['z'] = {}, sd = sd + {1.00, 2}, ld = ld + [0.1], md[NaN] = 'again' WHERE id = (1, 'one')",
            "UPDATE @ SET u = {name: 'Eve', \"Born\": null} WHERE id = (2, null)",
        ],
    )
    if c.line.number >= (5, 0):
        c.table(
            "vectors", "vectors of fixed and variable element types, as key, clustering and value",
            """CREATE TABLE @ (k vector<int, 2>, c vector<text, 2>, f vector<float, 3>, t vector<text, 2>, v vector<vector<double, 2>, 2>,
            l list<frozen<vector<int, 2>>>, s vector<smallint, 2>, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)""",
            ["INSERT INTO @ (k, c, f, t, v, l, s) VALUES ([1, -2], ['a', ''], [0.1, NaN, Infinity], ['x, y', 'ü'], [[1, 2], [3, 4.5]], [[1, 2]], [1, -1])",
             "INSERT INTO @ (k, c, f) VALUES ([1, -2], ['b', 'a'], [1, 2, 3])"],
            ["UPDATE @ SET f = [3, 2, 1], l = l + [[3, 4]] WHERE k = [1, -2] AND c = ['a', '']"],
        )


# -- deletions -------------------------------------------------------------------------------------------------------


def _deletes(c: Corpus) -> None:
    c.keyspace("deletes")
    shapes = [
        "a = 1", "a = 1 AND b = 'x'", "a = 1 AND b = 'x' AND c = 1", "a > 0", "a >= 1", "a < 1", "a <= 1", "a > 0 AND a < 2", "a >= 0 AND a <= 1",
        "a = 1 AND b > 'x'", "a = 1 AND b >= 'y'", "a = 1 AND b < 'y'", "a = 1 AND b <= 'x'", "a = 1 AND b = 'y' AND c > 0",
        "a = 1 AND b = 'y' AND c < 1", "a = 1 AND b = 'y' AND c >= 0 AND c < 1", "a > 5", "",
    ]
    cells = [(a, b, n) for a in range(3) for b in ("x", "y") for n in range(2)]

    def where(pk: int, shape: str) -> str:
        return f"pk = {pk}" + (f" AND {shape}" if shape else "")

    for table, order in (("mixed", "a ASC, b DESC, c ASC"), ("reversed", "a DESC, b ASC, c DESC")):
        c.table(
            table, "one kind of range deletion per partition, then rows written again, then deletions that overlap the first",
            f"CREATE TABLE @ (pk int, a int, b text, c int, v int, PRIMARY KEY (pk, a, b, c)) WITH CLUSTERING ORDER BY ({order})",
            [f"INSERT INTO @ (pk, a, b, c, v) VALUES ({pk}, {a}, '{b}', {n}, 1)" for pk in range(len(shapes)) for a, b, n in cells],
            [f"DELETE FROM @ WHERE {where(pk, shape)}" for pk, shape in enumerate(shapes)],
            [f"UPDATE @ SET v = 3 WHERE pk = {pk} AND a = {pk % 3} AND b = 'y' AND c = {pk % 2}" for pk in range(0, len(shapes), 2)],
            [f"DELETE FROM @ WHERE {where(pk, shapes[(pk * 7 + 3) % (len(shapes) - 1)])}" for pk in range(0, len(shapes), 3)]
            + [f"DELETE v FROM @ WHERE pk = {pk} AND a = 0 AND b = 'y' AND c = 0" for pk in range(1, len(shapes), 3)],
        )
    c.table(
        "timed", "deletions with explicit, also negative, zero and huge, write times: cell, row, range and partition",
        "CREATE TABLE @ (pk text, c int, v int, w text, s int static, PRIMARY KEY (pk, c)) WITH gc_grace_seconds = 0",
        [
            f"INSERT INTO @ (pk, c, v, w) VALUES ('{pk}', {n}, {n}, 'w') USING TIMESTAMP {ts}"
            for pk, ts in (("negative", -1000), ("zero", 0), ("huge", 2**62), ("max", 2**63 - 1), ("usual", 1_600_000_000_000_000))
            for n in range(4)
        ] + ["UPDATE @ USING TIMESTAMP 100 SET s = 1 WHERE pk = 'zero'"],
        [
            "DELETE FROM @ USING TIMESTAMP -1001 WHERE pk = 'negative' AND c = 0",
            "DELETE FROM @ USING TIMESTAMP -1000 WHERE pk = 'negative' AND c = 1",
            "DELETE v FROM @ USING TIMESTAMP -999 WHERE pk = 'negative' AND c = 2",
            "DELETE FROM @ USING TIMESTAMP -1000 WHERE pk = 'negative' AND c > 2",
            "DELETE FROM @ USING TIMESTAMP 0 WHERE pk = 'zero' AND c < 2",
            "DELETE FROM @ USING TIMESTAMP 50 WHERE pk = 'zero'",
            "DELETE FROM @ WHERE pk = 'huge' AND c = 0",
            f"DELETE FROM @ USING TIMESTAMP {2**62} WHERE pk = 'huge' AND c = 1",
            f"DELETE FROM @ USING TIMESTAMP {2**62 + 1} WHERE pk = 'huge' AND c >= 3",
            f"DELETE w FROM @ USING TIMESTAMP {2**63 - 1} WHERE pk = 'max' AND c = 1",
            "DELETE FROM @ USING TIMESTAMP 1599999999999999 WHERE pk = 'usual'",
        ],
        [
            "INSERT INTO @ (pk, c, v) VALUES ('zero', 9, 9) USING TIMESTAMP 51",
            "UPDATE @ USING TIMESTAMP 1600000000000001 SET v = null, w = 'new' WHERE pk = 'usual' AND c = 2",
            "UPDATE @ USING TIMESTAMP 1600000000000002 SET v = null, w = null WHERE pk = 'usual' AND c = 3",
            "UPDATE @ SET v = 5 WHERE pk = 'only-update' AND c = 1",
            "UPDATE @ SET v = 5 WHERE pk = 'only-update' AND c = 2",
        ],
        ["DELETE v FROM @ WHERE pk = 'only-update' AND c = 1", "DELETE FROM @ WHERE pk = 'never-written'"],
    )


# -- expiry ----------------------------------------------------------------------------------------------------------


def _ttl(c: Corpus) -> None:
    c.keyspace("ttl")
    longest = 630_720_000 if c.line.number >= (5, 0) else 300_000_000
    c.table(
        "cells", "live and expired cells and row markers, over several SSTables",
        "CREATE TABLE @ (pk int, c int, v int, w text, s text static, l list<int>, m map<text, int>, PRIMARY KEY (pk, c))",
        [
            f"INSERT INTO @ (pk, c, v, w) VALUES (1, 1, 1, 'long') USING TTL {LONG}",
            f"INSERT INTO @ (pk, c, v, w) VALUES (1, 2, 2, 'short') USING TTL {SHORT}",
            "INSERT INTO @ (pk, c, v, w) VALUES (1, 3, 3, 'plain')",
            f"UPDATE @ USING TTL {SHORT} SET v = 4 WHERE pk = 1 AND c = 4",
            f"UPDATE @ USING TTL {SHORT} SET s = 'gone' WHERE pk = 2",
            f"UPDATE @ USING TTL {LONG} SET s = 'stays' WHERE pk = 3",
            f"INSERT INTO @ (pk, c) VALUES (3, 1) USING TTL {SHORT}",
            f"INSERT INTO @ (pk, c, l, m) VALUES (4, 1, [1, 2], {{'a': 1}}) USING TTL {LONG}",
            f"INSERT INTO @ (pk, c, v) VALUES (5, 1, 1) USING TTL {longest}",
        ],
        [
            f"UPDATE @ USING TTL {SHORT} SET v = 33 WHERE pk = 1 AND c = 3",
            "UPDATE @ SET w = 'refreshed' WHERE pk = 1 AND c = 2",
            "INSERT INTO @ (pk, c, v) VALUES (1, 1, 11)",
            f"UPDATE @ USING TTL {SHORT} SET l = l + [3], m['b'] = 2 WHERE pk = 4 AND c = 1",
            f"UPDATE @ USING TTL {LONG // 2} SET m['c'] = 3 WHERE pk = 4 AND c = 1",
            f"UPDATE @ USING TTL {SHORT} SET m['z'] = 3 WHERE pk = 4 AND c = 2",
        ],
        [
            f"INSERT INTO @ (pk, c, v, w) VALUES (1, 5, 5, 'x') USING TTL {LONG}",
            "UPDATE @ USING TTL 0 SET w = 'for ever' WHERE pk = 1 AND c = 5",
            "DELETE v FROM @ WHERE pk = 1 AND c = 1",
        ],
    )
    c.table(
        "defaults", "default_time_to_live, overridden per statement",
        f"CREATE TABLE @ (pk int PRIMARY KEY, v int, w int) WITH default_time_to_live = {LONG}",
        ["INSERT INTO @ (pk, v) VALUES (1, 1)", "INSERT INTO @ (pk, v) VALUES (2, 2) USING TTL 0", f"INSERT INTO @ (pk, v) VALUES (3, 3) USING TTL {SHORT}"],
        ["UPDATE @ SET w = 9 WHERE pk = 3", "UPDATE @ USING TTL 0 SET w = 9 WHERE pk = 1", f"UPDATE @ USING TTL {LONG * 2} SET v = 4 WHERE pk = 4"],
    )


# -- equal write times -----------------------------------------------------------------------------------------------


def _ties(c: Corpus) -> None:
    c.keyspace("ties")
    cells = {
        "low": ("", "0x51"), "high": ("", "0xe1"), "longer": ("", "0x5100"), "delete": None,
        "long low": (f"AND TTL {LONG}", "0x51"), "longer high": (f"AND TTL {LONG * 2}", "0xe1"), "longer low": (f"AND TTL {LONG * 2}", "0x51"),
        "gone high": (f"AND TTL {SHORT}", "0xe1"), "gone low": (f"AND TTL {SHORT}", "0x51"),
    }

    def write(column: str, what: str, key: str) -> str:
        if cells[what] is None:
            return f"DELETE {column} FROM @ USING TIMESTAMP 1000 WHERE {key}"
        ttl, value = cells[what]
        return f"UPDATE @ USING TIMESTAMP 1000 {ttl} SET {column} = {value} WHERE {key}"

    pairs = list(permutations(cells, 2))
    c.table(
        "cells", "two cells of equal write time, every pair of kinds in both orders; kept in the row by a marker",
        "CREATE TABLE @ (pk text, first text, then text, v blob, PRIMARY KEY (pk, first, then))",
        [f"INSERT INTO @ (pk, first, then) VALUES ('p', '{a}', '{b}') USING TIMESTAMP 1" for a, b in pairs],
        [write("v", a, f"pk = 'p' AND first = '{a}' AND then = '{b}'") for a, b in pairs],
        [write("v", b, f"pk = 'p' AND first = '{a}' AND then = '{b}'") for a, b in pairs],
    )
    map_pairs = [pair for i, pair in enumerate(pairs) if i % 3 == 0]
    c.table(
        "elements", "the same for map entries",
        "CREATE TABLE @ (pk text, first text, then text, m map<text, blob>, PRIMARY KEY (pk, first, then))",
        [write("m['k']", a, f"pk = 'p' AND first = '{a}' AND then = '{b}'") for a, b in map_pairs],
        [write("m['k']", b, f"pk = 'p' AND first = '{a}' AND then = '{b}'") for a, b in map_pairs],
    )
    markers = {
        "plain": "INSERT INTO @ (pk, first, then) VALUES ({}) USING TIMESTAMP 1000",
        "long": f"INSERT INTO @ (pk, first, then) VALUES ({{}}) USING TIMESTAMP 1000 AND TTL {LONG}",
        "longer": f"INSERT INTO @ (pk, first, then) VALUES ({{}}) USING TIMESTAMP 1000 AND TTL {LONG * 2}",
        "gone": f"INSERT INTO @ (pk, first, then) VALUES ({{}}) USING TIMESTAMP 1000 AND TTL {SHORT}",
        "delete": "DELETE FROM @ USING TIMESTAMP 1000 WHERE pk = 'p' AND first = '{first}' AND then = '{then}'",
    }

    def marker(what: str, first: str, then: str) -> str:
        return markers[what].format(f"'p', '{first}', '{then}'", first=first, then=then)

    c.table(
        "markers", "two row markers, or a marker and a row deletion, of equal write time",
        "CREATE TABLE @ (pk text, first text, then text, v int, PRIMARY KEY (pk, first, then))",
        [marker(a, a, b) for a, b in permutations(markers, 2)],
        [marker(b, a, b) for a, b in permutations(markers, 2)],
    )


# -- collections -----------------------------------------------------------------------------------------------------


def _collections(c: Corpus) -> None:
    c.keyspace("collections")
    c.type("pair (a int, b text, c frozen<list<int>>)")
    udt = c.line.number >= (3, 11)
    c.table(
        "cells", "non-frozen collections: overwritten, appended, prepended, discarded, elements deleted, emptied",
        f"CREATE TABLE @ (id int PRIMARY KEY, l list<text>, s set<int>, m map<text, int>, tu set<timeuuid>{', u pair' if udt else ''})",
        [f"INSERT INTO @ (id, l, s, m) VALUES ({i}, ['a', 'b', 'c'], {{3, 1, 2}}, {{'x': 1, 'y': 2}})" for i in range(10)]
        + ["UPDATE @ SET s = s + {5} WHERE id = 20", "UPDATE @ SET l = ['only'] WHERE id = 21"]
        + ([f"UPDATE @ SET u = {{a: {i}, b: 'b', c: [1]}} WHERE id = {i}" for i in range(6)] if udt else []),
        [
            "UPDATE @ SET l = ['new'], s = {9}, m = {'z': 9} WHERE id = 0",
            "UPDATE @ SET l = l + ['d', 'e'], s = s + {7}, m = m + {'w': 7} WHERE id = 1",
            "UPDATE @ SET l = ['0'] + l WHERE id = 2",
            "UPDATE @ SET l = l - ['b'], s = s - {1}, m = m - {'x'} WHERE id = 3",
            "UPDATE @ SET l[1] = 'B', m['y'] = 22 WHERE id = 4",
            "DELETE l[0], m['x'], s[2] FROM @ WHERE id = 5",
            "DELETE l, s, m FROM @ WHERE id = 6",
            "UPDATE @ SET l = [], s = {}, m = {} WHERE id = 7",
            "UPDATE @ SET l = null WHERE id = 8",
            "DELETE s FROM @ WHERE id = 20",
            f"UPDATE @ SET tu = {{{', '.join(TIMEUUIDS)}}} WHERE id = 22",
        ]
        + (["UPDATE @ SET u.b = 'changed' WHERE id = 0", "UPDATE @ SET u.a = null WHERE id = 1", "UPDATE @ SET u = {b: 'over'} WHERE id = 2",
            "DELETE u FROM @ WHERE id = 3", "DELETE u.c FROM @ WHERE id = 4", "UPDATE @ SET u.a = 7 WHERE id = 23"] if udt else []),
        [
            "UPDATE @ SET l = l + ['after'], s = s + {8}, m['after'] = 1 WHERE id = 6",
            "UPDATE @ USING TIMESTAMP 5 SET l = ['too', 'old'], s = {0}, m = {'old': 0} WHERE id = 6",
            "UPDATE @ SET s = s + {1} WHERE id = 3",
            "UPDATE @ SET l = ['1', '2'] + l WHERE id = 2",
            f"UPDATE @ USING TTL {LONG} SET s = s + {{100}}, m['ttl'] = 100 WHERE id = 9",
        ]
        + (["UPDATE @ SET u.b = 'back' WHERE id = 3"] if udt else []),
    )


# -- counters --------------------------------------------------------------------------------------------------------


def _counters(c: Corpus) -> None:
    c.keyspace("counters")
    c.table(
        "hits", "counters over several flushes, negative sums, deleted rows and cells, a static counter",
        "CREATE TABLE @ (page text, day int, total counter static, n counter, m counter, PRIMARY KEY (page, day)) WITH CLUSTERING ORDER BY (day DESC)",
        [f"UPDATE @ SET n = n + {d + 1}, m = m - {d} WHERE page = '{p}' AND day = {d}" for p in ("a", "b", "c") for d in range(3)]
        + ["UPDATE @ SET total = total + 5 WHERE page = 'a'", "UPDATE @ SET total = total + 1 WHERE page = 'static-only'",
           "UPDATE @ SET n = n + 9223372036854775807 WHERE page = 'big' AND day = 1", "UPDATE @ SET n = n - 9223372036854775807 WHERE page = 'big' AND day = 2"],
        [f"UPDATE @ SET n = n + 10 WHERE page = '{p}' AND day = {d}" for p in ("a", "b") for d in range(2)]
        + ["UPDATE @ SET total = total - 7 WHERE page = 'a'", "UPDATE @ SET n = n - 1, m = m + 0 WHERE page = 'a' AND day = 0"],
        ["DELETE FROM @ WHERE page = 'b' AND day = 1", "DELETE m FROM @ WHERE page = 'a' AND day = 2", "DELETE FROM @ WHERE page = 'c'",
         "UPDATE @ SET n = n + 1 WHERE page = 'a' AND day = 0"],
    )


# -- static columns --------------------------------------------------------------------------------------------------


def _statics(c: Corpus) -> None:
    c.keyspace("statics")
    c.table(
        "mixed", "static columns with rows, without rows, deleted; static collections; range deletions that spare statics",
        "CREATE TABLE @ (pk int, c int, s text static, t int static, ss set<int> static, v int, PRIMARY KEY (pk, c))",
        ["INSERT INTO @ (pk, c, s, t, v) VALUES (1, 1, 'with rows', 1, 1)", "INSERT INTO @ (pk, s, ss) VALUES (2, 'static only', {1, 2})",
         "INSERT INTO @ (pk, c, v) VALUES (3, 1, 1)", "INSERT INTO @ (pk, c, s, v) VALUES (4, 1, 'rows deleted', 1)",
         "INSERT INTO @ (pk, s) VALUES (5, 'deleted')", "INSERT INTO @ (pk, c, s, v) VALUES (6, 1, 'partition deleted', 1)"],
        ["INSERT INTO @ (pk, c, v) VALUES (1, 2, 2)", "UPDATE @ SET s = 'newer', ss = ss + {7} WHERE pk = 1", "DELETE FROM @ WHERE pk = 4 AND c >= 0",
         "DELETE s FROM @ WHERE pk = 5", "DELETE FROM @ WHERE pk = 6", "UPDATE @ SET t = 3 WHERE pk = 3"],
        ["DELETE t FROM @ WHERE pk = 1", "UPDATE @ SET ss = ss - {1} WHERE pk = 2", "UPDATE @ SET t = 6 WHERE pk = 6"],
    )


# -- altered tables --------------------------------------------------------------------------------------------------


def _altered(c: Corpus) -> None:
    c.keyspace("altered")
    c.type("shape (a int, b text)")
    c.table(
        "columns", "columns dropped, added later, dropped and added again; simple, static and collection",
        "CREATE TABLE @ (pk int, c int, keep int, gone text, again int, st int static, st2 int static, coll set<int>, PRIMARY KEY (pk, c))",
        ["INSERT INTO @ (pk, c, keep, gone, again, st, st2, coll) VALUES (1, 1, 1, 'x', 1, 1, 1, {1})",
         "UPDATE @ SET gone = 'only' WHERE pk = 2 AND c = 1", "UPDATE @ SET again = 5 WHERE pk = 3 AND c = 1", "UPDATE @ SET st = 5 WHERE pk = 4",
         "UPDATE @ SET coll = {1, 2} WHERE pk = 5 AND c = 1"],
        ["ALTER TABLE @ DROP gone", "ALTER TABLE @ DROP again", "ALTER TABLE @ DROP st", "ALTER TABLE @ DROP coll", "ALTER TABLE @ ADD late text",
         "INSERT INTO @ (pk, c, keep, late) VALUES (1, 2, 2, 'late')"],
        ["ALTER TABLE @ ADD again int", "ALTER TABLE @ ADD coll set<int>", "UPDATE @ SET again = 7, coll = coll + {9} WHERE pk = 1 AND c = 1",
         "INSERT INTO @ (pk, c, again) VALUES (6, 1, 6)"],
    )
    c.table(
        "user_types", "a user type with a field added and another renamed after data was written",
        f"CREATE TABLE @ (pk int PRIMARY KEY, f frozen<shape>{', u shape' if c.line.number >= (3, 11) else ''}, m map<int, frozen<shape>>)",
        ["INSERT INTO @ (pk, f, m) VALUES (1, {a: 1, b: 'one'}, {1: {a: 1, b: 'm'}})"]
        + (["UPDATE @ SET u = {a: 2, b: 'two'} WHERE pk = 1"] if c.line.number >= (3, 11) else []),
        ["ALTER TYPE $.shape ADD c int", "ALTER TYPE $.shape RENAME b TO label", "INSERT INTO @ (pk, f) VALUES (2, {a: 2, label: 'two', c: 3})"]
        + (["UPDATE @ SET u.c = 5 WHERE pk = 1"] if c.line.number >= (3, 11) else []),
    )


# -- how it is stored ------------------------------------------------------------------------------------------------


def _storage(c: Corpus) -> None:
    c.keyspace("storage")
    dice = random.Random(7)
    kinds = {
        "lz4": "compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 4}",
        "snappy": "compression = {'class': 'SnappyCompressor'}",
        "deflate": "compression = {'class': 'DeflateCompressor', 'chunk_length_in_kb': 4}",
        "plain": "compression = {'enabled': 'false'}",
    }
    if c.line.number >= (4, 0):
        kinds["zstd"] = "compression = {'class': 'ZstdCompressor', 'compression_level': '3'}"
        kinds["raw_chunks"] = "compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 4, 'min_compress_ratio': 2}"
    for name, option in kinds.items():
        texts = [f"0x{dice.randbytes(200).hex()}" if i % 3 == 0 else "0x" + "ab" * 400 for i in range(24)]
        inserts = [f"INSERT INTO @ (k, v) VALUES ('{name} {i}', {text})" for i, text in enumerate(texts)]
        fp = " AND bloom_filter_fp_chance = 1" if name == "plain" else ""
        c.table(name, f"{option}{fp}: values that compress and values that do not", f"CREATE TABLE @ (k text PRIMARY KEY, v blob) WITH {option}{fp}",
                inserts, [f"UPDATE @ SET v = 0x{n:04x} WHERE k = '{name} {n}'" for n in range(0, 24, 5)])
    c.table(
        "wide", "a partition of more than 64 KiB with a promoted row index, range deletions across its blocks",
        "CREATE TABLE @ (pk text, c int, v text, s text static, PRIMARY KEY (pk, c))",
        ["INSERT INTO @ (pk, s) VALUES ('wide', 'static')", "INSERT INTO @ (pk, c, v) VALUES ('narrow', 1, 'n')",
         *(f"INSERT INTO @ (pk, c, v) VALUES ('wide', {i}, '{f'{i} lorem ipsum ' * 55}')" for i in range(0, 120))],
        ["DELETE FROM @ WHERE pk = 'wide' AND c > 4 AND c <= 40", "DELETE FROM @ WHERE pk = 'wide' AND c >= 30 AND c < 110",
         *(f"INSERT INTO @ (pk, c, v) VALUES ('wide', {i}, '{f'{i} dolor ' * 70}')" for i in range(20, 40))],
        ["DELETE FROM @ WHERE pk = 'wide' AND c >= 118"],
    )
    columns = [f"c{i:03}" for i in range(70)]
    c.table(
        "many_columns", "more than 64 columns: rows that have all, few, most of them",
        f"CREATE TABLE @ (pk int PRIMARY KEY, {', '.join(f'{n} int' for n in columns)})",
        [f"INSERT INTO @ (pk, {', '.join(have)}) VALUES ({pk}, {', '.join(str(i) for i in range(len(have)))})"
         for pk, have in enumerate((columns, columns[:3], columns[5::2], columns[:60] + columns[62:], columns[34:], columns[35:], columns[:1] + columns[69:]))],
        ["UPDATE @ SET c069 = 1, c000 = 2 WHERE pk = 1", "DELETE c010, c020 FROM @ WHERE pk = 0", "INSERT INTO @ (pk) VALUES (50)"],
    )


def _tries(c: Corpus) -> None:
    c.keyspace("storage")
    c.table(
        "lz4", "many partitions: a trie of several pages",
        "CREATE TABLE @ (k text PRIMARY KEY, v blob) WITH compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 4}",
        [f"INSERT INTO @ (k, v) VALUES ('key {i}', 0x{i:04x})" for i in range(650)],
        [f"UPDATE @ SET v = 0x00 WHERE k = 'key {i}'" for i in range(0, 650, 90)],
    )
    c.table(
        "plain", "not compressed, no Bloom filter",
        "CREATE TABLE @ (k text PRIMARY KEY, v blob) WITH compression = {'enabled': 'false'} AND bloom_filter_fp_chance = 1",
        [f"INSERT INTO @ (k, v) VALUES ('plain {i}', 0x{'ab' * i})" for i in range(24)],
    )
    c.type("spot (x int, y text)")
    lists = ["[]", "[0]", "[-1]", "[1, 2]", "[1, 3]", "[2]"]
    sets = ["{}", "{''}", "{'', 'a'}", "{'a'}", "{'a', 'b'}"]
    maps = ["{-5: 0x}", "{-1: 0x}", "{1: 0x61, 2: 0x00}", "{1: 0x6200}", "{2: 0x}"]
    tuples = ["(0, 'a', null)", "(null, 'a', null)", "(1, null, -1.5)", "(1, '', 1.5)", "(-1, 'b', 0)"]
    spots = ["{x: 1, y: 'a'}", "{x: 1}", "{y: 'b'}", "{x: -1, y: ''}"]
    frozen = [(lists[i % 6], sets[i % 5], maps[(i // 2) % 5], tuples[(i // 3) % 5], spots[(i // 5) % 4]) for i in range(60)]
    for table, order in (("frozen_up", "ASC"), ("frozen_down", "DESC")):
        c.table(
            table, "clustering columns of frozen collections, tuples and user types",
            """CREATE TABLE @ (pk int, l frozen<list<bigint>>, s frozen<set<text>>, m frozen<map<varint, blob>>, t tuple<int, text, double>,
            u frozen<spot>, v int, PRIMARY KEY (pk, l, s, m, t, u)) WITH CLUSTERING ORDER BY """
            + f"(l {order}, s {order}, m {order}, t {order}, u {order})",
            [f"INSERT INTO @ (pk, l, s, m, t, u, v) VALUES (1, {', '.join(row)}, {i})" for i, row in enumerate(frozen)],
        )
    c.table(
        "wide", "a partition whose row index has several pages, range deletions across its blocks",
        "CREATE TABLE @ (pk text, c int, v text, s text static, PRIMARY KEY (pk, c))",
        ["INSERT INTO @ (pk, s) VALUES ('wide', 'static')", "INSERT INTO @ (pk, c, v) VALUES ('narrow', 1, 'n')",
         *(f"INSERT INTO @ (pk, c, v) VALUES ('wide', {i}, '{i} lorem ipsum')" for i in range(-350, 350))],
        ["DELETE FROM @ WHERE pk = 'wide' AND c > 4 AND c <= 40", "DELETE FROM @ WHERE pk = 'wide' AND c >= 30 AND c < 110",
         *(f"INSERT INTO @ (pk, c, v) VALUES ('wide', {i}, '{i} dolor')" for i in range(20, 140))],
        ["DELETE FROM @ WHERE pk = 'wide' AND c >= 338"],
    )


# -- names -----------------------------------------------------------------------------------------------------------


def _names(c: Corpus) -> None:
    c.keyspace("names")
    c.keyspaces[-1] = '"Names"'
    c.phases[0][-1] = c.phases[0][-1].replace(" names ", ' "Names" ')
    c.type('"Kind" ("Field One" int, two text)')
    c.table(
        '"Mixed"', "quoted names: capitals, blanks, quotes, reserved words, first letters outside ASCII",
        """CREATE TABLE @ ("Key" int, "order" int, "Ünï" int, "with blank" text, "quo""te" int, "select" int, "Kind Of" frozen<"Kind">,
        lower int, "UPPER" set<int>, PRIMARY KEY ("Key", "order"))""",
        ["""INSERT INTO @ ("Key", "order", "Ünï", "with blank", "quo""te", "select", "Kind Of", lower, "UPPER")
         VALUES (1, 1, 2, 'b', 3, 4, {"Field One": 5, two: 'x'}, 6, {7})"""],
        ['UPDATE @ SET "Ünï" = 22, "UPPER" = "UPPER" + {8} WHERE "Key" = 1 AND "order" = 1',
         'INSERT INTO @ ("Key", "order", lower) VALUES (1, 0, 0)', 'UPDATE @ SET "quo""te" = 33 WHERE "Key" = 1 AND "order" = 2'],
    )


# -- compact tables --------------------------------------------------------------------------------------------------


def _compact(c: Corpus) -> None:
    if c.line.number >= (4, 0):
        return
    c.keyspace("compact")
    with_compact = "WITH COMPACT STORAGE"
    c.table(
        "static_compact", "COMPACT STORAGE without clustering columns",
        f"CREATE TABLE @ (k text PRIMARY KEY, a int, b text, z blob) {with_compact}",
        ["INSERT INTO @ (k, a, b) VALUES ('1', 1, 'one')", "INSERT INTO @ (k, a, b, z) VALUES ('2', 2, 'two', 0x02)", "INSERT INTO @ (k, b) VALUES ('3', 'x')",
         f"INSERT INTO @ (k, a) VALUES ('4', 4) USING TTL {SHORT}"],
        ["UPDATE @ SET a = 11 WHERE k = '1'", "DELETE b FROM @ WHERE k = '3'", "DELETE FROM @ WHERE k = '2'",
         f"UPDATE @ USING TTL {LONG} SET b = 'late' WHERE k = '2'"],
    )
    c.table(
        "dense", "COMPACT STORAGE, one clustering column",
        f"CREATE TABLE @ (k int, c int, v text, PRIMARY KEY (k, c)) {with_compact} AND CLUSTERING ORDER BY (c DESC)",
        [f"INSERT INTO @ (k, c, v) VALUES ({k}, {n}, 'v{n}')" for k in range(3) for n in range(4)],
        ["DELETE FROM @ WHERE k = 0 AND c = 1", "DELETE FROM @ WHERE k = 1", "UPDATE @ SET v = 'new' WHERE k = 1 AND c = 9", "INSERT INTO @ (k, c, v) VALUES (2, 0, '')"],
    )
    c.table(
        "dense_compound", "COMPACT STORAGE, two clustering columns",
        f"CREATE TABLE @ (k int, a int, b text, v int, PRIMARY KEY (k, a, b)) {with_compact}",
        [f"INSERT INTO @ (k, a, b, v) VALUES (1, {a}, '{b}', {a})" for a in range(3) for b in "xy"],
        ["DELETE FROM @ WHERE k = 1 AND a = 1", "UPDATE @ SET v = 8 WHERE k = 1 AND a = 1 AND b = 'y'", "DELETE v FROM @ WHERE k = 1 AND a = 0 AND b = 'x'"],
    )
    c.table(
        "keys_only", "COMPACT STORAGE of nothing but key columns",
        f"CREATE TABLE @ (k int, c text, PRIMARY KEY (k, c)) {with_compact}",
        ["INSERT INTO @ (k, c) VALUES (1, 'a')", "INSERT INTO @ (k, c) VALUES (1, 'b')", "INSERT INTO @ (k, c) VALUES (2, 'a')"],
        ["DELETE FROM @ WHERE k = 1 AND c = 'a'", "INSERT INTO @ (k, c) VALUES (1, 'c')"],
    )
    c.table(
        "counter_compact", "COMPACT STORAGE counters",
        f"CREATE TABLE @ (k text PRIMARY KEY, n counter, m counter) {with_compact}",
        ["UPDATE @ SET n = n + 3 WHERE k = 'a'", "UPDATE @ SET m = m - 1 WHERE k = 'b'"],
        ["UPDATE @ SET n = n - 5, m = m + 1 WHERE k = 'a'", "DELETE FROM @ WHERE k = 'b'"],
    )


# -- what must be found, and what must be left out -------------------------------------------------------------------


def _special(c: Corpus) -> None:
    c.keyspace("special")
    c.table("empty", "nothing was ever written", "CREATE TABLE @ (pk int PRIMARY KEY, v int)", [])
    c.table("all_deleted", "everything in it is deleted", "CREATE TABLE @ (pk int PRIMARY KEY, v int)", ["INSERT INTO @ (pk, v) VALUES (1, 1)"], ["DELETE FROM @ WHERE pk = 1"])
    c.table(
        "base", "has a materialized view and a secondary index, which are no tables of their own",
        "CREATE TABLE @ (pk int, c int, v int, w text, PRIMARY KEY (pk, c))",
        ["CREATE MATERIALIZED VIEW $.base_by_v AS SELECT * FROM @ WHERE v IS NOT NULL AND pk IS NOT NULL AND c IS NOT NULL PRIMARY KEY (v, pk, c)",
         "CREATE INDEX base_w ON @ (w)", "INSERT INTO @ (pk, c, v, w) VALUES (1, 1, 1, 'a')", "INSERT INTO @ (pk, c, v, w) VALUES (1, 2, 2, 'b')"],
        ["UPDATE @ SET v = 3 WHERE pk = 1 AND c = 1", "DELETE FROM @ WHERE pk = 1 AND c = 2"],
    )
    c.table(
        "recreated", "dropped and created again: the directory of the first one is an orphan",
        "CREATE TABLE @ (pk int PRIMARY KEY, v text)",
        ["INSERT INTO @ (pk, v) VALUES (1, 'of the dropped table')"],
        ["DROP TABLE @", "CREATE TABLE @ (pk int PRIMARY KEY, v text)", "INSERT INTO @ (pk, v) VALUES (2, 'of the new table')"],
    )
    c.keyspace("snap")
    c.table("frozen_in_time", "has a snapshot `snap1`, taken after the second phase", "CREATE TABLE @ (pk int PRIMARY KEY, v text)",
            ["INSERT INTO @ (pk, v) VALUES (1, 'one')", "INSERT INTO @ (pk, v) VALUES (2, 'two')"],
            ["UPDATE @ SET v = 'second' WHERE pk = 2"],
            ["DELETE FROM @ WHERE pk = 1", "INSERT INTO @ (pk, v) VALUES (3, 'after the snapshot')"])
