"""Runs real Apache Cassandra nodes of any line from 2.1 to 5.0 on loopback, from the `cassandra-all` artifact: one alone, or
several that make a ring (`cluster.py`).

Nothing of it is installed on the machine: the jars come from Maven, JDK 8 and 11 from Debian unstable's packages,
both kept under `$CASSANDRA_BASE` (default `/cass`). Root is needed, because the old JDKs want a newer libc than Debian
stable has; it is bound over the machine's own in a mount namespace that only the node sees.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable

HERE = Path(__file__).resolve().parent
BASE = Path(os.environ.get("CASSANDRA_BASE", "/cass"))
# `CASSANDRA_ADDRESS` (127.0.0.21 and above) lets several of these programs run at a time.
ADDRESS = os.environ.get("CASSANDRA_ADDRESS", "127.0.0.1")
CQL_PORT = 9042
JMX_PORT = 7190 + int(ADDRESS.rpartition(".")[2])
NATIVE_LIBS = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Line:
    """One release line: the version that stands for it and the JDK that it runs on."""

    name: str
    version: str
    jdk: int
    # Writes SSTables of the BTI format; the others write BIG.
    bti: bool = False

    @property
    def number(self) -> tuple[int, int]:
        """(major, minor), to compare lines by."""
        major, minor = self.name.partition("-")[0].split(".")
        return int(major), int(minor)


LINES = {
    line.name: line
    for line in (
        Line("2.1", "2.1.22", 8),
        # Writes `la`, later ones `lb`.
        Line("2.2-la", "2.2.6", 8),
        Line("2.2", "2.2.19", 8),
        Line("3.0", "3.0.29", 8),
        Line("3.11", "3.11.19", 8),
        Line("4.0", "4.0.18", 11),
        Line("4.1", "4.1.9", 11),
        Line("5.0", "5.0.6", 17),
        Line("5.0-bti", "5.0.6", 17, bti=True),
    )
}

# The packages that Cassandra reaches into and that JDK 9 and later close.
OPENED = {
    11: """java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.misc
        java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar
        java.base/sun.nio.ch java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry
        java.rmi/sun.rmi.server java.sql/java.sql jdk.management/com.sun.management.internal""".split(),
    17: """java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.math
        java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent
        java.base/java.util.concurrent.atomic java.base/java.util.regex java.base/jdk.internal.loader
        java.base/jdk.internal.math java.base/jdk.internal.misc java.base/jdk.internal.module java.base/jdk.internal.ref
        java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch
        java.management.rmi/javax.management.remote.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
        java.rmi/sun.rmi.transport java.rmi/sun.rmi.transport.tcp java.sql/java.sql
        jdk.compiler/com.sun.tools.javac.api jdk.compiler/com.sun.tools.javac.code jdk.compiler/com.sun.tools.javac.file
        jdk.management/com.sun.management.internal""".split(),
}


class NodeError(RuntimeError):
    """The node did not start, or refused an operation."""


def jars(line: Line) -> list[str]:
    """The class path of a line."""
    artifacts = ["cassandra-all"] + (["cassandra-thrift"] if line.number < (4, 0) else [])
    directory = fetched(line.version, "org.apache.cassandra", artifacts, line.version)
    return sorted(glob.glob(f"{directory}/*.jar"))


def fetched(name: str, group: str, artifacts: Iterable[str], version: str) -> Path:
    """A directory with artifacts of one group and all that they need, fetched once with Maven."""
    directory = BASE / "lib" / name
    done = directory / ".ok"
    if not done.exists():
        directory.mkdir(parents=True, exist_ok=True)
        dependencies = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
            for artifact in artifacts
        )
        with tempfile.TemporaryDirectory() as scratch:
            pom = Path(scratch, "pom.xml")
            pom.write_text(
                "<project><modelVersion>4.0.0</modelVersion><groupId>gen</groupId><artifactId>gen</artifactId>"
                f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
            )
            subprocess.run(
                ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={directory}",
                 "-DincludeScope=runtime"],
                check=True,
            )
        done.touch()
    return directory


def _debian_mirror() -> str:
    """The package mirror that this machine is set up with."""
    for source in sorted(Path("/etc/apt").glob("sources.list*")) + sorted(Path("/etc/apt/sources.list.d").glob("*")):
        if source.is_file() and (found := re.search(r"^(?:deb |URIs:).*?(https?://\S+/debian)/?(?:\s|$)", source.read_text(), re.M)):
            return found[1]
    raise NodeError("no Debian mirror in /etc/apt")


def old_jdks() -> Path:
    """JDK 8 and 11 with the libraries they need, unpacked once beside the machine's own."""
    root = BASE / "jdkroot"
    if not (root / "usr/lib/jvm/java-11-openjdk-amd64/bin/java").exists():
        _unpack_old_jdks(root)
    for link in glob.glob(f"{root}/usr/lib/jvm/*/**/*", recursive=True):
        # The packages keep their configuration in /etc, where nothing of them is installed.
        if os.path.islink(link) and (target := os.readlink(link)).startswith("/etc/java-"):
            os.unlink(link)
            os.symlink(f"{root}{target}", link)
    return root


def _unpack_old_jdks(root: Path) -> None:
    packages = ["openjdk-8-jre-headless", "openjdk-11-jre-headless", "libc6", "zlib1g", "libgcc-s1", "libstdc++6", "libtinfo6",
                "libselinux1", "libpcre2-8-0", "libacl1", "libattr1", "libgmp10", "libcap2", "libnss3", "libnspr4", "libmount1",
                "libblkid1"]
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        for sub in ("lists/partial", "archives/partial", "debs"):
            os.makedirs(f"{scratch}/{sub}")
        sources = Path(scratch, "sources.list")
        sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {_debian_mirror()} sid main\n")
        apt = ["apt-get", "-q", f"-oDir::Etc::sourcelist={sources}", "-oDir::Etc::sourceparts=/dev/null",
               f"-oDir::State::Lists={scratch}/lists", f"-oDir::Cache={scratch}", "-oDir::State::status=/dev/null"]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "download", *packages], check=True, cwd=f"{scratch}/debs")
        root.mkdir(parents=True, exist_ok=True)
        for package in glob.glob(f"{scratch}/debs/*.deb"):
            subprocess.run(["dpkg", "-x", package, root], check=True)


def _modern_java() -> str:
    """A JDK 17, which runs both the 5.0 line and our own JMX helper."""
    found = sorted(glob.glob("/usr/lib/jvm/java-17-openjdk-*/bin/java"))
    if not found:
        raise NodeError("no JDK 17: install openjdk-17-jdk-headless")
    return found[0]


@dataclass
class Node:
    """A node with all its files under `directory`. Use as a context manager: leaving it kills the process."""

    line: Line
    directory: Path
    settings: dict[str, Any] = field(default_factory=dict)
    heap: str = "1g"
    address: str = ADDRESS
    jmx_port: int = JMX_PORT
    # Address of the node that the others ask for the ring; this node itself if it is alone.
    seed: str | None = None
    # Data center and rack; none for a node that is alone.
    place: tuple[str, str] | None = None
    # Write each schema change to disk at once, as a node does that is not under test; it is most of the time a workload takes.
    flush_schema: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _control: subprocess.Popen[str] | None = None
    _cluster: Any = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configuration(self) -> dict[str, Any]:
        d, number = self.directory, self.line.number
        yaml: dict[str, Any] = {
            "cluster_name": "cassport", "num_tokens": 4, "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "GossipingPropertyFileSnitch" if self.place else "SimpleSnitch",
            "listen_address": self.address, "rpc_address": self.address,
            "start_native_transport": True, "native_transport_port": CQL_PORT, "storage_port": 7000, "ssl_storage_port": 7001,
            "data_file_directories": [f"{d}/data"], "commitlog_directory": f"{d}/commitlog",
            "saved_caches_directory": f"{d}/saved_caches", "hints_directory": f"{d}/hints", "commitlog_sync": "periodic",
            "commitlog_sync_period_in_ms": 1000, "commitlog_segment_size_in_mb": 8, "auto_snapshot": False,
            "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": self.seed or self.address}]}],
            "read_request_timeout_in_ms": 60000, "range_request_timeout_in_ms": 60000, "write_request_timeout_in_ms": 60000,
            "counter_write_request_timeout_in_ms": 60000, "request_timeout_in_ms": 60000,
            # Low, so that a small wide partition has a promoted index of many blocks.
            "column_index_size_in_kb": 4,
            "concurrent_compactors": 1, "enable_materialized_views": True,
            "batch_size_warn_threshold_in_kb": 2048, "batch_size_fail_threshold_in_kb": 4096,
        }
        if number < (4, 0):
            yaml["start_rpc"] = False
        if number < (3, 0):
            del yaml["hints_directory"], yaml["enable_materialized_views"]
        if number < (2, 2):
            del yaml["batch_size_fail_threshold_in_kb"]
        if number >= (3, 11):
            yaml["cdc_raw_directory"] = f"{d}/cdc_raw"
        if number >= (5, 0):
            yaml["storage_compatibility_mode"] = "NONE"
            yaml["sstable"] = {"selected_format": "bti" if self.line.bti else "big"}
        if self.line.bti:
            # A block per row, so that the trie of a small partition has the order of every clustering in it.
            yaml["column_index_size_in_kb"] = 0
        return yaml | self.settings

    def _write_configuration(self) -> None:
        for sub in ("data", "commitlog", "saved_caches", "hints", "cdc_raw", "conf"):
            (self.directory / sub).mkdir(parents=True, exist_ok=True)
        # JSON is YAML, too.
        (self.directory / "conf/cassandra.yaml").write_text(json.dumps(self._configuration(), indent=1))
        (self.directory / "conf/logback.xml").write_text(
            f'<configuration><appender name="F" class="ch.qos.logback.core.FileAppender"><file>{self.directory}/system.log</file>'
            "<encoder><pattern>%-5level %date{HH:mm:ss.SSS} %logger{0} %msg%n</pattern></encoder></appender>"
            '<root level="INFO"><appender-ref ref="F"/></root></configuration>'
        )

        if self.place:
            center, rack = self.place
            (self.directory / "conf/cassandra-rackdc.properties").write_text(f"dc={center}\nrack={rack}\n")

    def _java(self) -> list[str]:
        """How to run the JDK of this line."""
        if self.line.jdk == 17:
            return [_modern_java()]
        root = old_jdks()
        home = {8: "java-8-openjdk-amd64/jre", 11: "java-11-openjdk-amd64"}[self.line.jdk]
        bind = f'mount --bind "{root}/{NATIVE_LIBS}" "/{NATIVE_LIBS}" && exec "$0" "$@"'
        return ["unshare", "-m", "sh", "-c", bind, f"{root}/usr/lib/jvm/{home}/bin/java"]

    def _jvm(self) -> list[str]:
        """Java with all that Cassandra's classes need, the daemon's and the tools' alike."""
        class_path = jars(self.line)
        flags = [
            f"-Xms{self.heap}", f"-Xmx{self.heap}", "-Xss512k", "-XX:+UseParallelGC", "-Djava.net.preferIPv4Stack=true",
            f"-Dcassandra.config=file://{self.directory}/conf/cassandra.yaml", "-Dlogback.configurationFile=logback.xml",
            f"-Dcassandra.storagedir={self.directory}", f"-Dcassandra.logdir={self.directory}",
            f"-Djava.io.tmpdir={self.directory}", "-Dlog4j2.disableJmx=true",
        ]
        if self.line.jdk == 8:
            flags += [f"-javaagent:{jar}" for jar in class_path if Path(jar).name.startswith("jamm-")]
        else:
            flags.append("-Djdk.attach.allowAttachSelf=true")
            for package in OPENED[self.line.jdk]:
                flags += [f"--add-opens={package}=ALL-UNNAMED", f"--add-exports={package}=ALL-UNNAMED"]
        if self.line.jdk == 17:
            flags.append("-Djava.security.manager=allow")
        return [*self._java(), *flags, "-cp", ":".join([f"{self.directory}/conf", *class_path])]

    def _command(self) -> list[str]:
        return [
            *self._jvm(), "-Dcassandra-foreground=yes", f"-Dcassandra.jmx.local.port={self.jmx_port}",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            # How long a node waits for a word of its seed, too.
            f"-Dcassandra.ring_delay_ms={8000 if self.place else 1000}",
            "-Dcassandra.superuser_setup_delay_ms=0",
            # Without it (2.x does not know it) every schema change flushes the schema tables, which is most of the time a workload takes.
            f"-Dcassandra.test.flush_local_schema_changes={str(self.flush_schema).lower()}",
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def tool_command(self) -> list[str]:
        """What to put before the class of one of Cassandra's offline tools, with this node's configuration; no node need run."""
        self._write_configuration()
        return self._jvm()

    def start(self, timeout: float = 600) -> None:
        """Starts the node and returns once it answers CQL."""
        if self._listens():
            raise NodeError(f"another node already listens on {self.address}:{CQL_PORT}")
        self._write_configuration()
        with open(self.directory / "out.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        end = time.monotonic() + timeout
        while not self._listens():
            if self._process.poll() is not None:
                raise NodeError(f"Cassandra {self.line.version} did not start: see out.log and system.log in {self.directory}")
            if time.monotonic() > end:
                self.stop()
                raise NodeError("no CQL port in time")
            time.sleep(0.3)

    def stop(self) -> None:
        """Ends the process. What was not flushed stays in the commit log."""
        if self._cluster:
            self._cluster.shutdown()
            self._cluster = None
        for process in (self._control, self._process):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._control = self._process = None

    def control(self, *words: str) -> None:
        """One nodetool operation (see Control.java) over a JMX connection that stays open."""
        if not self._control:
            self._control = subprocess.Popen(
                [_modern_java(), "-Xmx64m", str(HERE / "Control.java"), str(self.jmx_port)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
        assert self._control.stdin and self._control.stdout
        self._control.stdin.write("\t".join(words) + "\n")
        self._control.stdin.flush()
        answer = self._control.stdout.readline().strip()
        if answer != "ok":
            raise NodeError(f"{words[0]} {' '.join(words[1:3])}: {answer or 'the JMX helper died'}")

    def flush(self, keyspaces: Iterable[str]) -> None:
        for keyspace in keyspaces:
            self.control("flush", keyspace)

    def session(self, consistency: str = "LOCAL_ONE") -> Any:
        """A driver session whose rows are tuples of the bytes that the server sent."""
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        from cassandra import ConsistencyLevel
        from cassandra.cluster import Cluster, EXEC_PROFILE_DEFAULT, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy
        from rawresults import RawProtocolHandler

        profile = ExecutionProfile(
            load_balancing_policy=WhiteListRoundRobinPolicy([self.address]), request_timeout=120,
            row_factory=lambda _, rows: rows, consistency_level=ConsistencyLevel.name_to_value[consistency],
        )
        self._cluster = Cluster(
            [self.address], protocol_version=4 if self.line.number >= (2, 2) else 3, connect_timeout=30, control_connection_timeout=30, max_schema_agreement_wait=0,
            schema_metadata_enabled=False, token_metadata_enabled=False, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        session = self._cluster.connect()
        session.client_protocol_handler = RawProtocolHandler
        session.default_fetch_size = None
        return session

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.address, CQL_PORT), 1).close()
            return True
        except OSError:
            return False
