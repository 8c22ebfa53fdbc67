"""A websocket server that does what a script says, byte for byte: for what LM Studio does wrong and what is no LM Studio."""

import base64
import contextlib
import hashlib
import json
import queue
import socket
import struct
import threading
import time

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def until(condition, seconds=20.0):
    """Wait for a condition; fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


class GoneError(Exception):
    """The client left."""


class Peer:
    """One connection as a script sees it."""

    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.file = sock.makefile("rb")
        self.path = ""
        self.headers = {}
        self.calls = []

    @property
    def namespace(self):
        return self.path.rpartition("/")[2]

    def read_request(self):
        """The request line and headers; kept as `path` and `headers`, names in lower case."""
        line = self.file.readline()
        if not line:
            raise GoneError
        method, self.path, _ = line.decode().split()
        self.headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        return method

    def upgrade(self, more=""):
        key = self.headers["sec-websocket-key"]
        digest = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
        self.raw(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"{more}Sec-WebSocket-Accept: {digest}\r\n\r\n".encode()
        )

    def raw(self, data):
        self.sock.sendall(data)

    def frame(self, data, opcode=1, head=None):
        """Send a frame; `head` replaces the first byte."""
        data = data.encode() if isinstance(data, str) else data
        first = bytes([0x80 | opcode if head is None else head])
        if len(data) < 126:
            self.raw(first + bytes([len(data)]) + data)
        elif len(data) < 1 << 16:
            self.raw(first + struct.pack("!BH", 126, len(data)) + data)
        else:
            self.raw(first + struct.pack("!BQ", 127, len(data)) + data)

    def say(self, document=None, **fields):
        self.frame(json.dumps(fields if document is None else document))

    def hear(self):
        """The next text of the client as JSON; its pongs and goodbyes are passed over."""
        while True:
            head = self.file.read(2)
            if len(head) < 2:
                raise GoneError
            length = head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(self.file.read(2 if length == 126 else 8))
            key, data = self.file.read(4), self.file.read(length)
            text = bytes(byte ^ key[index % 4] for index, byte in enumerate(data))
            if head[0] & 0x0F == 1:
                return json.loads(text)
            self.server.controls.put((head[0] & 0x0F, text))

    def greet(self):
        """Upgrade and accept whoever it is; returns the identity."""
        self.upgrade()
        identity = self.hear()
        self.say(success=True)
        return identity

    def hear_call(self):
        call = self.hear()
        self.calls.append(call)
        self.server.calls.append((self.namespace, call["endpoint"], call.get("parameter")))
        return call

    def answer(self, call, result):
        self.say(type="rpcResult", callId=call["callId"], result=result)

    def answer_all(self, results):
        """Answer every call with what its endpoint has in `results`, until the client goes."""
        while True:
            call = self.hear_call()
            result = results[call["endpoint"]]
            self.answer(call, result(call) if callable(result) else result)

    def hang(self):
        """Say nothing more until the client goes."""
        while self.file.read(1):
            pass


ONE = [{"identifier": "m", "instanceReference": "r", "modelKey": "m", "ttlMs": 60000, "lastUsedTime": None}]
GOOD = {
    "info": {"pid": 7, "isDaemon": True, "version": "0.4.24"},
    "listLoaded": ONE,
    "getInstanceProcessingState": {"status": "idle", "queued": 0},
}
"""Answers of a healthy server. The embedding namespace gives the same list, which no test minds."""


def good(peer):
    peer.greet()
    peer.answer_all(GOOD)


class RawServer:
    """Runs `script(peer)` for each connection, after its request was read; a script that ends closes the connection.

    Args:
        script: for all namespaces, or one for each.
        tls: a server side SSL context.
    """

    def __init__(self, script, tls=None):
        self.scripts = script
        self.tls = tls
        self.peers = []
        self.calls = []
        """Namespace, endpoint and parameter of every call that came in."""
        self.controls = queue.Queue()
        self.errors = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        peer = None
        try:
            sock = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            peer = Peer(self, sock)
            self.peers.append(peer)
            peer.read_request()
            script = self.scripts
            (script.get(peer.namespace, good) if isinstance(script, dict) else script)(peer)
        except (GoneError, OSError):
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            if peer is not None:
                peer.file.close()
            sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        for thread in self._threads:
            thread.join(10)
        assert not self.errors, self.errors


@contextlib.contextmanager
def raw_server(script, tls=None):
    server = RawServer(script, tls)
    try:
        yield server
    finally:
        server.close()
