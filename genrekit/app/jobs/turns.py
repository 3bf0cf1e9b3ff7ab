"""Whose turn it is: the order in which waiting jobs start, and how long they wait.

Short jobs go before long ones, and jobs of visitors who are here before those of visitors who have
left. Among jobs that are equal so far, addresses take turns, and the visitors of each address.
Nobody waits for ever: a job that has been overtaken `MOST_OVERTAKES` times goes first. Beside the
jobs that run at the same time there is one place more, for a short job of somebody who is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from genrekit.app.fair import take_turns

__all__ = ["MOST_OVERTAKES", "Turn", "in_turn", "may_start", "seconds_until"]

MOST_OVERTAKES: Final = 3


@dataclass(frozen=True)
class Turn:
    """What decides when a job starts.

    Attributes
    ----------
    id : str
    created : float, time of the request, s
    seconds : float, how long it will still take once it runs
    short : bool
    alone : bool, whether its visitor has left
    overtaken : int, how many later jobs have started before it
    passed : int, how many of them since a job of its address has started
    owner, address : str, empty if unknown
    """

    id: str
    created: float
    seconds: float
    short: bool
    alone: bool = False
    overtaken: int = 0
    passed: int = 0
    owner: str = ""
    address: str = ""


def in_turn(waiting: Sequence[Turn], running: Sequence[Turn] = ()) -> list[Turn]:
    """Return the waiting jobs in the order in which they may start, while others run."""

    def among_owners(turn: Turn) -> tuple[bool, bool, bool]:
        return _place(turn, turn.overtaken)

    def among_addresses(turn: Turn) -> tuple[bool, bool, bool]:
        return _place(turn, turn.passed)

    order = sorted(waiting, key=lambda turn: (among_owners(turn), turn.created))
    for group, place in ((_owner, among_owners), (_address, among_addresses)):
        order = take_turns(order, group, map(group, running), place)
    return order


def _owner(turn: Turn) -> str:
    return turn.owner or turn.id


def _address(turn: Turn) -> str:
    return turn.address or turn.id


def _place(turn: Turn, overtaken: int) -> tuple[bool, bool, bool]:
    patient = overtaken < MOST_OVERTAKES
    return patient, patient and turn.alone, patient and not turn.short


def may_start(turn: Turn, running: Sequence[Turn], at_once: int) -> bool:
    """Return True if a job may start beside those that run, of which `at_once` may be long."""
    absent = turn.alone and turn.overtaken < MOST_OVERTAKES
    if len(running) > at_once - absent:
        return False
    return turn.short or sum(not other.short for other in running) < at_once


def seconds_until(
    job_id: str, waiting: Sequence[Turn], running: Sequence[Turn], at_once: int
) -> float:
    """Return about how long a waiting job waits if no other comes, in s."""
    left, ends, now = in_turn(waiting, running), [(turn.seconds, turn) for turn in running], 0.0
    while True:
        for turn in list(left):
            if may_start(turn, [other for _, other in ends], at_once):
                if turn.id == job_id:
                    return now
                left.remove(turn)
                ends.append((now + turn.seconds, turn))
        first = min(ends, key=lambda end: end[0])
        ends.remove(first)
        now = first[0]
