"""OpenVINO's int8 where the processor has no instruction for it: is it fast, do sums overflow?

    python -m benchmarks.without_vnni sst2 --dataset FOLDER

The dense model of `benchmarks.pruning`, `glint quantize`d to weights of 8 and of 7 bits, exported
for OpenVINO, and measured by `glint benchmark` against float32 and plain PyTorch, twice: with
ONEDNN_MAX_CPU_ISA=AVX512_CORE, with which oneDNN (in OpenVINO and in PyTorch) computes as on a
processor with AVX-512 and without VNNI, where sums of two 8-bit products are kept in 16 bits; and
with all that this processor has. In `runs/scores`; what is exported is not exported again. It
prints a Markdown table. Let nothing else compute.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.artifacts import FLOAT32, LENGTH, glint, latency, score
from benchmarks.fits import ROOT
from benchmarks.pruning import dense_run

INSTRUCTIONS = {"without VNNI": "AVX512_CORE", "with VNNI": "DEFAULT"}
BITS = (8, 7)
CELLS = ((1, LENGTH), (1, None))


def folders(task: str, dataset: str, root: Path) -> list[Path]:
    """The exported models, written if they are not there: float32, 8 bits, 7 bits."""
    run = dense_run(task, 1, dataset).folder
    best = run / "checkpoints/best.ckpt"
    checkpoints = {root / FLOAT32: best}
    for bits in BITS:
        quantized = root / f"{bits}-bits.ckpt"
        checkpoints[root / f"int8-{bits}-bits"] = quantized
        if not quantized.with_suffix(".json").exists():
            glint(
                "quantize",
                f"--config={run}/config.yaml",
                f"--ckpt_path={best}",
                f"--quantize.weight_bits={bits}",
                f"--quantize.output={quantized}",
                "--quantize.overwrite=true",
            )
    for folder, checkpoint in checkpoints.items():
        if not folder.is_dir():
            kind = "openvino" if folder.name == FLOAT32 else "openvino-int8"
            glint(
                "export",
                f"--ckpt_path={checkpoint}",
                f"--format={kind}",
                f"--output={folder}",
                f"--max_seq_length={LENGTH}",
                "--no_measure",
            )
    return list(checkpoints)


def measured(name: str, task: str, dataset: str, root: Path, seconds: float) -> list[Any]:
    """What `glint benchmark` says with these instructions."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = INSTRUCTIONS[name]
    output = root / f"{INSTRUCTIONS[name]}.json"
    glint(
        "benchmark",
        *map(str, folders(task, dataset, root)),
        f"--data={dataset}",
        *("--length", str(LENGTH), "task"),
        *("--batch_size", "1"),
        *("--baseline", "eager"),
        f"--ckpt_path={dense_run(task, 1, dataset).folder}/checkpoints/best.ckpt",
        f"--seconds={seconds}",
        f"--output={output}",
        codes=(0, 1),
    )
    artifacts: list[Any] = json.loads(output.read_text())["artifacts"]
    return artifacts


def rows(name: str, artifacts: list[Any]) -> list[str]:
    """Of the table; times are relative to PyTorch in the same run."""
    plain = next(a for a in artifacts if a["format"] == "eager")
    lines = []
    for artifact in artifacts:
        times = [latency(artifact, *cell) for cell in CELLS]
        gains = [latency(plain, *c) / t for c, t in zip(CELLS, times, strict=True)]
        columns = [f"{t:.2f} ({g:.2f}x)" for t, g in zip(times, gains, strict=True)]
        flipped = f"{artifact['scores']['flipped']:.1%}"
        cells = (name, artifact["name"], f"{score(artifact):.4f}", flipped, *columns)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("sst2", "mrpc"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each artifact in each cell")
    arguments = parser.parse_args()
    task, dataset = arguments.task, arguments.dataset
    dense_run(task, 1, dataset).execute(threads=2)
    root = ROOT / f"without-vnni-{task}"
    root.mkdir(parents=True, exist_ok=True)
    found = {n: measured(n, task, dataset, root, arguments.seconds) for n in INSTRUCTIONS}
    print("| | | accuracy | flipped | ms, 1 x 128 | 1 x task |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(line for n, artifacts in found.items() for line in rows(n, artifacts)))


if __name__ == "__main__":
    main()
