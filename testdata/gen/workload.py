"""Random workloads: a keyspace with one or two tables of random shape, and statements over a small key space, so that everything overlaps.

What Cassandra itself leaves undefined is not drawn: counters incremented after a deletion; before 4.0, an expiring cell
and another cell of equal write time in one memtable, whose outcome depends on when they meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from time import sleep
from typing import Callable

from node import Line
from randomtypes import Type, Types, UserType

LONG_TTLS = (5_000_000, 5_000_001, 40_000_000)
SHORT_TTL = 1
DAY = 86_400
FAR_FUTURE = 2**62

Execute = Callable[[str], bool]


@dataclass
class Column:
    name: str
    type: Type

    @property
    def cql(self) -> str:
        return f'"{self.name}"'


@dataclass
class Table:
    """The shape of a table as it is now, and what the workload may no longer do to it."""

    name: str
    partition: list[Column]
    clustering: list[Column]
    statics: list[Column]
    regulars: list[Column]
    counter: bool = False
    compact: bool = False
    default_ttl: int = 0
    keys: list[list[str]] = field(default_factory=list)
    pools: list[list[str]] = field(default_factory=list)
    dropped: list[tuple[str, Column]] = field(default_factory=list)
    # Counters that were deleted, by what was deleted: never to be incremented again.
    dead: list[tuple[str, ...]] = field(default_factory=list)
    # Before 4.0: write times used since the last flush, and whether anything expiring was among them.
    used_times: dict[int, bool] = field(default_factory=dict)


class Workload:
    """All of one seed: `setup`, then `phase` once per SSTable with a flush of the keyspace after each."""

    def __init__(self, seed: int, line: Line) -> None:
        self.dice = dice = Random(f"{line.name}/{seed}")
        self.line = line
        self.seed = seed
        self.keyspace = f"d{seed}"
        self.types = Types(dice, line)
        self.phases = dice.randint(3, 6)
        self.statements = dice.randint(100, 400) // self.phases
        self.explicit_times = dice.choice([0.0, 0.5, 1.0, 1.0])
        base = dice.choice([1000, 1_600_000_000_000_000])
        self.times = [base + i for i in range(dice.randint(5, 40))] + dice.choice([[], [], [-7, 0, FAR_FUTURE]])
        self.tables: list[Table] = []
        self.refused = 0

    # -- schema ------------------------------------------------------------------------------------------------------

    def setup(self, execute: Execute) -> None:
        """Creates keyspace, types and tables."""
        execute(f"CREATE KEYSPACE {self.keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
        for i in range(self.dice.randint(0, 2)):
            user = self.types.user_type(f"u{i}")
            fields = ", ".join(f'"{name}" {t.text}' for name, t in user.fields)
            execute(f"CREATE TYPE {self.keyspace}.{user.name} ({fields})")
        for i in range(self.dice.randint(1, 2)):
            table = self._random_table(f"t{i}")
            if execute(self._create(table)):
                self.tables.append(table)
        if not self.tables:
            raise RuntimeError(f"seed {self.seed}: no table was accepted")

    def _random_table(self, name: str) -> Table:
        dice, types = self.dice, self.types
        compact = self.line.number < (4, 0) and dice.random() < 0.25
        counter = dice.random() < 0.15
        clustering_count = dice.randint(0, 2 if compact else 4)
        partition = [Column(f"p{i}", types.key()) for i in range(dice.choice([1, 1, 2, 3]))]
        clustering = [Column(f"c{i}" if i else "Ck", types.key()) for i in range(clustering_count)]
        names = dice.sample(["v", "w", "x", "Quoted", "Ünï", "long_name_1", "long_name_2", "zz", "a1"], 6)
        names.sort(key=lambda n: n != "Ünï")
        if compact:
            count = dice.randint(1, 3) if not clustering else dice.choice([0, 1, 1])
            counter = counter and count > 0
            columns = [Column(n, Type("counter") if counter else types.scalar()) for n in names[1 : 1 + count]]
            statics: list[Column] = []
        else:
            columns = [Column(n, Type("counter") if counter else types.column()) for n in names[: dice.randint(1, 6)]]
            for column in columns:
                if column.name == "Ünï" and column.type.multi_cell:
                    # Cassandra 5.0 cannot read back a multi-cell column of such a name.
                    column.type = Type("text")
            cut = dice.randint(0, min(2, len(columns) - 1)) if clustering and dice.random() < 0.5 else 0
            statics, columns = columns[len(columns) - cut :], columns[: len(columns) - cut]
        if not (compact or counter) and dice.random() < 0.06:
            columns += [Column(f"m{i:02}", Type("int")) for i in range(70)]
        default_ttl = dice.choice(LONG_TTLS) if not counter and dice.random() < 0.1 else 0
        table = Table(name, partition, clustering, statics, columns, counter, compact, default_ttl)
        table.keys = [self._literals(partition, empty=len(partition) > 1) for _ in range(dice.randint(3, 6))]
        pool_size = 5 - min(clustering_count, 3)
        table.pools = [list(dict.fromkeys(types.literal(c.type, empty=not compact) for _ in range(pool_size))) for c in clustering]
        return table

    def _literals(self, columns: list[Column], empty: bool) -> list[str]:
        literals = [self.types.literal(c.type, empty) for c in columns]
        # The key of a partition must have at least one byte.
        return ["'x'" if lit == "''" and len(columns) == 1 else "0x00" if lit == "0x" and len(columns) == 1 else lit for lit in literals]

    def _create(self, table: Table) -> str:
        dice = self.dice
        columns = [f"{c.cql} {c.type.text}" for c in [*table.partition, *table.clustering, *table.regulars]]
        columns += [f"{c.cql} {c.type.text} static" for c in table.statics]
        key = f"({', '.join(c.cql for c in table.partition)})"
        primary = ", ".join([key, *(c.cql for c in table.clustering)])
        options = ["COMPACT STORAGE"] if table.compact else []
        if table.clustering:
            order = ", ".join(f"{c.cql} {dice.choice(['ASC', 'DESC'])}" for c in table.clustering)
            options.append(f"CLUSTERING ORDER BY ({order})")
        classes = ["LZ4Compressor", "SnappyCompressor", "DeflateCompressor"] + (["ZstdCompressor"] if self.line.number >= (4, 0) else [])
        draw = dice.random()
        old = self.line.number < (3, 0)
        if draw < 0.15:
            off = "'sstable_compression': ''" if old else "'enabled': 'false'"
            options.append(f"compression = {{{off}}}")
        elif draw < 0.7:
            ratio = ", 'min_compress_ratio': 1.5" if self.line.number >= (4, 0) and dice.random() < 0.4 else ""
            name, length = ("sstable_compression", "chunk_length_kb") if old else ("class", "chunk_length_in_kb")
            options.append(f"compression = {{'{name}': '{dice.choice(classes)}', '{length}': {dice.choice([4, 16, 64])}{ratio}}}")
        options.append(f"gc_grace_seconds = {dice.choice([0, 0, 60, 10 * DAY])}")
        if table.default_ttl:
            options.append(f"default_time_to_live = {table.default_ttl}")
        if dice.random() < 0.2:
            options.append("bloom_filter_fp_chance = 1")
        return f"CREATE TABLE {self.keyspace}.{table.name} ({', '.join(columns)}, PRIMARY KEY ({primary})) WITH {' AND '.join(options)}"

    # -- statements --------------------------------------------------------------------------------------------------

    def phase(self, execute: Execute, flushed: bool = True) -> None:
        """One phase of random statements, mostly between two flushes."""
        for table in self.tables if flushed else []:
            # 2.x reads compact tables without clustering by the names of their cells, and goes by the order in which it meets the
            # SSTables where an expired cell ties with another: equal partitions of one scan have different answers.
            if not (self.line.number < (3, 0) and table.compact and not table.clustering):
                table.used_times.clear()
        for _ in range(self.statements):
            table = self.dice.choice(self.tables)
            if not table.compact and self.dice.random() < 0.02:
                self._alter(table, execute)
            elif table.counter:
                self._counter(table, execute)
            elif self.dice.random() < 0.08:
                self._batch(table, execute)
            else:
                statement, _ = self._statement(table, None)
                self.refused += not execute(statement)

    def _where(self, columns: list[Column], literals: list[str]) -> str:
        return " AND ".join(f"{c.cql} = {v}" for c, v in zip(columns, literals))

    def _row(self, table: Table) -> list[str]:
        return [self.dice.choice(pool) for pool in table.pools]

    def _using(self, table: Table, batch_time: int | None, may_expire: bool, partition_deletion: bool = False) -> str:
        """A USING clause, or nothing. Within a batch that has a time of its own, only a TTL."""
        dice = self.dice
        time = None
        if batch_time is None and dice.random() < self.explicit_times:
            time = dice.choice(self.times)
            if partition_deletion and self.line.number >= (5, 0):
                # 5.0 cannot read back a partition deletion of a negative time.
                time = abs(time)
        ttl = None
        if may_expire:
            draw = dice.random()
            ttl = dice.choice(LONG_TTLS) if draw < 0.12 else SHORT_TTL if draw < 0.2 else 0 if draw < 0.25 else None
        if self.line.number < (4, 0):
            time, ttl = self._separate(table, time, ttl, batch_time, may_expire)
        parts = [f"TIMESTAMP {time}"] if time is not None else []
        parts += [f"TTL {ttl}"] if ttl is not None else []
        return f" USING {' AND '.join(parts)}" if parts else ""

    def _separate(self, table: Table, time: int | None, ttl: int | None, batch_time: int | None, may_expire: bool) -> tuple[int | None, int | None]:
        """Keeps expiring cells and cells of equal write time out of one memtable."""
        expires = may_expire and bool(ttl or (ttl is None and table.default_ttl))
        if batch_time is not None:
            return None, 0 if may_expire else None
        if time is None:
            return None, ttl
        if table.used_times.get(time) or (expires and time in table.used_times):
            free = [t for t in self.times if t not in table.used_times]
            if not free:
                return None, ttl
            time = self.dice.choice(free)
        table.used_times[time] = expires
        return time, ttl

    def _statement(self, table: Table, batch_time: int | None) -> tuple[str, list[str]]:
        """A random statement and the partition it writes to."""
        dice = self.dice
        key = dice.choice(table.keys)
        draw = dice.random()
        if draw < 0.4:
            return self._insert(table, key, batch_time), key
        if draw < 0.8 and (table.regulars or table.statics):
            return self._update(table, key, batch_time), key
        return self._delete(table, key, batch_time), key

    def _insert(self, table: Table, key: list[str], batch_time: int | None) -> str:
        dice = self.dice
        columns, values = list(table.partition), list(key)
        static_only = table.statics and dice.random() < 0.15
        candidates = list(table.statics)
        if not static_only:
            row = self._row(table)
            if table.compact and len(row) > 1 and dice.random() < 0.1:
                row = row[:-1]
            columns += table.clustering[: len(row)]
            values += row
            candidates += table.regulars
        for column in candidates:
            if table.compact or dice.random() < (0.1 if column.name.startswith("m") else 0.6):
                columns.append(column)
                values.append("null" if not table.compact and dice.random() < 0.1 else self.types.literal(column.type, empty=True))
        using = self._using(table, batch_time, may_expire=True)
        names = ", ".join(c.cql for c in columns)
        return f"INSERT INTO {self.keyspace}.{table.name} ({names}) VALUES ({', '.join(values)}){using}"

    def _update(self, table: Table, key: list[str], batch_time: int | None) -> str:
        dice = self.dice
        static_only = table.statics and (not table.regulars or dice.random() < 0.2)
        pool = table.statics if static_only else table.regulars
        chosen = dice.sample(pool, min(len(pool), dice.randint(1, 3)))
        where = self._where(table.partition, key)
        if not static_only and table.clustering:
            where += " AND " + self._where(table.clustering, self._row(table))
        using = self._using(table, batch_time, may_expire=True)
        return f"UPDATE {self.keyspace}.{table.name}{using} SET {', '.join(self._assignment(c) for c in chosen)} WHERE {where}"

    def _assignment(self, column: Column) -> str:
        dice, t = self.dice, column.type
        if dice.random() < 0.12:
            return f"{column.cql} = null"
        if not t.multi_cell or dice.random() < 0.25:
            return f"{column.cql} = {self.types.literal(t, empty=True)}"
        if t.user:
            name, field_type = dice.choice(t.user.fields)
            return f'{column.cql}."{name}" = {"null" if dice.random() < 0.2 else self.types.literal(field_type)}'
        some = self.types.collection(t, dice.randint(1, 2))
        if t.name == "set":
            return f"{column.cql} = {column.cql} {dice.choice('+-')} {some}"
        if t.name == "map":
            key = self.types.literal(t.params[0])
            return dice.choice([
                f"{column.cql} = {column.cql} + {some}",
                f"{column.cql}[{key}] = {'null' if dice.random() < 0.2 else self.types.literal(t.params[1])}",
                f"{column.cql} = {column.cql} - {{{key}}}",
            ])
        return dice.choice([
            f"{column.cql} = {column.cql} + {some}", f"{column.cql} = {some} + {column.cql}", f"{column.cql} = {column.cql} - {some}",
            f"{column.cql}[{dice.randint(0, 1)}] = {self.types.literal(t.params[0])}",
        ])

    def _delete(self, table: Table, key: list[str], batch_time: int | None) -> str:
        dice = self.dice
        where = self._where(table.partition, key)
        draw = dice.random()
        if draw < 0.06 or not table.clustering and draw < 0.5:
            using = self._using(table, batch_time, may_expire=False, partition_deletion=True)
            return f"DELETE FROM {self.keyspace}.{table.name}{using} WHERE {where}"
        using = self._using(table, batch_time, may_expire=False, partition_deletion=not table.clustering)
        if draw < 0.4 and table.clustering:
            return f"DELETE FROM {self.keyspace}.{table.name}{using} WHERE {where} AND {self._range(table)}"
        if draw < 0.6 or not (table.regulars or table.statics):
            where += "".join(f" AND {part}" for part in [self._where(table.clustering, self._row(table))] if part)
            return f"DELETE FROM {self.keyspace}.{table.name}{using} WHERE {where}"
        static_only = table.statics and (not table.regulars or dice.random() < 0.3)
        if not static_only and table.clustering:
            where += " AND " + self._where(table.clustering, self._row(table))
        column = dice.choice(table.statics if static_only else table.regulars)
        return f"DELETE {self._deleted_part(column)} FROM {self.keyspace}.{table.name}{using} WHERE {where}"

    def _deleted_part(self, column: Column) -> str:
        t = column.type
        if not t.multi_cell or self.dice.random() < 0.4:
            return column.cql
        if t.user:
            return f'{column.cql}."{self.dice.choice(t.user.fields)[0]}"'
        return f"{column.cql}[{self.dice.randint(0, 1) if t.name == 'list' else self.types.literal(t.params[0])}]"

    def _range(self, table: Table) -> str:
        """Restrictions of some first clustering columns by value, and of the next by a range or not at all."""
        dice, row = self.dice, self._row(table)
        count = dice.randint(0, len(row) - 1)
        parts = [self._where(table.clustering[:count], row)] if count else []
        column, pool = table.clustering[count], table.pools[count]
        kind = dice.choice(["prefix", "start", "end", "both", "both"])
        if kind == "prefix" and count:
            return parts[0]
        if kind in ("start", "both", "prefix"):
            parts.append(f"{column.cql} {dice.choice(['>', '>='])} {dice.choice(pool)}")
        if kind in ("end", "both"):
            parts.append(f"{column.cql} {dice.choice(['<', '<='])} {dice.choice(pool)}")
        return " AND ".join(parts)

    def _batch(self, table: Table, execute: Execute) -> None:
        time = self.dice.choice(self.times) if self.explicit_times else None
        if time is not None and self.line.number < (4, 0):
            if time in table.used_times or table.default_ttl:
                return
            table.used_times[time] = False
        if time is not None and self.line.number >= (5, 0):
            time = abs(time)
        parts = [self._statement(table, time)[0] for _ in range(self.dice.randint(2, 4))]
        using = "" if time is None else f" USING TIMESTAMP {time}"
        self.refused += not execute(f"BEGIN UNLOGGED BATCH{using} {'; '.join(parts)}; APPLY BATCH")

    # -- counters ----------------------------------------------------------------------------------------------------

    def _counter(self, table: Table, execute: Execute) -> None:
        dice = self.dice
        key = dice.choice(table.keys)
        where = self._where(table.partition, key)
        static = bool(table.statics) and dice.random() < 0.3
        row = [] if static else self._row(table)
        column = dice.choice(table.statics if static else table.regulars)
        if not static and table.clustering:
            where += " AND " + self._where(table.clustering, row)
        # A deletion of a partition covers its rows and statics, one of a row its columns.
        partition_id, row_id = tuple(key), (*key, *row, "static" if static else "row")
        cell_id = (*row_id, column.name)
        draw = dice.random()
        if draw < 0.01:
            table.dead.append(partition_id)
            execute(f"DELETE FROM {self.keyspace}.{table.name} WHERE {self._where(table.partition, key)}")
        elif draw < 0.04 and not static:
            table.dead.append(row_id)
            execute(f"DELETE FROM {self.keyspace}.{table.name} WHERE {where}")
        elif draw < 0.07:
            table.dead.append(cell_id)
            execute(f"DELETE {column.cql} FROM {self.keyspace}.{table.name} WHERE {where}")
        elif not {partition_id, row_id, cell_id} & set(table.dead):
            amount = dice.choice([0, 1, 2, 7, 1000, 2**40])
            execute(f"UPDATE {self.keyspace}.{table.name} SET {column.cql} = {column.cql} {dice.choice('+-')} {amount} WHERE {where}")

    # -- schema changes ----------------------------------------------------------------------------------------------

    def _alter(self, table: Table, execute: Execute) -> None:
        dice = self.dice
        kind = dice.choice(["add", "drop", "again", "field", "rename"])
        name = f"{self.keyspace}.{table.name}"
        if kind == "add" and not table.counter:
            column = Column(f"late{dice.randint(0, 10**6)}", self.types.column())
            static = bool(table.clustering) and dice.random() < 0.3
            if execute(f"ALTER TABLE {name} ADD {column.cql} {column.type.text}{' static' if static else ''}"):
                (table.statics if static else table.regulars).append(column)
        elif kind == "drop" and not table.counter and FAR_FUTURE not in self.times:
            # (A cell newer than the drop of its column makes the server's reads fail.)
            which = dice.choice(["statics", "regulars"])
            columns: list[Column] = getattr(table, which)
            if len(columns) > 1:
                column = dice.choice(columns)
                # The time of the drop is stored in whole milliseconds: what is written just before it must not survive it.
                sleep(0.005)
                if execute(f"ALTER TABLE {name} DROP {column.cql}"):
                    columns.remove(column)
                    table.dropped.append((which, column))
        elif kind == "again" and table.dropped:
            which, column = table.dropped.pop(dice.randrange(len(table.dropped)))
            if execute(f"ALTER TABLE {name} ADD {column.cql} {column.type.text}{' static' if which == 'statics' else ''}"):
                getattr(table, which).append(column)
        elif kind in ("field", "rename") and self.types.users:
            self._alter_type(dice.choice(self.types.users), kind, execute)

    def _alter_type(self, user: UserType, kind: str, execute: Execute) -> None:
        if kind == "field":
            added = (f"added{len(user.fields)}", self.types.scalar())
            if execute(f'ALTER TYPE {self.keyspace}.{user.name} ADD "{added[0]}" {added[1].text}'):
                user.fields.append(added)
        else:
            i = self.dice.randrange(len(user.fields))
            old, t = user.fields[i]
            new = f"{old}R"
            if execute(f'ALTER TYPE {self.keyspace}.{user.name} RENAME "{old}" TO "{new}"'):
                user.fields[i] = (new, t)
                for table in self.tables:
                    for literals in (*table.keys, *table.pools):
                        literals[:] = [literal.replace(f'"{old}":', f'"{new}":') for literal in literals]
