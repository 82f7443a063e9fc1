"""A process that times networks with nothing else in it, as a server would run them."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_app.artifact.length_copies import copied_length
from lightning_app.artifact.runtime import makes_copies
from lightning_app.structure_search.latency_probes import Probe

_MEMORY = 3 * 2**30
"""For opened networks at once, in bytes; larger models are timed in groups."""


@dataclass(frozen=True)
class Assignment:
    """What to time, as plain data.

    Args:
        base: Record of the base model, plain.
        format: Of `glint export`.
        threads: To compute with.
        batch_size: Rows of a call.
        lengths: Of calls, in tokens.
        probes: The networks.
        seconds: Of timing, about.
    """

    base: dict[str, Any]
    format: str
    threads: int
    batch_size: int
    lengths: tuple[int, ...]
    probes: tuple[Probe, ...]
    seconds: float

    def as_json(self) -> str:
        """For the process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Assignment":
        """From :meth:`as_json`."""
        plain = json.loads(text)
        probes = tuple(tuple((h, w) for h, w in probe) for probe in plain["probes"])
        return cls(**{**plain, "lengths": tuple(plain["lengths"]), "probes": probes})


def timed(assignment: Assignment) -> Iterator[dict[str, Any]]:
    """Open and time networks.

    Yields:
        What it is ``at``, and the share that is ``done``; in the end ``steady`` and ``changing``,
        for each network the milliseconds by length, and ``waited``, the share of `ProbeTimer`.
    """
    from lightning_app.structure_search.probe_family import ProbeFamily
    from lightning_app.structure_search.probe_opener import ProbeOpener
    from lightning_app.structure_search.probe_timer import ProbeTimer
    from modules.architecture import ArchitectureRecord

    family = ProbeFamily(ArchitectureRecord.from_plain(assignment.base), assignment.format)
    opener = ProbeOpener(family, assignment.threads, max(assignment.lengths))
    batches = {n: family.batch(assignment.batch_size, n) for n in assignment.lengths}
    num_copies = _num_copies(assignment)
    groups = _groups(assignment.probes, lambda probe: family.bytes_of(probe, num_copies))
    found: dict[str, Any] = {"steady": [], "changing": [], "waited": 0.0}
    for number, group in enumerate(groups):
        networks = []
        for probe in group:
            networks.append(opener.open(probe))
            for batch in batches.values():
                networks[-1](batch)  # compiles copies
            yield _progress("building", number, 0.5 * len(networks) / len(group), groups)
        timer = ProbeTimer(networks, batches)
        for share in timer.rounds(assignment.seconds * len(group) / len(assignment.probes)):
            yield _progress("timing", number, 0.5 + 0.5 * share, groups)
        found["steady"] += timer.steady
        found["changing"] += timer.changing
        found["waited"] = max(found["waited"], timer.waited)
    yield found


def _num_copies(assignment: Assignment) -> int:
    """Of a network, each for single rows of a length."""
    if assignment.batch_size > 1 or not makes_copies(assignment.format):
        return 0
    longest = max(assignment.lengths)
    return len({copied_length(length, longest) for length in assignment.lengths} - {None})


def _progress(at: str, group: int, share: float, groups: Sequence[Any]) -> dict[str, Any]:
    return {"at": at, "done": (group + share) / len(groups)}


def _groups(probes: Sequence[Probe], bytes_of: Callable[[Probe], int]) -> list[list[Probe]]:
    """In their order, each of networks that fit into memory together."""
    groups: list[list[Probe]] = [[]]
    held = 0
    for probe in probes:
        size = bytes_of(probe)
        if groups[-1] and held + size > _MEMORY:
            groups.append([])
            held = 0
        groups[-1].append(probe)
        held += size
    return groups


def main() -> None:
    """Time what is asked for on standard input; answer with a line of JSON at a time."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes where errors go
    from lightning_app.errors import InputError
    from lightning_app.quiet import silence_noise

    silence_noise()
    try:
        for reply in timed(Assignment.from_json(sys.stdin.read())):
            print(json.dumps(reply), file=replies, flush=True)  # that is its output
    except InputError as error:
        print(json.dumps({"mistake": str(error)}), file=replies, flush=True)


if __name__ == "__main__":
    main()
