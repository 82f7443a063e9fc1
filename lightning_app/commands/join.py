"""Make one file of a checkpoint that several processes have written parts of."""

from dataclasses import dataclass
from pathlib import Path

from lightning_app.errors import InputError
from lightning_app.sharded_checkpoint import is_sharded, read_sharded


@dataclass(frozen=True)
class Join:
    """Join the folder of a sharded checkpoint to a plain one, to go on from or to hand on.

    Every command opens such a folder as it is; a file is smaller to carry and opens elsewhere.

    Args:
        ckpt_path: The folder that a fit with `save_distributed_checkpoint: true` has written.
        output: The file to write.
        overwrite: Replace a file that is there.
    """

    ckpt_path: Path
    output: Path
    overwrite: bool = False

    def run(self) -> int:
        """Write the file, whole or not at all.

        Returns:
            Its bytes.

        Raises:
            InputError: If the folder is no sharded checkpoint, or the file is there.
        """
        if not is_sharded(self.ckpt_path):
            raise InputError(
                "Expected `--ckpt_path` to be the folder of a sharded checkpoint, got"
                f" {str(self.ckpt_path)!r}; what is a file already needs no joining."
            )
        if self.output.exists() and not self.overwrite:
            raise InputError(
                f"Expected `--output` to be free, but {str(self.output)!r} is there; choose"
                " another name, or add `--overwrite`."
            )
        # Lightning's interface, which is heavy, comes with the writer.
        from lightning_app.checkpoint_io import AtomicCheckpointIO

        AtomicCheckpointIO().save_checkpoint(read_sharded(self.ckpt_path), self.output)
        return self.output.stat().st_size
