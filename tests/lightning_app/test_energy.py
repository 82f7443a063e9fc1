"""Joules from a made-up powercap folder."""

from pathlib import Path

import pytest

from lightning_app.energy import EnergyCounter


def counter(powercap: Path, number: str, name: str, microjoules: int, limit: int = 10**9) -> Path:
    """A folder as the kernel shows it; its file of energy is returned."""
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    files = [
        counter(tmp_path, "0", "package-0", 1_000_000),
        counter(tmp_path, "1", "package-1", 5_000_000),
        counter(tmp_path, "0:0", "core", 500_000),
        counter(tmp_path, "2", "psys", 9_000_000),
    ]
    energy = EnergyCounter(tmp_path)
    assert energy.joules == 0
    for file in files:
        file.write_text(str(int(file.read_text()) + 2_500_000))
    energy.read()
    assert energy.joules == pytest.approx(5.0)
    energy.read()
    assert energy.joules == pytest.approx(5.0)


def test_a_counter_that_has_begun_anew_goes_on(tmp_path: Path) -> None:
    file = counter(tmp_path, "0", "package-0", 9_000_000, limit=10_000_000)
    energy = EnergyCounter(tmp_path)
    for value in (2_000_000, 4_000_000, 1_000_000):
        file.write_text(str(value))
        energy.read()
    assert energy.joules == pytest.approx(3 + 2 + 7)


@pytest.mark.parametrize("text", ["", "not a number"])
def test_what_cannot_be_read_gives_none(tmp_path: Path, text: str) -> None:
    assert EnergyCounter(tmp_path / "nowhere").joules is None
    file = counter(tmp_path, "0", "package-0", 1)
    energy = EnergyCounter(tmp_path)
    file.write_text(text)
    energy.read()
    file.write_text("5")  # a gap is not made good
    energy.read()
    assert energy.joules is None
