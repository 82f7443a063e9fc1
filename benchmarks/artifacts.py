"""Every way to int8 as what ships: scores, sizes and latencies of exported folders.

    python -m benchmarks.artifacts sst2 --dataset FOLDER
    python -m benchmarks.artifacts mrpc --dataset FOLDER

Exports the checkpoints of `benchmarks.quantization` (which it runs first, if they are missing) for
ONNX Runtime and OpenVINO, and lets `glint benchmark` measure all of them and the float32 model in
plain PyTorch in one run: at batch 1 with 128 tokens, at batch 1 and 32 with the task's own lengths.
mrpc has three seeds; latencies are of the first. In `runs/scores`; what is exported is not exported
again. It prints a Markdown table; differences in score are paired over the seeds.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fits import ROOT, mean_and_spread
from benchmarks.pruning import dense_run
from benchmarks.quantization import PTQ, QAT, aware_run, post_training, scores

FLOAT32 = "float32"
RUNTIMES = ("onnx", "openvino")
ON_MRPC = ("PTQ static, percentile", "QAT static, taught by itself")
LENGTH = 128
CELLS = ((1, LENGTH), (1, None), (32, None))


def checkpoint(task: str, method: str, seed: int, dataset: str) -> Path:
    """What a method left."""
    if method == FLOAT32:
        return dense_run(task, seed, dataset).folder / "checkpoints/best.ckpt"
    if method in PTQ:
        return post_training(task, method, seed, dataset).checkpoint
    return aware_run(task, method, seed, dataset).folder / "checkpoints/last.ckpt"


def exported(task: str, method: str, seed: int, dataset: str, runtime: str) -> Path:
    """The folder for a runtime, written if it is not there."""
    kind = runtime if method == FLOAT32 else f"{runtime}-int8"
    slug = "".join(c if c.isalnum() else "-" for c in f"{method} {kind}")
    folder = ROOT / f"artifacts-{task}-seed{seed}" / slug
    if not folder.is_dir():
        glint(
            "export",
            f"--ckpt_path={checkpoint(task, method, seed, dataset)}",
            f"--format={kind}",
            f"--output={folder}",
            f"--max_seq_length={LENGTH}",
            "--no_measure",
        )
    return folder


def benchmark(
    task: str, methods: Sequence[str], seed: int, dataset: str, seconds: float
) -> dict[str, dict[str, Any]]:
    """What `glint benchmark` says of each folder, by its name; anew in each call."""
    folders = [exported(task, m, seed, dataset, r) for m in methods for r in RUNTIMES]
    output = ROOT / f"artifacts-{task}-seed{seed}.json"
    glint(
        "benchmark",
        *map(str, folders),
        f"--data={dataset}",
        *("--length", str(LENGTH), "task"),
        *("--batch_size", "1", "32"),
        *("--baseline", "eager"),
        f"--ckpt_path={checkpoint(task, FLOAT32, seed, dataset)}",
        f"--seconds={seconds}",
        f"--output={output}",
        codes=(0, 1),
    )
    found = json.loads(output.read_text())
    for sentence in found["failures"]:
        print(f"note: {sentence}", file=sys.stderr)
    return {artifact["name"]: artifact for artifact in found["artifacts"]}


def rows(by_seed: Sequence[dict[str, dict[str, Any]]]) -> list[str]:
    """Of the table: scores over the seeds, the rest of the first."""
    first = by_seed[0]
    lines = []
    for name in sorted(first, key=lambda name: name != "eager"):
        found = [score(of_seed[name]) for of_seed in by_seed]
        gains = [s - score(of[_plain(first)]) for s, of in zip(found, by_seed, strict=True)]
        artifact = first[name]
        size = "" if artifact["size_mb"] is None else f"{artifact['size_mb']:.1f}"
        times = " | ".join(f"{latency(artifact, *cell):.2f}" for cell in CELLS)
        flipped = statistics.mean(of[name]["scores"]["flipped"] for of in by_seed)
        lines.append(
            f"| {name} | {mean_and_spread(found, '.4f')} | {mean_and_spread(gains, '+.4f')} |"
            f" {flipped:.1%} | {size} | {times} |"
        )
    return lines


def _plain(artifacts: dict[str, dict[str, Any]]) -> str:
    return next(name for name, a in artifacts.items() if a["format"] == "eager")


def score(artifact: dict[str, Any]) -> float:
    """On the validation set."""
    return float(artifact["scores"]["metrics"]["score"]["value"])


def latency(artifact: dict[str, Any], batch_size: int, length: int | None) -> float:
    """Median milliseconds of the network alone."""
    for cell in artifact["cells"]:
        if (cell["cell"]["batch_size"], cell["cell"]["length"]) == (batch_size, length):
            return float(cell["network"]["median_ms"]["value"])
    raise KeyError((batch_size, length))


def glint(*arguments: str, codes: Sequence[int] = (0,)) -> None:
    """Run a command; end with it where it ends with another code."""
    command = [sys.executable, "-m", "lightning_app", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code not in codes:
        raise SystemExit(f"{arguments[0]} ended with code {code}")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("sst2", "mrpc"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--methods", nargs="+", choices=(*PTQ, *QAT), default=None)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each artifact in each cell")
    arguments = parser.parse_args()
    task, dataset = arguments.task, arguments.dataset
    wanted = [m for m in (*PTQ, *QAT) if "weight_only" not in m]
    methods = arguments.methods or (wanted if task == "sst2" else list(ON_MRPC))
    scores(task, methods, dataset, at_once=2)  # runs what is missing
    seeds = (1,) if task == "sst2" else (1, 2, 3)
    every = [FLOAT32, *methods]
    by_seed = [benchmark(task, every, seed, dataset, arguments.seconds) for seed in seeds]
    print("| | score | against PyTorch | flipped | MB | ms, 1 x 128 | 1 x task | 32 x task |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows(by_seed)))


if __name__ == "__main__":
    main()
