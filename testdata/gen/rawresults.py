"""Makes the Python driver hand out the bytes of each value, undecoded: it has no notion of half of the values tested here."""

from __future__ import annotations

from typing import Any, BinaryIO

from cassandra.protocol import ResultMessage, _ProtocolHandler, read_int, read_value


class RawResult(ResultMessage):
    """A result whose rows are tuples of bytes or None."""

    def recv_results_rows(self, f: BinaryIO, protocol_version: int, user_type_map: Any, result_metadata: Any, *_: Any) -> None:
        self.recv_results_metadata(f, user_type_map)
        columns = self.column_metadata or result_metadata
        self.column_names = [column[2] for column in columns]
        self.column_types = [column[3] for column in columns]
        self.parsed_rows = [tuple(read_value(f) for _ in columns) for _ in range(read_int(f))]


class RawProtocolHandler(_ProtocolHandler):
    message_types_by_opcode = {**_ProtocolHandler.message_types_by_opcode, ResultMessage.opcode: RawResult}
