"""The end of `glint compress`, for the terminal."""

from collections.abc import Iterator

from lightning_app.recipes.engine import clock
from lightning_app.recipes.result import Outcome, RecipeResult
from lightning_app.recipes.stage import Target

NONE = "-"


def result_text(result: RecipeResult) -> str:
    """The table before and after, whether the target is met, where all lies and what is next."""
    blocks = ["\n".join(_table(result)), *_verdict(result), "\n".join(_next(result))]
    return "\n\n".join(blocks) + "\n"


def _table(result: RecipeResult) -> Iterator[str]:
    dense = result.dense
    latency, parameters = dense.get("latency_ms"), dense.get("parameters")
    first = [
        "dense, PyTorch float32",
        _number(dense.get("score"), ".4f"),
        "",
        _number(latency, ".2f"),
        "1.00" if latency is not None else NONE,
        NONE,
        _millions(parameters),
    ]
    head = ["", "score", "lost", "ms", "times as fast", "MB", "parameters"]
    rows = [head, first, *map(_row, result.outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        name, *numbers = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join([name, *numbers]).rstrip()


def _row(outcome: Outcome) -> list[str]:
    return [
        f"{outcome.name} ({outcome.format})",
        _number(outcome.score, ".4f"),
        _number(outcome.drop, "+.4f"),
        _number(outcome.latency_ms, ".2f"),
        _number(outcome.speedup, ".2f"),
        _number(outcome.size_mb, ".1f"),
        _millions(outcome.parameters),
    ]


def _verdict(result: RecipeResult) -> Iterator[str]:
    asked = [outcome for outcome in result.outcomes if outcome.wanted]
    if asked:
        yield "\n".join(_answer(outcome, result.target or Target()) for outcome in asked)
    for sentence in result.failures:
        yield f"note: {sentence}"


def _answer(outcome: Outcome, target: Target) -> str:
    name, value = next(iter(outcome.wanted.items()))
    length = "the task's lengths" if target.length == "task" else f"{target.length} tokens"
    asked = f"{name} {value:g} at batch {target.batch_size}, {length}"
    asked += f", at most {target.max_drop:g} lost"
    if outcome.met:
        return f"met: {outcome.name}: {asked}"
    return f"NOT met, this is the nearest that was found: {outcome.name}: {asked}"


def _next(result: RecipeResult) -> Iterator[str]:
    seconds = sum(stage.result.seconds for stage in result.done)
    yield f"{len(result.done)} stages, {clock(seconds)}: {result.root}"
    chosen = result.chosen
    if chosen is not None:
        artifact = result.root / chosen.artifact
        yield f"the artifact: {artifact}"
        yield f"next: glint predict --artifact {artifact} --text ..."
        yield f"      glint report {result.root}"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _millions(parameters: int | None) -> str:
    return NONE if parameters is None else f"{parameters / 1e6:.1f}M"
