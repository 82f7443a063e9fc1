"""An answer on the terminal."""

from collections.abc import Mapping
from typing import Any


def answer_text(answer: Mapping[str, Any]) -> str:
    """The label, and each label's score, highest first; for regression the score.

    Args:
        answer: As `TextClassifier.classify` and an artifact give it for a row.
    """
    if "label" not in answer:
        return f"{answer['score']:.3f}\n"
    scores = sorted(answer["scores"].items(), key=lambda item: -item[1])
    lines = [str(answer["label"]), *(f"  {name:<20} {score:.3f}" for name, score in scores)]
    return "\n".join(lines) + "\n"
