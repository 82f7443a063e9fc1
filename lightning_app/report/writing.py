"""The files of a report."""

from collections.abc import Sequence
from pathlib import Path

from lightning_app.commands.whole_file import write_whole
from lightning_app.report.blocks import Picture, Section
from lightning_app.report.markdown import markdown
from lightning_app.report.page import page
from lightning_app.report.painter import SCHEMES, paint

PAGE, MARKDOWN = "report.html", "report.md"


def write_report(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> list[Path]:
    """Write `report.html`, `report.md` and its pictures.

    Args:
        folder: That is there.
        title: Of the page.
        lead: The sentence below.
        sections: In order; those without blocks are left out.

    Returns:
        The files; the page first.
    """
    shown = [section for section in sections if section.blocks]
    pictures = [b for section in shown for b in section.blocks if isinstance(b, Picture)]
    painted = {(p.name, scheme): paint(p, scheme) for p in pictures for scheme in SCHEMES}
    contents = {
        PAGE: page(title, lead, shown, painted).encode(),
        MARKDOWN: markdown(title, lead, shown).encode(),
        **{f"{p.name}.png": painted[p.name, "light"] for p in pictures},
    }
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]
