"""Which modules compute with rounded weights and activations, and how: plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

Scheme = Literal["dynamic", "static", "weight_only"]
SCHEMES: tuple[Scheme, ...] = ("dynamic", "static", "weight_only")


@dataclass(frozen=True)
class ModuleQuantization:
    """How one module is quantized; weights symmetric, activations int8 with a zero point.

    Args:
        scheme: Activations with a scale for each token (``dynamic``), with one fixed scale
            (``static``), or as they are (``weight_only``).
        weight_bits: In [2, 8].
        group_size: Neighbouring inputs with a scale of their own; None for one scale a row.
        activation_range: Smallest and largest activation of a static scheme; None before any was
            seen, and activations are left as they are.
    """

    scheme: Scheme
    weight_bits: int = 8
    group_size: int | None = None
    activation_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Quantization:
    """What is fake-quantized in a network.

    Args:
        modules: By the module's name in the network.
    """

    modules: Mapping[str, ModuleQuantization] = field(default_factory=dict)

    def with_modules(self, modules: Mapping[str, ModuleQuantization]) -> Self:
        """With these besides, or in place of what they were."""
        return replace(self, modules={**self.modules, **modules})

    def with_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> Self:
        """With other activation ranges, by module."""
        return self.with_modules(
            {n: replace(self.modules[n], activation_range=r) for n, r in ranges.items()}
        )

    def as_plain(self) -> dict[str, Any]:
        """Plain values, safe in a ``weights_only`` checkpoint."""
        return {"modules": {name: _as_plain(module) for name, module in self.modules.items()}}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """From :meth:`as_plain`."""
        return cls({name: _from_plain(module) for name, module in plain["modules"].items()})


def _as_plain(module: ModuleQuantization) -> dict[str, Any]:
    bounds = module.activation_range
    return {**asdict(module), "activation_range": None if bounds is None else list(bounds)}


def _from_plain(plain: Mapping[str, Any]) -> ModuleQuantization:
    bounds = plain["activation_range"]
    activation_range = None if bounds is None else (float(bounds[0]), float(bounds[1]))
    return ModuleQuantization(**{**plain, "activation_range": activation_range})
