"""What the proxy answers in the server's place, when there is none to be reached."""

import json


def bad_gateway(message: str) -> bytes:
    """A whole answer with status 502, after which the connection closes; its body is an error in OpenAI's shape."""
    error = {"message": message, "type": "server_error", "param": None, "code": "upstream_unreachable"}
    body = json.dumps({"error": error}).encode()
    head = (
        "HTTP/1.1 502 Bad Gateway\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
