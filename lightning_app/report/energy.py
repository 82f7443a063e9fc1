"""The processor package's energy, by Linux' RAPL counters."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_COUNTERS = "*-rapl:[0-9]"  # packages; their parts have one number more


def why_unread(powercap: Path = POWERCAP) -> str:
    """A sentence on why there are no joules.

    Args:
        powercap: Where the kernel shows the counters.
    """
    if not powercap.is_dir():
        return f"cannot be read here, as the kernel shows no {powercap} (RAPL)."
    counters = [file for folder in powercap.glob(_COUNTERS) for file in folder.glob("energy_uj")]
    if not counters:
        return f"cannot be read here, as {powercap} has no counter of a processor package."
    try:
        int(counters[0].read_text())
    except (OSError, ValueError):
        return f"cannot be read here, as {counters[0]} is for the administrator alone."
    return "was not recorded by these runs."
