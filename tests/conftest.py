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

WORDS = (
    "the a an it is was not and of to in he she they ate eaten by apple dog cat film book movie"
    " good bad great awful fine poor liked hated very so read saw sold found new old house . , ? !"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


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
    from transformers import BertTokenizerFast

    from tests.tiny_bert import save_bert

    pieces = [*SPECIAL, *WORDS.split(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = BertTokenizerFast(vocab=vocabulary)
    return save_bert(tmp_path_factory.mktemp("tiny_model"), tokenizer, seed=0)


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
    folder = tmp_path_factory.mktemp("reviews")
    for name, num_rows in (("train", 24), ("validation", 10)):
        lines = ["text,label"]
        for row in range(num_rows):
            word, label = (("good", "yes"), ("bad", "no"))[row % 2]
            lines.append(f"the film was {'very ' * (row % 5)}{word},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder
