"""The stand-in for OpenAI's API: the Responses protocol, and a model that says hello."""

from collections.abc import Iterator
from typing import ClassVar

from model_server import Answer, ModelServer, Request, sse

__all__ = ["CodexModel"]

USAGE = {"input_tokens": 8, "input_tokens_details": None, "output_tokens": 2, "output_tokens_details": None}


class CodexModel(ModelServer):
    """Any key is one that it knows."""

    names: ClassVar[tuple[str, ...]] = ("api.openai.com", "other.model.test")

    def responses(self) -> list[Request]:
        """Return the requests to the model itself."""
        return [it for it in self.seen if it.path == "/v1/responses"]

    def answer(self, request: Request) -> Answer:
        """See `ModelServer`."""
        if request.path != "/v1/responses":
            return Answer(404, {"error": {"message": "not found", "type": "invalid_request_error"}})
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return Answer(401, {"error": {"message": "no key", "type": "invalid_request_error"}})
        return Answer(200, stream())


def stream() -> Iterator[bytes]:
    """Yield an answer as the events of the real API."""
    text: dict[str, object] = {"type": "output_text", "text": "MOCK-HELLO", "annotations": []}
    said: dict[str, object] = {"role": "assistant", "status": "completed", "content": [text]}
    item: dict[str, object] = {"type": "message", "id": "msg_1", **said}
    yield sse("response.created", {"response": {"id": "resp_1"}})
    yield sse("response.output_item.done", {"output_index": 0, "item": item})
    yield sse("response.completed", {"response": {"id": "resp_1", "usage": {**USAGE, "total_tokens": 10}}})
