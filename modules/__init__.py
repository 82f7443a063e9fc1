"""LightningModules and their parts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modules.text_classifier import TextClassifier

__all__ = ["TextClassifier"]


def __getattr__(name: str) -> Any:
    # Late: what runs an exported model needs the parts of the network and not Lightning.
    if name == "TextClassifier":
        from modules.text_classifier import TextClassifier

        return TextClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
