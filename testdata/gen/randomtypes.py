"""Random CQL types and literals of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from corpus import EMPTY, VALUES
from node import Line

DURATIONS = ["1y2mo3d4h5m6s7ms8us9ns", "-1mo2d3ns", "0s", "36h", "1d"]


@dataclass
class Type:
    """A random type. `text` spells it in CQL; user types keep their fields, which ALTER TYPE changes."""

    name: str
    params: list[Type] = field(default_factory=list)
    frozen: bool = False
    dimension: int = 0
    user: UserType | None = None

    @property
    def text(self) -> str:
        if self.user:
            inner = self.user.name
        elif self.name == "vector":
            inner = f"vector<{self.params[0].text}, {self.dimension}>"
        elif self.params:
            inner = f"{self.name}<{', '.join(p.text for p in self.params)}>"
        else:
            inner = self.name
        return f"frozen<{inner}>" if self.frozen else inner

    @property
    def multi_cell(self) -> bool:
        return not self.frozen and self.name in ("list", "set", "map", "udt")


@dataclass
class UserType:
    name: str
    fields: list[tuple[str, Type]]


def unknown_types(line: Line) -> set[str]:
    """Scalar types that a line does not have."""
    return {"tinyint", "smallint", "date", "time"} if line.number < (2, 2) else set()


class Types:
    """Draws types that a line knows, and literals of them."""

    def __init__(self, dice: Random, line: Line) -> None:
        self.dice = dice
        self.line = line
        self.users: list[UserType] = []

    def scalar(self, durations: bool = False) -> Type:
        unknown = unknown_types(self.line)
        if not durations and self.line.number == (2, 2):
            # In a name, an empty component of these stops the node.
            unknown |= {"tinyint", "smallint"}
        names = [name for name in VALUES if name not in unknown] + ["int", "text", "int", "text"]
        if durations and self.line.number >= (3, 11):
            names.append("duration")
        return Type(self.dice.choice(names))

    def key(self) -> Type:
        """A type for a key column: scalars mostly; what is not scalar is frozen."""
        return self.scalar() if self.dice.random() < 0.85 else self.frozen(1)

    def frozen(self, depth: int) -> Type:
        """A type as it may stand inside a collection or key; no durations, which nothing can order."""
        kinds = ["scalar"] * 3
        if depth > 0:
            kinds += ["list", "set", "map", "tuple", *(["udt"] if self.users else []), *(["vector"] if self.line.number >= (5, 0) else [])]
        kind = self.dice.choice(kinds)
        if kind == "scalar":
            return self.scalar()
        if kind == "udt":
            return Type("udt", frozen=True, user=self.dice.choice(self.users))
        if kind == "vector":
            return Type("vector", [self.scalar()], dimension=self.dice.randint(1, 3))
        count = {"list": 1, "set": 1, "map": 2}.get(kind) or self.dice.randint(1, 3)
        return Type(kind, [self.frozen(depth - 1) for _ in range(count)], frozen=True)

    def column(self) -> Type:
        """A type for a regular or static column."""
        draw = self.dice.random()
        if draw < 0.5:
            return self.scalar(durations=True)
        if draw < 0.7:
            return self.frozen(2)
        kind = self.dice.choice(["list", "set", "map", *(["udt"] if self.users and self.line.number >= (3, 11) else [])])
        if kind == "udt":
            return Type("udt", user=self.dice.choice(self.users))
        return Type(kind, [self.frozen(1) for _ in range(2 if kind == "map" else 1)])

    def user_type(self, name: str) -> UserType:
        # No two types share a field name, so that a renamed field can be found in literals.
        fields = [(f"{self.dice.choice(['a', 'b', 'c', 'Dd'])}{i}{name}", self.frozen(1)) for i in range(self.dice.randint(1, 4))]
        self.users.append(UserType(name, fields))
        return self.users[-1]

    def literal(self, t: Type, empty: bool = False) -> str:
        """A literal; `empty` allows a value without bytes where the type has one."""
        dice = self.dice
        if empty and t.name in EMPTY and dice.random() < 0.1:
            return EMPTY[t.name]
        if t.name == "duration":
            return dice.choice(DURATIONS)
        if t.name in VALUES:
            return dice.choice(VALUES[t.name])
        if t.user:
            return self._user_literal(t.user)
        if t.name == "tuple":
            return "(" + ", ".join("null" if dice.random() < 0.15 else self.literal(p) for p in t.params) + ")"
        if t.name == "vector":
            return "[" + ", ".join(self.literal(t.params[0]) for _ in range(t.dimension)) + "]"
        # As a key, the map {} is a ClassCastException in every server: it takes it for a set.
        return self.collection(t, dice.randint(0 if t.frozen and t.name != "map" else 1, 3))

    def collection(self, t: Type, size: int) -> str:
        """A list, set or map of up to `size` elements (equal ones collapse)."""
        items = [self.literal(t.params[0]) for _ in range(size)]
        if t.name == "list":
            return "[" + ", ".join(items) + "]"
        items = list(dict.fromkeys(items))
        if t.name == "map":
            items = [f"{key}: {self.literal(t.params[1])}" for key in items]
        return "{" + ", ".join(items) + "}"

    def _user_literal(self, user: UserType) -> str:
        given = [f for f in user.fields if self.dice.random() < 0.8] or user.fields[:1]
        parts = [f'"{name}": {"null" if self.dice.random() < 0.1 else self.literal(t)}' for name, t in given]
        return "{" + ", ".join(parts) + "}"
