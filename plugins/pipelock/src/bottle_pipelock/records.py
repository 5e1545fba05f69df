"""What pipelock writes down: lines of its log, and the receipts of its flight recorder."""

from datetime import datetime

from msgspec import DecodeError, Struct, json

__all__ = ["Entry", "Line", "Record", "read_line", "read_receipt"]


class Line(Struct, frozen=True):
    """A line of the log, as far as anything of it is looked at; the others have fields of their own.

    `url` is whole, with its query, unless the scanner is one of those that pipelock redacts itself.
    """

    event: str
    time: datetime | None = None
    method: str = ""
    url: str = ""
    target: str = ""
    request_id: str = ""
    scanner: str = ""
    reason: str = ""
    error: str = ""
    action: str = ""
    patterns: tuple[str, ...] = ()
    status: str = ""
    status_code: int | None = None
    size_bytes: int | None = None
    config_hash: str = ""
    connect_host: str = ""
    sni_host: str = ""


class Record(Struct, frozen=True):
    """What a receipt says was done. `target` is a URL with its query, secrets and all."""

    verdict: str = ""
    transport: str = ""
    method: str = ""
    target: str = ""
    request_id: str = ""


class Detail(Struct, frozen=True):
    """The signed part of a receipt."""

    action_record: Record = Record()


class Entry(Struct, frozen=True):
    """One line of the recorder's file; other types than `action_receipt` have another detail."""

    type: str
    ts: datetime
    detail: Detail = Detail()


lines = json.Decoder(Line)
entries = json.Decoder(Entry)


def read_line(text: bytes) -> Line | None:
    """Return a line of the log, None for anything else that a program prints."""
    try:
        return lines.decode(text)
    except (DecodeError, UnicodeDecodeError):
        return None


def read_receipt(text: bytes) -> Entry | None:
    """Return a receipt, None for any other entry."""
    try:
        entry = entries.decode(text)
    except (DecodeError, UnicodeDecodeError):
        return None
    return entry if entry.type == "action_receipt" else None
