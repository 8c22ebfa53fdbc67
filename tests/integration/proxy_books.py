"""A metering proxy with what it counted, and the plainest client of it."""

import http.client
import json

from real_programs import eventually

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.proxy.server import MeteringProxy


class Books:
    """What the proxy counted."""

    def __init__(self):
        self.predictions, self.failures, self.responses = [], [], []

    def start(self, url):
        proxy = MeteringProxy(
            "127.0.0.1:0",
            Server(name="desk", url=url),
            SystemClock(),
            on_prediction=lambda _, prediction, __: self.predictions.append(prediction),
            on_failure=lambda _, model, __, failure: self.failures.append((model, failure.reason)),
            on_response=lambda _, model, status: self.responses.append((model, status)),
            context_of={"scripted-1b": 4096}.get,
        )
        proxy.start()
        return proxy

    def settled(self, count):
        eventually(lambda: len(self.predictions) + len(self.failures) >= count, what="all was counted")


def ask(address, method, path, body=None):
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
