"""Structures that are not in the latency table: predicted time against measured time.

    python -m benchmarks.latency_prediction
    python -m benchmarks.latency_prediction --runtime onnx-int8 --lengths 48 128

Random structures of MiniLM-L6, from one layer to six, each layer with heads and an FFN width of its
own, are timed in turns with the networks of a table, in a process of their own: the same machine
is a fifth slower or faster some minutes later, which is no error of the prediction. It prints a
Markdown table and the median error, which is to be at most 10 %, for calls of one length and for
lengths that change. `--kept` predicts from the table in the cache instead, drift and all. Let
nothing else compute.
"""

import argparse
import random
import statistics

from lightning_app.artifact.runtime import makes_copies
from lightning_app.pretrained import load_config
from lightning_app.processor import Processor
from lightning_app.structure_search import LatencyTable
from lightning_app.structure_search.latency_measurement import measured
from lightning_app.structure_search.latency_probes import Probe, ProbeGrid
from lightning_app.structure_search.latency_worker import Assignment
from lightning_app.structure_search.probe_family import ProbeFamily
from modules.architecture import ArchitectureRecord

BAR = 0.1
LONGEST = 128
_WIDTH_STEP = 32  # what vector units compute at once


def structures(grid: ProbeGrid, num_layers: int, count: int, seed: int) -> list[Probe]:
    """Random ones, none with a size that was measured in all of its layers."""
    draw = random.Random(seed)
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


def measured_with_table(
    base: ArchitectureRecord, runtime: str, threads: int, count: int, seed: int, seconds: float
) -> tuple[LatencyTable, list[Probe], dict[str, list[dict[int, float]]]]:
    """A table and the times of other structures, out of one run."""
    family = ProbeFamily(base, runtime)
    grid = ProbeGrid.of(family, LONGEST)
    known = grid.probes(family.num_layers)
    others = structures(grid, family.num_layers, count, seed)
    assignment = Assignment(
        base=base.as_plain(),
        format=runtime,
        threads=threads,
        batch_size=1,
        lengths=grid.lengths,
        probes=(*known, *others),
        seconds=seconds,
    )
    times = measured(assignment, show_progress=True)
    steady, changing = (times[how][: len(known)] for how in ("steady", "changing"))
    table = LatencyTable.of_times(
        grid, known, steady, changing, {"format": runtime, "batch_size": 1}
    )
    return table, others, {how: times[how][len(known) :] for how in ("steady", "changing")}


def show(title: str, found: list[tuple[Probe, float, float]]) -> float:
    """Print a table of structure, predicted and measured milliseconds; return the median error."""
    print(f"\n{title}\n")
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
    """Measure and compare; exit with 1 where a median error is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", nargs="+", default=["openvino-int8", "onnx-int8"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[48, LONGEST])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=90.0, help="of timing, a runtime")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", action="store_true", help="predict from the table in the cache")
    arguments = parser.parse_args()
    base = ArchitectureRecord.of_config("embedded", load_config("embedded"))
    threads = max(1, int(Processor.here().cores))
    medians = []
    for runtime in arguments.runtime:
        table, probes, times = measured_with_table(
            base, runtime, threads, arguments.count, arguments.seed, arguments.seconds
        )
        if arguments.kept:
            table = LatencyTable.open_or_measure(base, runtime, threads, show_progress=True)
        for length in arguments.lengths:
            title = f"{runtime}, batch 1, {length} tokens"
            real = [ms[length] for ms in times["steady"]]
            predicted = [table.at(length).predict(probe) for probe in probes]
            medians.append(show(title, list(zip(probes, predicted, real, strict=True))))
        # Calls in copies are predicted as the mean of both.
        ways = ("steady", "changing") if makes_copies(runtime) else ("changing",)
        real = [
            statistics.mean(ms for way in pair for ms in way.values())
            for pair in zip(*(times[way] for way in ways), strict=True)
        ]
        predicted = [table.at(table.grid.lengths).predict(probe) for probe in probes]
        title = f"{runtime}, batch 1, lengths that change from {table.grid.lengths[0]} to {LONGEST}"
        medians.append(show(title, list(zip(probes, predicted, real, strict=True))))
    raise SystemExit(int(max(medians) > BAR))


if __name__ == "__main__":
    main()
