"""LightningModules and their parts."""

from modules.text_classifier import TextClassifier

__all__ = ["TextClassifier"]
