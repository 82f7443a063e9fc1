"""The licence of a base model, where it is known."""

import re
from pathlib import Path

# As their authors' pages state them; a name with its former organization is the same model.
_KNOWN = {
    "apache-2.0": r"embedded|(google-bert/)?bert-(base|large)-(un)?cased|albert.*-v[12]"
    r"|(distilbert/)?distilbert-base-(un)?cased|google/electra-(small|base|large)-discriminator",
    "mit": r"(FacebookAI/)?(roberta|xlm-roberta)-(base|large)|microsoft/deberta-(v3-)?(base|large)"
    r"|microsoft/MiniLM-L12-H384-uncased",
}
_OF_A_CARD = re.compile(r"\A---\n(?:.*\n)*?license: *([\w.-]+) *\n(?:.*\n)*?---", re.MULTILINE)


def licence_of(base_model: str) -> str | None:
    """Of a base model by name, or by the model card in its folder.

    Args:
        base_model: Hub id, folder or ``embedded``.

    Returns:
        The hub's name of the licence, such as ``apache-2.0``; None if it is not known here.
    """
    card = Path(base_model) / "README.md"
    if card.is_file():
        stated = _OF_A_CARD.match(card.read_text("utf-8", errors="replace"))
        return stated[1] if stated else None
    matches = (name for name, pattern in _KNOWN.items() if re.fullmatch(pattern, base_model))
    return next(matches, None)
