"""Compare weights before and after fine-tuning: differences, singular values, masks and patches.

Matrices are numpy arrays of at most two dimensions; a vector is a matrix of one row. Their dtypes are ``float64``,
``float32``, ``float16``, and those of the package ml_dtypes: ``bfloat16``, ``float8_e4m3fn`` and ``float8_e5m2``.
``uint16`` is read as the bits of bfloat16. Rows need not be adjacent in memory. Other layouts are copied.

Masks are ``uint64`` arrays of rows x ceil(columns / 64), one bit per entry. See `pack_mask` and `unpack_mask`.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int64
from dataclasses import dataclass
from operator import index
from typing import Any, Optional, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from ._library import (
    Context,
    capabilities,
    default_context,
    tg_diff_options,
    tg_diff_profiles,
    tg_diff_result,
    tg_mask_options,
    tg_mask_scores,
    tg_mask_sets,
    tg_matrix,
    tg_operand,
    tg_patch_entries,
    tg_patch_pair,
    tg_svd_options,
    tg_svd_result,
)

__all__ = [
    *("Context", "Difference", "Patch", "Triplets", "apply_patch", "capabilities", "combine_masks", "diff"),
    *("extract_patch", "mask_overlaps", "pack_mask", "select_mask", "truncated_svd", "unpack_mask", "verify_patch"),
]

Array = NDArray[Any]
_DTYPES = {
    **{"float64": 1, "float32": 2, "float16": 3, "bfloat16": 4, "uint16": 4},
    **{"float8_e4m3fn": 5, "float8_e5m2": 6},
}
_METHODS = ("", "gram_single", "gram_double", "triangle", "tracked", "block_lanczos", "chebyshev")
_OPERATIONS = {"union": 1, "intersection": 2, "difference": 3, "symmetric_difference": 4, "complement": 5}
_FORMS = {"overwrite": 1, "xor": 2}


def _choice(choices: dict[str, int], value: str, name: str) -> int:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(choices)}")
    return choices[value]


def _matrix(array: Array, name: str) -> Array:
    array = np.atleast_2d(array)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions; allowed are 1 and 2")
    if array.dtype.name not in _DTYPES or not array.dtype.isnative:
        raise ValueError(f"{name} is of dtype {array.dtype}; allowed are {', '.join(_DTYPES)} in native byte order")
    between, within = array.strides
    width = array.dtype.itemsize
    if within != width or between % width != 0 or between < array.shape[1] * width:
        array = np.ascontiguousarray(array)
    return array


def _operand(array: Array) -> tg_operand:
    rows, columns = array.shape
    stride = max(array.strides[0] // array.dtype.itemsize, columns)
    return tg_operand(values=tg_matrix(array.ctypes.data, rows, columns, stride, _DTYPES[array.dtype.name], 0))


def _words(columns: int) -> int:
    return (columns + 63) // 64


def _mask(mask: Array, columns: int, name: str) -> Array:
    if mask.dtype != np.uint64 or mask.ndim != 2 or mask.shape[1] != _words(columns):
        raise ValueError(
            f"{name} is {mask.dtype} of shape {mask.shape}; a mask of {columns} columns is uint64 of shape "
            f"(rows, {_words(columns)}), see pack_mask"
        )
    if columns % 64 != 0 and (mask[:, -1] >> np.uint64(columns % 64)).any():
        raise ValueError(f"{name} has bits beyond its {columns} columns")
    return np.ascontiguousarray(mask)


@dataclass(frozen=True)
class Difference:
    """The counts and sums of `diff`; ``tg_diff_result`` in threegate.h defines each of them."""

    total: int
    changed: int
    changed_bits: int
    changed_stored: int
    hidden: int
    non_finite: int
    sign_flips: int
    ulp_histogram: NDArray[np.int64]
    base_squares: float
    delta_squares: float
    delta_dot_base: float
    max_abs_delta: float
    mask: NDArray[np.uint64]
    row_changed: NDArray[np.int64]
    column_changed: NDArray[np.int64]


def diff(base: Array, tuned: Array, *, context: Optional[Context] = None) -> Difference:
    """Compare two matrices in one pass. An entry is changed if it differs after rounding to bf16.

    Parameters
    ----------
    base, tuned : array of shape (rows, columns)
        The matrices. Their dtypes may differ.
    context : Context, optional
        Where the comparison runs.

    Returns
    -------
    Difference
        Counts, sums, the mask of changed entries, and the changed entries of each row and column.

    Raises
    ------
    ValueError
        If the shapes differ or a dtype is not supported.
    """
    context = context or default_context()
    base, tuned = _matrix(base, "base"), _matrix(tuned, "tuned")
    rows, columns = base.shape
    mask = np.zeros((rows, _words(columns)), np.uint64)
    row_changed, column_changed = np.zeros(rows, np.int64), np.zeros(columns, np.int64)
    profiles = tg_diff_profiles(
        row_changed=row_changed.ctypes.data,
        column_changed=column_changed.ctypes.data,
        mask=mask.ctypes.data,
        mask_words=mask.size,
    )
    pair = byref(_operand(base)), byref(_operand(tuned)), 1, byref(tg_diff_options())
    result = tg_diff_result()
    with context.workspace("tg_diff_workspace", *pair, byref(profiles)) as workspace:
        context.call("tg_diff", *pair, None, workspace, byref(profiles), byref(result))
    values = {name: getattr(result, name) for name, _ in result._fields_ if name != "size"}
    values["ulp_histogram"] = np.array(result.ulp_histogram)
    return Difference(**values, mask=mask, row_changed=row_changed, column_changed=column_changed)


@dataclass(frozen=True)
class Triplets:
    """Leading singular triplets of `truncated_svd`, in float64.

    Attributes
    ----------
    values : array of shape (rank,)
        The singular values, descending.
    left : array of shape (rank, rows)
        Row i is the left singular vector of ``values[i]``.
    right : array of shape (rank, columns)
        Row i is the right singular vector of ``values[i]``.
    spectrum : array of shape (min(rows, columns),), optional
        All singular values, if they were asked for.
    residual, orthogonality, spectrum_error : float
        Bounds of the errors; ``tg_svd_result`` in threegate.h defines them.
    method : str
        The method that reached the tolerance.
    """

    values: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    spectrum: Optional[NDArray[np.float64]]
    residual: float
    orthogonality: float
    spectrum_error: float
    method: str


def truncated_svd(
    matrix: Array,
    rank: int,
    *,
    subtracted: Optional[Array] = None,
    tolerance: float = 1e-6,
    spectrum: bool = False,
    context: Optional[Context] = None,
) -> Triplets:
    """Compute leading singular triplets of a matrix, or of the difference of two matrices.

    Parameters
    ----------
    matrix : array of shape (rows, columns)
        The matrix.
    rank : int
        The number of triplets, 1 to min(rows, columns).
    subtracted : array of shape (rows, columns), optional
        What is subtracted from the matrix. The difference is never stored.
    tolerance : float, default 1e-6
        The upper bound for the residual, the orthogonality and the error of the spectrum.
    spectrum : bool, default False
        Whether all singular values are computed, too.
    context : Context, optional
        Where the decomposition runs.

    Returns
    -------
    Triplets
        The triplets and what certifies them.

    Raises
    ------
    ValueError
        If an argument is not allowed or an entry is not finite.
    numpy.linalg.LinAlgError
        If the tolerance was not reached.
    """
    context = context or default_context()
    matrix = _matrix(matrix, "matrix")
    other = None if subtracted is None else _matrix(subtracted, "subtracted")
    rows, columns = matrix.shape
    rank = index(rank)
    if not 1 <= rank <= min(rows, columns):
        raise ValueError(f"rank is {rank}; allowed are 1 to {min(rows, columns)}")
    values, left, right = np.empty(rank), np.empty((rank, rows)), np.empty((rank, columns))
    every = np.empty(min(rows, columns)) if spectrum else None
    result = tg_svd_result(
        values=values.ctypes.data,
        left=left.ctypes.data,
        right=right.ctypes.data,
        spectrum=None if every is None else every.ctypes.data,
    )
    request = (
        *(byref(_operand(matrix)), None if other is None else byref(_operand(other)), 1),
        byref(tg_svd_options(rank=rank, tolerance=tolerance, vectors=1)),
    )
    with context.workspace("tg_svd_workspace", *request, byref(result)) as workspace:
        context.call("tg_svd", *request, None, workspace, byref(result))
    errors = result.residual, result.orthogonality, result.spectrum_error
    return Triplets(values, left, right, every, *errors, _METHODS[result.method])


def pack_mask(entries: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return the mask of a boolean matrix."""
    rows, columns = entries.shape
    packed = np.zeros((rows, 8 * _words(columns)), np.uint8)
    packed[:, : (columns + 7) // 8] = np.packbits(entries, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack_mask(mask: NDArray[np.uint64], columns: int) -> NDArray[np.bool_]:
    """Return a mask of so many columns as a boolean matrix."""
    bits = np.unpackbits(_mask(mask, columns, "mask").astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return bits[:, :columns].astype(bool)


def select_mask(
    scores: Union[Array, Triplets], count: int, *, smallest: bool = False, context: Optional[Context] = None
) -> NDArray[np.uint64]:
    """Select the entries of the largest or the smallest magnitude. Of equal ones, the first are selected.

    Parameters
    ----------
    scores : array of shape (rows, columns) or Triplets
        A matrix, or triplets, whose product is scored without being stored.
    count : int
        The number of entries, 0 to rows * columns.
    smallest : bool, default False
        Whether the smallest are selected.
    context : Context, optional
        Where the selection runs.

    Returns
    -------
    array of uint64
        The mask.
    """
    context = context or default_context()
    if isinstance(scores, Triplets):
        values, left, right = (np.ascontiguousarray(a, np.float64) for a in (scores.values, scores.left, scores.right))
        rows, columns = left.shape[1], right.shape[1]
        request = tg_mask_scores(
            **dict(zip(("values", "left", "right"), (a.ctypes.data for a in (values, left, right)))),
            **dict(rank=len(values), rows=rows, columns=columns),
        )
    else:
        matrix = _matrix(scores, "scores")
        rows, columns = matrix.shape
        request = tg_mask_scores(matrix=ctypes.pointer(_operand(matrix)))
    mask = np.zeros((rows, _words(columns)), np.uint64)
    arguments = byref(request), byref(tg_mask_options(count=index(count), smallest=bool(smallest)))
    with context.workspace("tg_mask_select_workspace", *arguments) as workspace:
        context.call("tg_mask_select", *arguments, None, workspace, mask.ctypes.data, mask.size)
    return mask


def _sets(masks: Sequence[Array], columns: int) -> tuple[list[Array], tg_mask_sets, Any]:
    arrays = [_mask(mask, columns, f"masks[{i}]") for i, mask in enumerate(masks)]
    if len({array.shape for array in arrays}) != 1:
        raise ValueError(f"the masks have the shapes {[array.shape for array in arrays]}; they must have one shape")
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
    sets = tg_mask_sets(count=len(arrays), rows=arrays[0].shape[0], columns=columns)
    sets.masks = ctypes.addressof(pointers)
    return arrays, sets, pointers


def combine_masks(
    masks: Sequence[NDArray[np.uint64]], columns: int, operation: str, *, context: Optional[Context] = None
) -> tuple[NDArray[np.uint64], int]:
    """Combine masks of one shape.

    Parameters
    ----------
    masks : sequence of masks
        1 to 255 masks.
    columns : int
        The number of columns of the matrices.
    operation : {"union", "intersection", "difference", "symmetric_difference", "complement"}
        The operation. "difference" subtracts the others from the first mask.
    context : Context, optional
        Where the operation runs.

    Returns
    -------
    mask : array of uint64
        The combination.
    entries : int
        The number of its entries.
    """
    arrays, sets, _pointers = _sets(masks, columns)
    result, entries = np.zeros_like(arrays[0]), c_int64()
    arguments = byref(sets), _choice(_OPERATIONS, operation, "operation"), result.ctypes.data, result.size
    (context or default_context()).call("tg_mask_combine", *arguments, byref(entries))
    return result, entries.value


def mask_overlaps(
    masks: Sequence[NDArray[np.uint64]], columns: int, *, context: Optional[Context] = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the entries that masks share.

    Parameters
    ----------
    masks : sequence of masks
        1 to 255 masks of one shape.
    columns : int
        The number of columns of the matrices.
    context : Context, optional
        Where they are counted.

    Returns
    -------
    common : array of shape (count, count)
        The number of entries that masks i and j share.
    memberships : array of shape (count + 1,)
        The number of entries that exactly i masks have.
    """
    arrays, sets, _pointers = _sets(masks, columns)
    common, memberships = np.zeros((len(arrays), len(arrays)), np.int64), np.zeros(len(arrays) + 1, np.int64)
    (context or default_context()).call("tg_mask_overlaps", byref(sets), common.ctypes.data, memberships.ctypes.data)
    return common, memberships


@dataclass(frozen=True)
class Patch:
    """The changed elements of an array.

    Attributes
    ----------
    positions : array of uint32
        The positions in the flattened array, ascending.
    values : array of uint8, uint16, uint32 or uint64
        The new bits, or the old bits xor the new ones.
    form : {"overwrite", "xor"}
        What the values are.
    """

    positions: NDArray[np.uint32]
    values: Array
    form: str


def _entries(positions: Array, values: Array, form: str) -> Any:
    return byref(
        tg_patch_entries(
            positions=positions.ctypes.data,
            values=values.ctypes.data,
            count=positions.size,
            width=values.dtype.itemsize,
            form=_choice(_FORMS, form, "form"),
        )
    )


def extract_patch(before: Array, after: Array, *, form: str = "overwrite", context: Optional[Context] = None) -> Patch:
    """Find the elements of an array whose bits changed.

    Parameters
    ----------
    before, after : array
        Arrays of one shape and dtype, of any dtype of 1, 2, 4 or 8 bytes and at most 2^32 elements.
    form : {"overwrite", "xor"}, default "overwrite"
        Whether the values are the new bits, or the old bits xor the new ones.
    context : Context, optional
        Where the elements are compared.

    Returns
    -------
    Patch
        The changed elements.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(f"before is {before.dtype} {before.shape}, and after is {after.dtype} {after.shape}")
    before, after = np.ascontiguousarray(before), np.ascontiguousarray(after)
    width, changed = before.dtype.itemsize, c_int64()
    if width not in (1, 2, 4, 8) or before.dtype.hasobject:
        raise ValueError(f"the elements are of dtype {before.dtype}; allowed are numbers of 1, 2, 4 and 8 bytes")
    pair = tg_patch_pair(
        **dict(before=before.ctypes.data, after=after.ctypes.data, count=before.size),
        **dict(width=width, form=_choice(_FORMS, form, "form")),
    )
    room = before.size // 64 + 64  # most updates change few elements; the second call knows their number
    while True:
        positions, values = np.empty(room, np.uint32), np.empty(room, f"u{width}")
        entries = _entries(positions, values, form)
        (context or default_context()).call("tg_patch_extract", byref(pair), entries, byref(changed))
        if changed.value <= room:
            return Patch(positions[: changed.value].copy(), values[: changed.value].copy(), form)
        room = changed.value


def _target(patch: Patch, target: Array) -> tuple[tuple[Array, Array], int, int]:
    positions = np.ascontiguousarray(patch.positions, np.uint32)
    values = np.ascontiguousarray(patch.values)
    if positions.ndim != 1 or positions.shape != values.shape:
        raise ValueError(f"the patch has {positions.shape} positions and {values.shape} values")
    if values.dtype.itemsize != target.dtype.itemsize or not target.flags.c_contiguous or target.dtype.hasobject:
        raise ValueError(
            f"the target is {target.dtype} and the values have {values.dtype.itemsize} bytes; the target must be "
            "C-contiguous and have elements of that size"
        )
    return (positions, values), target.ctypes.data, target.size


def apply_patch(patch: Patch, target: Array, *, context: Optional[Context] = None) -> None:
    """Apply a patch to an array in place.

    Parameters
    ----------
    patch : Patch
        The patch. All positions are checked before anything is written.
    target : array
        A writable, C-contiguous array with elements of the width of the values.
    context : Context, optional
        Where it is applied.
    """
    if not target.flags.writeable:
        raise ValueError("the target is read-only")
    arrays, data, size = _target(patch, target)
    (context or default_context()).call("tg_patch_apply", _entries(*arrays, patch.form), data, size)


def verify_patch(patch: Patch, target: Array, *, context: Optional[Context] = None) -> int:
    """Count the values of an overwriting patch that differ from an array.

    Parameters
    ----------
    patch : Patch
        A patch of the form "overwrite".
    target : array
        A C-contiguous array with elements of the width of the values.
    context : Context, optional
        Where they are compared.

    Returns
    -------
    int
        The number of differing values.
    """
    arrays, data, size = _target(patch, target)
    differing = c_int64()
    (context or default_context()).call("tg_patch_verify", _entries(*arrays, patch.form), data, size, byref(differing))
    return differing.value
