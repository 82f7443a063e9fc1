"""Scores on real GLUE data: choose settings on folds of the training set, then measure them.

    python -m benchmarks.scores selection --dataset FOLDER
    python -m benchmarks.scores final --dataset FOLDER

Each run is a `glint fit` in `runs/scores`; finished runs are skipped, interrupted ones go on, so
the script may be stopped and started again. It prints a Markdown table.
"""

import argparse

from benchmarks.fits import Run, add_at_once, execute_all, table

TUTORIAL = (
    "--data.train_batch_size=8",
    "--model.learning_rate=5e-5",
    "--trainer.max_epochs=3",
    "--model.weight_decay=0.01",
    "--trainer.callbacks=[{class_path: callbacks.LearningRateSchedule}]",
)


def _setting(
    batch: int, rate: str, epochs: int, *more: str, warmup: float = 0.1
) -> tuple[str, ...]:
    schedule = (
        f"{{class_path: callbacks.LearningRateSchedule, init_args: {{warmup_fraction: {warmup}}}}}"
    )
    return (
        f"--data.train_batch_size={batch}",
        f"--model.learning_rate={rate}",
        f"--trainer.max_epochs={epochs}",
        f"--trainer.callbacks=[{schedule}]",
        *more,
    )


CLIPPED = "--trainer.gradient_clip_val=1.0"
CANDIDATES = {
    "tutorial": TUTORIAL,
    "b8-5e-5-5ep-clip": _setting(8, "5e-5", 5, CLIPPED),
    "b16-1e-4-5ep-clip": _setting(16, "1e-4", 5, CLIPPED),
}
NUM_FOLDS = 5


def selection_runs(folds: list[int], dataset: str) -> list[Run]:
    """Candidates for configs/mrpc.yaml on folds of its training set, one seed each."""
    folds_of_seed_1 = (f"--data.num_folds={NUM_FOLDS}", "--data.data_seed=1")
    return [
        Run(
            f"select-{name}",
            "configs/mrpc.yaml",
            fold,
            (dataset, *options, *folds_of_seed_1, f"--data.fold={fold}"),
        )
        for fold in folds
        for name, options in CANDIDATES.items()
    ]


def final_runs(seeds: list[int], dataset: str) -> list[Run]:
    """The shipped configs on the validation sets; mrpc, the setting of the course, also longer."""
    config, longer = "configs/mrpc.yaml", (dataset, *_setting(8, "5e-5", 5))
    runs = [Run("mrpc", config, seed, (dataset,)) for seed in seeds]
    runs += [Run("mrpc-b8-5e-5-5ep", config, seed, longer) for seed in seeds]
    runs += [Run(task, f"configs/{task}.yaml", seeds[0], (dataset,)) for task in ("cola", "stsb")]
    part = (dataset, "--data.max_train_rows=10000")
    return [*runs, Run("sst2-10k", "configs/sst2.yaml", seeds[0], part)]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("selection", "final"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of `final`")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2], help="of `selection`")
    parser.add_argument("--names", nargs="+", help="only runs of these names")
    parser.add_argument("--precision", help="by default what `glint fit` chooses on this CPU")
    add_at_once(parser)
    arguments = parser.parse_args()
    dataset = f"--data.dataset={arguments.dataset}"
    if arguments.what == "selection":
        runs = selection_runs(arguments.folds, dataset)
    else:
        runs = final_runs(arguments.seeds, dataset)
    runs = [run for run in runs if arguments.names is None or run.name in arguments.names]
    runs = [run.in_precision(arguments.precision) for run in runs]
    execute_all(runs, arguments.at_once)
    print(table(runs))


if __name__ == "__main__":
    main()
