"""Fair turns: groups take turns, whichever of their members came first."""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

__all__ = ["take_turns"]

One = TypeVar("One")


def take_turns(
    waiting: Iterable[One],
    group: Callable[[One], Hashable],
    had: Iterable[Hashable] = (),
    place: Callable[[One], Any] = lambda _: 0,
) -> list[One]:
    """Return those who wait in an order in which groups take turns.

    Parameters
    ----------
    waiting : in the order in which each group would have them
    group : function, the group of one who waits
    had : the group of each who has a turn now
    place : function
        The least `place` of those who are first in their groups is next; where several have it,
        the group that has had the fewest turns; then whoever stands first in `waiting`.
    """
    queues: defaultdict[Hashable, deque[tuple[int, One]]] = defaultdict(deque)
    for number, one in enumerate(waiting):
        queues[group(one)].append((number, one))
    turns = Counter(had)

    def first(name: Hashable) -> tuple[Any, int, int, Hashable]:
        number, one = queues[name][0]
        return place(one), turns[name], number, name

    heads = [first(name) for name in queues]
    heapq.heapify(heads)
    order = []
    while heads:
        name = heapq.heappop(heads)[-1]
        order.append(queues[name].popleft()[1])
        turns[name] += 1
        if queues[name]:
            heapq.heappush(heads, first(name))
    return order
