"""Packages that only some commands need, in the optional groups of `glint-text`."""

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from lightning_app.errors import InputError


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    spec = find_spec(package)
    # A folder of the same name beside the user, such as `--output onnx`, has no origin.
    return spec is not None and spec.origin is not None


def missing(packages: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [package for package in packages if not is_installed(package)]


def require(packages: Sequence[str], group: str | None, purpose: str) -> None:
    """Check that packages are there before work begins.

    Args:
        packages: Names to import.
        group: Of `glint-text`, which installs them.
        purpose: What they are for.

    Raises:
        InputError: If one is missing; it says how to install it.
    """
    absent = missing(packages)
    if absent:
        names = ", ".join(f"`{name}`" for name in absent)
        raise InputError(
            f"Expected the package{'s' * (len(absent) > 1)} {names} for {purpose}, which"
            f" {'are' if len(absent) > 1 else 'is'} not installed;"
            f" `pip install 'glint-text[{group}]'`."
        )


def installed_version(package: str) -> str | None:
    """Of a distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
