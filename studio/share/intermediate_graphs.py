"""Graphs written while a head is trained, so that how it came about can be looked at."""

from collections.abc import Callable
from pathlib import Path

from studio.atomic import atomic_bytes
from studio.retrain.backbones import backbone_named
from studio.retrain.head.head import Head
from studio.share.frozen_graph import FrozenGraph


def intermediate_graphs(backbone: str, folder: Path, name: str) -> Callable[[int, Head], None]:
    """Return what writes `intermediate_<step>.pb` into `folder` for each head that it is shown.

    backbone: of the registry; name: of the graph's output. The network is frozen once, at the first head.
    """
    frozen: list[FrozenGraph] = []

    def see(step: int, head: Head) -> None:
        if not step:  # the peer counts from 0, and writes no graph then
            return
        if not frozen:
            frozen.append(FrozenGraph(backbone_named(backbone), len(head.bias), name))
        with atomic_bytes(folder / f"intermediate_{step}.pb") as file:
            file.write(frozen[0].with_head(head))

    return see
