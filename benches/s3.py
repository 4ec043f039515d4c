#!/usr/bin/env python3
"""Measures `cassport extract` to S3 against `aws s3 cp` of the same bytes, on the same server, in one run.

  s3.py --server versitygw --aws aws [--tls] [--table DIR] [--binary FILE] [--scratch DIR] [--json FILE]

The server runs on loopback with its files in memory (/dev/shm): `versitygw` (`go install
github.com/versity/versitygw/cmd/versitygw@latest`) or `s3s-fs` (`cargo install s3s-fs --features binary`), told apart by the
name of the program. s3s-fs does not say the checksums of parts, so that cassport has to send and compare MD5, which costs more
than everything else together; versitygw does, as S3 itself. With --tls (versitygw only; needs openssl) both speak HTTPS, as with S3: then
neither signs the bodies. First the table is extracted to a directory: that tree is what `aws s3 cp --recursive` then uploads. `cassport` reads the SSTables,
decodes, writes text and uploads it. The two take turns; of three runs each the cheapest counts. After each one the objects
in the bucket are compared with the tree: names and lengths, and for cassport the manifest's checksums are those the server
was sent. CPU is that of the client alone; the server's is shown beside it, for it has the same cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import Cost, Failed, measured, release_binary, warm

BUCKET = "bench"
REPETITIONS = 3
KEY, SECRET = "AKIDBENCH", "benchsecret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server with an empty bucket."""

    def __init__(self, binary: Path, root: Path, certificate: tuple[Path, Path] | None) -> None:
        self.root, self.port = root, free_port()
        (root / BUCKET).mkdir(parents=True)
        if binary.name == "versitygw":
            command = [binary, "--quiet", "--access", KEY, "--secret", SECRET, "--region", "us-east-1", "--port", f"127.0.0.1:{self.port}", "posix", root]
            if certificate:
                command[1:1] = ["--cert", certificate[0], "--key", certificate[1]]
        else:
            command = [binary, "--host", "127.0.0.1", "--port", self.port, "--access-key", KEY, "--secret-key", SECRET, root]
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise Failed(f"{binary.name} does not listen")

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def objects(self) -> dict[str, int]:
        """Names and lengths, without what the server keeps beside them."""
        base = self.root / BUCKET
        files = (path for path in base.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {str(path.relative_to(base)): path.stat().st_size for path in files}

    def empty(self) -> None:
        for path in (self.root / BUCKET).iterdir():
            shutil.rmtree(path)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, of an authority that both clients are told to trust."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2", "-nodes"]
    authority = ["-keyout", directory / "ca.key", "-out", directory / "ca.pem"]
    leaf = ["-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-keyout", directory / "tls.key", "-out", directory / "tls.pem",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    for subject, rest in (("/CN=authority", authority), ("/CN=127.0.0.1", leaf)):
        subprocess.run([*made, "-subj", subject, *map(str, rest)], check=True, stderr=subprocess.DEVNULL)
    os.environ["AWS_CA_BUNDLE"] = str(directory / "ca.pem")
    return directory / "tls.pem", directory / "tls.key"


def tree(directory: Path) -> dict[str, int]:
    files = (path for path in directory.rglob("*.csv") if path.is_file())
    return {str(path.relative_to(directory)): path.stat().st_size for path in files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, required=True)
    parser.add_argument("--aws", type=Path, required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--table", type=Path, default=Path("/tmp/bench/wide"))
    parser.add_argument("--binary", type=Path, help="default: built from here")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"))
    parser.add_argument("--threads", default="2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    binary = arguments.binary or release_binary()
    made = json.loads((arguments.table / "table.json").read_text())
    os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
    with tempfile.TemporaryDirectory(prefix="cassport-s3-", dir=arguments.scratch) as scratch, \
            tempfile.TemporaryDirectory(prefix="cassport-s3-", dir="/dev/shm") as memory:
        files, log = Path(scratch) / "files", Path(scratch) / "log"
        extract = [binary, "extract", "--data-dir", arguments.table / "data", "-t", made["table"], "--threads", arguments.threads, "-q"]
        warm(arguments.table / "data" / "bench")
        measured([*extract, "--output", files], log)
        expected = tree(files)
        size = sum(expected.values())
        certificate = make_certificate(Path(scratch)) if arguments.tls else None
        server = Server(arguments.server, Path(memory) / "root", certificate)
        try:
            endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{server.port}"
            ours = [*extract, "--output", f"s3://{BUCKET}/out", "--s3-endpoint", endpoint, "--s3-path-style"]
            theirs = [arguments.aws, "s3", "cp", "--recursive", "--only-show-errors", "--endpoint-url", endpoint,
                      files, f"s3://{BUCKET}/out"]
            costs: dict[str, list[tuple[Cost, float]]] = {"cassport extract": [], "aws s3 cp": []}
            for _ in range(REPETITIONS):
                for name, command in zip(costs, (ours, theirs)):
                    server.empty()
                    warm(files)
                    before = server.cpu()
                    cost = measured(command, log)
                    costs[name].append((cost, server.cpu() - before))
                    there = {k.removeprefix("out/"): v for k, v in server.objects().items() if k.endswith(".csv")}
                    if there != expected:
                        raise Failed(f"{name}: other objects than the tree: {there} and {expected}")
        finally:
            server.stop()
    print(f"{size / 1e6:.0f} MB in {len(expected)} objects, from {made['uncompressedBytes'] / 1e6:.0f} MB of SSTables; {os.cpu_count()} CPUs")
    print(f"{'':<20}{'wall s':>8}{'MB/s':>8}{'client CPU s':>14}{'server CPU s':>14}{'RssAnon MB':>12}")
    for name, runs in costs.items():
        cost, server_cpu = min(runs, key=lambda run: run[0].wall)
        print(f"{name:<20}{cost.wall:>8.2f}{size / cost.wall / 1e6:>8.0f}{cost.cpu:>14.2f}{server_cpu:>14.2f}{cost.peak_anonymous / 1e6:>12.0f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({n: [(c.wall, c.cpu, s, c.peak_anonymous) for c, s in r] for n, r in costs.items()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
