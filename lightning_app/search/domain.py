"""What a key of the configuration may be set to."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_RANGE = {"low", "high", "log", "step"}
_PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class Domain:
    """Choices, or a range of numbers.

    Args:
        key: Of the configuration, for messages.
        choices: The values of a choice; empty for a range.
        low: Of a range; whole numbers only where both ends are whole.
        high: Of a range, within it.
        log: Whether the range is searched by its logarithm.
        step: Of a range of whole numbers.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: int | None = None

    @classmethod
    def of(cls, key: str, written: Any) -> "Domain":
        """From the YAML of a search.

        Args:
            key: Of the configuration.
            written: ``{choices: [...]}`` or ``{low: ..., high: ..., log: ..., step: ...}``.

        Raises:
            InputError: If it is neither.
        """
        if not isinstance(written, Mapping):
            raise _refused(key, f"got {written!r}")
        if set(written) == {"choices"}:
            return cls(key, tuple(_checked_choices(key, written["choices"])))
        unknown = sorted(set(written) - _RANGE)
        if unknown or not {"low", "high"} <= set(written):
            raise _refused(key, f"got {', '.join(map(repr, written)) or 'nothing'}")
        domain = cls(
            key,
            low=_number(key, "low", written["low"]),
            high=_number(key, "high", written["high"]),
            log=bool(written.get("log", False)),
            step=written.get("step"),
        )
        domain._check_range()
        return domain

    @property
    def is_whole(self) -> bool:
        """Whether the range is of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def distribution(self) -> "BaseDistribution":
        """Optuna's word for it."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution([_stored(value) for value in self.choices])
        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step or 1)
        return FloatDistribution(self.low, self.high, log=self.log)

    def value(self, stored: Any) -> Any:
        """What the configuration takes, from what the study keeps."""
        return next((v for v in self.choices if _stored(v) == stored), stored)

    def stored(self, value: Any) -> Any:
        """What the study keeps, from what the configuration takes."""
        return _stored(value) if self.choices else value

    def contains(self, value: Any) -> bool:
        """Whether it is one of the choices or in the range."""
        if self.choices:
            return value in self.choices
        return _is_number(value) and self.low <= value <= self.high

    def grid(self) -> list[Any]:
        """All values.

        Raises:
            InputError: If there is no end of them.
        """
        if self.choices:
            return list(self.choices)
        if not self.is_whole or self.log:
            raise InputError(
                f"Expected `space.{self.key}` of a grid to be `choices` or a range of whole numbers"
                f" without `log`, got low={self.low:g}, high={self.high:g}; write the values out."
            )
        return list(range(int(self.low), int(self.high) + 1, self.step or 1))

    def samples(self) -> list[Any]:
        """Values that are tried out to see whether the configuration takes them."""
        return list(self.choices) or [self.low, self.high]

    def _check_range(self) -> None:
        where = f"`space.{self.key}`"
        if self.low > self.high:
            raise InputError(
                f"Expected `low` of {where} to be at most its `high`, got low={self.low:g},"
                f" high={self.high:g}."
            )
        if self.log and self.low <= 0:
            raise InputError(f"Expected `low` of {where} to be above 0 with `log`, got {self.low}.")
        whole_step = isinstance(self.step, int) and not isinstance(self.step, bool)
        if self.step is not None and not (whole_step and self.step > 0 and self.is_whole):
            raise InputError(
                f"Expected `step` of {where} to be a whole number above 0 between whole `low` and"
                f" `high`, got {self.step!r}."
            )
        if self.step is not None and self.log:
            raise InputError(f"Expected `step` or `log` in {where}, got both; leave one out.")


def _checked_choices(key: str, choices: Any) -> list[Any]:
    if not isinstance(choices, list) or not choices:
        raise _refused(key, f"got choices={choices!r}")
    twice = [value for n, value in enumerate(choices) if value in choices[:n]]
    if twice:
        raise InputError(f"Expected different `choices` in `space.{key}`, got {twice[0]!r} twice.")
    return choices


def _stored(value: Any) -> Any:
    """Optuna keeps plain values; lists and mappings go by their text."""
    return value if value is None or isinstance(value, _PLAIN) else json.dumps(value)


def _number(key: str, name: str, value: Any) -> float:
    if isinstance(value, str):  # YAML reads 1e-5 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    if not _is_number(value):
        raise InputError(f"Expected `{name}` of `space.{key}` to be a number, got {value!r}.")
    return value  # type: ignore[no-any-return]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(key: str, got: str) -> InputError:
    return InputError(
        f"Expected `space.{key}` to be `{{choices: [...]}}` or `{{low: ..., high: ...}}` with"
        f" `log: true` or `step` if you like, {got}."
    )
