"""Arrows between packages run one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lightning_app", "modules", "datamodules", "callbacks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# What may import everything: the command line, the commands that it runs, and what opens models
# that they have exported.
COMMANDS = (
    "cli",
    "__main__",
    "commands",
    "recipes",
    "report",
    "structure_search",
    "artifact",
    "search",
)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """Our modules that a file imports, also within functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            # `from lightning_app import cli` may name a module.
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return {name for name in found if name.split(".")[0] in PACKAGES}


def files_of(package: str) -> list[Path]:
    files = [path for path in FILES if module_name(path).startswith(f"{package}.")]
    assert files, package
    return files


def package_of(name: str) -> str:
    return name.split(".")[0]


def test_the_walk_sees_an_import_within_a_function() -> None:
    assert "lightning_app.cli" in imports(ROOT / "lightning_app/__main__.py")


def test_functional_imports_nothing_of_ours() -> None:
    for path in files_of("lightning_app.functional"):
        outside = {n for n in imports(path) if not n.startswith("lightning_app.functional")}
        assert outside == set(), path


@pytest.mark.parametrize("package", ["modules", "datamodules", "callbacks"])
def test_no_package_imports_the_command_line(package: str) -> None:
    for path in files_of(package):
        for name in imports(path):
            assert not name.startswith(tuple(f"lightning_app.{c}" for c in COMMANDS)), path


def test_an_artifact_is_opened_without_data_and_callbacks() -> None:
    for path in files_of("lightning_app.artifact"):
        names = {name for name in imports(path) if package_of(name) != "lightning_app"}
        assert {package_of(name) for name in names} <= {"modules"}, path
        inner = tuple(f"lightning_app.{c}" for c in COMMANDS if c != "artifact")
        assert not any(name.startswith(inner) for name in imports(path)), path


def test_only_the_command_line_imports_the_other_packages() -> None:
    for path in files_of("lightning_app"):
        if module_name(path).split(".")[1] in COMMANDS:
            continue
        outside = {name for name in imports(path) if package_of(name) != "lightning_app"}
        assert outside == set(), path


@pytest.mark.parametrize(
    ("package", "others"),
    [("modules", {"datamodules", "callbacks"}), ("datamodules", {"modules", "callbacks"})],
)
def test_modules_and_data_know_neither_each_other_nor_the_callbacks(
    package: str, others: set[str]
) -> None:
    for path in files_of(package):
        assert {package_of(name) for name in imports(path)} & others == set(), path


def test_every_package_is_typed_and_installed() -> None:
    listed = (ROOT / "pyproject.toml").read_text()
    for folder in {path.parent for path in FILES}:
        name = ".".join(folder.relative_to(ROOT).parts)
        assert (folder / "__init__.py").is_file(), name
        assert f'"{name}",' in listed, name


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_file_has_a_name_that_says_nothing(path: Path) -> None:
    words = set(module_name(path).replace("_", ".").lower().split("."))
    assert words & {"utils", "util", "helpers", "helper", "common", "misc"} == set()


def test_tests_mirror_the_packages_at_every_level() -> None:
    for folder in {path.parent for path in (ROOT / "tests").rglob("test_*.py")}:
        assert (folder / "__init__.py").is_file(), folder
