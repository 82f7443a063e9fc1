"""Arrays that hold something for each row of a data set, or for each token of it, in flat files.

An array is a matrix of *lines*, ``[lines, width]``, without a header: one line a row of the data,
or one a token, row after row and without padding.
"""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_app.errors import InputError

Integers = npt.NDArray[np.integer[Any]]

DTYPES: dict[torch.dtype, npt.DTypeLike] = {torch.float32: np.float32, torch.float16: np.float16}
"""What an array can be stored in."""


@dataclass(frozen=True)
class ArraySpec:
    """What one array holds.

    Args:
        name: Letters, digits and ``_``; its file is named after it.
        width: Numbers in a line, at least 1.
        dtype: ``torch.float32`` or ``torch.float16``.
        per_token: One line a token in place of one a row.

    Raises:
        ValueError: If the name, the width or the dtype is none of these.
    """

    name: str
    width: int
    dtype: torch.dtype = torch.float32
    per_token: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name, re.ASCII):
            raise ValueError(f"Expected `name` of letters, digits and _, got {self.name!r}.")
        if self.width < 1:
            raise ValueError(f"Expected `width` to be at least 1, got {self.width}.")
        if self.dtype not in DTYPES:
            names = " or ".join(map(str, DTYPES))
            raise ValueError(f"Expected `dtype` to be {names}, got {self.dtype}.")

    @property
    def line_bytes(self) -> int:
        """Bytes of one line."""
        return self.width * self.dtype.itemsize

    def path(self, folder: Path) -> Path:
        """The array's file in ``folder``."""
        return folder / f"{self.name}.bin"

    def num_bytes(self, lengths: Integers) -> int:
        """Bytes of the file, for rows with ``lengths`` tokens, ``[rows]``."""
        return int(lengths.sum() if self.per_token else len(lengths)) * self.line_bytes

    def as_plain(self) -> dict[str, Any]:
        """As values that JSON has."""
        dtype = str(self.dtype).removeprefix("torch.")
        plain = {"name": self.name, "width": self.width, "dtype": dtype}
        return {**plain, "per_token": self.per_token}


class ArrayWriter:
    """Writes the files of some arrays, their rows in any order, each row once.

    Used in a ``with`` statement, which opens and closes the files; `finish` makes them last.

    Args:
        folder: Where the files go; it must be there.
        specs: The arrays, of different names.
        lengths: Tokens of each row, ``[rows]``.
    """

    def __init__(self, folder: Path, specs: Sequence[ArraySpec], lengths: Integers) -> None:
        self.folder = folder
        self.specs = {spec.name: spec for spec in specs}
        self._bounds = {name: line_bounds(spec, lengths) for name, spec in self.specs.items()}
        self._is_put = {name: np.zeros(len(lengths), dtype=np.bool_) for name in self.specs}
        self._files: dict[str, BinaryIO] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "ArrayWriter":
        for name, spec in self.specs.items():
            file = spec.path(self.folder).open("wb")
            self._files[name] = self._closing.enter_context(file)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def put(self, rows: Integers | Tensor, name: str, values: Tensor) -> None:
        """Store some rows of one array.

        Args:
            rows: Row numbers, ``[batch]``.
            name: Of the array.
            values: ``[batch, width]``; or ``[batch, seq, width]`` with one line a token, of which
                the first of each row are stored, as many as it has tokens: padding is on the
                right. Any float type and device.

        Raises:
            ValueError: If there is no such array, the shape does not fit, or a row is out of
                range or put a second time.
            InputError: If a number is infinite or NaN, or too large for float16.
        """
        refuse_unknown(name, self.specs)
        spec = self.specs[name]
        numbers = row_numbers(rows, len(self._is_put[name]))
        bounds = self._bounds[name]
        starts, stops = bounds[numbers], bounds[numbers + 1]
        _check_shape(spec, values, len(numbers), int((stops - starts).max(initial=0)))
        self._refuse_second_time(name, numbers)
        lines = values.detach().to("cpu", spec.dtype).contiguous().numpy()
        lines = lines.reshape(len(numbers), -1, spec.width)
        for row, start, stop, block in zip(numbers, starts, stops, lines, strict=True):
            self._write(spec, int(row), int(start), block[: stop - start])
        self._is_put[name][numbers] = True

    def finish(self) -> None:
        """Bring what was put to the disk.

        Raises:
            ValueError: If a row is missing.
        """
        for name, is_put in self._is_put.items():
            if not is_put.all():
                raise ValueError(
                    f"Expected all {len(is_put)} rows of `{name}` to be put, got"
                    f" {np.count_nonzero(is_put)}; row {int(is_put.argmin())} is missing."
                )
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    def _refuse_second_time(self, name: str, numbers: Integers) -> None:
        again = numbers[self._is_put[name][numbers]]
        if not len(again) and len(np.unique(numbers)) == len(numbers):
            return
        values, counts = np.unique(np.concatenate([numbers, again]), return_counts=True)
        raise ValueError(
            f"Expected each row of `{name}` to be put once, got row {values[counts > 1][0]} again."
        )

    def _write(self, spec: ArraySpec, row: int, start: int, lines: npt.NDArray[Any]) -> None:
        if not np.isfinite(lines).all():
            dtype = str(spec.dtype).removeprefix("torch.")
            way_out = "; keep it in float32 or" if spec.dtype == torch.float16 else ";"
            raise InputError(
                f"Expected `{spec.name}` of row {row} to be finite in {dtype}, got infinity or"
                f" NaN{way_out} look at the network that gives it."
            )
        # Not through a memory map: on a full disk that ends the process instead of raising.
        file = self._files[spec.name]
        file.seek(start * spec.line_bytes)
        file.write(lines.data)


class RowArray:
    """One array, mapped into memory and never written.

    Args:
        folder: Where its file is.
        spec: What it holds.
        bounds: First line of each row, and the number of lines, ``[rows + 1]``.
    """

    def __init__(self, folder: Path, spec: ArraySpec, bounds: npt.NDArray[np.int64]) -> None:
        self.spec = spec
        self._bounds = bounds
        shape = (int(bounds[-1]), spec.width)
        # Not `torch.from_file`, whose maps count as memory: Linux refuses one larger than that.
        mapped = np.memmap(spec.path(folder), dtype=DTYPES[spec.dtype], mode="r", shape=shape)
        self._lines = np.asarray(mapped)  # a slice of a memmap object costs ten times as much

    def rows(
        self, rows: Integers | Tensor, seq: int | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """See `TeacherCache.rows`."""
        numbers = row_numbers(rows, len(self._bounds) - 1)
        if self.spec.per_token:
            values = torch.from_numpy(self._padded(numbers, seq))
        else:
            values = torch.from_numpy(self._lines[numbers])
        return values if dtype is None else values.to(dtype)

    def _padded(self, numbers: Integers, seq: int | None) -> npt.NDArray[Any]:
        starts, stops = self._bounds[numbers], self._bounds[numbers + 1]
        longest = int((stops - starts).max(initial=0))
        seq = longest if seq is None else seq
        if seq < longest:
            raise ValueError(
                f"Expected `seq` to be at least {longest}, the tokens of the longest row, got"
                f" {seq}."
            )
        padded = np.empty((len(numbers), seq, self.spec.width), dtype=self._lines.dtype)
        for block, start, stop in zip(padded, starts.tolist(), stops.tolist(), strict=True):
            block[: stop - start] = self._lines[start:stop]
            block[stop - start :] = 0
        return padded


def line_bounds(spec: ArraySpec, lengths: Integers) -> npt.NDArray[np.int64]:
    """First line of each row and, last, the number of lines, ``[rows + 1]``.

    Args:
        spec: The array.
        lengths: Tokens of each row, ``[rows]``.
    """
    if not spec.per_token:
        return np.arange(len(lengths) + 1, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def row_numbers(rows: Integers | Tensor, num_rows: int) -> Integers:
    """``rows`` as an index of numpy, ``[batch]``.

    Raises:
        ValueError: If a row is not in [0, num_rows), or these are no row numbers.
    """
    numbers: Integers = rows.cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            f"Expected `rows` to be row numbers [batch], got {numbers.dtype} of shape"
            f" {numbers.shape}."
        )
    outside = numbers[(numbers < 0) | (numbers >= num_rows)]
    if len(outside):
        raise ValueError(f"Expected `rows` to be in [0, {num_rows}), got {outside[0]}.")
    return numbers.astype(np.int64, copy=False)


def refuse_unknown(name: str, known: Iterable[str]) -> None:
    """Raise ValueError, with the names that there are, unless ``name`` is one of them."""
    names = list(known)
    if name not in names:
        raise ValueError(f"Expected `name` to be one of {', '.join(names)}, got {name!r}.")


def _check_shape(spec: ArraySpec, values: Tensor, batch: int, longest: int) -> None:
    shape = tuple(values.shape)
    if spec.per_token:
        fits = len(shape) == 3 and (shape[0], shape[2]) == (batch, spec.width)
        fits = fits and shape[1] >= longest
        expected = f"[{batch}, at least {longest}, {spec.width}]"
    else:
        fits, expected = shape == (batch, spec.width), f"[{batch}, {spec.width}]"
    if not fits:
        raise ValueError(
            f"Expected `values` of `{spec.name}` in the shape {expected}, got {list(shape)}."
        )
