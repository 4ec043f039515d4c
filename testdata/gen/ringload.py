"""What is written to a ring: rows on all replicas, and then others while one node or another is down."""

from __future__ import annotations

import time
from random import Random
from typing import Any, Iterable

TABLES = {
    "wide": "pk int, c1 int, c2 text, s text STATIC, v text, n int, m map<text, int>, l list<int>, PRIMARY KEY (pk, c1, c2)",
    "narrow": "pk int PRIMARY KEY, a text, b bigint, e int, f frozen<set<int>>",
    "counts": "pk int, c int, n counter, s counter STATIC, PRIMARY KEY (pk, c)",
}
PARTITIONS = {"wide": 1200, "narrow": 2400, "counts": 300}

# (statement with its parameters' values)
Writes = Iterable[tuple[str, tuple[Any, ...]]]


def create(session: Any, keyspaces: dict[str, dict[str, Any]]) -> None:
    for keyspace, replication in keyspaces.items():
        session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
        for table, columns in TABLES.items():
            session.execute(f"CREATE TABLE {keyspace}.{table} ({columns})")


def write(session: Any, keyspace: str, writes: Writes, consistency: str) -> int:
    """Executes all; `{ks}` in a statement stands for the keyspace. Says how many there were."""
    from cassandra import ConsistencyLevel
    from cassandra.concurrent import execute_concurrent

    prepared: dict[str, Any] = {}
    bound = []
    for statement, values in writes:
        if statement not in prepared:
            prepared[statement] = session.prepare(statement.replace("{ks}", keyspace))
            prepared[statement].consistency_level = ConsistencyLevel.name_to_value[consistency]
        bound.append((prepared[statement], values))
    execute_concurrent(session, bound, concurrency=64)
    return len(bound)


def base(seed: str) -> Writes:
    """A few thousand partitions of all shapes."""
    dice = Random(seed)
    for pk in range(PARTITIONS["wide"]):
        # Every tenth has nothing but its static column.
        for row in range(dice.randint(1, 4) if pk % 10 else 0):
            yield ("INSERT INTO {ks}.wide (pk, c1, c2, v, n, m, l) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   (pk, row, f"c{row % 2}", f"v{pk}", dice.randrange(99), {"a": row, "b": pk}, [pk, row]))
        if pk % 4 == 0 or not pk % 10:
            yield "UPDATE {ks}.wide SET s = ? WHERE pk = ?", (f"s{pk}", pk)
    for pk in range(PARTITIONS["narrow"]):
        yield "INSERT INTO {ks}.narrow (pk, a, b, e, f) VALUES (?, ?, ?, ?, ?)", (pk, f"a{pk}", pk << 33, pk % 7, {pk, 1})
    for pk in range(PARTITIONS["counts"]):
        for c in range(2):
            yield "UPDATE {ks}.counts SET n = n + ? WHERE pk = ? AND c = ?", (dice.randint(-9, 99), pk, c)
        yield "UPDATE {ks}.counts SET s = s + 1 WHERE pk = ?", (pk,)


def while_down(seed: str) -> Writes:
    """Overwrites, deletions of every kind, TTLs, additions to collections and counters, new partitions, and ties.

    All calls write to the same partitions, so that each node has a part of the truth that no other has.
    """
    dice = Random(seed)
    # One write time for the writes of all phases: whose value wins is then a matter of the values.
    tie = (int(time.time()) // 86400 + 1) * 86400 * 1_000_000
    for pk in range(0, PARTITIONS["wide"] + 60):
        row = dice.randrange(4)
        key = (pk, row, f"c{row % 2}")
        match dice.randrange(14):
            case 0:
                yield "DELETE FROM {ks}.wide WHERE pk = ?", (pk,)
            case 1:
                yield "DELETE FROM {ks}.wide WHERE pk = ? AND c1 = ? AND c2 = ?", key
            case 2:
                yield "DELETE FROM {ks}.wide WHERE pk = ? AND c1 >= ? AND c1 < ?", (pk, 1, 3)
            case 3:
                yield "DELETE v, m FROM {ks}.wide WHERE pk = ? AND c1 = ? AND c2 = ?", key
            case 4:
                yield "DELETE s FROM {ks}.wide WHERE pk = ?", (pk,)
            case 5:
                yield "UPDATE {ks}.wide SET s = ? WHERE pk = ?", (f"{seed}{pk}", pk)
            case 6:
                yield "UPDATE {ks}.wide SET m = m + ?, l = l + ? WHERE pk = ? AND c1 = ? AND c2 = ?", ({seed: pk}, [dice.randrange(99)], *key)
            case 7:
                yield "UPDATE {ks}.wide USING TTL 86400 SET n = ? WHERE pk = ? AND c1 = ? AND c2 = ?", (dice.randrange(99), *key)
            case 8:
                yield "INSERT INTO {ks}.wide (pk, c1, c2, v, m) VALUES (?, ?, ?, ?, ?)", (*key, f"{seed}{pk}", {seed: 1})
            case 9:
                yield "UPDATE {ks}.wide USING TIMESTAMP ? SET v = ?, n = ? WHERE pk = ? AND c1 = ? AND c2 = ?", (
                    tie, dice.choice("xyz"), dice.randrange(9), *key)
            case 10:
                yield "DELETE v FROM {ks}.wide USING TIMESTAMP ? WHERE pk = ? AND c1 = ? AND c2 = ?", (tie, *key)
            case 11:
                yield "UPDATE {ks}.wide USING TIMESTAMP ? AND TTL ? SET v = ? WHERE pk = ? AND c1 = ? AND c2 = ?", (
                    tie, dice.choice((70000, 80000)), dice.choice("xyz"), *key)
    for pk in range(PARTITIONS["narrow"] + 60):
        match dice.randrange(12):
            case 0:
                yield "DELETE FROM {ks}.narrow WHERE pk = ?", (pk,)
            case 1:
                yield "UPDATE {ks}.narrow SET a = ? WHERE pk = ?", (f"{seed}{pk}", pk)
            case 2:
                yield "DELETE a, e FROM {ks}.narrow WHERE pk = ?", (pk,)
            case 3:
                yield "INSERT INTO {ks}.narrow (pk, b) VALUES (?, ?)", (pk, dice.randrange(1 << 40))
            case 4:
                yield "INSERT INTO {ks}.narrow (pk, e) VALUES (?, ?) USING TTL 90000", (pk, dice.randrange(99))
            case 5:
                # Is gone again by the time anybody reads.
                yield "INSERT INTO {ks}.narrow (pk, a, e) VALUES (?, ?, ?) USING TTL 1", (pk, "short", 1)
            case 6:
                yield "INSERT INTO {ks}.narrow (pk, a) VALUES (?, ?) USING TIMESTAMP ?", (pk, dice.choice("xyz"), tie)
            case 7:
                yield "DELETE FROM {ks}.narrow USING TIMESTAMP ? WHERE pk = ?", (tie, pk)
    for pk in range(PARTITIONS["counts"] + 20):
        if dice.random() < 0.4:
            yield "UPDATE {ks}.counts SET n = n + ? WHERE pk = ? AND c = ?", (dice.randint(-9, 9), pk, dice.randrange(3))
        if dice.random() < 0.2:
            yield "UPDATE {ks}.counts SET s = s + ? WHERE pk = ?", (dice.randint(-9, 9), pk)
