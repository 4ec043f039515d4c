"""Tables and rows that loaders stumble over: every CQL type, and the values that text formats lose."""

from __future__ import annotations

KEYSPACE = "loads"

# Text that is a separator, a quote, a token, a comment or a line end to somebody.
TEXTS = [
    "plain", "", " ", " leading", "trailing ", "\ttab\t", "comma,", "semi;colon", 'say "hi"', '"', '""', "'", "it''s", "back\\slash", "\\",
    "\\N", "\\n", "NULL", "null", "None", "NaN", "#comment", "\0nul", "nul\0", "a\nb", "\n", "a\rb", "a\r\nb", "\r", "é", "日本語", "😀",
    "\ufeffbom", "a\u2028b", "\u0085", "\x7f", "\x01", "{", "}", "[1,2]", "{'a': 'b'}", '{"a": 1}', "0x00", "true", "1e5", "2020-01-01",
    "=1+1", "a=b&c", "%20", "$HOME", "`x`", "|", "x" * 5000, "€" * 3000,
]
# cqlsh's own limit of a field is 131072 characters.
LONG = "y" * 200_000

TYPES = [
    "CREATE TYPE @.address (street text, zip int, tags frozen<set<text>>)",
    "CREATE TYPE @.nested (a frozen<address>, t frozen<tuple<int, text>>, m frozen<map<text, int>>)",
]

TABLES = {
    "scalars": """(id int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, d date, de decimal, do double, f float, i inet, n int, s smallint,
        t text, ti time, ts timestamp, tu timeuuid, ty tinyint, u uuid, vi varint)""",
    "durations": "(id int PRIMARY KEY, du duration, v text)",
    "texts": "(pk text, ck text, v text, a ascii, PRIMARY KEY (pk, ck))",
    "collections": """(id int PRIMARY KEY, l list<text>, s set<text>, m map<text, text>, fl frozen<list<text>>, fs frozen<set<int>>,
        fm frozen<map<text, frozen<list<int>>>>, mi map<int, timestamp>, ld list<decimal>, lb list<blob>, sd set<double>, mt map<time, inet>,
        la list<ascii>, fss frozen<set<frozen<set<text>>>>, lv list<varint>, md map<date, uuid>, lbo list<boolean>)""",
    "types": """(id int PRIMARY KEY, ad address, fa frozen<address>, ne frozen<nested>, tu tuple<int, text, double>,
        la list<frozen<address>>, ma map<text, frozen<tuple<int, text>>>)""",
    "numbers": "(de decimal, fl double, r real_, v varint, PRIMARY KEY (de, fl, r))".replace("real_", "float"),
    "statics": "(pk int, ck text, s text STATIC, sm map<text, int> STATIC, v int, PRIMARY KEY (pk, ck))",
    "counters": "(pk text, ck timestamp, c1 counter, c2 counter, PRIMARY KEY (pk, ck))",
    "times": "(id int PRIMARY KEY, a text, b int, l list<int>, m map<text, int>)",
    "names": '(id int PRIMARY KEY, "Upper" text, "select" int, "two words" text, "quo""te" text, key text, "ttl" int)',
    "composite": "(a text, b int, c blob, d uuid, e boolean, v text, PRIMARY KEY ((a, b, c), d, e))",
    "keyed": "(ts timestamp, d date, ti time, i inet, v text, PRIMARY KEY (ts, d, ti, i))",
}
# Made after DSBulk 1.10 has run: its driver does not start where a table has one.
VECTORS = "(id int PRIMARY KEY, v vector<float, 3>, lv list<frozen<vector<float, 2>>>)"


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _scalars() -> list[str]:
    rows = [
        "(0)",
        """(1, 'ascii', 9223372036854775807, 0xdeadbeef, true, '2020-02-29', 123.4500, 0.1, 0.1, '192.168.0.1', 2147483647, 32767, 'text',
            '13:30:54.234567891', 1577934245678, 50554d6e-29bb-11e5-b345-feff819cdc9f, 127, 62c36092-82a1-4a00-93d1-46196ee77204, 12345678901234567890123456789)""",
        """(2, '', -9223372036854775808, 0x, false, '0001-01-01', -1E+30, -0.0, -0.0, '::1', -2147483648, -32768, '', '00:00:00',
            -1, 00000000-0000-1000-8080-808080808080, -128, 00000000-0000-0000-0000-000000000000, 0)""",
        """(3, 'x', 0, 0x00, true, '9999-12-31', 1E-30, NaN, NaN, '2001:db8:85a3::8a2e:370:7334', 0, 0, 'x', '23:59:59.999999999',
            253402300799999, null, 0, null, -1)""",
        """(4, 'x', 0, 0xff, true, 0, 0.00, Infinity, Infinity, '::ffff:1.2.3.4', 0, 0, 'x', '00:00:00.000000001',
            -62135596800000, null, 0, null, -99999999999999999999999999999999999999999)""",
        """(5, 'x', 0, 0x0a, true, 4294967295, 99999999999999999999999999999999999999.99, -Infinity, -Infinity, null, 0, 0, 'x', null,
            9223372036854775807, null, 0, null, null)""",
        """(6, null, null, null, null, '1582-10-10', 1E+300, 1.7976931348623157E308, 3.4028235E38, null, null, null, null, null,
            -9223372036854775808, null, null, null, null)""",
        """(7, null, null, null, null, '-0001-01-01', 0E-10, 4.9E-324, 1.4E-45, null, null, null, null, null, 0, null, null, null, null)""",
        f"(8, null, null, null, null, null, 1.{'3' * 60}, 0.30000000000000004, 16777216, null, null, null, null, null, 1, null, null, null, 1{'0' * 5000})",
        """(9, null, null, null, null, null, 100, 2.0E-3, 2.0E-3, null, null, null, null, null, 253402300800000, null, null, null, null)""",
    ]
    names = "id, a, b, bl, bo, d, de, do, f, i, n, s, t, ti, ts, tu, ty, u, vi"
    made = [f"INSERT INTO @.scalars ({names if len(row) > 9 else 'id'}) VALUES {row}" for row in rows]
    # Values of no bytes.
    made.append("INSERT INTO @.scalars (id, n, ts, u, bo) VALUES (20, blobAsInt(0x), blobAsTimestamp(0x), blobAsUuid(0x), blobAsBoolean(0x))")
    return made


def _texts() -> list[str]:
    rows = [f"INSERT INTO @.texts (pk, ck, v) VALUES ('values', {quote(f'{i:03}')}, {quote(text)})" for i, text in enumerate([*TEXTS, LONG])]
    rows += [f"INSERT INTO @.texts (pk, ck, v) VALUES ('clusterings', {quote(text)}, 'v')" for text in TEXTS]
    rows += [f"INSERT INTO @.texts (pk, ck, v) VALUES ({quote(text)}, 'c', null)" for text in TEXTS if text]
    ascii_texts = [text for text in TEXTS if text.isascii()]
    return rows + [f"INSERT INTO @.texts (pk, ck, a) VALUES ('ascii', {quote(f'{i:03}')}, {quote(t)})" for i, t in enumerate(ascii_texts)]


def _collections() -> list[str]:
    rows = []
    for i, text in enumerate(TEXTS):
        q = quote(text)
        rows.append(
            f"INSERT INTO @.collections (id, l, s, m, fl) VALUES ({i}, [{q}, 'z'], {{{q}, 'z'}}, {{{q}: 'v', 'k': {q}}}, [{q}])"
        )
        if text.isascii():
            rows.append(f"INSERT INTO @.collections (id, la) VALUES ({i}, [{q}])")
    rows += [
        "INSERT INTO @.collections (id, fl, fs, fm) VALUES (100, [], {}, {})",
        "INSERT INTO @.collections (id, fl, fs, fm, mi) VALUES (101, ['a'], {-1, 2}, {'a': [1, 2], '': []}, {1: 0, -1: 1577934245678})",
        "INSERT INTO @.collections (id, ld, lv) VALUES (102, [1.10, 1E+5, 1E-20, -0.00], [0, 123456789012345678901234567890])",
        "INSERT INTO @.collections (id, lb, lbo) VALUES (103, [0x, 0x00ff], [true, false])",
        "INSERT INTO @.collections (id, sd) VALUES (104, {-1.5, 0.1, 1E300, NaN, Infinity, -Infinity})",
        "INSERT INTO @.collections (id, mt) VALUES (105, {'10:00:00.5': '1.2.3.4', '00:00:00': '::1'})",
        "INSERT INTO @.collections (id, md) VALUES (106, {'2020-01-01': 62c36092-82a1-4a00-93d1-46196ee77204})",
        "INSERT INTO @.collections (id, mi) VALUES (107, {1: 253402300800000, 2: -62135596800001})",
        "INSERT INTO @.collections (id, md) VALUES (108, {'-5877641-06-23': 62c36092-82a1-4a00-93d1-46196ee77204})",
        "INSERT INTO @.collections (id) VALUES (109)",
        "INSERT INTO @.collections (id, fs) VALUES (110, {77777, -1, -2, 1000003, 5, 64, 129, -2147483648, 2147483647, 40})",
        "INSERT INTO @.collections (id, fm) VALUES (111, {'k': [1], 'b': [2], 'zz': [], 'a': [3], '9': [4], 'é': [5], '': [6]})",
        "INSERT INTO @.collections (id, fss) VALUES (112, {{'q', 'a', 'zz', 'b', '9', 'c'}, {'x'}})",
    ]
    return rows


def _types() -> list[str]:
    rows = []
    for i, text in enumerate(TEXTS):
        q = quote(text)
        rows.append(
            f"INSERT INTO @.types (id, ad, fa, tu, ma) VALUES ({i}, {{street: {q}, zip: {i}}}, {{street: {q}, tags: {{{q}}}}}, ({i}, {q}, 0.5), {{{q}: (1, {q})}})"
        )
    return rows + [
        "INSERT INTO @.types (id, fa) VALUES (100, {street: null, zip: null, tags: null})",
        "INSERT INTO @.types (id, ad) VALUES (101, {street: null, zip: 5, tags: null})",
        "INSERT INTO @.types (id, tu) VALUES (102, (1, null, 2.5))",
        "INSERT INTO @.types (id, ne) VALUES (103, {a: {street: 's', zip: 1, tags: {'a', 'b'}}, t: (1, 'x'), m: {'k': 1, '': 2}})",
        "INSERT INTO @.types (id, ne) VALUES (104, {a: {street: 's'}})",
        "INSERT INTO @.types (id, la) VALUES (105, [{street: 'a, b', zip: 1}, {street: '}', zip: 2}])",
        "INSERT INTO @.types (id) VALUES (106)",
    ]


def _numbers() -> list[str]:
    decimals = ["0", "0.0", "0.00", "1", "1.0", "1E+1", "10", "1E+10", "-1.5", "1E-10", "123456789012345678901234567890.123456789"]
    rows = [f"INSERT INTO @.numbers (de, fl, r, v) VALUES ({d}, 0.1, 0.1, {i})" for i, d in enumerate(decimals)]
    floats = ["0.0", "-0.0", "NaN", "Infinity", "-Infinity", "1E-7", "1E21", "5E-324"]
    return rows + [f"INSERT INTO @.numbers (de, fl, r, v) VALUES (5, {f}, 1, null)" for f in floats] + [
        f"INSERT INTO @.numbers (de, fl, r, v) VALUES (6, 1, {f}, 7)" for f in floats[:-1]
    ]


def _statics() -> list[str]:
    rows = [f"INSERT INTO @.statics (pk, ck, v) VALUES ({pk}, '{ck}', {pk * ck})" for pk in range(10) for ck in range(pk % 4)]
    rows += [f"INSERT INTO @.statics (pk, s, sm) VALUES ({pk}, 'static, {pk}', {{'k': {pk}}})" for pk in range(0, 10, 2)]
    return rows + ["INSERT INTO @.statics (pk, s) VALUES (100, '')", "INSERT INTO @.statics (pk, ck, v) VALUES (3, '', null)"]


def _counters() -> list[str]:
    rows = [f"UPDATE @.counters SET c1 = c1 + {i}, c2 = c2 - {i * 10} WHERE pk = 'p{i % 3}' AND ck = {i * 1000}" for i in range(1, 20)]
    return rows + [
        "UPDATE @.counters SET c1 = c1 + 5 WHERE pk = 'one, \"only\"' AND ck = 0",
        "UPDATE @.counters SET c1 = c1 + 9223372036854775807, c2 = c2 + 0 WHERE pk = 'it''s' AND ck = -1",
    ]


def _times() -> list[str]:
    rows = []
    for i in range(20):
        rows.append(f"INSERT INTO @.times (id, a, b) VALUES ({i}, 'a{i}', {i}) USING TIMESTAMP {1_600_000_000_000_000 + i * 1001}")
    for i in range(20, 40):
        rows.append(f"INSERT INTO @.times (id, a, b) VALUES ({i}, 'a{i}', {i}) USING TTL {500_000 + i} AND TIMESTAMP {1_700_000_000_123_456 + i}")
    rows += [f"UPDATE @.times USING TIMESTAMP {1_650_000_000_000_000 + i} SET b = {i + 1000} WHERE id = {i}" for i in range(0, 10)]
    rows += [f"UPDATE @.times USING TTL {900_000 + i} AND TIMESTAMP {1_710_000_000_000_000 + i} SET a = 'ttl' WHERE id = {i}" for i in range(5, 15)]
    rows += [f"UPDATE @.times USING TIMESTAMP {1_720_000_000_000_000} SET l = [1, 2], m = {{'k': 1}} WHERE id = {i}" for i in (50, 51)]
    return rows + ["UPDATE @.times USING TIMESTAMP 1000 SET a = 'no marker' WHERE id = 60", "UPDATE @.times USING TIMESTAMP 0 SET a = 'zero' WHERE id = 61"]


def _names() -> list[str]:
    return [
        f'INSERT INTO @.names (id, "Upper", "select", "two words", "quo""te", key, "ttl") VALUES ({i}, \'u{i}\', {i}, \'t\', null, \'k, {i}\', {i})'
        for i in range(10)
    ]


def _composite() -> list[str]:
    keys = [("", 0, "0x"), ("a:b", -1, "0x00"), ("a\nb", 5, "0xff"), ("\\N", 7, "0x3a"), ("é,", 2147483647, "0x0a0d")]
    return [
        f"INSERT INTO @.composite (a, b, c, d, e, v) VALUES ({quote(a)}, {b}, {c}, 62c36092-82a1-4a00-93d1-46196ee7720{i}, {'true' if i % 2 else 'false'}, 'v{i}')"
        for a, b, c in keys for i in range(3)
    ]


def _keyed() -> list[str]:
    keys = [(0, "1970-01-01", "00:00:00", "1.2.3.4"), (-1, "0001-01-01", "23:59:59.999999999", "::1"), (1577934245678, "9999-12-31", "12:00:00", "fe80::1"),
            (253402300800000, "2020-02-29", "00:00:00.1", "255.255.255.255"), (-62135596800001, "-5877641-06-23", "01:02:03", "0.0.0.0")]
    return [f"INSERT INTO @.keyed (ts, d, ti, i, v) VALUES ({ts}, '{d}', '{ti}', '{i}', 'v')" for ts, d, ti, i in keys]


def _durations() -> list[str]:
    return [f"INSERT INTO @.durations (id, du, v) VALUES ({i}, {du}, 'v')" for i, du in enumerate(["1mo2d3ns", "-1y2mo3d4h5m6s7ms8us9ns", "0s", "null", "89h4m48s"])]


def statements() -> list[str]:
    """Everything but the vectors, in the order in which it is executed."""
    rows = [_scalars, _durations, _texts, _collections, _types, _numbers, _statics, _counters, _times, _names, _composite, _keyed]
    made = [f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"]
    made += [text.replace("@", KEYSPACE) for text in TYPES]
    made += [f"CREATE TABLE {KEYSPACE}.{name} {columns}" for name, columns in TABLES.items()]
    return made + [text.replace("@.", f"{KEYSPACE}.", 1) for part in rows for text in part()]


def vector_statements() -> list[str]:
    return [
        f"CREATE TABLE {KEYSPACE}.vectors {VECTORS}",
        f"INSERT INTO {KEYSPACE}.vectors (id, v, lv) VALUES (1, [0.1, -0.0, 3.4028235E38], [[1, 2], [3, 4]])",
        f"INSERT INTO {KEYSPACE}.vectors (id) VALUES (2)",
    ]
