"""Rows that loaders stumble over, in tables of every shape of key: what `typed_profiles.py` writes to a node of 5.0 and loads elsewhere.

Each statement is CQL; `{big}` and the like are filled in by `statements`.
"""

from __future__ import annotations

KEYSPACE = "awkward"

TABLES = {
    # Text clustering, so composite keys: empty text is legal in it.
    "texts": "CREATE TABLE {ks}.texts (pk text, ck text, v text, a ascii, b blob, PRIMARY KEY (pk, ck))",
    "numbers": "CREATE TABLE {ks}.numbers (pk int PRIMARY KEY, ti tinyint, si smallint, i int, bi bigint, vi varint, d decimal, f float, "
               "db double, bo boolean)",
    "times": "CREATE TABLE {ks}.times (pk int PRIMARY KEY, d date, t time, ts timestamp, du duration, u uuid, tu timeuuid, ip inet)",
    "collections": "CREATE TABLE {ks}.collections (pk int, ck bigint, l list<text>, s set<text>, m map<text, text>, fl frozen<list<int>>, "
                   "fs frozen<set<decimal>>, sf set<double>, sb set<blob>, sd set<decimal>, mi map<int, timestamp>, "
                   "nested map<text, frozen<list<frozen<map<int, text>>>>>, PRIMARY KEY (pk, ck))",
    "structures": "CREATE TABLE {ks}.structures (pk uuid PRIMARY KEY, u {ks}.person, fu frozen<{ks}.person>, t tuple<int, text, double>, "
                  "v vector<float, 3>, lu list<frozen<{ks}.person>>, mt map<frozen<tuple<int, text>>, int>)",
    "statics": "CREATE TABLE {ks}.statics (pk text, ck int, s text static, sm map<text, int> static, v int, PRIMARY KEY (pk, ck))",
    "composite": "CREATE TABLE {ks}.composite (a text, b int, c timestamp, d text, v text, PRIMARY KEY ((a, b), c, d)) "
                 "WITH CLUSTERING ORDER BY (c DESC, d ASC)",
    "expiring": "CREATE TABLE {ks}.expiring (pk int PRIMARY KEY, a text, b int)",
    "counters": "CREATE TABLE {ks}.counters (pk text PRIMARY KEY, c counter)",
    "blobs": "CREATE TABLE {ks}.blobs (pk blob PRIMARY KEY, v int)",
    "decimals": "CREATE TABLE {ks}.decimals (pk decimal PRIMARY KEY, v int)",
    "doubles": "CREATE TABLE {ks}.doubles (pk int, ck double, v int, PRIMARY KEY (pk, ck))",
    "instants": "CREATE TABLE {ks}.instants (pk timestamp PRIMARY KEY, v int)",
    "words": 'CREATE TABLE {ks}.words (pk int PRIMARY KEY, "value" text, "name" text, "timestamp" int, "Upper" text, "q""uote" text)',
}

TEXTS = [
    "", " ", " leading and trailing ", "\\N", "NULL", "null", "\\", "\"", "''", "a,b", "a\nb", "a\r\nb", "\r", "\t", "\u0000", "\u0000begins",
    "\u0001\u001f\u007f", "\u2028\u2029", "é", "𝄞 outside the BMP", "{\"json\": [1, 2]}", "[]", "#", "%25", "a#b", "0", "true", "1E5", "=1+1",
    "x" * 5000, "\ufeff", "ﬀ", "e\u0301",
]


def text(value: str) -> str:
    """A CQL string."""
    return "'" + value.replace("'", "''") + "'"


def schema() -> list[str]:
    """Keyspace, types, tables."""
    ks = KEYSPACE
    return [
        f"CREATE KEYSPACE {ks} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}",
        f"CREATE TYPE {ks}.person (name text, age int, tags frozen<set<text>>, at timestamp)",
        *(statement.format(ks=ks) for statement in TABLES.values()),
    ]


def statements() -> list[str]:
    """The rows."""
    ks = KEYSPACE
    rows = []

    def insert(table: str, more: str = "", **values: str) -> None:
        columns = ", ".join(name if name.islower() and name.isalnum() else '"' + name.replace('"', '""') + '"' for name in values)
        rows.append(f"INSERT INTO {ks}.{table} ({columns}) VALUES ({', '.join(values.values())}){more}")

    for i, value in enumerate(TEXTS):
        ascii_value = text(value) if value.isascii() else "null"
        insert("texts", pk=text(f"p{i}"), ck=text(value), v=text(value), a=ascii_value, b="0x" + value.encode().hex())
        if value and len(value) < 2048:
            insert("texts", pk=text(value), ck=text("k"), v="null", b="0x")
    insert("texts", pk=text("long"), ck=text("c" * 3000), v=text("kept in a shortened key"))
    numbers = [
        dict(ti="-128", si="-32768", i="-2147483648", bi="-9223372036854775808", vi="-170141183460469231731687303715884105729",
             d="-1.50", f="-0.0", db="-0.0", bo="false"),
        dict(ti="127", si="32767", i="2147483647", bi="9223372036854775807", vi="9" * 38, d="1E-130", f="3.4028235E38",
             db="1.7976931348623157E308", bo="true"),
        dict(vi="9" * 39, d="1E126", f="1.4E-45", db="4.9E-324"),
        dict(vi="0", d="0.000", f="NaN", db="NaN"),
        dict(vi="9" * 1000, d="blob_as_decimal(0xfffffc1801)", f="blob_as_float(0x7f800000)", db="blob_as_double(0xfff0000000000000)"),
        dict(vi="-1", d="9" * 38 + ".0", f="0.1", db="0.1"),
        dict(vi="9007199254740993", d="9007199254740993.25", f="16777217", db="9007199254740993"),
        dict(vi="1", d="blob_as_decimal(0x0020c49b01)", f="1", db="1E125"),
        dict(vi="256", d="1." + "3" * 37, f="1E10", db="1E-130"),
        dict(vi="-256", d="123456789.123456789", f="1E-10", db="1E-131"),
        {},
    ]
    for i, values in enumerate(numbers):
        insert("numbers", pk=str(i), **values)
    times = [
        dict(d="'1970-01-01'", t="'00:00:00'", ts="0", du="1mo2d3ns", u="00000000-0000-0000-0000-000000000000",
             tu="13814000-1dd2-11b2-8080-808080808080", ip="'127.0.0.1'"),
        dict(d="'0001-01-01'", t="'23:59:59.999999999'", ts="-62135596800000", du="-1mo2d3ns", ip="'::1'"),
        dict(d="'9999-12-31'", t="'12:34:56.000000001'", ts="253402300799999", du="0s", ip="'2001:db8::ff00:42:8329'"),
        dict(d="0", ts="253402300800000", du="178956970y", ip="'::ffff:1.2.3.4'"),
        dict(d="4294967295", ts="-62135596800001", du="1y2mo3w4d5h6m7s8ms9us10ns", ip="'0.0.0.0'"),
        dict(ts="9223372036854775", d="'1969-12-31'"),
        dict(ts="-9223372036854775"),
        dict(ts="9223372036854776"),
        dict(ts="-9223372036854775808"),
        dict(ts="9223372036854775807"),
        dict(ts="1"),
        dict(ts="-1"),
    ]
    for i, values in enumerate(times):
        insert("times", pk=str(i), **values)
    collections = [
        dict(l="['a', '', 'a']", s="{'', 'b'}", m="{'k': ''}", fl="[1, 2, 1]", fs="{1.0, 2.50}", sf="{1, 2.5}", sb="{0x, 0x00ff}",
             sd="{1.5, 2}", mi="{-1: 0, 7: 253402300800000}", nested="{'x': [{1: 'a', 2: ''}, {}], 'y': []}"),
        dict(m="{'': 'empty key', 'b': 'c'}", sf="{0.0, -0.0}", sd=f"{{{'9' * 39}, 1}}", fl="[]", fs="{}"),
        dict(sf="{NaN, 1}", m="{'a\\nb': 'line\nbreak', '\"': '\"'}", nested="{'': [{1: 'x'}]}"),
        dict(sf="{Infinity, 1}", mi="{0: -9223372036854775}"),
        dict(l="[]", s="{}", m="{}"),
        {},
    ]
    for i, values in enumerate(collections):
        insert("collections", pk="1", ck=str(i - 3), **values)
    structures = [
        dict(u="{name: 'n', age: 1, tags: {'a', 'b'}, at: 0}", fu="{name: '', age: null, tags: {}, at: 1}", t="(1, '', 2.5)", v="[1, -0.0, 3.5]",
             lu="[{name: 'x'}, {age: 2}]", mt="{(1, 'a'): 1, (2, ''): 2}"),
        dict(u="{age: 5}", fu="{name: null}", t="(null, null, null)", v="[NaN, Infinity, -1.5E-10]"),
        dict(t="(1, null, NaN)", lu="[]"),
        {},
    ]
    for i, values in enumerate(structures):
        insert("structures", pk=f"00000000-0000-0000-0000-00000000000{i}", **values)
    insert("statics", pk="'both'", ck="1", s="'s'", sm="{'a': 1}", v="1")
    insert("statics", pk="'both'", ck="-2", v="2")
    insert("statics", pk="'static only'", s="'s'")
    insert("statics", pk="'collection only'", sm="{'': 0}")
    insert("statics", pk="'rows only'", ck="0", v="0")
    for a in ("", "a", "a#b", "%", "ä"):
        for b in ("0", "-1"):
            insert("composite", a=text(a), b=b, c="0", d=text(""), v=text(a))
            insert("composite", a=text(a), b=b, c="-62135596800001", d=text("x#y"), v="null")
    insert("composite", a="'long'", b="1", c="253402300800000", d=text("ß" * 600), v="''")
    insert("expiring", more=" USING TTL 86400", pk="1", a="'all'", b="1")
    insert("expiring", pk="2", a="'none'", b="2")
    insert("expiring", more=" USING TTL 90000", pk="3", a="'some'")
    insert("expiring", more=" USING TTL 80000", pk="3", b="3")
    insert("expiring", more=" USING TIMESTAMP 1", pk="4", a="'old'")
    rows.append(f"UPDATE {ks}.expiring SET a = 'no marker' WHERE pk = 5")
    for key, change in (("a", 1), ("a", -3), ("b", 9223372036854775807), ("c", 0)):
        rows.append(f"UPDATE {ks}.counters SET c = c + {change} WHERE pk = '{key}'")
    for key in ("00", "ff" * 2048, "ff" * 2049, "22", "0a"):
        insert("blobs", pk="0x" + key, v="1")
    for key in ("1", "1.0", "1.00", "0", "0.0", "1E2", "100", "-1"):
        insert("decimals", pk=key, v="1")
    for key in ("0.0", "-0.0", "NaN", "Infinity", "blob_as_double(0xfff0000000000000)", "1", "-1.5", "1E300"):
        insert("doubles", pk="1", ck=key, v="1")
    for key in ("0", "-1", "9223372036854775", "253402300800000", "-62135596800001"):
        insert("instants", pk=key, v="1")
    insert("words", pk="1", value="'v'", name="''", timestamp="7", Upper="'U'", **{'q"uote': "'q'"})
    return rows
