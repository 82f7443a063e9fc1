"""The file in which `glint sensitivity` says how much each layer can lose."""

from collections.abc import Iterable
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
    shares = _section(_read(path), "unstructured", path)
    wanted = {name: name.removesuffix(".weight") for name in names}
    missing = [module for module in wanted.values() if module not in shares]
    if missing:
        raise InputError(
            f"Expected `plan` to have a share for each weight that is pruned, but {path!r} has none"
            f" for {', '.join(missing[:3])}; write it anew with `glint sensitivity`."
        )
    return {name: shares[module] for name, module in wanted.items()}


def read_structure_plan(path: str, num_layers: int) -> tuple[list[float], list[float]]:
    """Shares of heads, and of FFN neurons, that each layer loses.

    Args:
        path: YAML with mappings ``heads`` and ``neurons``, or one of them, from each layer's
            position to its share in [0, 1).
        num_layers: Of the network.

    Raises:
        InputError: If the file is missing, is no plan, is of a network with other layers, or
            removes nothing.
    """
    plan = _read(path)
    if "heads" not in plan and "neurons" not in plan:
        _section(plan, "heads", path)
    heads, neurons = (
        _by_layer(_section(plan, kind, path), kind, path, num_layers)
        if kind in plan
        else [0.0] * num_layers
        for kind in ("heads", "neurons")
    )
    if not any((*heads, *neurons)):
        raise InputError(
            f"Expected `plan` to remove heads or neurons, but all shares in {path!r} are 0; write"
            " it anew with a larger `--sensitivity.max_drop`, or smaller `--sensitivity.shares`."
        )
    return heads, neurons


def _read(path: str) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    if not Path(path).is_file():
        raise InputError(f"Expected `plan` to be a file of `glint sensitivity`, got {path!r}.")
    try:
        plan = yaml.safe_load(Path(path).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Expected `plan` to be YAML, but {path!r} is not: {reason}") from error
    return plan if isinstance(plan, dict) else {}


def _section(plan: dict[str, Any], section: str, path: str) -> dict[str, float]:
    shares = plan.get(section)
    if not isinstance(shares, dict) or not all(_is_share(share) for share in shares.values()):
        raise InputError(
            f"Expected `plan` to have a mapping {section!r} from names to shares in [0, 1), but"
            f" {path!r} has none; write it with `glint sensitivity`."
        )
    return {str(name): float(share) for name, share in shares.items()}


def _by_layer(shares: dict[str, float], kind: str, path: str, num_layers: int) -> list[float]:
    if set(shares) != {str(layer) for layer in range(num_layers)}:
        raise InputError(
            f"Expected `plan` to have a share for each of the network's {num_layers} layers, but"
            f" {kind!r} in {path!r} has {len(shares)}: {', '.join(shares)}; write it anew with"
            " `glint sensitivity` for this network."
        )
    return [shares[str(layer)] for layer in range(num_layers)]


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1
