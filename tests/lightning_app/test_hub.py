import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub import constants, is_offline_mode

from lightning_app import hub
from lightning_app.hub import hub_is_reachable, hub_or_cache


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a user's machine, without a proxy."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(hub, "_PAUSES", (0, 0.01))
    hub_is_reachable.cache_clear()
    yield
    hub_is_reachable.cache_clear()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub whose port refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.mark.usefixtures("nobody")
def test_offline_within_where_the_hub_cannot_be_reached() -> None:
    with suppress(OSError), hub_or_cache("no-such/model"):
        assert is_offline_mode()
        raise OSError
    assert not is_offline_mode()


@pytest.mark.usefixtures("nobody")
def test_a_folder_needs_no_hub(tmp_path: Path) -> None:
    with hub_or_cache(str(tmp_path)):
        assert not is_offline_mode()
    assert hub_is_reachable.cache_info().misses == 0


@pytest.mark.usefixtures("nobody")
def test_behind_a_proxy_the_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:3128"})
    with hub_or_cache("no-such/model"):
        assert not is_offline_mode()


def test_online_where_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        with hub_or_cache("some/model"):
            assert not is_offline_mode()


def test_a_connection_that_never_comes_about_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PATIENCE", 0.05)
    monkeypatch.setattr(hub, "_connect", lambda *_: hub.time.sleep(5))
    with hub_or_cache("some/model"):
        assert is_offline_mode()


def test_offline_stays_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with hub_or_cache("some/model"):
        assert is_offline_mode()
    assert is_offline_mode()
    assert hub_is_reachable.cache_info().misses == 0
