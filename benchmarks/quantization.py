"""What integers cost on real GLUE data, after training and with training.

    python -m benchmarks.quantization sst2 --dataset FOLDER
    python -m benchmarks.quantization mrpc --dataset FOLDER

From the dense models of `benchmarks.pruning` post-training quantization (PTQ) is `glint quantize`
of the best checkpoint, quantization-aware training (QAT) a `glint fit` from it that trains as long
again; sst2 on a fixed part of 10,000 rows with one seed, mrpc whole with three. Scores are those of
the simulation in PyTorch: of PTQ on the checkpoint, of QAT at the end of the fit, in the precision
that `glint fit` chose. Both are in `runs/scores`; what is finished is skipped. It prints a Markdown
table; differences are from the best checkpoint in float32, seed by seed.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fits import ROOT, Run, add_at_once, execute_all, last_score, mean_and_spread
from benchmarks.pruning import data_options, dense_run

CALLBACKS = Path("configs/callbacks")
PTQ = {
    "PTQ dynamic": ("--quantize.scheme=dynamic",),
    "PTQ static, min_max": ("--quantize.observer=min_max",),
    "PTQ static, percentile": ("--quantize.observer=percentile",),
    "PTQ static, entropy": ("--quantize.observer=entropy",),
    "PTQ static, max_drop 0.005": ("--quantize.max_drop=0.005",),
    "PTQ weight_only, 8 bits": ("--quantize.scheme=weight_only",),
    "PTQ weight_only, 4 bits by 32": (
        "--quantize.scheme=weight_only",
        "--quantize.weight_bits=4",
        "--quantize.group_size=32",
    ),
}
QAT = {
    "QAT dynamic": "qat_dynamic.yaml",
    "QAT static": "qat_static.yaml",
    "QAT static, taught by itself": "qat_self_distillation.yaml",
}
METHODS = (*PTQ, *QAT)
ON_MRPC = ("PTQ static, percentile", "QAT static, taught by itself")


@dataclass(frozen=True)
class PostTraining:
    """One `glint quantize` of a dense model."""

    name: str
    dense: Run
    options: tuple[str, ...]

    @property
    def checkpoint(self) -> Path:
        """Where it leaves it."""
        return ROOT / f"{self.name}-seed{self.dense.seed}" / "quantized.ckpt"

    @property
    def score(self) -> float:
        """On the validation set, quantized."""
        result = json.loads(self.checkpoint.with_suffix(".json").read_text())
        return float(result["after"]["score"])

    def execute(self, threads: int) -> None:
        """Run it, unless it is finished; its table is written last."""
        if self.checkpoint.with_suffix(".json").exists():
            return
        command = [
            *(sys.executable, "-m", "lightning_app", "quantize"),
            f"--config={self.dense.folder}/config.yaml",
            f"--ckpt_path={self.dense.folder}/checkpoints/best.ckpt",
            f"--quantize.output={self.checkpoint}",
            "--quantize.overwrite=true",
            *self.options,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def post_training(task: str, method: str, seed: int, dataset: str) -> PostTraining:
    """A method without training, on the dense model of a seed."""
    dense = dense_run(task, seed, dataset)
    return PostTraining(f"quantize-{task}-{_slug(method)}", dense, PTQ[method])


def aware_run(task: str, method: str, seed: int, dataset: str) -> Run:
    """A method with training, from the dense model of the same seed."""
    start = dense_run(task, seed, dataset).folder / "checkpoints/best.ckpt"
    options = (
        *data_options(task, dataset),
        f"--config={CALLBACKS / QAT[method]}",
        f"--model.model_name_or_path={start}",
    )
    return Run(f"quantize-{task}-{_slug(method)}", f"configs/{task}.yaml", seed, options)


def best_score(run: Run) -> float:
    """The task's one score of a finished run's best checkpoint."""
    assert run.summary is not None
    return float(dict(run.summary["best"])["val/score"])  # type: ignore[call-overload]


def scores(task: str, methods: list[str], dataset: str, at_once: int) -> dict[str, list[float]]:
    """Run what is missing; scores by method, one a seed, those of float32 first."""
    seeds = (1,) if task == "sst2" else (1, 2, 3)
    dense = [dense_run(task, seed, dataset) for seed in seeds]
    execute_all(dense, at_once)
    after = {m: [post_training(task, m, s, dataset) for s in seeds] for m in methods if m in PTQ}
    threads = max(1, (os.cpu_count() or 1) // at_once)
    with ThreadPoolExecutor(at_once) as pool:
        every = [one for of_method in after.values() for one in of_method]
        list(pool.map(lambda one: one.execute(threads), every))
    aware = {m: [aware_run(task, m, s, dataset) for s in seeds] for m in methods if m in QAT}
    execute_all([run for runs in aware.values() for run in runs], at_once)
    return {
        "float32": [best_score(run) for run in dense],
        **{method: [one.score for one in of_method] for method, of_method in after.items()},
        **{method: [last_score(run) for run in runs] for method, runs in aware.items()},
    }


def table(by_method: dict[str, list[float]]) -> str:
    """Mean and spread over seeds of scores, and of differences from float32, as Markdown."""
    dense = by_method["float32"]
    lines = ["| method | score | against float32 |", "| --- | --- | --- |"]
    for method, found in by_method.items():
        gains = [score - before for score, before in zip(found, dense, strict=True)]
        gain = "" if method == "float32" else mean_and_spread(gains, "+.4f")
        lines.append(f"| {method} | {mean_and_spread(found, '.4f')} | {gain} |")
    return "\n".join(lines)


def _slug(method: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in method)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("sst2", "mrpc"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=None)
    add_at_once(parser)
    arguments = parser.parse_args()
    task = arguments.task
    methods = arguments.methods or list(METHODS if task == "sst2" else ON_MRPC)
    print(table(scores(task, methods, arguments.dataset, arguments.at_once)))


if __name__ == "__main__":
    main()
