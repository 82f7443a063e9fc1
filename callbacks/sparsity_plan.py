"""The file in which `glint sensitivity` says how much each layer can lose."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError


def read_plan(path: str, names: Iterable[str]) -> dict[str, float]:
    """Share of zeros of each weight.

    Args:
        path: YAML with a mapping ``unstructured`` from the names of modules to shares in [0, 1).
        names: Names of the weights that are pruned.

    Raises:
        InputError: If the file is missing, is no plan, or leaves a weight out.
    """
    shares = read_section(path, "unstructured")
    wanted = {name: name.removesuffix(".weight") for name in names}
    missing = [module for module in wanted.values() if module not in shares]
    if missing:
        raise InputError(
            f"Expected `plan` to have a share for each weight that is pruned, but {path!r} has none"
            f" for {', '.join(missing[:3])}; write it anew with `glint sensitivity`."
        )
    return {name: shares[module] for name, module in wanted.items()}


@lru_cache(maxsize=8)
def read_section(path: str, section: str) -> dict[str, float]:
    """One part of a plan: shares in [0, 1) by name.

    Raises:
        InputError: If the file is missing or is no plan.
    """
    import yaml  # type: ignore[import-untyped]

    if not Path(path).is_file():
        raise InputError(f"Expected `plan` to be a file of `glint sensitivity`, got {path!r}.")
    plan: Any = yaml.safe_load(Path(path).read_text("utf-8"))
    shares = plan.get(section) if isinstance(plan, dict) else None
    if not isinstance(shares, dict) or not all(_is_share(share) for share in shares.values()):
        raise InputError(
            f"Expected `plan` to have a mapping {section!r} from names to shares in [0, 1), but"
            f" {path!r} has none; write it with `glint sensitivity`."
        )
    return {str(name): float(share) for name, share in shares.items()}


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1
