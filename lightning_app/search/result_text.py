"""What a search says on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_app.recipes.engine import clock
from lightning_app.search.results import Candidate, Findings

_SHOWN = 10


def result_text(
    found: Findings,
    importances: Mapping[str, float] | None,
    winner: Mapping[str, Any] | None,
    files: Sequence[Path],
) -> str:
    """The best, the front, what matters, what was written, what is next."""
    what = found.specification
    lines = [
        f"{found.num_finished} trials finished, {found.num_stopped} stopped early;"
        f" {found.trained} epochs in {clock(found.seconds)}"
    ]
    if what.has_several_objectives:
        lines += ["the front:", *(f"  {_line(found, c)}" for c in found.front[:_SHOWN])]
    lines.append(f"best: {_line(found, found.best)}")
    if importances:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in importances.items())
        lines.append(f"what the score depends on (fANOVA): {shares}")
    if winner is not None:
        lines.append(
            f"trained on the whole training set, on the validation set, looked at once:"
            f" val/score {winner['score']:.4f}"
        )
    lines.append(f"written: {', '.join(map(str, files))}")
    lines += _next(found, files, winner)
    return "\n".join(lines) + "\n"


def trial_line(found: Findings, trial: Any, position: str, left: str) -> str:
    """One trial that has just ended.

    Args:
        found: By then.
        trial: Optuna's.
        position: Of all, such as ``3/27``.
        left: Time that is left, in words, or empty.
    """
    own = [
        c
        for c in found.candidates
        if c.trial == trial.system_attrs.get("failed_trial", trial.number)
    ]
    settings = ", ".join(f"{k.rpartition('.')[2]}={_short(v)}" for k, v in trial.params.items())
    outcome = "stopped early"
    place = found.specification.objectives.index("score")
    if trial.values is not None and own:
        top = max(own, key=lambda c: c.objectives[place])
        outcome = _objectives(found, top)
        if found.specification.shares_prefix:
            outcome += f" after {top.epochs} epochs"
    best = f" · best {found.best.objectives[place]:.4f}" if found.candidates else ""
    return f"[{position}] trial {trial.number}: {settings}: {outcome}{best}{left}"


def _line(found: Findings, candidate: Candidate) -> str:
    values = ", ".join(f"{key}={_short(value)}" for key, value in candidate.values.items())
    return f"{_objectives(found, candidate)} (trial {candidate.trial}): {values}"


def _objectives(found: Findings, candidate: Candidate) -> str:
    named = zip(found.specification.objectives, candidate.objectives, strict=True)
    return ", ".join(
        f"{name} {value:.4f}" if name == "score" else f"{name} {value:.3g}" for name, value in named
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _next(found: Findings, files: Sequence[Path], winner: Mapping[str, Any] | None) -> list[str]:
    if winner is None:
        command = "compress" if found.specification.is_of_recipes else "fit"
        return [f"next: glint {command} --config {files[0]}"]
    if found.specification.is_of_recipes:
        return [
            f'next: glint predict --artifact {winner["artifact"]} --text "..."',
            f"      glint report {winner['recipe']}",
            f"      tensorboard --logdir {files[0].parent}",
        ]
    return [
        f"next: glint predict --config {winner['config']} --ckpt_path {winner['checkpoint']}",
        f"      glint export --ckpt_path {winner['checkpoint']} --format openvino --output DIR",
        f"      tensorboard --logdir {files[0].parent}",
    ]
