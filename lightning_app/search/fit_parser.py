"""Checks configurations of a fit without running it."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from lightning_app.cli import GlintCLI
from lightning_app.errors import InputError
from lightning_app.parse_errors import input_error_within, option_sentence

FIT = "fit"


class FitParser(GlintCLI):
    """The parser of `glint fit`, which reads configurations and makes what they name."""

    def __init__(self) -> None:
        super().__init__(FIT)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Of an empty configuration, not of the command line."""
        self.config = parser.parse_object({"subcommand": FIT, FIT: {}})

    def _set_seed(self) -> None:
        """Nothing is run."""

    def before_instantiate_classes(self) -> None:
        """Nothing is run."""

    def instantiate_classes(self) -> None:
        """Nothing is run."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is run."""

    def checked(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with all its defaults.

        Args:
            config: As its YAML has it.

        Raises:
            InputError: If a key or value is refused by what takes it.
        """
        plain = {"subcommand": FIT, FIT: deepcopy(dict(config))}
        return dict(self._checked(lambda: self.parser.parse_object(plain))[FIT].as_dict())

    def of_arguments(self, arguments: Sequence[str]) -> dict[str, Any]:
        """The configuration that a command line stands for, with all its defaults.

        Args:
            arguments: Behind `glint fit`.

        Raises:
            InputError: If an option or value is refused by what takes it.
        """
        import yaml  # type: ignore[import-untyped]

        parsed = self._checked(lambda: self.parser.parse_args([FIT, *arguments]))
        return dict(yaml.safe_load(self.parser.dump(parsed))[FIT])

    def _checked(self, parse: Callable[[], Any]) -> Any:
        try:
            parsed = parse()
            self.parser.instantiate_classes(parsed)
        except ArgumentError as error:
            raise input_error_within(error) or InputError(
                option_sentence(str(error), FIT)
            ) from error
        except ValueError as error:
            if (mistake := input_error_within(error)) is None:
                raise
            raise mistake from error
        return parsed


@cache
def fit_parser() -> FitParser:
    """The one parser; it takes a second to make."""
    return FitParser()
