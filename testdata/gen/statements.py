"""Statements of random workloads on their way to a server, which need not accept all of them."""

from __future__ import annotations

import re
from typing import Any

from node import Line


def accepted(session: Any, line: Line, statement: str) -> bool:
    """Executes it; false if the server refused it (an index out of a list's bounds, a type it cannot alter), which is no failure."""
    from cassandra import AlreadyExists, InvalidRequest
    from cassandra.protocol import ConfigurationException, SyntaxException

    try:
        session.execute(statement)
    except (AlreadyExists, ConfigurationException, InvalidRequest):
        return False
    except SyntaxException:
        # 2.x has no words for some of what later lines do.
        if line.number >= (3, 0):
            raise
        return False
    except Exception as error:
        if line.number < (3, 0) and "NullPointerException" in str(error):
            # What 2.x says to a null or an empty value inside another.
            return False
        error.add_note(statement)
        raise
    return True


def for_changes(statement: str, cdc: bool) -> str:
    """A statement of tables whose changes are followed, which have `cdc = true` if that is asked for."""
    if statement.startswith("CREATE TABLE"):
        # A tombstone that Cassandra purges lets older writes live that come later; the log has both.
        statement = re.sub(r"gc_grace_seconds = \d+", "gc_grace_seconds = 864000", statement)
        if cdc:
            statement += " AND cdc = true"
    return statement
