"""The actor tree as lines of text: who runs, who fell, what waits, and where a stuck one waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def outline(tree: dict[str, Any]) -> Iterator[str]:
    """Give the lines for what `GET /api/v1/supervisor` answers."""
    if tree["root"] is not None:
        yield from _node(tree["root"], "")
    yield (
        f"quarantine {tree['quarantine']}, dead letters {tree['dead_letters']},"
        f" zombies {tree['zombies']}"
    )


def _node(node: dict[str, Any], pad: str) -> Iterator[str]:
    if node["kind"] == "actor":
        yield from _actor(node, pad)
        return
    bound = f"at most {node['intensity']} restarts in {node['period_s']:g} s"
    yield f"{pad}{node['id']}  {node['state']}  {node['strategy']}, {bound}{_restarts(node)}"
    for child in node["children"]:
        yield from _node(child, pad + "  ")


def _actor(node: dict[str, Any], pad: str) -> Iterator[str]:
    faults = [f for f in ("crashed", "quarantined", "dead_lettered") if node[f]]
    counts = [f"{count.replace('_', ' ')} {node[count]}" for count in ("handled", *faults)]
    box = f"mailbox {node['mailbox']}/{node['mailbox_capacity']}, at most {node['mailbox_high']}"
    yield f"{pad}{node['id']}  {node['state']}  {box}; {', '.join(counts)}{_restarts(node)}"
    if node["in_hand"]:
        yield f"{pad}    in hand for {node['in_hand_age_s']:.1f} s: {node['in_hand']}"
    for frame in node["stack"]:
        yield f"{pad}      {frame}"
    if node["last_error"]:
        at = (node["last_error_at"] or "")[:19]
        yield f"{pad}    last error {at}: {node['last_error']}"


def _restarts(node: dict[str, Any]) -> str:
    if not node["restarts_total"]:
        return ""
    return f"; restarts {node['restarts_total']}, {node['restarts']} of them just now"
