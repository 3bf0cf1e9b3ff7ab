"""All attacks of the siege, in their order."""

from benchmarks.siege import endpoints, messages, processes, uploads, visitors
from benchmarks.siege.attack import Attack

__all__ = ["ATTACKS"]

ATTACKS: tuple[Attack, ...] = (
    *messages.ATTACKS,
    *uploads.ATTACKS,
    *processes.ATTACKS,
    *visitors.ATTACKS,
    *endpoints.ATTACKS,  # meanwhile, jobs that others have left behind can end
)
