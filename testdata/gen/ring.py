"""Three real nodes that make a ring: in two racks of one data center, or in two data centers."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import datadir
from node import Line, Node

ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
TOKENS = 16


@dataclass(frozen=True)
class Topology:
    """Data center and rack of each node, and the replication of each keyspace."""

    name: str
    places: tuple[tuple[str, str], ...]
    keyspaces: dict[str, dict[str, Any]]

    def center(self, node: int) -> str:
        return self.places[node][0]

    def replicas(self, keyspace: str) -> int:
        """How many replicas a row has in all centers together."""
        return sum(factor for name, factor in self.keyspaces[keyspace].items() if name != "class")


def _simple(factor: int) -> dict[str, Any]:
    return {"class": "SimpleStrategy", "replication_factor": factor}


def _network(**factors: int) -> dict[str, Any]:
    return {"class": "NetworkTopologyStrategy", **factors}


TOPOLOGIES = {
    topology.name: topology
    for topology in (
        Topology(
            "racks", (("dc1", "r1"), ("dc1", "r1"), ("dc1", "r2")),
            {f"simple{n}": _simple(n) for n in (1, 2, 3)} | {f"network{n}": _network(dc1=n) for n in (1, 2, 3)},
        ),
        Topology(
            "centers", (("dc1", "r1"), ("dc1", "r2"), ("dc2", "r1")),
            {f"simple{n}": _simple(n) for n in (1, 2, 3)}
            | {"network11": _network(dc1=1, dc2=1), "network21": _network(dc1=2, dc2=1)},
        ),
    )
}


class Ring:
    """The nodes under one directory. Use as a context manager: leaving it kills them."""

    def __init__(self, line: Line, topology: Topology, directory: Path, more: dict[str, Any] | None = None, flush_schema: bool = False) -> None:
        """`more`: settings of cassandra.yaml. `flush_schema`: as in `Node`; for a tail that follows, which reads definitions from the disk."""
        self.line = line
        self.topology = topology
        # Whatever a node missed it stays without.
        settings = {"num_tokens": TOKENS, "hinted_handoff_enabled": False, "auto_bootstrap": False,
                    # The least that a small heap gets is too little for the statements of all keyspaces.
                    "prepared_statements_cache_size_mb": 64}
        if line.number >= (4, 0):
            # A node tries again to reach one that was down after half of its shortest timeout: half a minute with those of
            # `node.py`, while one that starts waits 16 seconds for an answer to its first gossip ("Unable to gossip with any peers").
            settings["request_timeout_in_ms"] = 4000
        if line.number >= (3, 11):
            settings["cdc_enabled"] = False
        settings |= more or {}
        self.nodes = [
            Node(line, directory / f"node{i + 1}", dict(settings), "512m", address, 7201 + i, ADDRESSES[0], topology.places[i], flush_schema)
            for i, address in enumerate(ADDRESSES)
        ]

    def __enter__(self) -> Ring:
        try:
            for node in self.nodes:
                node.start()
                self.await_live()
        except BaseException:
            self.__exit__()
            raise
        for node in self.nodes:
            node.control("disableautocompaction", "system")
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.stop()

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.runs]

    def await_live(self) -> None:
        """Returns once all that run see each other."""
        for node in self.running():
            node.control("awaitlive", str(len(self.running())))

    @contextmanager
    def without(self, number: int) -> Iterator[None]:
        """Runs the body while one node is down."""
        self.nodes[number].stop()
        self.await_live()
        yield
        self.nodes[number].start()
        self.await_live()

    def flush(self) -> None:
        for node in self.running():
            node.flush([*self.topology.keyspaces, "system", "system_schema"])

    def copy(self, target: Path) -> list[Path]:
        """Copies of the data directories, as a loader would be given them: everything flushed before."""
        self.flush()
        copies = []
        for i, node in enumerate(self.nodes):
            copies.append(target / f"node{i + 1}")
            shutil.rmtree(copies[-1], ignore_errors=True)
            datadir.copy(node.data, copies[-1], list(self.topology.keyspaces))
        return copies

    @contextmanager
    def session(self, metadata: bool = False) -> Iterator[Any]:
        """A driver session on the nodes that run, which is told the schema and the tokens only if asked."""
        from cassandra.cluster import Cluster, EXEC_PROFILE_DEFAULT, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy

        addresses = [node.address for node in self.running()]
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(addresses), request_timeout=120)
        cluster = Cluster(
            addresses, protocol_version=4, connect_timeout=30, control_connection_timeout=30,
            schema_metadata_enabled=metadata, token_metadata_enabled=metadata, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        try:
            yield cluster.connect()
        finally:
            cluster.shutdown()
