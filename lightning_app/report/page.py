"""A report as one HTML page that needs nothing else."""

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files

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
from lightning_app.report.painter import SCHEMES, Scheme

Painted = Mapping[tuple[str, Scheme], bytes]
"""PNGs by name of the picture and scheme."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="lead">{lead}</p>
<nav>{contents}</nav>
</header>
<main>
{sections}</main>
</body>
</html>
"""


def page(title: str, lead: str, sections: Sequence[Section], painted: Painted) -> str:
    """The HTML; everything in it is escaped.

    Args:
        title: Of the page.
        lead: The sentence below.
        sections: In order.
        painted: All pictures, in all schemes.
    """
    numbered = list(enumerate(sections, 1))
    links = (f'<a href="#s{number}">{escape(s.title)}</a>' for number, s in numbered)
    return _PAGE.format(
        title=escape(title),
        lead=escape(lead),
        style=files("lightning_app.report").joinpath("page.css").read_text("utf-8"),
        contents="\n".join(links),
        sections="".join(_section(number, s, painted) for number, s in numbered),
    )


def _section(number: int, section: Section, painted: Painted) -> str:
    """Narrow pictures that follow each other stand side by side."""
    parts: list[str] = []
    row: list[str] = []
    for block in section.blocks:
        if isinstance(block, Picture) and not block.is_wide:
            row.append(_picture(block, painted))
            continue
        parts += [*_side_by_side(row), _block(block, painted)]
        row = []
    parts += _side_by_side(row)
    return (
        f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>\n{"".join(parts)}</section>\n'
    )


def _side_by_side(pictures: Sequence[str]) -> list[str]:
    return [f'<div class="pictures">\n{"".join(pictures)}</div>\n'] if pictures else []


def _block(block: Block, painted: Painted) -> str:
    if isinstance(block, Picture):
        return f'<div class="wide">\n{_picture(block, painted)}</div>\n'
    write: Callable[[object], str] = _WRITERS[type(block)]
    return write(block)


def _picture(picture: Picture, painted: Painted) -> str:
    light, dark = (_data(painted[picture.name, scheme]) for scheme in SCHEMES)
    title = escape(picture.title)
    return (
        f"<figure>\n<figcaption>{title}</figcaption>\n<picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{title}"></picture>\n</figure>\n'
    )


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _paragraph(block: Paragraph) -> str:
    kind = ' class="lead"' if block.is_lead else ""
    return f"<p{kind}>{escape(block.text)}</p>\n"


def _table(block: Table) -> str:
    head = "".join(_cell("th", cell, place < block.words) for place, cell in enumerate(block.head))
    rows = "".join(
        f"<tr{' class=marked' if number in block.marked else ''}>"
        + "".join(_cell("td", cell, place < block.words) for place, cell in enumerate(row))
        + "</tr>\n"
        for number, row in enumerate(block.rows)
    )
    return (
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _cell(tag: str, text: str, is_words: bool) -> str:
    return f"<{tag}{' class=words' if is_words else ''}>{escape(text)}</{tag}>"


def _commands(block: Commands) -> str:
    return f"<pre tabindex=0>{escape(chr(10).join(block.lines))}</pre>\n"


def _bullets(block: Bullets) -> str:
    return "<ul>\n" + "".join(f"<li>{escape(item)}</li>\n" for item in block.items) + "</ul>\n"


def _facts(block: Facts) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>\n" for name, text in block.items)
    return f"<dl>\n{''.join(items)}</dl>\n"


_WRITERS: dict[type, Callable[..., str]] = {
    Paragraph: _paragraph,
    Table: _table,
    Commands: _commands,
    Bullets: _bullets,
    Facts: _facts,
}
