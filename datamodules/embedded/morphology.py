"""English word forms; the vocabulary holds only words that these rules inflect correctly."""

import re


def inflect(word: str, form: str | None) -> str:
    """The form `s` (plural, third person), `ed`, `ing` or None (as it is) of a regular word."""
    if form is None:
        return word
    if form == "s":
        return _with_s(word)
    if form == "ed":
        return _with_ed(word)
    return (word[:-1] if word.endswith("e") else word) + "ing"


def polish(text: str) -> str:
    """The text with single spaces, `an` before vowels and a capital first letter."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" (?=[.,?!;])", "", text)
    text = re.sub(r"\b([Aa]) (?!use)(?=[aeiouAEIOU])", r"\1n ", text)
    return text[:1].upper() + text[1:]


def _with_s(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|ch|sh)$", word) else "s")


def _with_ed(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ied"
    return word + ("d" if word.endswith("e") else "ed")
