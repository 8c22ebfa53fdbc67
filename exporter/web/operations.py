"""The endpoints for those who run lmwatch: metrics, health, reload, and the files of the pages."""

from importlib import resources

from werkzeug.exceptions import NotFound
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from exporter.errors import LmwatchError
from exporter.web import answers
from exporter.web.access import may_change
from exporter.web.deps import WebDeps

_STATIC_TYPES = {
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "refresh.js": "text/javascript; charset=utf-8",
}


class Operations:
    """Answers Prometheus, supervisors and browsers that load files.

    Args:
        deps: what is answered from.
    """

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._static = {
            name: resources.files(__package__).joinpath("static", name).read_bytes() for name in _STATIC_TYPES
        }

    def rules(self) -> list[Rule]:
        """Which address is answered by what."""
        return [
            Rule("/static/<name>", endpoint=self._static_file, methods=["GET"]),
            Rule("/metrics", endpoint=self._metrics, methods=["GET"]),
            Rule("/-/healthy", endpoint=self._healthy, methods=["GET"]),
            Rule("/-/ready", endpoint=self._ready, methods=["GET"]),
            Rule("/-/reload", endpoint=self._reload, methods=["POST", "PUT"]),
        ]

    def _static_file(self, _request: Request, name: str) -> Response:
        if name not in self._static:
            raise NotFound
        response = Response(self._static[name], content_type=_STATIC_TYPES[name])
        response.headers["Cache-Control"] = "max-age=3600"
        return response

    def _metrics(self, request: Request) -> Response:
        accept, encoding = request.headers.get("Accept", ""), request.headers.get("Accept-Encoding", "")
        status, headers, body = self._deps.exposition.respond(accept, encoding, request.args.getlist("name[]"))
        return Response(body, status=status, headers=headers)

    def _healthy(self, _request: Request) -> Response:
        return answers.text("lmwatch is healthy.\n")

    def _ready(self, _request: Request) -> Response:
        board = self._deps.board()
        if board.ready:
            return answers.text("lmwatch is ready.\n")
        polled, collected = len(board.servers), len(board.sources)
        return answers.text(
            f"lmwatch is not ready: waiting for the first polls; {polled} servers and {collected} targets have been tried so far.\n",
            503,
        )

    def _reload(self, request: Request) -> Response:
        if not may_change(request):
            return answers.text(
                "Refused: reloading needs authentication (--web.config.file with basic_auth_users), or a caller on this machine.\n",
                403,
            )
        try:
            self._deps.reload()
        except LmwatchError as error:
            return answers.text(f"The configuration was not reloaded: {error}\n", 500)
        return answers.text("The configuration was reloaded.\n")
