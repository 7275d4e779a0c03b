"""A function: one request in, one response out (wit/function.wit)."""

from urllib.parse import parse_qs, urlsplit

from wit_world import exports
from wit_world.exports.handler import Request, Response


def greeting(path: str) -> str:
    query = parse_qs(urlsplit(path).query)
    return f"Hello, {query.get('name', ['world'])[0]}!"


class Handler(exports.Handler):
    def handle(self, req: Request) -> Response:
        headers = [("content-type", b"text/plain; charset=utf-8")]
        return Response(200, headers, greeting(req.path).encode())
