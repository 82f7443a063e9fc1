"""A process that times one network in plain PyTorch, with nothing else in it."""

import json
import sys
from dataclasses import replace
from typing import Any


def timed(asked: dict[str, Any]) -> dict[str, Any]:
    """Time it.

    Args:
        asked: ``record``, ``threads``, ``batch_size``, ``lengths`` and ``seconds``.

    Returns:
        ``steady`` and ``changing``, as of `ProbeTimer`: milliseconds by length; ``waited``.
    """
    from lightning_app.artifact.weights_network import WeightsNetwork
    from lightning_app.structure_search.probe_family import ProbeFamily
    from lightning_app.structure_search.probe_timer import ProbeTimer
    from modules.architecture import ArchitectureRecord

    record = replace(ArchitectureRecord.from_plain(asked["record"]), quantization=None)
    network: Any = record.build()
    family = ProbeFamily(record, "hf")
    batches = {n: family.batch(asked["batch_size"], n) for n in asked["lengths"]}
    timer = ProbeTimer([WeightsNetwork(network.eval(), asked["threads"])], batches)
    for _ in timer.rounds(asked["seconds"]):
        pass
    return {"steady": timer.steady[0], "changing": timer.changing[0], "waited": timer.waited}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(timed(json.loads(sys.stdin.read()))) + "\n")
