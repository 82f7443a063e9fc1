"""Find out in seconds, once a process, that the Hugging Face hub cannot be reached."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

_PAUSES = (0, 1, 2)  # seconds before each attempt: name servers fail for a moment at times
_PATIENCE = 8  # seconds in all; a firewall may drop what is sent to each of the hub's addresses


@contextmanager
def hub_or_cache(name: str) -> Iterator[None]:
    """Within it, the libraries look into their caches alone if the hub cannot be reached.

    By themselves they retry for 23 to 45 s before they say so, and as long for each file that
    they miss in the cache. It is as if ``HF_HUB_OFFLINE=1`` had been set.

    Args:
        name: Hub id or folder; for a folder nothing is tried.
    """
    from huggingface_hub import constants

    if constants.is_offline_mode() or Path(name).exists() or hub_is_reachable():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


@cache
def hub_is_reachable() -> bool:
    """Whether a connection to the hub (``HF_ENDPOINT``) can be made; behind a proxy, assumed."""
    from huggingface_hub import constants

    if getproxies():
        return True
    url = urlsplit(constants.ENDPOINT)
    port = url.port or (80 if url.scheme == "http" else 443)
    connected: list[bool] = []
    # A thread, as looking up a name has no time limit of its own.
    attempt = Thread(target=_connect, args=(str(url.hostname), port, connected), daemon=True)
    attempt.start()
    attempt.join(_PATIENCE)
    return bool(connected)


def _connect(host: str, port: int, connected: list[bool]) -> None:
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            socket.create_connection((host, port), timeout=_PATIENCE).close()
        except OSError:
            continue
        connected.append(True)
        return
