"""From what is named on the command line to what was found there."""

from collections.abc import Sequence
from pathlib import Path

from lightning_app.errors import InputError
from lightning_app.report.files import read_json
from lightning_app.report.findings import Findings, merged
from lightning_app.report.read_artifact import is_artifact, read_artifact
from lightning_app.report.read_benchmark import KEY as OF_BENCHMARK
from lightning_app.report.read_benchmark import read_benchmark
from lightning_app.report.read_compress import is_compress, read_compress
from lightning_app.report.read_fit_seeds import is_fit_seeds, read_fit_seeds
from lightning_app.report.read_run import is_run, read_run
from lightning_app.report.read_search import is_search, read_search
from lightning_app.report.read_seeds import is_seeds, read_recipe_seeds
from lightning_app.report.read_tables import (
    is_quantization,
    is_sensitivity,
    read_quantization,
    read_sensitivity,
    tables_of_run,
)

_EXPECTED = (
    "the folder of a fit (runs/NAME/version_N), of several seeds (runs/NAME/seeds_N), of"
    " `glint compress` (runs/compress/NAME), of `glint search` (runs/search/NAME) or of"
    " `glint export`, or the JSON file of a benchmark, a sensitivity analysis or a quantization"
)


def read_all(runs: Sequence[str]) -> Findings:
    """Everything that is there.

    Args:
        runs: Folders and files, as named by the user.

    Raises:
        InputError: If one of them is nothing that Glint has written.
    """
    found: list[Findings] = []
    for run, name in zip(runs, short_names(runs), strict=True):
        found += _read(Path(run), name)
    return merged(found)


def short_names(runs: Sequence[str]) -> list[str]:
    """As few of the last parts of each path as tell them apart."""
    parts = [Path(run).resolve().parts[1:] for run in runs]
    count = 1
    while _tells_nothing(parts, count):
        count += 1
    names = ["/".join(p[-count:]) for p in parts]
    return [
        f"{n} ({names[:i].count(n) + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)
    ]


def _tells_nothing(parts: Sequence[tuple[str, ...]], count: int) -> bool:
    """Whether different paths end in the same parts, or all in the number of a run."""
    if count >= max(map(len, parts)):
        return False
    ends = [p[-count:] for p in parts]
    is_same = len(set(ends)) < len(set(parts))
    numbers = ("version_", "seeds_")
    return is_same or all(len(e) == 1 and e[0].startswith(numbers) for e in ends)


def _read(path: Path, name: str) -> list[Findings]:
    if path.is_file() and path.suffix == ".json":
        return [_read_file(path, name)]
    if is_artifact(path):
        return [read_artifact(path, name)]
    if is_seeds(path):
        return [read_recipe_seeds(path, name)]
    if is_fit_seeds(path):
        return [read_fit_seeds(path, name)]
    if is_compress(path):
        return [read_compress(path, name)]
    if is_search(path):
        return [read_search(path, name)]
    if is_run(path):
        return [read_run(path, name), *tables_of_run(path, name)]
    raise InputError(f"Expected `runs` to be {_EXPECTED}, got {str(path)!r}{_hint(path)}.")


def _read_file(file: Path, name: str) -> Findings:
    plain = read_json(file)
    name = name.removesuffix(".json")
    if OF_BENCHMARK in plain:
        return read_benchmark(plain, file, name)
    if is_sensitivity(plain):
        return read_sensitivity(plain, name)
    if is_quantization(plain):
        return read_quantization(plain, name)
    raise InputError(f"Expected `runs` to be {_EXPECTED}, got {str(file)!r}, which is none.")


def _hint(path: Path) -> str:
    if not path.exists():
        return ", which does not exist"
    inner = sorted(p for kind in ("seeds_*", "version_*") for p in path.glob(kind) if p.is_dir())
    if inner:
        return f"; name one of its runs, such as {str(inner[-1])!r}"
    if any(path.glob("trial-[0-9]*")):
        return ", a search that has not ended; run it to its end first"
    if any(path.glob("seed[0-9]*")):
        return ", of seeds that have not ended; run them to their end first"
    if any(path.glob("[0-9][0-9]-*-*")):
        return ", a recipe that has not ended; run it to its end first"
    return ", which holds nothing of the kind"
