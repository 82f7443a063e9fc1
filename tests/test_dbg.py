import signal, torch, pytest
from tests.end_to_end import test_quantization as tq
from tests.end_to_end.test_quantization import (
    KILLER,
    COMPOSED,
    differences,
    glint,
    logged_scalars,
    run_folder,
    tiny_fit,
)


@pytest.mark.parametrize("n", range(8))
def test_x(tiny_model, tmp_path, n):
    (tmp_path / "qat.yaml").write_text(COMPOSED.replace("OBSERVER", "min_max"))
    (tmp_path / "killer.py").write_text(KILLER)
    fit = [*tiny_fit(tiny_model, tmp_path, "--config=qat.yaml"), "--checkpoint.every_n_steps=1"]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    kill = ("--name=killed", "--ckpt_path=last", "--trainer.callbacks+=killer.Killer")
    for k in (3, 14, 25):
        glint(*fit, *kill, f"--trainer.callbacks.at={k}", cwd=tmp_path, expect=None)
    r = glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)
    folders = [run_folder(tmp_path, name) for name in ("undisturbed", "killed")]
    a, b = (torch.load(folder / "checkpoints/last.ckpt") for folder in folders)
    d = [len(differences(a[p], b[p])) for p in ("state_dict", "optimizer_states", "architecture")]
    A, B = logged_scalars(folders[0]), logged_scalars(folders[1])
    first = {
        k: next(((x, y) for x, y in zip(A[k], B.get(k, [])) if x != y), None)
        for k in A
        if "loss" in k or "quant" in k
    }
    assert d == [0, 0, 0], (
        d,
        first,
        [x["history"] for x in (a["architecture"], b["architecture"])],
    )
