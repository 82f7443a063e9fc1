"""What each kind of pruning costs on real GLUE data.

    python -m benchmarks.pruning sst2 --dataset FOLDER
    python -m benchmarks.pruning mrpc --dataset FOLDER

First the dense model is fine-tuned, then each method starts from it and trains as long again:
sst2 on a fixed part of 10,000 rows with one seed, mrpc whole with three. Each run is a `glint fit`
in `runs/scores`; finished runs are skipped, interrupted ones go on. It prints a Markdown table.
"""

import argparse

from benchmarks.fits import Run, add_at_once, execute_all, last_score, mean_and_spread

GRADUAL = "schedule: {shape: cubic, start: 0.0, end: 0.66, every_n_steps: 20}"
SELDOM = "schedule: {shape: cubic, start: 0.0, end: 0.66, every_n_steps: 80}"
LEARNED = "schedule: {shape: cubic, start: 0.1, end: 0.66, every_n_steps: 20}"
SHARES = (0.5, 0.8, 0.9)


def _callback(name: str, arguments: str) -> str:
    return f"--trainer.callbacks+={{class_path: callbacks.{name}, init_args: {{{arguments}}}}}"


METHODS = {
    "dense, trained on": None,
    **{
        f"magnitude {share:.0%}": _callback("MagnitudePruning", f"sparsity: {share}, {GRADUAL}")
        for share in SHARES
    },
    **{
        f"movement {share:.0%}": _callback("MovementPruning", f"sparsity: {share}, {LEARNED}")
        for share in SHARES
    },
    **{
        f"second order {share:.0%}": _callback(
            "SecondOrderPruning", f"sparsity: {share}, num_gradients: 128, {SELDOM}"
        )
        for share in SHARES
    },
    **{
        f"second order, recycled {share:.0%}": _callback(
            "SecondOrderPruning", f"sparsity: {share}, num_gradients: 0, {GRADUAL}"
        )
        for share in SHARES
    },
    "2:4": _callback("MagnitudePruning", f"pattern: '2:4', {GRADUAL}"),
    **{
        f"structured {share:.0%}": _callback(
            "StructuredPruning", f"heads: {share}, neurons: {share}"
        )
        for share in (0.25, 0.5, 0.7)
    },
    "4 of 6 layers": _callback("StructuredPruning", "keep_layers: 4"),
    "3 of 6 layers": _callback("StructuredPruning", "keep_layers: 3"),
    "ReLU": _callback("OperatorSurgery", "end: 0.5"),
    "ReLU, affine norms": _callback("OperatorSurgery", "affine_norm: true, end: 0.5"),
}
CLIPPED = ("ReLU, affine norms",)
ON_MRPC = ("dense, trained on", "magnitude 50%", "structured 50%", "4 of 6 layers")


def dense_run(task: str, seed: int, dataset: str) -> Run:
    """The fine-tuned model that all methods start from."""
    return Run(f"prune-{task}-dense", f"configs/{task}.yaml", seed, data_options(task, dataset))


def pruned_run(task: str, method: str, seed: int, dataset: str) -> Run:
    """A method, from the dense model of the same seed."""
    start = dense_run(task, seed, dataset).folder / "checkpoints/best.ckpt"
    callback = METHODS[method]
    name = "".join(c if c.isalnum() else "-" for c in method)
    options = [*data_options(task, dataset), f"--model.model_name_or_path={start}"]
    if callback is not None:
        options.append(callback)
    if method in CLIPPED:
        options.append("--trainer.gradient_clip_val=1.0")
    return Run(f"prune-{task}-{name}", f"configs/{task}.yaml", seed, tuple(options))


def data_options(task: str, dataset: str) -> tuple[str, ...]:
    """Which rows; of sst2 a fixed part."""
    part = ("--data.max_train_rows=10000", "--data.data_seed=1") if task == "sst2" else ()
    return (f"--data.dataset={dataset}", *part)


def _row(method: str, runs: list[Run], dense: list[Run]) -> str:
    scores = [last_score(run) for run in runs]
    gains = [score - last_score(b) for score, b in zip(scores, dense, strict=True)]
    first = runs[0].summary or {}
    return (
        f"| {method} | {mean_and_spread(scores)} | {mean_and_spread(gains, '+.3f')}"
        f" | {int(str(first['parameters'])) / 1e6:.1f}M"
        f" | {float(str(first['nonzero_share'])):.0%}"
        f" | {first['steps']} | {float(str(first['train_samples_per_second'])):.0f} |"
    )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("sst2", "mrpc"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=None)
    add_at_once(parser)
    arguments = parser.parse_args()
    task, dataset = arguments.task, arguments.dataset
    seeds = (1,) if task == "sst2" else (1, 2, 3)
    methods = arguments.methods or (METHODS if task == "sst2" else ON_MRPC)
    dense = [dense_run(task, seed, dataset) for seed in seeds]
    execute_all(dense, arguments.at_once)
    pruned = {m: [pruned_run(task, m, seed, dataset) for seed in seeds] for m in methods}
    execute_all([run for runs in pruned.values() for run in runs], arguments.at_once)
    print("| method | score | against dense | parameters | not zero | steps | samples/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for method, runs in {"dense": dense, **pruned}.items():
        print(_row(method, runs, dense))


if __name__ == "__main__":
    main()
