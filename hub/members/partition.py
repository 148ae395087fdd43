"""Who is one person: the births that standing edges connect. Pure."""

from collections.abc import Iterable


def partition(births: Iterable[int], edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return of each birth the member it now is: the lowest that it is connected with."""
    parent = {born_id: born_id for born_id in births}

    def find(born_id: int) -> int:
        while parent[born_id] != born_id:
            parent[born_id] = parent[parent[born_id]]
            born_id = parent[born_id]
        return born_id

    for one, other in edges:
        low, high = sorted((find(one), find(other)))
        parent[high] = low
    return {born_id: find(born_id) for born_id in parent}
