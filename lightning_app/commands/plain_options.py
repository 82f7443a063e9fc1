"""Options that are passed on to another command."""

from typing import Any


def plain(written: Any) -> Any:
    """Without what jsonargparse makes of mappings within mappings.

    Args:
        written: Mappings, lists and values, as parsed.
    """
    from jsonargparse import Namespace

    if isinstance(written, Namespace):
        return plain(vars(written))
    if isinstance(written, dict):
        return {key: plain(value) for key, value in written.items()}
    return [plain(value) for value in written] if isinstance(written, list) else written
