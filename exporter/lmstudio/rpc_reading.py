"""What a look asks on its open connections, and what it makes of the answers."""

from collections.abc import Mapping

from exporter.clock import Clock
from exporter.lmstudio.rpc_frames import (
    INFO,
    LIST_LOADED,
    PROCESSING_STATE,
    VERSION,
    Frame,
    Namespace,
    state_parameter,
)
from exporter.lmstudio.rpc_socket import RpcSocket
from exporter.lmstudio.rpc_state import RpcInfo, RpcInstance, RpcState, parse_info, parse_instances, with_processing
from exporter.lmstudio.rpc_trouble import Look, RpcError

_OF_MODELS: tuple[Namespace, ...] = ("llm", "embedding")


def read_state(connections: Mapping[Namespace, RpcSocket], look: Look, clock: Clock) -> RpcState:
    """Ask for everything. All calls of one step go out before the first answer is waited for: two round trips in all.

    Args:
        connections: by namespace; those that the server does not have are missing.
        look: its deadline.
        clock: tells the time.

    Raises:
        RpcError: the answers did not come, or there is no list of models.
    """
    system = connections.get("system")
    models = [connections[name] for name in _OF_MODELS if name in connections]
    asked = _ask_about_server(system, look) if system is not None else None
    lists = [connection.send(LIST_LOADED, look) for connection in models]
    info = _info(system, asked, look) if system is not None else RpcInfo()
    now = clock.now()
    loaded = [_loaded(of, number, look, now) for of, number in zip(models, lists, strict=True)]
    numbers = [_ask_for_states(of, instances, look) for of, instances in zip(models, loaded, strict=True)]
    instances: list[RpcInstance] = []
    for of, found, asked_for in zip(models, loaded, numbers, strict=True):
        answers = of.answers(look)
        instances += [_with_state(instance, answers.get(asked_for.get(instance.reference, 0))) for instance in found]
    return RpcState(info, tuple(instances), now)


def _ask_about_server(system: RpcSocket, look: Look) -> int | None:
    """Versions that do not know `system.info` tell their number alone, by `system.version`."""
    endpoint = next((name for name in (INFO, VERSION) if name not in system.unknown), None)
    return system.send(endpoint, look) if endpoint is not None else None


def _info(system: RpcSocket, asked: int | None, look: Look) -> RpcInfo:
    while asked is not None:
        answer = system.answers(look).get(asked)
        if answer is not None:
            return parse_info(answer.value)
        asked = _ask_about_server(system, look)
    return RpcInfo()


def _loaded(connection: RpcSocket, number: int, look: Look, now: float) -> tuple[RpcInstance, ...]:
    answer = connection.answers(look).get(number)
    if answer is None:
        raise RpcError("absent", connection.url, f"it does not know {LIST_LOADED}")
    if answer.kind == "error" or not isinstance(answer.value, list):
        raise RpcError("failed", connection.url, f"{LIST_LOADED} brought no list: {answer.text or 'no reason given'}")
    return parse_instances(answer.value, now)


def _ask_for_states(connection: RpcSocket, instances: tuple[RpcInstance, ...], look: Look) -> dict[str, int]:
    """The numbers of the calls by the instances' references; none for a server that is known not to answer them."""
    if PROCESSING_STATE in connection.unknown:
        return {}
    references = dict.fromkeys(instance.reference for instance in instances if instance.reference)
    return {name: connection.send(PROCESSING_STATE, look, state_parameter(name)) for name in references}


def _with_state(instance: RpcInstance, answer: Frame | None) -> RpcInstance:
    return with_processing(instance, answer.value) if answer is not None else instance
