"""The part of LM Studio's websocket that its official client predicts by, which the stand-in of lmwatch does not speak.

Written from LM Studio's published client: `getOrLoad` and `predict` channels, embeddings, model lists.
"""

import json
import threading
import time
from contextlib import contextmanager, suppress

from exporter.embedded.studio_http import Call, Listener
from exporter.embedded.studio_websocket import accept, wants_websocket

MODEL = {
    "type": "llm", "modelKey": "scripted-1b", "format": "gguf", "displayName": "Scripted", "path": "local/scripted-1b",
    "sizeBytes": 1000, "architecture": "scripted", "identifier": "scripted-1b", "instanceReference": "ref-1",
    "vision": False, "trainedForToolUse": True, "maxContextLength": 4096, "contextLength": 4096,
}  # fmt: skip
EMBEDDER = {key: value for key, value in MODEL.items() if key not in ("vision", "trainedForToolUse")} | {
    "type": "embedding"
}
WORDS = [f"word{number} " for number in range(20)]


class ChannelServer:
    """Serves on a free port of the loopback address until it is closed.

    A question with `fail` in it is answered by an error after three words, one with `endless` never ends, one that
    brings tools is answered by a call of the first of them, with `{"a": 2, "b": 3}`.
    """

    def __init__(self):
        self.cancelled = threading.Event()
        self.asked = []
        self._listener = Listener(0, self._answer)
        self._listener.start()
        self.url = f"http://127.0.0.1:{self._listener.port}"

    def close(self):
        self._listener.stop()

    def _answer(self, call: Call) -> None:
        if not wants_websocket(call):
            call.send_json(200, {"lmstudio": True})
            return
        connection = accept(call)
        namespace = call.path.strip("/")
        assert json.loads(connection.receive())["authVersion"] == 1
        connection.send(json.dumps({"success": True}))
        cancels = {}
        while (text := connection.receive()) is not None:
            frame = json.loads(text)

            def say(**answer):
                connection.send(json.dumps(answer))

            if frame["type"] == "rpcCall":
                say(type="rpcResult", callId=frame["callId"], result=self._result(namespace, frame["endpoint"]))
            elif frame["type"] == "channelCreate":
                cancels[frame["channelId"]] = cancel = threading.Event()
                threading.Thread(target=self._channel, args=(namespace, frame, say, cancel), daemon=True).start()
            elif frame["type"] == "channelSend" and frame["message"]["type"] == "cancel":
                cancels[frame["channelId"]].set()

    def _result(self, namespace, endpoint):
        model = EMBEDDER if namespace == "embedding" else MODEL
        return {
            "listLoaded": [model],
            "listDownloadedModels": [MODEL],
            "getModelInfo": model,
            "embedString": {"embedding": [0.25, -0.5, 1.0]},
            "tokenize": {"tokens": [1, 2, 3]},
        }[endpoint]

    def _channel(self, namespace, frame, say, cancel):
        channel = frame["channelId"]

        def tell(**message):
            say(type="channelSend", channelId=channel, message=message)

        # A client that has what it wanted may leave before the channel ends.
        with suppress(ValueError, OSError):
            if frame["endpoint"] == "getOrLoad":
                model = EMBEDDER if namespace == "embedding" else MODEL
                tell(type="alreadyLoaded", info=model)
            else:
                self._predict(frame["creationParameter"], tell, cancel)
            say(type="channelClose", channelId=channel)

    def _predict(self, parameter, tell, cancel):
        question = json.dumps(parameter["history"])
        self.asked.append(question)
        settings = json.dumps(parameter["predictionConfigStack"])
        stop = "eosFound"
        tell(type="promptProcessingProgress", progress=1.0)
        if "add_numbers" in settings and "toolCallResult" not in question:
            call = {"type": "function", "id": "1", "name": "add_numbers", "arguments": {"a": 2, "b": 3}}
            tell(type="toolCallGenerationStart")
            tell(type="toolCallGenerationEnd", toolCallRequest=call)
            stop = "toolCalls"
        else:
            for number in range(10**9 if "endless" in question else len(WORDS)):
                if "fail" in question and number == 3:
                    tell(type="error", error={"title": "The model has crashed", "cause": "Exit code: null"})
                    return
                if cancel.is_set():
                    self.cancelled.set()
                    stop = "userStopped"
                    break
                tell(type="fragment", fragment=_fragment(WORDS[number % len(WORDS)]))
                time.sleep(0.001)
        stats = {
            "stopReason": stop,
            "tokensPerSecond": 50.0,
            "promptTokensCount": 5,
            "predictedTokensCount": len(WORDS),
        }
        tell(
            type="success",
            stats=stats,
            modelInfo=MODEL,
            loadModelConfig={"fields": []},
            predictionConfig={"fields": []},
        )


def _fragment(content):
    return {"content": content, "tokensCount": 1, "containsDrafted": False, "reasoningType": "none"}


@contextmanager
def channel_server():
    server = ChannelServer()
    try:
        yield server
    finally:
        server.close()
