"""Written for any host of wasi:http 0.2: a greeting, or what was posted, as it came."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingBody,
    IncomingRequest,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

# The most that wasi:io lets be written at once.
AT_ONCE = 4096


def posted(request: IncomingRequest) -> Iterator[bytes]:
    body = request.consume()
    with body.stream() as stream:
        try:
            while True:
                yield stream.blocking_read(AT_ONCE)
        except Err as error:
            if not isinstance(error.value, StreamError_Closed):
                raise
    with IncomingBody.finish(body):
        pass


def greeting(request: IncomingRequest) -> Iterator[bytes]:
    query = parse_qs(urlsplit(request.path_with_query() or "").query)
    yield f"Hello, {query.get('name', ['world'])[0]}!".encode()


def content_types(request: IncomingRequest) -> list[bytes]:
    with request.headers() as headers:
        return headers.get("content-type")


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        with request:
            is_posted = isinstance(request.method(), Method_Post)
            types = content_types(request) if is_posted else [b"text/plain; charset=utf-8"]
            response = OutgoingResponse(Fields.from_list([("content-type", value) for value in types]))
            body = response.body()
            ResponseOutparam.set(response_out, Ok(response))
            with body.write() as stream:
                for piece in posted(request) if is_posted else greeting(request):
                    stream.blocking_write_and_flush(piece)
            OutgoingBody.finish(body, None)
