"""The table of docs/strategies.md, of what came out of the fits of `run_cases`.

python -m tests.strategies.table --write
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs/strategies.md"
BEGIN, END = "<!-- table: python -m tests.strategies.table --write -->", "<!-- end of table -->"

COLUMNS = {
    "one": "one process",
    "ddp": "DDP, two",
    "fsdp": "FSDP, two",
    "ddp<": "begun by one, resumed under DDP",
    "one<": "begun under DDP, resumed by one",
}
WORKS = "works"
TOLERANCE = 1e-5
"""Absolute, of weights in float64 and of metrics."""

Outcomes = Mapping[str, Mapping[str, Any]]
"""By process (`ddp-1`), then by fit (`magnitude`, and `magnitude<` for a resumed one)."""


def outcomes(model: str, reviews: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Run all fits; ``folder`` is for their checkpoints."""
    import torch

    command = [sys.executable, "-m", "tests.strategies.run_cases", model, str(reviews), str(folder)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    return {path.stem: torch.load(path) for path in sorted(folder.glob("*-[01].pt"))}


def verdict(found: Outcomes, column: str, name: str) -> str:
    """``works``, the reason of the refusal, or what differs from the fit of one process."""
    strategy, resumed = column.rstrip("<"), "<" * column.endswith("<")
    ranks = [found[process][name + resumed] for process in found if process.startswith(strategy)]
    refused = {rank.get("refused") for rank in ranks}
    if refused != {None}:
        return f"refused: {' / '.join(map(_reason, refused))}"
    different = {d for rank in ranks for d in _differences(rank, found["one-0"][name])}
    return f"differs: {', '.join(sorted(different))}" if different else WORKS


def rows(found: Outcomes) -> Iterator[list[str]]:
    """Callbacks, the names of their cases with the same verdicts, and a verdict for each column."""
    from tests.strategies.cases import FITS

    names: dict[tuple[str, ...], list[str]] = {}
    for name, make in FITS.items():
        kinds = ", ".join(f"`{type(callback).__name__}`" for callback in make())
        verdicts = (verdict(found, column, name) for column in COLUMNS)
        names.setdefault((kinds, *verdicts), []).append(f"`{name}`")
    for (kinds, *cells), cases in names.items():
        yield [kinds, ", ".join(cases), *cells]


def table(found: Outcomes) -> str:
    """Markdown."""
    header = ["callbacks", "cases", *COLUMNS.values()]
    lines = [header, ["---"] * len(header), *rows(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def documented() -> str:
    """What is in the docs."""
    return DOCS.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def write(found: Outcomes) -> None:
    """Put it into the docs."""
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{rest.partition(END)[2]}", "utf-8")


def _reason(sentence: str | None) -> str:
    if sentence is None:
        return "not on all processes"
    found = re.search(r", which (.*?), got ShardedStrategy", sentence)
    return found[1] if found else sentence


def _differences(found: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[str]:
    for key in ("steps", "masks", "architecture", "weights", "metrics"):
        # Masks are the same to the last one; of the structure the record has fitted numbers, too.
        if not _is_close(found[key], one[key], 0.0 if key == "masks" else TOLERANCE):
            yield key


def _is_close(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_is_close(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_is_close, a, b, [tolerance] * len(a)))
    if hasattr(a, "shape"):
        return a.shape == b.shape and not bool(((a.double() - b.double()).abs() > tolerance).any())
    if isinstance(a, float):
        return abs(a - b) <= tolerance
    return bool(a == b)


def main() -> None:
    """Print the table, or write it."""
    import tests.conftest  # noqa: F401  # without a network
    from tests.tiny_bert import save_bert, tiny_tokenizer
    from tests.tiny_fit import write_reviews

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_bert(folder / "model", tiny_tokenizer(), seed=0)
        found = outcomes(model, write_reviews(folder), folder)
    if "--write" in sys.argv:
        write(found)
    print(table(found))


if __name__ == "__main__":
    main()
