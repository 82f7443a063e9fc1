"""Sparsity schedules as pure functions of the progress."""

from collections.abc import Callable, Sequence
from typing import Literal

Shape = Literal["one_shot", "linear", "cubic", "exponential"]
SHAPES: tuple[Shape, ...] = ("one_shot", "linear", "cubic", "exponential")


def one_shot_sparsity(progress: float, initial: float, final: float) -> float:
    """All at once: ``final`` whenever it is asked, since pruning begins at progress 0.

    Args:
        progress: Share of the schedule behind us; clamped to [0, 1], so without effect here.
        initial: Sparsity before the schedule, in [0, 1); never returned.
        final: Sparsity from its beginning on, in [0, 1).

    Raises:
        ValueError: If a sparsity is not in [0, 1).
    """
    _check(initial, final)
    return final


def linear_sparsity(progress: float, initial: float, final: float) -> float:
    """The same share of the weights goes in every step.

    Args:
        progress: Share of the schedule behind us, clamped to [0, 1].
        initial: Sparsity up to progress 0, in [0, 1).
        final: Sparsity from progress 1 on, in [0, 1).

    Raises:
        ValueError: If a sparsity is not in [0, 1).
    """
    _check(initial, final)
    left = 1 - _clamped(progress)
    return _within(final + (initial - final) * left, left, initial, final)


def cubic_sparsity(progress: float, initial: float, final: float) -> float:
    """Fast while there is much to spare: ``final + (initial - final) * (1 - progress)**3``.

    The gradual schedule of Zhu & Gupta, "To prune, or not to prune", 2017, arXiv:1710.01878,
    section 3, equation 1.

    Args:
        progress: Share of the schedule behind us, clamped to [0, 1].
        initial: Sparsity up to progress 0, in [0, 1).
        final: Sparsity from progress 1 on, in [0, 1).

    Raises:
        ValueError: If a sparsity is not in [0, 1).
    """
    _check(initial, final)
    left = 1 - _clamped(progress)
    return _within(final + (initial - final) * left**3, left, initial, final)


def exponential_sparsity(progress: float, initial: float, final: float) -> float:
    """The same share of the *surviving* weights goes in every step: the density falls by a factor.

    Args:
        progress: Share of the schedule behind us, clamped to [0, 1].
        initial: Sparsity up to progress 0, in [0, 1).
        final: Sparsity from progress 1 on, in [0, 1).

    Raises:
        ValueError: If a sparsity is not in [0, 1).
    """
    _check(initial, final)
    progress = _clamped(progress)
    density = (1 - initial) * ((1 - final) / (1 - initial)) ** progress
    return _within(1 - density, 1 - progress, initial, final)


def scheduled_sparsity(shape: Shape, progress: float, final: float, initial: float = 0.0) -> float:
    """Sparsity at ``progress`` of a schedule of this shape.

    All shapes are monotone, and exactly ``final`` from progress 1 on; all but ``one_shot`` are
    exactly ``initial`` up to progress 0.

    Args:
        shape: ``one_shot``, ``linear``, ``cubic`` or ``exponential``.
        progress: Share of the schedule behind us, clamped to [0, 1].
        final: Sparsity at the end, in [0, 1).
        initial: Sparsity at the beginning, in [0, 1).

    Raises:
        ValueError: If there is no such shape or a sparsity is not in [0, 1).
    """
    if shape not in _FUNCTIONS:
        raise ValueError(f"Expected `shape` to be one of {', '.join(SHAPES)}, got {shape!r}.")
    return _FUNCTIONS[shape](progress, initial, final)


def scaled_shares(shares: Sequence[float], sizes: Sequence[int], sparsity: float) -> list[float]:
    """Shares of zeros with all densities times one factor, so that they make up ``sparsity``.

    A density stops at 1: what such a layer cannot take, the others do.

    Args:
        shares: Of each layer, in [0, 1).
        sizes: Number of weights of each layer.
        sparsity: Of all layers together, in [0, 1).

    Returns:
        For each layer a share in [0, 1).

    Raises:
        ValueError: If a share or the sparsity is not in [0, 1).
    """
    for share in (*shares, sparsity):
        if not 0 <= share < 1:
            raise ValueError(f"Expected `shares` and `sparsity` to be in [0, 1), got {share}.")
    factor = _density_factor([1 - share for share in shares], sizes, (1 - sparsity) * sum(sizes))
    return [1 - min(factor * (1 - share), 1.0) for share in shares]


def _density_factor(densities: Sequence[float], sizes: Sequence[int], kept: float) -> float:
    """The factor with which capped densities keep so many weights."""
    factor, scaled = 1.0, sum(d * n for d, n in zip(densities, sizes, strict=True))
    # The densest layers are full first: with each, what is left to keep goes to fewer layers.
    for density, size in sorted(zip(densities, sizes, strict=True), reverse=True):
        factor = kept / scaled
        if factor * density <= 1:
            break
        kept, scaled = kept - size, scaled - density * size
    return factor


_FUNCTIONS: dict[Shape, Callable[[float, float, float], float]] = {
    "one_shot": one_shot_sparsity,
    "linear": linear_sparsity,
    "cubic": cubic_sparsity,
    "exponential": exponential_sparsity,
}


def _check(initial: float, final: float) -> None:
    for name, sparsity in (("initial", initial), ("final", final)):
        if not 0 <= sparsity < 1:
            raise ValueError(f"Expected `{name}` to be in [0, 1), got {sparsity}.")


def _clamped(progress: float) -> float:
    return min(max(progress, 0.0), 1.0)


def _within(sparsity: float, left: float, initial: float, final: float) -> float:
    # Rounding may miss both ends by one unit in the last place; `final` is compared for equality.
    if left in (0, 1):
        return initial if left else final
    low, high = sorted((initial, final))
    return min(max(sparsity, low), high)
