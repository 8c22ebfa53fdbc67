"""The stand-in's websocket: RFC 6455 byte for byte, and LM Studio's frames as its clients see them."""

import base64
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket
from embedded_support import Client, Gate, chat, wait_until

from exporter.clock import ManualClock
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models
from exporter.embedded.studio_faults import Fault

MakeStudio = Callable[..., StudioServer]
TOKEN = "sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT"
GUEST = {"authVersion": 1, "clientIdentifier": "guest:1", "clientPasskey": "x"}
KNOWN = {"authVersion": 1, "clientIdentifier": "tL9sH4ED", "clientPasskey": "MQZTWwaOsmlIEKL4EruT"}
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"


class Rpc:
    """A client of one namespace, made of websocket-client and nothing else."""

    def __init__(self, studio: StudioServer, namespace: str, identity: Any = GUEST) -> None:
        url = f"ws://127.0.0.1:{studio.port}/{namespace}"
        self.socket = websocket.create_connection(url, timeout=10, suppress_origin=True)
        self.greeting = self.exchange(identity)

    def exchange(self, frame: Any) -> Any:
        self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        return json.loads(self.socket.recv())

    def call(self, endpoint: str, **fields: Any) -> Any:
        return self.exchange({"type": "rpcCall", "endpoint": endpoint, "callId": 1, **fields})

    def result(self, endpoint: str, **fields: Any) -> Any:
        answer = self.call(endpoint, **fields)
        assert (answer["type"], answer["callId"]) == ("rpcResult", 1), answer
        return answer["result"]


@pytest.fixture
def rpc() -> Iterator[Callable[..., Rpc]]:
    """Opens connections and closes them in the end."""
    opened: list[Rpc] = []

    def connect(*args: Any, **more: Any) -> Rpc:
        opened.append(Rpc(*args, **more))
        return opened[-1]

    yield connect
    for each in opened:
        each.socket.shutdown()


def state_of(reference: str, **more: Any) -> dict[str, Any]:
    return {
        "specifier": {"type": "instanceReference", "instanceReference": reference},
        "throwIfNotFound": False,
        **more,
    }


# ---- LM Studio's frames


def test_the_server_says_who_it_is(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    system = rpc(studio, "system")
    assert system.greeting == {"success": True}
    assert system.result("info") == {"pid": studio.pid, "isDaemon": False, "version": "0.4.24"}
    assert system.result("version") == {"version": "0.4.24", "build": 1}


def test_another_start_is_another_process(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    before = rpc(studio, "system").result("info")["pid"]
    studio.stop()
    studio.start()
    assert rpc(studio, "system").result("info")["pid"] != before


def test_what_is_loaded_by_kind(studio: StudioServer, clock: ManualClock, rpc: Callable[..., Rpc]) -> None:
    studio.load(EMBEDDER, ttl_seconds=60.0)
    clock.advance(15)
    (model,) = rpc(studio, "llm").result("listLoaded")
    assert (model["type"], model["identifier"], model["ttlMs"]) == ("llm", "scripted-1b", None)
    assert (model["contextLength"], model["deviceIdentifier"]) == (4096, None)
    (embedder,) = rpc(studio, "embedding").result("listLoaded")
    assert (embedder["type"], embedder["identifier"], embedder["ttlMs"]) == ("embedding", EMBEDDER, 60000)
    assert embedder["lastUsedTime"] == 1_700_000_000_000
    assert "vision" not in embedder


def test_what_a_model_is_doing(make_studio: MakeStudio, gate: Gate, rpc: Callable[..., Rpc]) -> None:
    """Reading its prompt, writing, with another request in line, and nothing more."""
    engine = ScriptedEngine(lambda _: "one two three", pause=gate, parallel=1)
    studio = make_studio(engine)
    llm = rpc(studio, "llm")
    reference = llm.result("listLoaded")[0]["instanceReference"]

    def state() -> dict[str, Any]:
        result: dict[str, Any] = llm.result("getInstanceProcessingState", parameter=state_of(reference))
        return result

    assert state() == {"status": "idle", "queued": 0}
    client = Client(studio.port)
    with client.stream("/v1/chat/completions", chat()) as first:
        wait_until(lambda: state() == {"status": "processingPrompt", "queued": 1}, "it reads the prompt")
        gate.let(1)
        wait_until(lambda: state() == {"status": "generating", "queued": 1}, "it writes")
        with client.stream("/v1/chat/completions", chat()) as second:
            wait_until(lambda: state() == {"status": "generating", "queued": 2}, "another waits")
            gate.open()
            assert list(first)
            assert list(second)
    wait_until(lambda: state() == {"status": "idle", "queued": 0}, "it rests")


def test_one_that_is_abandoned_is_idle_again(make_studio: MakeStudio, gate: Gate, rpc: Callable[..., Rpc]) -> None:
    studio = make_studio(ScriptedEngine(lambda _: "one two three", pause=gate))
    llm = rpc(studio, "llm")
    parameter = state_of(llm.result("listLoaded")[0]["instanceReference"])
    stream = Client(studio.port).stream("/v1/chat/completions", chat())
    gate.let(1)
    assert next(iter(stream))
    stream.hang_up()
    gate.open()
    wait_until(
        lambda: llm.result("getInstanceProcessingState", parameter=parameter) == {"status": "idle", "queued": 0},
        "it rests",
    )


def test_an_instance_that_is_not_there(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    llm = rpc(studio, "llm")
    quiet = llm.call("getInstanceProcessingState", parameter=state_of("gone"))
    assert quiet == {"type": "rpcResult", "callId": 1}
    loud = llm.call("getInstanceProcessingState", parameter=state_of("gone", throwIfNotFound=True))
    assert (loud["type"], loud["callId"]) == ("rpcError", 1)


def test_the_info_of_one_model_by_reference_and_by_identifier(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    llm = rpc(studio, "llm")
    (model,) = llm.result("listLoaded")
    query = {"specifier": {"type": "query", "query": {"identifier": "scripted-1b"}}, "throwIfNotFound": True}
    assert llm.result("getModelInfo", parameter=query) == model
    assert llm.result("getModelInfo", parameter=state_of(model["instanceReference"])) == model


@pytest.mark.parametrize("parameter", [{}, None])
def test_a_parameter_where_none_belongs_is_a_type_error(
    studio: StudioServer, rpc: Callable[..., Rpc], parameter: Any
) -> None:
    answer = rpc(studio, "llm").call("listLoaded", parameter=parameter)
    assert (answer["type"], answer["kind"]) == ("communicationWarning", "rpcParameterTypeError")
    assert "endpointName = listLoaded" in answer["warning"]
    assert "Expected void" in answer["warning"]


def test_unknown_endpoints_are_warned_of_five_times(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    system = rpc(studio, "system")
    for _ in range(5):
        assert system.call("listLoaded") == {
            "type": "communicationWarning",
            "warning": "Received rpcCall for unknown endpoint, endpoint = listLoaded",
            "kind": "rpcEndpointUnknown",
        }
    system.socket.send(json.dumps({"type": "rpcCall", "endpoint": "listLoaded", "callId": 6}))
    assert system.exchange({"type": "keepAlive"}) == {"type": "keepAliveAck"}


def test_what_changes_something_is_not_there(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    answer = rpc(studio, "llm").exchange({"type": "channelCreate", "endpoint": "loadModel", "channelId": 1})
    assert answer["kind"] == "channelEndpointUnknown"
    assert studio.loaded == ("scripted-1b",)


def test_the_log_stream_is_refused(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    answer = rpc(studio, "diagnostics").exchange({"type": "channelCreate", "endpoint": "streamLogs", "channelId": 3})
    assert (answer["type"], answer["channelId"]) == ("channelError", 3)


@pytest.mark.parametrize(
    ("identity", "welcome"),
    [
        (KNOWN, True),
        (GUEST, False),
        ({**KNOWN, "clientPasskey": "MQZTWwaOsmlIEKL4EruX"}, False),
        ({**KNOWN, "clientIdentifier": "lmwatch"}, False),
    ],
)
def test_with_a_token_only_its_halves_are_welcome(
    make_studio: MakeStudio, rpc: Callable[..., Rpc], identity: Any, welcome: bool
) -> None:
    client = rpc(make_studio(api_token=TOKEN), "llm", identity)
    assert client.greeting["success"] is welcome
    if welcome:
        assert client.result("listLoaded")
    else:
        assert client.greeting["error"] == {"title": "Invalid API token"}
        assert client.socket.recv() == ""
        assert not client.socket.connected


def test_before_the_greeting_nothing_is_answered(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    """Neither calls, nor identities that are none; the first proper one is."""
    url = f"ws://127.0.0.1:{studio.port}/llm"
    connection = websocket.create_connection(url, timeout=10)
    connection.send(json.dumps({"type": "rpcCall", "endpoint": "listLoaded", "callId": 1}))
    connection.send("not json")
    connection.send(json.dumps({**GUEST, "authVersion": "1"}))
    connection.send(json.dumps({**GUEST, "clientIdentifier": "x" * 257}))
    connection.send(json.dumps(GUEST))
    assert json.loads(connection.recv()) == {"success": True}
    connection.shutdown()


def test_another_program_has_no_websocket(make_studio: MakeStudio) -> None:
    studio = make_studio(api_level="openai")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(f"ws://127.0.0.1:{studio.port}/llm", timeout=10)
    assert caught.value.status_code == 404


def test_an_unknown_namespace_is_an_unexpected_endpoint(studio: StudioServer) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(f"ws://127.0.0.1:{studio.port}/nothing", timeout=10)
    assert caught.value.status_code == 200


# ---- faults


def test_a_dead_socket_stays_open_and_says_nothing(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    llm, system = rpc(studio, "llm"), rpc(studio, "system")
    studio.faults.inject(Fault("rpc_dead"), route="/llm")
    assert system.result("info")
    for _ in range(2):
        llm.socket.send(json.dumps({"type": "rpcCall", "endpoint": "listLoaded", "callId": 1}))
    wait_until(lambda: studio.faults.pending == 0, "the first frame was taken")
    llm.socket.settimeout(0.05)
    with pytest.raises(websocket.WebSocketTimeoutException):
        llm.socket.recv()
    assert rpc(studio, "llm").result("listLoaded")


def test_a_client_can_be_refused_once(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    studio.faults.inject(Fault("rpc_refused"))
    assert rpc(studio, "llm").greeting["success"] is False
    assert rpc(studio, "llm").greeting["success"] is True


def test_faults_of_requests_are_left_to_requests(studio: StudioServer, client: Client, rpc: Callable[..., Rpc]) -> None:
    studio.faults.inject(Fault("html_500"))
    studio.faults.inject(Fault("rpc_refused"))
    assert rpc(studio, "system").greeting["success"] is False
    assert client.get("/api/v1/models").status == 500
    assert client.get("/api/v1/models").status == 200


def test_an_upgrade_can_fail_as_any_request_where_the_route_says_so(studio: StudioServer) -> None:
    studio.faults.inject(Fault("html_500"), route="/llm")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(f"ws://127.0.0.1:{studio.port}/llm", timeout=10)
    assert caught.value.status_code == 500


def test_stopping_the_server_ends_open_websockets(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    llm = rpc(studio, "llm")
    studio.stop()
    with pytest.raises((websocket.WebSocketConnectionClosedException, OSError)):
        llm.socket.recv()


# ---- RFC 6455


class Bare:
    """A websocket client that sends whatever it is told to."""

    def __init__(self, studio: StudioServer, **headers: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", studio.port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {"Host": "x", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": key}
        lines |= {"Sec-WebSocket-Version": "13"} | {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        self.sock.sendall(f"GET /llm HTTP/1.1\r\n{head}\r\n".encode())
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, data: bytes, head: int = 0x81, *, masked: bool = True) -> None:
        key = os.urandom(4)
        body = bytes(byte ^ key[index % 4] for index, byte in enumerate(data)) if masked else data
        mask = 0x80 if masked else 0
        if len(data) < 126:
            length = bytes([mask | len(data)])
        elif len(data) < 1 << 16:
            length = struct.pack("!BH", mask | 126, len(data))
        else:
            length = struct.pack("!BQ", mask | 127, len(data))
        self.sock.sendall(bytes([head]) + length + (key if masked else b"") + body)

    def read(self) -> tuple[int, bytes]:
        """Opcode and data of the next frame; (-1, b"") at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return -1, b""
        assert not head[1] & 0x80, "a server must not mask"
        length = head[1] & 0x7F
        if length > 125:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8))
        return head[0] & 0x0F, self.file.read(length)

    def close(self) -> None:
        self.file.close()
        self.sock.close()


@pytest.fixture
def bare(studio: StudioServer) -> Iterator[Callable[..., Bare]]:
    opened: list[Bare] = []

    def connect(**headers: str) -> Bare:
        opened.append(Bare(studio, **headers))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    "headers", [{"Sec_WebSocket_Version": "8"}, {"Sec_WebSocket_Key": ""}, {"Connection": "keep-alive"}]
)
def test_an_improper_upgrade_is_refused(bare: Callable[..., Bare], headers: dict[str, str]) -> None:
    assert bare(**headers).status == 400


def test_messages_of_every_length_arrive_whole(studio: StudioServer, rpc: Callable[..., Rpc]) -> None:
    for length in (1, 60, 125, 126, 127, 65535, 65536, 300_000):
        name = "x" * length
        warning = rpc(studio, "system").call(name)["warning"]
        assert warning == f"Received rpcCall for unknown endpoint, endpoint = {name}"


def test_a_message_in_fragments_with_a_ping_between_them(bare: Callable[..., Bare]) -> None:
    client = bare()
    text = json.dumps(GUEST).encode()
    client.send(text[:9], head=0x01)
    client.send(b"there?", head=0x89)
    assert client.read() == (0xA, b"there?")
    client.send(b"", head=0x8A)
    client.send(text[9:20], head=0x00)
    client.send(text[20:], head=0x80)
    assert client.read() == (1, b'{"success": true}')


def test_a_goodbye_is_answered(bare: Callable[..., Bare]) -> None:
    client = bare()
    client.send(struct.pack("!H", 1000) + b"bye", head=0x88)
    assert client.read() == (8, struct.pack("!H", 1000))
    assert client.read() == (-1, b"")


@pytest.mark.parametrize(
    ("head", "data", "masked", "code"),
    [
        pytest.param(0x81, b"{}", False, 1002, id="without a mask"),
        pytest.param(0xC1, b"{}", True, 1002, id="a reserved bit"),
        pytest.param(0x80, b"{}", True, 1002, id="a continuation of nothing"),
        pytest.param(0x83, b"{}", True, 1002, id="an unknown opcode"),
        pytest.param(0x82, b"{}", True, 1003, id="binary"),
        pytest.param(0x89, b"x" * 126, True, 1002, id="a long ping"),
        pytest.param(0x09, b"x", True, 1002, id="half a ping"),
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(
    bare: Callable[..., Bare], head: int, data: bytes, masked: bool, code: int
) -> None:
    client = bare()
    client.send(data, head=head, masked=masked)
    assert client.read() == (8, struct.pack("!H", code))


def test_a_message_that_is_too_long_ends_the_connection(bare: Callable[..., Bare]) -> None:
    client = bare()
    client.sock.sendall(b"\x81\xff" + struct.pack("!Q", 1 << 40))
    assert client.read() == (8, struct.pack("!H", 1009))


def test_a_client_that_vanishes_within_a_frame_leaves_nothing_behind(studio: StudioServer) -> None:
    client = Bare(studio)
    client.sock.sendall(b"\x81\x85\x00\x00")
    client.close()
    studio.stop()


def test_other_models_of_the_disk_are_not_loaded(make_studio: MakeStudio, rpc: Callable[..., Rpc]) -> None:
    studio = make_studio(*other_models())
    assert rpc(studio, "llm").result("listLoaded") == []
    assert studio.loaded == ()
