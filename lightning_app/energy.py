"""The energy of the processor packages, by Linux' RAPL counters."""

from dataclasses import dataclass, field
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where the kernel shows the counters; on most machines they are the administrator's alone."""
_MICRO = 1e-6


class EnergyCounter:
    """Joules that all processor packages of this machine have taken since it was made.

    All that runs on the machine counts. The counters begin anew after a few minutes at full load,
    so that they must be read more often than that.

    Args:
        powercap: Folder of the counters.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._packages = [_Package(place) for place in _places(powercap)]
        self.read()

    @property
    def joules(self) -> float | None:
        """As of the last reading; None where nothing can be read."""
        if not self._packages or any(package.is_lost for package in self._packages):
            return None
        return _MICRO * sum(package.microjoules for package in self._packages)

    def read(self) -> None:
        """Read the counters."""
        for package in self._packages:
            package.read()


@dataclass
class _Package:
    """One counter.

    Args:
        place: Its folder.
    """

    place: Path
    microjoules: int = 0
    is_lost: bool = False
    _last: int | None = field(default=None, init=False)

    def read(self) -> None:
        try:
            now = int((self.place / "energy_uj").read_text())
            if self._last is not None and now < self._last:  # it has begun anew
                self._last -= int((self.place / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            self.is_lost = True
            return
        self.microjoules += 0 if self._last is None else now - self._last
        self._last = now


def _places(powercap: Path) -> list[Path]:
    """Of whole packages; their parts have one number more, and `psys` counts them once again."""
    folders = sorted(powercap.glob("*-rapl:*"))
    return [f for f in folders if f.name.count(":") == 1 and _name(f).startswith("package")]


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
