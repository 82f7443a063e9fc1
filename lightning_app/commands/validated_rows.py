"""Which options of a fit's data decide on which rows it is validated."""

from collections.abc import Iterator, Mapping
from typing import Any

_OF_A_SPLIT = ("task_name", "dataset", "validation_file")
_OF_A_FOLD = ("task_name", "dataset", "train_file", "num_folds", "fold", "data_seed")
_OF_A_PART = ("train_file", "validation_fraction", "data_seed")


def deciding_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Those options, by name.

    Args:
        data: Section of a fit's configuration, with its defaults.
    """
    options = data.get("init_args") or {}
    if options.get("num_folds") is not None:
        names: tuple[str, ...] = _OF_A_FOLD
    elif "train_file" in options and options.get("validation_file") is None:
        names = _OF_A_PART
    else:
        names = _OF_A_SPLIT
    return {name: options[name] for name in names if name in options}


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Where two fits are not validated on the same rows, in words.

    Args:
        own: From :func:`deciding_options`.
        other: Likewise.
    """
    for name in dict.fromkeys([*own, *other]):
        if own.get(name) != other.get(name):
            yield f"`data.{name}` is {other.get(name)!r} in place of {own.get(name)!r}"
