"""A real PostgreSQL, started on a free loopback port."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_app.optional_packages import missing
from lightning_app.search.results import findings
from lightning_app.search.study import add_tickets, close_study
from tests.lightning_app.search.killed_worker import (
    check_nothing_is_lost_or_doubled,
    search_with_a_kill,
)
from tests.lightning_app.search.stub_search import specification, tickets, worker

USER = "postgres"


def binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("no PostgreSQL here: `apt-get install postgresql`")
    if missing(["psycopg"]):
        pytest.skip("no driver here: `pip install 'glint-text[postgresql]'`")
    return found[-1].parent if found else Path(str(on_path)).parent


def as_user(command: list[str], folder: Path) -> None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL does not run as root, and there is no `runuser`")
        command = ["runuser", "-u", USER, "--", *command]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    place = binaries()
    # Not pytest's folder, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="glint-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(folder / "data")
    trust = ["--auth=trust", f"--username={USER}", "--no-sync"]
    as_user([str(place / "initdb"), "-D", data, *trust], folder)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
    control = [str(place / "pg_ctl"), "-D", data, "-w"]
    log = ["-l", str(folder / "log.txt")]
    as_user([*control, *log, "-o", options, "start"], folder)
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}"
    finally:
        as_user([*control, "-m", "immediate", "stop"], folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_two_workers_one_killed_find_what_one_worker_finds(database: str, tmp_path: Path) -> None:
    alone = worker(specification(tmp_path / "one", name="one"), database, 0.0, [3])
    add_tickets(alone.study, tickets())
    alone.run()
    found = search_with_a_kill(database, tmp_path / "two")
    undisturbed = findings(alone.study, alone.specification)
    close_study(alone.study)
    check_nothing_is_lost_or_doubled(found, undisturbed)
    fits = (tmp_path / "two/fits.txt").read_text().split()
    assert len(fits) == len(set(fits)) == 12
