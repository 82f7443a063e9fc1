"""How long this process was ready to compute while others did: times measured then are too long."""

from collections.abc import Callable
from pathlib import Path

MUCH = 0.05
"""Share of waiting above which times should be measured again."""

_TASKS = Path("/proc/self/task")


class Waiting:
    """The share of the time that this process's threads waited for a core, from now on.

    Args:
        tasks: Where the kernel describes the threads; elsewhere than on Linux there is nothing.
    """

    def __init__(self, tasks: Path = _TASKS) -> None:
        self._tasks = tasks
        self._start = _seconds(tasks)

    @property
    def share(self) -> float:
        """In [0, 1): of the time in which they computed or waited; 0 where it is not known."""
        computed, waited = (
            now - before for now, before in zip(_seconds(self._tasks), self._start, strict=True)
        )
        return waited / (computed + waited) if waited > 0 and computed >= 0 else 0.0


def say_if_busy(share: float, file: Path, say: Callable[[str], None]) -> None:
    """One sentence where others computed meanwhile.

    Args:
        share: Of :class:`Waiting`.
        file: Where the times are kept.
        say: Is told.
    """
    if share > MUCH:
        say(
            f"Other programs were computing meanwhile ({share:.0%} of the time went by waiting for"
            f" a core), so these times are too long, and structures are chosen by them: delete"
            f" {str(file)!r} to measure again when it is quiet."
        )


def _seconds(tasks: Path) -> tuple[float, float]:
    """Computed, and waited for a core, over all threads."""
    computed = waited = 0
    for task in tasks.glob("*/schedstat"):
        try:
            on_core, in_queue, _ = task.read_text().split()
        except (OSError, ValueError):  # it has ended
            continue
        computed += int(on_core)
        waited += int(in_queue)
    return computed / 1e9, waited / 1e9
