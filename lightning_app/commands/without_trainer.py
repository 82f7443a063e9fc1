"""The commands that need no Trainer: recipes, several seeds, export, answers, benchmark, report,
the doctor.

Each is imported when it is asked for, Lightning by none but the export.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_app.commands.answer_text import answer_text
from lightning_app.commands.benchmark import Baseline, Benchmark, Length
from lightning_app.commands.compress import Compress, split_fit_options
from lightning_app.commands.doctor import Doctor
from lightning_app.commands.export import Export
from lightning_app.commands.fit_seeds import OF_SEEDS, FitSeeds
from lightning_app.commands.join import Join
from lightning_app.commands.predict_artifact import PredictArtifact
from lightning_app.commands.report import Report
from lightning_app.commands.search import Search


def needs_no_trainer(command: str, arguments: Sequence[str]) -> bool:
    """Whether this is one of them; `predict` is with ``--artifact``, `fit` with ``--seeds``."""
    if command == "predict":
        return _has(arguments, "--artifact")
    if command == "fit":
        asks = _has(arguments, "-h", "--help", "--print_config")
        return _has(arguments, *OF_SEEDS) and not asks
    return command in ("compress", "search", "export", "benchmark", "report", "doctor", "join")


def run_without_trainer(command: str, arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command.

    Args:
        command: One that :func:`needs_no_trainer`.
        arguments: Behind the command.

    Returns:
        The exit code.
    """
    from jsonargparse import ActionYesNo, ArgumentParser

    if command == "fit":
        return _fit_seeds(FitSeeds.of_arguments(arguments))
    chosen = _COMMANDS[command]
    about = inspect.cleandoc(chosen.kind.__doc__).partition("\n\nArgs:")[0]
    parser = ArgumentParser(prog=f"glint {command}", exit_on_error=False, description=about)
    parser.add_argument("--config", action="config", help="A YAML file with these options.")
    if chosen.folders is not None:
        parser.add_argument(chosen.folders, nargs="+", type=str, help=chosen.folders_help)
    own = {chosen.folders, *chosen.lists, *chosen.flags, *chosen.hidden} - {None}
    parser.add_class_arguments(chosen.kind, as_group=False, skip=own)
    for name, (kind, text) in chosen.lists.items():
        parser.add_argument(f"--{name}", nargs="+", type=kind, default=None, help=text)
    for name, (default, text) in chosen.flags.items():
        parser.add_argument(f"--{name}", action=ActionYesNo, default=default, help=text)
    said, of_fits = split_fit_options(arguments) if chosen.has_fits else (list(arguments), [])
    parsed = parser.parse_args(said)
    # Not instantiated where a mapping may name classes that are another command's to make.
    options = parsed.as_dict() if chosen.is_plain else dict(vars(parser.instantiate(parsed)))
    options |= _as_written(chosen.as_written, options.pop("config") or [], said)
    if chosen.has_fits:
        options["fit_options"] = of_fits
    return chosen.run(chosen.kind(**options))


def _as_written(
    keys: Sequence[str], files: Sequence[Any], arguments: Sequence[str]
) -> dict[str, Any]:
    """Of these keys what the files say, where the command line says nothing: the parser fills in
    the defaults of classes that are named there, which would win over what they are laid over."""
    from lightning_app.recipes.composition import read_yaml

    found: dict[str, Any] = {}
    for file in files if keys else ():
        found |= {k: v for k, v in read_yaml(str(file)).items() if k in keys and v is not None}
    given = {word.removeprefix("--").split("=")[0].split(".")[0] for word in arguments}
    return {key: value for key, value in found.items() if key not in given}


def _has(arguments: Sequence[str], *options: str) -> bool:
    return any(word.partition("=")[0] in options for word in arguments)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fit_seeds(options: FitSeeds) -> int:
    from lightning_app.commands.fit_seeds_text import fit_seeds_text

    result = options.run(_say)
    sys.stdout.write(f"\n{fit_seeds_text(result)}")
    return 0


def _compress(options: Compress) -> int:
    from lightning_app.recipes.result_text import result_text

    if options.plan:
        options.print_plan(_say)
    elif options.seeds is not None:
        for result in options.run_with_seeds(_say):
            sys.stdout.write(f"\n{result_text(result)}")
    else:
        sys.stdout.write(f"\n{result_text(options.run(_say))}")
    return 0


def _search(options: Search) -> int:
    options.run(_say)
    return 0


def _export(options: Export) -> int:
    manifest = options.run()
    notes = "".join(f"note: {note}\n" for note in manifest.notes)
    sys.stdout.write(
        f"{options.output}: {manifest.format}, {manifest.size / 1e6:,.1f} MB,"
        f" {manifest.parameters:,} parameters, at most {manifest.max_seq_length} tokens;"
        " it answers as the checkpoint does\n"
        f"{notes}"
        f"next: glint predict --artifact {options.output} --text ..."
        f"{' --text_pair ...' * (len(manifest.task.text_columns) - 1)}\n"
    )
    return 0


def _predict(options: PredictArtifact) -> int:
    if options.data is None:
        sys.stdout.write(answer_text(options.answer()))
        return 0
    files = options.write()
    sys.stdout.write(f"written: {', '.join(map(str, files))}\n")
    return 0


def _benchmark(options: Benchmark) -> int:
    from lightning_app.commands.benchmark_text import benchmark_text

    result = options.run()
    sys.stdout.write(benchmark_text(result))
    sys.stdout.write(f"\nwritten: {options.output}, {options.picture_file}\n")
    for sentence in result.failures:
        sys.stderr.write(f"glint: {sentence}\n")
    return 1 if result.failures else 0


def _join(options: Join) -> int:
    size = options.run()
    sys.stdout.write(f"{options.output}: {size / 1e6:,.1f} MB, opens and goes on as any other\n")
    return 0


def _report(options: Report) -> int:
    page, *others = options.run()
    sys.stdout.write(
        f"written: {page}\n         {others[0]} and {len(others) - 1} pictures\n"
        f"next: open {page} in a browser; it needs no network\n"
    )
    return 0


def _doctor(options: Doctor) -> int:
    sys.stdout.write(options.run())
    return 0


@dataclass(frozen=True)
class _Command:
    """How a command is parsed and run.

    Args:
        kind: Whose arguments are the options.
        run: Runs it and returns the exit code.
        flags: Options that need no value, with their default and help.
        lists: Options that take several values, with the type of one and their help.
        folders: The argument that takes what stands without a name.
        folders_help: Of that argument.
        has_fits: Whether options of `glint fit` are taken, too.
        hidden: Arguments that are no option.
        is_plain: Whether all options are plain values.
        as_written: Options that are taken as a file has them.
    """

    kind: Any
    run: Callable[[Any], int]
    flags: dict[str, tuple[bool, str]] = field(default_factory=dict)
    lists: dict[str, tuple[Any, str]] = field(default_factory=dict)
    folders: str | None = None
    folders_help: str = "Folders of `glint export`."
    has_fits: bool = False
    hidden: tuple[str, ...] = ()
    is_plain: bool = False
    as_written: tuple[str, ...] = ()


_EXPORT_FLAGS = {
    "overwrite": (False, "Replace an artifact that is there."),
    "measure": (True, "Time the folder on this machine, for the model card."),
}

_BENCHMARK_LISTS: dict[str, tuple[Any, str]] = {
    "batch_size": (int, "Rows of a call; by default 1 and 32."),
    "length": (
        Length,
        "Tokens of each row, or `task` for those that the rows of `--data` have (default: 128).",
    ),
    "threads": (int, "To compute with; by default the cores that this process may use."),
    "baseline": (
        Baseline,
        "Also measure `--ckpt_path` in PyTorch with plain transformers, float32: `eager`, and"
        " `compile` with torch.compile.",
    ),
}

_REPORT_FLAGS = {
    "predictions": (True, "Let two models answer the validation rows, to show what changed."),
}
_REPORT_RUNS = (
    "Folders of fits, of `glint compress`, `glint search` and `glint export`, and JSON files of"
    " benchmark, sensitivity and quantize."
)

_COMPRESS_FLAGS = {
    "plan": (False, "Print what would be done, and how long it takes; do nothing."),
    "estimate": (True, "Run a few steps of each fit first, to say how long all will take."),
}

_SEARCH_FLAGS = {
    "begin_with_config": (True, "Begin with the configuration as it is."),
    "winner": (True, "Train the best configuration on the whole training set at the end."),
}

_COMMANDS = {
    "compress": _Command(
        Compress,
        _compress,
        _COMPRESS_FLAGS,
        has_fits=True,
        hidden=("fit_options",),
        is_plain=True,
        as_written=("stages", "options"),
    ),
    "search": _Command(
        Search, _search, _SEARCH_FLAGS, has_fits=True, hidden=("fit_options",), is_plain=True
    ),
    "export": _Command(Export, _export, _EXPORT_FLAGS),
    "predict": _Command(PredictArtifact, _predict),
    "benchmark": _Command(Benchmark, _benchmark, lists=_BENCHMARK_LISTS, folders="artifacts"),
    "report": _Command(Report, _report, _REPORT_FLAGS, folders="runs", folders_help=_REPORT_RUNS),
    "doctor": _Command(Doctor, _doctor),
    "join": _Command(Join, _join, {"overwrite": (False, "Replace a file that is there.")}),
}
