"""A report as Markdown, with its pictures in files beside it."""

import re
from collections.abc import Callable, Sequence

from lightning_app.report.blocks import (
    Block,
    Bullets,
    Commands,
    Facts,
    Paragraph,
    Picture,
    Section,
    Table,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The text; what could be read as Markdown or HTML is escaped.

    Args:
        title: Of the page.
        lead: The sentence below.
        sections: In order; pictures are `NAME.png`.
    """
    parts = [f"# {_escaped(title)}", _escaped(lead)]
    for section in sections:
        parts.append(f"## {_escaped(section.title)}")
        parts += [_WRITERS[type(block)](block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Of one line, as any other would begin a paragraph, or leave a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(block: Table) -> str:
    rule = ["---" if place < block.words else "--:" for place in range(len(block.head))]
    rows = [
        [
            f"**{_escaped(cell)}**" if number in block.marked and cell else _escaped(cell)
            for cell in r
        ]
        for number, r in enumerate(block.rows)
    ]
    lines = [[_escaped(cell) for cell in block.head], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _commands(block: Commands) -> str:
    """In a fence that is longer than any within."""
    text = "\n".join(block.lines)
    runs = [len(ticks) for ticks in re.findall("`+", text)]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}\n{text}\n{fence}"


_WRITERS: dict[type[Block], Callable[..., str]] = {
    Paragraph: lambda block: _escaped(block.text),
    Table: _table,
    Picture: lambda block: (
        f"**{_escaped(block.title)}**\n\n![{_escaped(block.title)}]({block.name}.png)"
    ),
    Commands: _commands,
    Bullets: lambda block: "\n".join(f"- {_escaped(item)}" for item in block.items),
    Facts: lambda block: "\n".join(
        f"- {_escaped(name)}: {_escaped(text)}" for name, text in block.items
    ),
}
