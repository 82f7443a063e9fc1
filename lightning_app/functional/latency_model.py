"""A forward call's time as a sum over layers, each that of its heads and that of its FFN's width.

Kurtic et al. 2023, "ZipLM: Inference-Aware Structured Pruning of Language Models"
(arXiv:2302.04089, section 3.2), measure both parts alone. Here whole networks are measured and the
parts are what explains them best, so that what lies in no part, and caches, are in.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_app.functional.least_squares import nonnegative_least_squares

Sizes = tuple[int, int]
"""Heads and FFN width of a layer."""

_SMOOTHNESS = 0.02


@dataclass(frozen=True)
class LatencyModel:
    """Milliseconds of a call.

    Args:
        fixed: Of what is outside the layers.
        heads: Numbers of heads that ``heads_ms`` is of, ascending.
        heads_ms: Of the part of a layer that grows with its heads, and all that does not grow.
        widths: FFN widths that ``widths_ms`` is of, ascending.
        widths_ms: Of the part of a layer that grows with its width.
        last: Of the last layer, which may compute one token only: what does not grow, of each
            head, and of each neuron.
    """

    fixed: float
    heads: tuple[int, ...]
    heads_ms: tuple[float, ...]
    widths: tuple[int, ...]
    widths_ms: tuple[float, ...]
    last: tuple[float, float, float]

    def layer_ms(self, sizes: Sizes) -> float:
        """Of a layer that is not the last; between measured sizes in proportion."""
        heads, width = sizes
        return _interpolated(self.heads, self.heads_ms, heads) + _interpolated(
            self.widths, self.widths_ms, width
        )

    def last_layer_ms(self, sizes: Sizes) -> float:
        """Of the last layer."""
        base, a_head, a_neuron = self.last
        return base + a_head * sizes[0] + a_neuron * sizes[1]

    def predict(self, layers: Sequence[Sizes]) -> float:
        """Of a network with these layers, bottom first, at least one."""
        inner = sum(self.layer_ms(sizes) for sizes in layers[:-1])
        return self.fixed + inner + self.last_layer_ms(layers[-1])


def fitted_latency(
    networks: Sequence[Sequence[Sizes]],
    milliseconds: Sequence[float],
    heads: Sequence[int],
    widths: Sequence[int],
) -> LatencyModel:
    """The model that explains measured networks best, in least squares of relative errors.

    No part may take less time than a smaller one. Where measurements say little, the time of a
    head or neuron is drawn towards that of its neighbours on the grid.

    Args:
        networks: Layers of each, bottom first.
        milliseconds: That each took, above 0.
        heads: Grid of the model, ascending.
        widths: Grid of the model, ascending.
    """
    grid = _Grid(tuple(heads), tuple(widths))
    times = torch.tensor(milliseconds, dtype=torch.float64)
    equations = torch.stack([grid.equation(layers) for layers in networks]) / times[:, None]
    smooth = grid.smoothness() * (_SMOOTHNESS / float(times.median()))
    found = nonnegative_least_squares(
        torch.cat([equations, smooth]),
        torch.cat([torch.ones_like(times), smooth.new_zeros(len(smooth))]),
    )
    return grid.model(found)


def mixed(models: Sequence[LatencyModel], weights: Sequence[float]) -> LatencyModel:
    """The weighted sum of models on the same grid."""

    def total(values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(weights, values, strict=True))

    def totals(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
        return tuple(total(column) for column in zip(*rows, strict=True))

    base, a_head, a_neuron = totals([m.last for m in models])
    return LatencyModel(
        fixed=total([m.fixed for m in models]),
        heads=models[0].heads,
        heads_ms=totals([m.heads_ms for m in models]),
        widths=models[0].widths,
        widths_ms=totals([m.widths_ms for m in models]),
        last=(base, a_head, a_neuron),
    )


@dataclass(frozen=True)
class _Grid:
    """Coefficients of the fit: fixed; of each layer the smallest; growth by each step of heads,
    then of widths; of the last layer what does not grow, heads, and width. Growth is in units of
    the whole grid, so that all coefficients are of one size."""

    heads: tuple[int, ...]
    widths: tuple[int, ...]

    def equation(self, layers: Sequence[Sizes]) -> Tensor:
        """How often each coefficient is in a network."""
        rows = torch.zeros(2 + len(self.heads) - 1 + len(self.widths) - 1 + 3, dtype=torch.float64)
        rows[0] = 1
        for heads, width in layers[:-1]:
            rows[1] += 1
            rows[2 : 1 + len(self.heads)] += _steps(self.heads, heads)
            rows[1 + len(self.heads) : -3] += _steps(self.widths, width)
        heads, width = layers[-1]
        rows[-3:] += torch.tensor([1, heads / self.heads[-1], width / self.widths[-1]])
        return rows

    def smoothness(self) -> Tensor:
        """Differences of growth between neighbouring steps."""
        size = len(self.equation([(self.heads[0], self.widths[0])]))
        ends = (range(2, len(self.heads)), range(1 + len(self.heads), size - 4))
        pairs = [start for of_kind in ends for start in of_kind]
        rows = torch.zeros(len(pairs), size, dtype=torch.float64)
        for row, start in zip(rows, pairs, strict=True):
            row[start], row[start + 1] = 1, -1
        return rows

    def model(self, found: Tensor) -> LatencyModel:
        """From the coefficients."""
        growth_of_heads = found[2 : 1 + len(self.heads)]
        growth_of_width = found[1 + len(self.heads) : -3]
        base, a_head, a_neuron = found[-3:].tolist()
        return LatencyModel(
            fixed=float(found[0]),
            heads=self.heads,
            heads_ms=_summed(self.heads, growth_of_heads, float(found[1])),
            widths=self.widths,
            widths_ms=_summed(self.widths, growth_of_width, 0.0),
            last=(base, a_head / self.heads[-1], a_neuron / self.widths[-1]),
        )


def _steps(grid: Sequence[int], size: int) -> Tensor:
    """The share of each step of the grid that lies below a size, in units of the whole grid."""
    edges = torch.tensor(grid, dtype=torch.float64)
    below = edges.clamp(max=max(size, grid[0]))
    return below.diff() / edges[-1]


def _summed(grid: Sequence[int], growth: Tensor, start: float) -> tuple[float, ...]:
    steps = torch.tensor(grid, dtype=torch.float64).diff() / grid[-1]
    sums = torch.cat([torch.zeros(1, dtype=torch.float64), (growth * steps).cumsum(0)])
    return tuple((sums + start).tolist())


def _interpolated(grid: Sequence[int], values: Sequence[float], size: int) -> float:
    """Between the values of the grid; beyond it the value at its end."""
    size = min(max(size, grid[0]), grid[-1])
    right = max(1, bisect_left(grid, size)) if len(grid) > 1 else 0
    if right == 0:
        return values[0]
    share = (size - grid[right - 1]) / (grid[right] - grid[right - 1])
    return values[right - 1] + share * (values[right] - values[right - 1])
