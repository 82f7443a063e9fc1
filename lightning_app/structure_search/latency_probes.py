"""Which networks are timed, so that the times of all others follow."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_app.functional.latency_model import Sizes
from lightning_app.structure_search.probe_family import ProbeFamily

MAX_DEPTH = 6
"""Layers of the timed networks: enough that weights come from where those of a whole model do."""

Probe = tuple[Sizes, ...]
"""Heads and FFN width of each layer, bottom first."""

_SHARES_OF_HEADS = (1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)
_SHARES_OF_WIDTH = (1 / 48, 1 / 24, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)
_LENGTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_GRANULES = (32, 16, 8, 4, 2, 1)
_MIN_STEPS = 32  # of the finest granule that a width is divided into


@dataclass(frozen=True)
class ProbeGrid:
    """Sizes that are measured; between them times grow in proportion.

    Args:
        heads: Ascending, to all heads of a layer.
        widths: Ascending, to the whole FFN; multiples of what vector units compute at once.
        lengths: Tokens of an input, ascending.
    """

    heads: tuple[int, ...]
    widths: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, family: ProbeFamily, longest: int) -> "ProbeGrid":
        """The grid of a base model.

        Args:
            family: Of its sizes.
            longest: Longest input that will be asked for.
        """
        granule = next((g for g in _GRANULES if g * _MIN_STEPS <= family.width), 1)
        heads = {max(1, round(share * family.num_heads)) for share in _SHARES_OF_HEADS}
        widths = {
            max(1, round(share * family.width / granule)) * granule for share in _SHARES_OF_WIDTH
        }
        lengths = [length for length in _LENGTHS if length < longest]
        return cls(
            heads=tuple(sorted(heads)),
            widths=tuple(sorted((widths - {max(widths)}) | {family.width})),
            lengths=(*lengths, longest),
        )

    def probes(self, depth: int) -> list[Probe]:
        """Networks from which the times of all parts follow.

        All layers alike, through the grid of heads and that of widths; the ends of both together;
        last layers that differ; a single layer; and layers that all differ.
        """
        heads, width = _middle(self.heads), _middle(self.widths)
        alike = [(h, width) for h in self.heads] + [(heads, w) for w in self.widths]
        alike += [(h, w) for h in self._ends(self.heads) for w in self._ends(self.widths)]
        probes = [(sizes,) * depth for sizes in alike]
        middle, ends = (heads, width), [(self.heads[0], self.widths[0]), (self.heads[-1], width)]
        ends += [(self.heads[-1], self.widths[-1])]
        probes += [(*(middle,) * (depth - 1), last) for last in ends]
        probes += [((h, w),) for h, w in (middle, (self.heads[-1], self.widths[-1]))]
        probes += [self._varied(depth, shift) for shift in range(3)]
        return list(dict.fromkeys(probes))

    def _ends(self, grid: Sequence[int]) -> tuple[int, int]:
        return grid[0], grid[-1]

    def _varied(self, depth: int, shift: int) -> Probe:
        """Steps of 3 and 7 through grids of 8 and 10 come by all of them."""
        return tuple(
            (
                self.heads[(3 * layer + shift) % len(self.heads)],
                self.widths[(7 * layer + 3 * shift) % len(self.widths)],
            )
            for layer in range(depth)
        )


def _middle(grid: Sequence[int]) -> int:
    return grid[len(grid) // 2]
