"""How the labels of a series or a group stand beside our own on what we expose."""

from collections.abc import Set as AbstractSet

from exporter.series.labels import Labels

OURS = frozenset({"watch", "metric", "kind"})
"""Label names that a verdict's metrics use themselves."""

_OF_TARGETS = ("instance", "job")


def beside_ours(own: Labels, ours: AbstractSet[str] = OURS) -> Labels:
    """The labels of a series with `exported_` in front of every name that we use ourselves: those in `ours`.

    As Prometheus does with conflicting labels, the prefix is repeated until the name is free. Characters that
    the classic formats do not allow in label names become underscores; names that are fine already stay
    what they are and win over renamed ones.
    """
    if all(name not in ours and _is_legal(name) for name, _ in own):
        return own
    taken = {name for name, _ in own if _is_legal(name)} | ours
    exposed = []
    for name, value in own:
        free = name
        if name in ours or not _is_legal(name):
            free = _legal(name)
            while free in taken:
                free = f"exported_{free}"
            taken.add(free)
        exposed.append((free, value))
    return tuple(exposed)


def exposed_labels(own: Labels) -> Labels:
    """What stands beside our own labels: those of the series or group, and `job` and `instance` even where they have none.

    Empty ones keep Prometheus, under honor_labels, from attaching lmwatch's own, as the Pushgateway does it. So a sum over
    hosts has one identity however many lmwatch watch it, in rules and in pushed alerts alike.
    """
    names = {name for name, _ in own}
    missing = tuple((name, "") for name in _OF_TARGETS if name not in names)
    return beside_ours(own) + missing


def _is_legal(name: str) -> bool:
    # The classic label names, [a-zA-Z_][a-zA-Z0-9_]*, are exactly Python's ASCII identifiers.
    return name.isascii() and name.isidentifier()


def _legal(name: str) -> str:
    plain = "".join(character if character.isascii() and character.isalnum() else "_" for character in name)
    return plain if _is_legal(plain) else f"_{plain}"
