"""Write the embedded data set to the cache once, in the hub's layout."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from datamodules.embedded import EMBEDDED_TASKS, load_embedded


def embedded_folder() -> Path:
    """Folder of the embedded data set, laid out like the hub's nyu-mll/glue.

    It is generated at the first call (some seconds) and keyed by the generator's source, so that
    one code path reads the hub, a folder and the embedded data. Written under a temporary name
    and renamed: a half-written folder is never seen, and two processes may race.
    """
    from datasets import config

    folder = Path(config.HF_DATASETS_CACHE) / "glint-embedded" / _source_digest()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="unfinished-"))
        _write(unfinished)
        try:
            unfinished.replace(folder)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    return folder


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "embedded").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _write(folder: Path) -> None:
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()  # 32 files in three seconds
    try:
        _write_tasks(folder)
    finally:
        if not were_disabled:
            enable_progress_bars()


def _write_tasks(folder: Path) -> None:
    readme = ["---", "configs:"]
    for name in EMBEDDED_TASKS:
        readme += [f"- config_name: {name}", "  data_files:"]
        for split, rows in load_embedded(name).items():
            target = folder / name / f"{split}.parquet"
            target.parent.mkdir(exist_ok=True)
            rows.to_parquet(target)
            readme += [f"  - split: {split}", f"    path: {name}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*readme, "---", ""]))
