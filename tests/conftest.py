"""Offline fixtures: a tiny model with a real tokenizer, GLUE in a folder, a throw-away cache."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before `datasets` and `huggingface_hub` are imported: they read these once.
CACHE = tempfile.mkdtemp(prefix="glint-tests-")
os.environ.update(
    HF_HOME=CACHE,
    HF_DATASETS_CACHE=f"{CACHE}/datasets",
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    TOKENIZERS_PARALLELISM="false",
)


@pytest.fixture(scope="session", autouse=True)
def _throw_away_cache() -> Iterator[None]:
    yield
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed() -> None:
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_matrix_products() -> Iterator[None]:
    """A test that leaves the process with other products would let those after it fail."""
    import torch

    yield
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a BERT of 2 layers, width 32 and 2 heads, with a WordPiece tokenizer."""
    from tests.tiny_bert import save_bert, tiny_tokenizer

    return save_bert(tmp_path_factory.mktemp("tiny_model"), tiny_tokenizer(), seed=0)


@pytest.fixture(scope="session")
def glue_folder() -> str:
    """GLUE in the hub's layout, which is not part of the project."""
    folder = Path(__file__).parents[1].parent / "shared/hub/nyu-mll/glue"
    if not folder.is_dir():
        pytest.skip(f"no GLUE data in {folder}")
    return str(folder)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train.csv (24 rows) and validation.csv (10), columns text and label."""
    from tests.tiny_fit import write_reviews

    return write_reviews(tmp_path_factory.mktemp("reviews"))
