"""What a teacher gives to smaller students on real GLUE data.

    python -m benchmarks.distillation sst2 --dataset FOLDER
    python -m benchmarks.distillation mrpc --dataset FOLDER

The teacher is MiniLM-L6, fine-tuned (the dense run of `benchmarks.pruning`); a student is some of
its layers (`model.structure`), trained for as many epochs plainly or with terms of the teacher.
sst2 on a fixed part of 10,000 rows with one seed, mrpc whole with three. With ``pruned``: half of
the heads and neurons removed, with and without the unpruned model as teacher. Each run is a
`glint fit` in `runs/scores`; finished ones are skipped, interrupted ones go on.
"""

import argparse
from typing import Any

from benchmarks.fits import Run, add_at_once, execute_all, last_score, mean_and_spread
from benchmarks.pruning import METHODS as PRUNING
from benchmarks.pruning import data_options, dense_run

LEARNING_RATE = "--model.learning_rate=1e-4"
WARMUP = (
    "--trainer.callbacks=[{class_path: callbacks.LearningRateSchedule,"
    " init_args: {warmup_fraction: 0.1}}]"
)
TERMS = {
    "soft targets": "soft_targets: 1.0, task: 0.5",
    "soft targets, hidden states": "soft_targets: 1.0, hidden_states: 1.0, task: 0.5",
    "soft targets, relations": "soft_targets: 1.0, relations: 1.0, task: 0.5",
}
BEST = "soft targets, hidden states"
DATA = {
    "augmented": ("--data.augmentation.copies=5",),
    "57,000 unlabelled rows": ("--data.unlabelled=rest",),
}
LAYERS = (4, 3, 2)


def _callback(terms: str, teacher: str) -> str:
    arguments = f"{{teacher: {teacher}, {terms}, cache: true, cache_dtype: float16}}"
    return f"--trainer.callbacks+={{class_path: callbacks.Distillation, init_args: {arguments}}}"


def student_run(task: str, layers: int, method: str, seed: int, dataset: str) -> Run:
    """A student of so many of the teacher's layers."""
    teacher = str(dense_run(task, seed, dataset).folder / "checkpoints/best.ckpt")
    options = [
        *data_options(task, dataset),
        f"--model.model_name_or_path={teacher}",
        f"--model.structure.num_layers={layers}",
        LEARNING_RATE,
        WARMUP,
    ]
    if method != "plain":
        options += [_callback(TERMS.get(method, TERMS[BEST]), teacher), *DATA.get(method, ())]
    return Run(
        _name(f"distill-{task}-{layers}-{method}"), f"configs/{task}.yaml", seed, (*options,)
    )


def pruned_run(task: str, with_teacher: bool, seed: int, dataset: str) -> Run:
    """Half of the heads and neurons removed."""
    start = dense_run(task, seed, dataset).folder / "checkpoints/best.ckpt"
    options = [
        *data_options(task, dataset),
        f"--model.model_name_or_path={start}",
        str(PRUNING["structured 50%"]),
    ]
    if with_teacher:
        options.append(_callback(TERMS[BEST], "self"))
    name = "with-self" if with_teacher else "alone"
    return Run(_name(f"distill-{task}-pruned-{name}"), f"configs/{task}.yaml", seed, (*options,))


def _name(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text)


def _runs(task: str, what: str, methods: list[str], seeds: list[int], dataset: str) -> Any:
    if what == "pruned":
        return {
            f"half pruned, {'teacher: self' if taught else 'no teacher'}": [
                pruned_run(task, taught, seed, dataset) for seed in seeds
            ]
            for taught in (False, True)
        }
    return {
        f"{what} layers, {method}": [
            student_run(task, int(what), method, seed, dataset) for seed in seeds
        ]
        for method in methods
    }


def _row(name: str, runs: list[Run], teachers: list[Run]) -> str:
    scores = [last_score(run) for run in runs]
    kept = [score / last_score(t) for score, t in zip(scores, teachers, strict=True)]
    first = runs[0].summary or {}
    return (
        f"| {name} | {mean_and_spread(scores)} | {mean_and_spread(kept, '.1%')}"
        f" | {int(str(first['parameters'])) / 1e6:.1f}M | {first['steps']}"
        f" | {float(str(first['seconds'])) / 60:.1f} |"
    )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("sst2", "mrpc"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    known = ("plain", *TERMS, *DATA)
    parser.add_argument("--methods", nargs="+", choices=known, default=None)
    parser.add_argument(
        "--what", nargs="+", default=None, help="numbers of layers, and `pruned`; by default all"
    )
    add_at_once(parser)
    arguments = parser.parse_args()
    task, dataset = arguments.task, arguments.dataset
    seeds = [1] if task == "sst2" else [1, 2, 3]
    what = arguments.what or ([*map(str, LAYERS), "pruned"] if task == "sst2" else ["3", "pruned"])
    methods = arguments.methods or (known if task == "sst2" else ["plain", BEST])
    teachers = [dense_run(task, seed, dataset) for seed in seeds]
    execute_all(teachers, arguments.at_once)
    groups = {k: v for w in what for k, v in _runs(task, w, methods, seeds, dataset).items()}
    execute_all([run for runs in groups.values() for run in runs], arguments.at_once)
    print("| student | score | of the teacher's | parameters | steps | minutes |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, runs in {"teacher": teachers, **groups}.items():
        print(_row(name, runs, teachers))


if __name__ == "__main__":
    main()
