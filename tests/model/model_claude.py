"""The stand-in for Claude's API: the real protocol, and a model that does what directives in the prompt tell it.

Directives stand in the user's own text and are carried out in turn, one tool call a round:
`[[mock:bash COMMAND]]`, `[[mock:read PATH]]`, `[[mock:edit PATH|OLD|NEW]]`, `[[mock:write PATH|TEXT]]`,
`[[mock:skill NAME]]`, `[[mock:rounds N COMMAND]]` (N rounds of one command), `[[mock:error STATUS]]`,
`[[mock:slow CHUNKS SECONDS]]` (a stream that takes its time). Without any it says `MOCK-HELLO`; once all
are carried out, `MOCK-FINAL` and what the last tool returned.
"""

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from model_server import Answer, ModelServer, Request, sse

__all__ = ["ClaudeModel"]

DIRECTIVE = re.compile(r"\[\[mock:(\w+)(?: (.*?))?\]\]", re.DOTALL)
ERRORS = {
    400: ("invalid_request_error", "the request is not valid"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "not permitted"),
    404: ("not_found_error", "Not Found"),
    429: ("rate_limit_error", "Number of request tokens has exceeded your rate limit"),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}
SHOWN = 200  # characters of a tool's result that are said at the end


class Turn(NamedTuple):
    """What the model says in one turn: text, or a call of a tool."""

    text: str = ""
    tool: str = ""
    given: dict[str, Any] = {}  # noqa: RUF012 - never changed
    chunks: int = 1
    pause: float = 0.0


class ClaudeModel(ModelServer):
    """`credentials`: the keys and tokens that it knows; empty: any."""

    names: ClassVar[tuple[str, ...]] = ("api.anthropic.com", "other.model.test")

    def __init__(self, folder: Path, address: str = "127.0.0.1", ports: tuple[int, int] = (0, 0)) -> None:
        super().__init__(folder, address, ports)
        self.credentials: frozenset[str] = frozenset()
        self._ids = itertools.count(1)

    def messages(self) -> list[Request]:
        """Return the requests to the model itself in which it may call tools: not titles and other asides."""
        return [it for it in self.seen if it.path.startswith("/v1/messages?") and it.body.get("tools")]

    def answer(self, request: Request) -> Answer:
        """See `ModelServer`."""
        path = request.path.partition("?")[0]
        if not path.startswith("/v1/messages"):
            return error(404)
        if not self._knows(request):
            return error(401)
        if path == "/v1/messages/count_tokens":
            return Answer(200, {"input_tokens": len(request.raw) // 4})
        turn = next_turn(request.body)
        if isinstance(turn, int):
            return error(turn)
        message = self._message(request.body, turn)
        return Answer(200, stream(message, turn) if request.body.get("stream") else message)

    def _knows(self, request: Request) -> bool:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(given) and (not self.credentials or given in self.credentials)

    def _message(self, body: dict[str, Any], turn: Turn) -> dict[str, Any]:
        number = next(self._ids)
        called = {"type": "tool_use", "id": f"toolu_{number:024}", "name": turn.tool, "input": turn.given}
        return {
            "id": f"msg_{number:024}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "claude"),
            "content": [called if turn.tool else {"type": "text", "text": turn.text}],
            "stop_reason": "tool_use" if turn.tool else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": max(1, len(json.dumps(body)) // 4),
                "output_tokens": 8,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
            },
        }


def error(status: int) -> Answer:
    """Return one of the API's errors; a client is told not to try again at once."""
    kind, text = ERRORS[status]
    return Answer(status, {"type": "error", "error": {"type": kind, "message": text}}, (("retry-after", "1"),))


def next_turn(body: dict[str, Any]) -> Turn | int:
    """Return what comes next in a conversation: a turn, or the status of an error."""
    directives, results = conversation(body)
    if not body.get("tools"):
        return Turn(text="MOCK-ASIDE")
    steps = list(expanded(directives))
    if not steps:
        return Turn(text="MOCK-HELLO")
    if len(results) >= len(steps):
        return Turn(text=f"MOCK-FINAL {results[-1][:SHOWN]}" if results else "MOCK-FINAL")
    return steps[len(results)]


def conversation(body: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the directives of the last prompt that has any, and the results of tools since."""
    directives: list[tuple[str, str]] = []
    results: list[str] = []
    for message in body.get("messages", ()):
        if message.get("role") != "user":
            continue
        content = message.get("content", "")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block.get("type") == "tool_result":
                results.append(text_of(block.get("content", "")))
            elif block.get("type") == "text" and (found := DIRECTIVE.findall(block["text"])):
                directives, results = found, []
            elif block.get("type") == "text" and not block["text"].startswith("<system-reminder>"):
                directives, results = [], []
    return directives, results


def text_of(content: Any) -> str:
    """Return the text of a tool's result; an image is named."""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", f"<{part.get('type')}>") for part in content)


def expanded(directives: list[tuple[str, str]]) -> Iterator[Turn | int]:
    """Yield the turns that directives ask for."""
    for name, rest in directives:
        match name:
            case "bash":
                yield Turn(tool="Bash", given={"command": rest, "description": "run it"})
            case "rounds":
                times, _, command = rest.partition(" ")
                yield from [Turn(tool="Bash", given={"command": command, "description": "run it"})] * int(times)
            case "read":
                yield Turn(tool="Read", given={"file_path": rest})
            case "edit":
                path, old, new = rest.split("|")
                yield Turn(tool="Edit", given={"file_path": path, "old_string": old, "new_string": new})
            case "write":
                path, text = rest.split("|")
                yield Turn(tool="Write", given={"file_path": path, "content": text})
            case "skill":
                yield Turn(tool="Skill", given={"skill": rest})
            case "error":
                yield int(rest)
            case "slow":
                chunks, seconds = rest.split()
                yield Turn(text="MOCK-SLOW", chunks=int(chunks), pause=float(seconds))
            case _:
                raise ValueError(f"no directive {name}")


def stream(message: dict[str, Any], turn: Turn) -> Iterator[bytes]:
    """Yield a message as the events of the real API."""
    block = message["content"][0]
    begun: dict[str, Any] = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**message["usage"], "output_tokens": 1},
    }
    yield sse("message_start", {"message": begun})
    empty: dict[str, Any] = {**block, "input": {}} if turn.tool else {"type": "text", "text": ""}
    yield sse("content_block_start", {"index": 0, "content_block": empty})
    yield sse("ping", {})
    for number in range(turn.chunks):
        if number:
            time.sleep(turn.pause)
        if turn.tool:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(turn.given)}
        else:
            delta = {"type": "text_delta", "text": turn.text if turn.chunks == 1 else f"{turn.text}-{number} "}
        yield sse("content_block_delta", {"index": 0, "delta": delta})
    yield sse("content_block_stop", {"index": 0})
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield sse("message_delta", {"delta": ended, "usage": {"output_tokens": 8}})
    yield sse("message_stop", {})
