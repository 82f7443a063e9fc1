"""What was traded: the sentence, the fronts, the table."""

from collections.abc import Iterator, Sequence
from functools import partial

from lightning_app.report import charts, searching, words
from lightning_app.report.blocks import Block, Bullets, Facts, Paragraph, Picture, Section, Table
from lightning_app.report.findings import Findings, Model, Value

_HEAD = (
    "",
    "score",
    "interval of 95 %",
    "points",
    "ms",
    "times as fast",
    "MB",
    "parameters",
    "not zero",
    "calibration error",
)


def headline(found: Findings) -> str:
    """What was traded, in one sentence."""
    reference, chosen = found.reference, found.chosen
    if chosen is not None and reference is not None:
        return _trade(chosen, reference)
    told = [table.headline for table in found.seeds if table.headline]
    told += [searching.headline(plain) for plain in found.searches]
    if told:
        return " ".join(told)
    scored = [m for m in found.models if m.score is not None]
    if len(scored) > 1:
        best = max(scored, key=_score)
        return f"{best.label} scores best of {len(scored)}: {_score(best):.4f}."
    if scored:
        return f"{scored[0].label} scores {_score(scored[0]):.4f} on the validation rows."
    kinds = ", ".join(f"{name} ({kind})" for name, kind in found.sources)
    return f"What is known of {kinds}." if kinds else "Nothing was measured here yet."


def overview(found: Findings) -> Section:
    """Machine, data, and the fronts."""
    blocks: list[Block] = [Facts(list(found.facts.items()))] if found.facts else []
    blocks += _fronts(found.models)
    return Section("What was traded", blocks)


def models(found: Findings) -> Section:
    """The table of all models, those over seeds, and what is to be known."""
    blocks: list[Block] = [_table(found)] if found.models else []
    if any(model.score is not None and model.score.low is not None for model in found.models):
        blocks.append(
            Paragraph(
                "Intervals are of the bootstrap over rows. Points are hundredths of the score"
                " against the reference, which stands first; what stands out is the one to use."
            )
        )
    for table in found.seeds:
        seeds = ", ".join(map(str, table.seeds))
        blocks.append(Paragraph(f"{table.title}, {len(table.seeds)} seeds ({seeds}):"))
        blocks.append(Table(table.head, table.rows))
        blocks += [Paragraph(note) for note in table.notes]
    if found.notes:
        blocks.append(Bullets(found.notes))
    return Section("All models", blocks)


def _trade(chosen: Model, reference: Model) -> str:
    parts = []
    if chosen.speedup is not None and chosen.latency_ms and reference.latency_ms:
        now, before = (words.milliseconds(m.latency_ms.value) for m in (chosen, reference))  # type: ignore[union-attr]
        parts.append(f"{words.times(chosen.speedup)} as fast ({now} ms in place of {before})")
    if chosen.size_mb is not None:
        was = "" if reference.size_mb is None else f" in place of {reference.size_mb:.1f}"
        parts.append(f"{words.megabytes(chosen.size_mb)} MB{was}")
    if chosen.parameters is not None and reference.parameters not in (None, chosen.parameters):
        before = words.millions(reference.parameters)
        parts.append(f"{words.millions(chosen.parameters)} parameters in place of {before}")
    if chosen.score is not None and reference.score is not None:
        parts.append(f"score {chosen.score.value:.4f} in place of {reference.score.value:.4f}")
    return f"{chosen.label} against {reference.label}: {'; '.join(parts)}{_lost(chosen)}."


def _lost(chosen: Model) -> str:
    if chosen.drop is None:
        return ""
    amount = abs(100 * chosen.drop)
    if amount < 0.005:
        return ", nothing lost"
    return f", {amount:.2f} points {'lost' if chosen.drop > 0 else 'gained'}"


def _fronts(lines: Sequence[Model]) -> Iterator[Picture]:
    timed = [m for m in lines if m.score is not None and m.latency_ms is not None]
    if len(timed) > 1:
        draw = partial(charts.front, timed, lambda m: m.latency_ms, "latency of the network, ms")
        yield Picture("front-latency", "Score against latency", draw)
    sized = [m for m in lines if m.score is not None and _megabytes(m) is not None]
    if len(sized) > 1:
        draw = partial(charts.front, sized, _megabytes, "size, MB")
        yield Picture("front-size", "Score against size", draw)


def _megabytes(model: Model) -> Value | None:
    """Of a checkpoint, its weights in float32: it holds an optimizer, too."""
    if model.size_mb is not None:
        return Value(model.size_mb)
    return None if model.parameters is None else Value(4 * model.parameters / 1e6)


def _table(found: Findings) -> Table:
    """Columns of which nothing is known are left out."""
    lines = sorted(found.models, key=lambda model: not model.is_reference)
    several = len(found.sources) > 1
    rows = [_row(model, several) for model in lines]
    kept = [0, *(c for c in range(1, len(_HEAD)) if any(r[c] != words.NONE for r in rows))]
    marked = [place for place, model in enumerate(lines) if model.is_chosen]
    return Table([_HEAD[c] for c in kept], [[row[c] for c in kept] for row in rows], 1, marked)


def _row(model: Model, several: bool) -> list[str]:
    is_known = several and model.source != model.name and not model.name.startswith(model.source)
    nonzero = model.nonzero_share
    return [
        f"{model.source}: {model.label}" if is_known else model.label,
        words.plain(None if model.score is None else model.score.value, ".4f"),
        words.interval(model.score),
        "reference" if model.is_reference else words.points(model.drop),
        words.milliseconds(None if model.latency_ms is None else model.latency_ms.value),
        words.times(model.speedup),
        words.megabytes(model.size_mb),
        words.millions(model.parameters),
        words.plain(None if nonzero is None or nonzero > 0.995 else nonzero, ".1%"),
        words.plain(model.calibration_error, ".3f"),
    ]


def _score(model: Model) -> float:
    assert model.score is not None
    return model.score.value
