"""What a report is made of; the page and the Markdown are two ways to write it down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more.

    Args:
        text: Plain; what comes from the user is escaped by whoever writes it down.
        is_lead: Whether it stands out.
    """

    text: str
    is_lead: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of words.

    Args:
        head: Titles of the columns.
        rows: As many cells each.
        words: How many columns from the left hold words rather than numbers.
        marked: Numbers of rows that stand out.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    marked: Sequence[int] = ()


@dataclass(frozen=True)
class Picture:
    """A figure, drawn anew for each background.

    Args:
        name: Of its file, without the ending.
        title: Above it, and for those who cannot see it.
        draw: Makes the figure.
        is_wide: Whether it takes the whole width of the page.
    """

    name: str
    title: str
    draw: "Callable[[], Figure]"
    is_wide: bool = False


@dataclass(frozen=True)
class Commands:
    """Lines for a terminal."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Bullets:
    """Short items."""

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    items: Sequence[tuple[str, str]]


Block = Paragraph | Table | Picture | Commands | Bullets | Facts


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        title: Of it.
        blocks: In order; a section without blocks is left out.
    """

    title: str
    blocks: Sequence[Block]
