"""Imports all that a fit needs: what the process does from which fits are forked."""

from lightning_app.quiet import silence_noise


def _import() -> None:
    silence_noise()
    import lightning_app.cli  # noqa: F401


_import()
