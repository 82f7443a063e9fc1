"""Structures that are not in the latency table: predicted time against measured time.

    python -m benchmarks.latency_prediction
    python -m benchmarks.latency_prediction --runtime onnx-int8 --lengths 48 128

Random structures of MiniLM-L6, from one layer to six, each layer with heads and an FFN width of its
own, are timed in turns, in a process of their own, as the table's networks were. It prints a
Markdown table and the median error, which is to be at most 10 %. The table is measured first if the
cache has none. Let nothing else compute.
"""

import argparse
import random
import statistics

from lightning_app.pretrained import load_config
from lightning_app.processor import Processor
from lightning_app.structure_search import LatencyTable
from lightning_app.structure_search.latency_measurement import measured
from lightning_app.structure_search.latency_probes import Probe
from lightning_app.structure_search.latency_worker import Assignment
from modules.architecture import ArchitectureRecord

BAR = 0.1
_WIDTH_STEP = 32  # what vector units compute at once


def structures(table: LatencyTable, num_layers: int, count: int, seed: int) -> list[Probe]:
    """Random ones, none with a size that was measured in all of its layers."""
    draw, grid = random.Random(seed), table.grid
    found: list[Probe] = []
    while len(found) < count:
        probe = tuple(
            (
                draw.randint(grid.heads[0], grid.heads[-1]),
                _WIDTH_STEP * draw.randint(1, grid.widths[-1] // _WIDTH_STEP),
            )
            for _ in range(draw.randint(1, num_layers))
        )
        if not all(h in grid.heads and w in grid.widths for h, w in probe):
            found.append(probe)
    return found


def rows(
    table: LatencyTable, probes: list[Probe], times: list[dict[int, float]], length: int
) -> list[tuple[Probe, float, float]]:
    """Structure, predicted and measured milliseconds."""
    model = table.at(length)
    return [(p, model.predict(p), ms[length]) for p, ms in zip(probes, times, strict=True)]


def show(runtime: str, length: int, found: list[tuple[Probe, float, float]]) -> float:
    """Print a table; return the median error."""
    print(f"\n{runtime}, batch 1, {length} tokens\n")
    print("| heads and FFN width of each layer | predicted, ms | measured, ms | error |")
    print("| --- | --- | --- | --- |")
    for probe, predicted, real in found:
        words = ", ".join(f"{heads}/{width}" for heads, width in probe)
        print(f"| {words} | {predicted:.2f} | {real:.2f} | {predicted / real - 1:+.1%} |")
    errors = [abs(predicted / real - 1) for _, predicted, real in found]
    median = statistics.median(errors)
    print(f"\nmedian error {median:.1%}, largest {max(errors):.1%}")
    return median


def main() -> None:
    """Measure and compare; exit with 1 where the median error is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", nargs="+", default=["openvino-int8", "onnx-int8"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[48, 128])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0, help="of timing, a runtime")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    base = ArchitectureRecord.of_config("embedded", load_config("embedded"))
    threads = max(1, int(Processor.here().cores))
    medians = []
    for runtime in arguments.runtime:
        table = LatencyTable.open_or_measure(base, runtime, threads, show_progress=True)
        layers = int(base.config["num_hidden_layers"])
        probes = structures(table, layers, arguments.count, arguments.seed)
        times = measured(
            Assignment(
                base=base.as_plain(),
                format=runtime,
                threads=threads,
                batch_size=1,
                lengths=tuple(arguments.lengths),
                probes=tuple(probes),
                seconds=arguments.seconds,
            ),
            show_progress=True,
        )
        for length in arguments.lengths:
            medians.append(show(runtime, length, rows(table, probes, times["steady"], length)))
    raise SystemExit(int(max(medians) > BAR))


if __name__ == "__main__":
    main()
