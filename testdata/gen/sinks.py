"""Where cassport writes to: a directory, or a bucket of an S3 server on loopback whose objects are files, too."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

BUCKET = "proofs"
KEY, SECRET = "AKIDPROOFS", "proofssecret"


@dataclass(frozen=True)
class Sink:
    """An output: as options of the program, and as the directory in which its files are seen."""

    path: Path
    words: tuple[str, ...]


def directory(path: Path) -> Sink:
    path.mkdir(parents=True, exist_ok=True)
    return Sink(path, ("--output", str(path)))


class Versity:
    """`versitygw` (`go install github.com/versity/versitygw/cmd/versitygw@latest`) with one bucket. Use as a context manager."""

    def __init__(self, binary: Path, root: Path) -> None:
        self.root = root
        (root / BUCKET).mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
        self.command = [str(binary), "--quiet", "--access", KEY, "--secret", SECRET, "--region", "us-east-1",
                        "--port", f"127.0.0.1:{self.port}", "posix", str(root)]

    def __enter__(self) -> Versity:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise RuntimeError("versitygw does not listen")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()

    def sink(self, prefix: str) -> Sink:
        words = ("--output", f"s3://{BUCKET}/{prefix}", "--s3-endpoint", f"http://127.0.0.1:{self.port}", "--s3-path-style")
        return Sink(self.root / BUCKET / prefix, words)
