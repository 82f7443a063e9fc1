"""Measure exported models as they ship: latency, memory, size, scores."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from lightning_app.commands.benchmark_runner import Contender
from lightning_app.commands.call_timer import Cell
from lightning_app.commands.worker import Worker
from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.artifact.manifest import Manifest
    from lightning_app.commands.benchmark_result import ArtifactResult, BenchmarkResult, Scores
    from lightning_app.commands.race import Laps
    from lightning_app.commands.task_rows import TaskRows

Length = int | Literal["task"]
Baseline = Literal["eager", "compile"]

DEFAULT_BATCH_SIZES = (1, 32)
DEFAULT_LENGTH = 128
MIN_ROUNDS = 5
_MB = 10**6
_SEED = 0


class Benchmark:
    """Measures folders of `glint export` against each other, each in a process of its own, in
    turns: latency and throughput, size, memory, load time, sparsity, and with --data scores.

    Differences are to the first folder, and said to be real where they exceed the noise. Exit
    code 1 if an int8 artifact is slower than its twin in float32, or weights are not as sparse as
    the manifest says.

    Args:
        artifacts: Folders of `glint export`, of any formats.
        batch_size: Rows of a call; by default 1 and 32.
        length: Tokens of each row, or `task` for those that the rows of `--data` have; by default
            128, or the shortest maximum of the artifacts if that is less.
        threads: To compute with; by default the cores that this process may use.
        data: A CSV, TSV, JSON Lines or Parquet file with the task's text columns, for scores also
            its label column; or GLUE's folder in the hub's layout, for the validation set.
        max_rows: Of `--data`, drawn at random, as scores of many rows take long; by default all.
        label_separator: Splits the label column's text into several labels.
        rounds: In which each artifact has a turn, at least 5; of these is the noise judged.
        seconds: That each artifact computes in each cell (batch size, length, threads); calls
            that take longer than a turn are finished.
        output: JSON file to write; the picture has its name and ends in .png.
        baseline: Also measure the checkpoint in PyTorch with plain transformers, float32: `eager`,
            and `compile` with torch.compile.
        ckpt_path: The checkpoint of the baselines.

    Raises:
        InputError: If an option has a value that cannot be, or needs another one.
    """

    def __init__(
        self,
        artifacts: Sequence[str],
        batch_size: Sequence[int] | None = None,
        length: Sequence[Length] | None = None,
        threads: Sequence[int] | None = None,
        data: str | None = None,
        max_rows: int | None = None,
        label_separator: str | None = None,
        rounds: int = 10,
        seconds: float = 6.0,
        output: str = "benchmark.json",
        baseline: Sequence[Baseline] | None = None,
        ckpt_path: str | None = None,
    ) -> None:
        self.artifacts = tuple(artifacts)
        self.batch_sizes = _without_repeats(batch_size or DEFAULT_BATCH_SIZES)
        self.lengths = _without_repeats(length or ())
        self.threads = _without_repeats(threads or (_cores(),))
        self.data = None if data is None else Path(data)
        self.max_rows = max_rows
        self.label_separator = label_separator
        self.rounds = rounds
        self.seconds = seconds
        self.output = Path(output)
        self.baselines = _without_repeats(baseline or ())
        self.ckpt_path = ckpt_path
        self._check_arguments()

    def run(self) -> "BenchmarkResult":
        """Measure, and write the files.

        Raises:
            InputError: If an artifact, the data or the checkpoint cannot be read, or they do not
                belong together, or the files cannot be written.
        """
        from lightning_app.commands.benchmark_picture import picture
        from lightning_app.commands.whole_file import check_file, write_whole

        for file in (self.output, self.picture_file):
            check_file(file, "--output")
        result = self.measure()
        text = json.dumps(result.as_plain(), indent=1) + "\n"
        write_whole(self.output, text.encode())
        write_whole(self.picture_file, picture(result))
        return result

    @property
    def picture_file(self) -> Path:
        """Beside the JSON file."""
        return self.output.with_suffix(".png")

    def measure(self) -> "BenchmarkResult":
        """Measure, and write nothing."""
        from lightning_app.artifact.manifest import read_manifest
        from lightning_app.commands.benchmark_checks import failures
        from lightning_app.commands.benchmark_result import BenchmarkResult

        manifests = [read_manifest(Path(folder)) for folder in self.artifacts]
        lengths = self._lengths(manifests)
        rows = self._rows(manifests)
        contenders = self._contenders()
        with _rows_file(rows) as file:
            laps = self._laps(contenders, lengths, rows, file)
        artifacts = _results(contenders, laps, rows, manifests[0])
        return BenchmarkResult(
            processor=_processor(),
            options=self._options(lengths),
            artifacts=artifacts,
            data={} if rows is None else {"source": rows.source, "rows": len(rows)},
            failures=failures(artifacts),
        )

    def _laps(
        self,
        contenders: Sequence[Contender],
        lengths: Sequence[Length],
        rows: "TaskRows | None",
        rows_file: str | None,
    ) -> "list[list[Laps]]":
        """By number of threads, then by contender."""
        from lightning_app.commands.race import Race

        found: list[list[Laps]] = []
        num_cells = len(self.batch_sizes) * len(lengths)
        total = len(self.threads) * len(contenders) * (num_cells * (self.rounds + 1) + 1)
        total += len(contenders) * (rows is not None)
        with _progress(total) as bar:
            for threads in self.threads:
                cells = [
                    Cell(size, None if length == "task" else length, threads)
                    for length in lengths
                    for size in self.batch_sizes
                ]
                race = Race(
                    cells, self.rounds, self.seconds, predict=rows is not None and not found
                )
                with ExitStack() as stack:
                    workers = []
                    for contender in contenders:
                        bar.set_description(f"loading {contender.name}")
                        workers.append(stack.enter_context(Worker(contender, threads, rows_file)))
                        bar.update()
                    found.append(race.run(workers, bar))
        return found

    def _lengths(self, manifests: "Sequence[Manifest]") -> tuple[Length, ...]:
        shortest = min(manifests, key=lambda manifest: manifest.max_seq_length)
        longest_input = shortest.max_seq_length
        lengths = self.lengths or (min(DEFAULT_LENGTH, longest_input),)
        for length in lengths:
            if length != "task" and length > longest_input:
                folder = self.artifacts[list(manifests).index(shortest)]
                raise InputError(
                    f"Expected `--length` to be at most {longest_input}, the maximum of {folder!r},"
                    f" got {length}; choose less, or export with `--max_seq_length {length}`."
                )
        return lengths

    def _rows(self, manifests: "Sequence[Manifest]") -> "TaskRows | None":
        if self.data is None:
            return None
        import torch

        from lightning_app.commands.task_rows import rows_of_file, validation_rows

        task = manifests[0].task
        for folder, manifest in zip(self.artifacts, manifests, strict=True):
            if _answers(manifest) != _answers(manifests[0]):
                raise InputError(
                    f"Expected artifacts of one task with `--data`, got {task.name!r} in"
                    f" {self.artifacts[0]!r} and {manifest.task.name!r} in {folder!r}; measure"
                    " them without `--data`, or one by one."
                )
        if self.data.is_dir():
            rows = validation_rows(self.data, task)
        else:
            rows = rows_of_file(self.data, task, label_separator=self.label_separator)
        # Files are sorted by label or length at times.
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(_SEED))
        return rows.chosen(order[: self.max_rows].tolist())

    def _contenders(self) -> list[Contender]:
        names = _names(self.artifacts)
        found = [Contender(n, f) for n, f in zip(names, self.artifacts, strict=True)]
        first = self.artifacts[0]
        return [*found, *(Contender(kind, first, kind, self.ckpt_path) for kind in self.baselines)]

    def _options(self, lengths: Sequence[Length]) -> dict[str, Any]:
        return {
            "batch_size": list(self.batch_sizes),
            "length": list(lengths),
            "threads": list(self.threads),
            "rounds": self.rounds,
            "seconds": self.seconds,
        }

    def _check_arguments(self) -> None:
        _check_at_least("batch_size", self.batch_sizes, 1)
        _check_at_least("length", [v for v in self.lengths if v != "task"], 4)
        _check_at_least("threads", self.threads, 1)
        _check_at_least("rounds", [self.rounds], MIN_ROUNDS)
        _check_at_least("max_rows", [] if self.max_rows is None else [self.max_rows], 1)
        if not self.seconds > 0:
            raise InputError(f"Expected `--seconds` to be above 0, got {self.seconds:g}.")
        if self.output.suffix != ".json":
            raise InputError(f"Expected `--output` to end in .json, got {str(self.output)!r}.")
        of_data = {
            "--length task": "task" in self.lengths,
            "--max_rows": self.max_rows is not None,
            "--label_separator": self.label_separator is not None,
        }
        for option, is_given in of_data.items():
            if is_given and self.data is None:
                raise InputError(
                    f"Expected `--data` with `{option}`, got none; name a file of the task's rows."
                )
        if bool(self.baselines) != (self.ckpt_path is not None):
            raise InputError(
                "Expected `--ckpt_path` with `--baseline`, got one without the other; name the"
                " checkpoint that was exported, and `eager`, `compile` or both."
            )


def _results(
    contenders: Sequence[Contender],
    laps: "Sequence[Sequence[Laps]]",
    rows: "TaskRows | None",
    like: "Manifest",
) -> "list[ArtifactResult]":
    from lightning_app.commands.race import cell_results

    found: list[ArtifactResult] = []
    for place, contender in enumerate(contenders):
        cells = [
            result
            for of_threads in laps
            for result in cell_results(of_threads[place], None if place == 0 else of_threads[0])
        ]
        scores = None if rows is None else _scores(laps[0][place], laps[0][0], rows, like)
        found.append(_artifact_result(contender, laps[0][place], cells, scores))
    return found


def _artifact_result(
    contender: Contender, laps: "Laps", cells: Sequence[Any], scores: "Scores | None"
) -> "ArtifactResult":
    from lightning_app.commands.benchmark_result import ArtifactResult

    about = dict(laps.description)
    size = about.pop("size")
    return ArtifactResult(
        name=contender.name,
        folder=contender.checkpoint or contender.folder,
        size_mb=None if size is None else size / _MB,
        loaded_mb=laps.memory_loaded / _MB,
        peak_mb=laps.memory_peak / _MB,
        nonzero=laps.nonzero,
        cells=cells,
        scores=scores,
        **about,
    )


def _scores(laps: "Laps", first: "Laps", rows: "TaskRows", like: "Manifest") -> "Scores":
    import torch

    from lightning_app.commands.benchmark_scores import scores_of

    assert laps.logits is not None
    assert first.logits is not None
    logits, reference = torch.tensor(laps.logits), torch.tensor(first.logits)
    return scores_of(logits, reference, rows.labels, like.task, _SEED)


def _answers(manifest: "Manifest") -> tuple[Any, ...]:
    task = manifest.task
    return task.problem_type, task.label_names, task.text_columns


def _names(folders: Sequence[str]) -> list[str]:
    """The last part of each path if that tells them apart, else all of it."""
    short = [Path(folder).resolve().name for folder in folders]
    names = short if len(set(short)) == len(short) else list(folders)
    return [f"{n} ({names[:i].count(n) + 1})" if n in names[:i] else n for i, n in enumerate(names)]


@contextmanager
def _rows_file(rows: "TaskRows | None") -> Iterator[str | None]:
    if rows is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps({"texts": rows.texts, "pairs": rows.pairs}), "utf-8")
        yield str(file)


def _progress(total: int) -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm(total=total, unit="turn", leave=False, disable=None)


def _processor() -> dict[str, Any]:
    from lightning_app.processor import FEATURE_NAMES, Processor

    here = Processor.here()
    features = {name: name in here.features for name in FEATURE_NAMES}
    return {**asdict(here), "features": features, "has_fast_int8": here.has_fast_int8}


def _cores() -> int:
    from lightning_app.processor import Processor

    return max(1, int(Processor.here().cores))


def _without_repeats(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _check_at_least(name: str, values: Sequence[float], least: int) -> None:
    for value in values:
        if value < least:
            raise InputError(f"Expected `--{name}` to be at least {least}, got {value}.")
