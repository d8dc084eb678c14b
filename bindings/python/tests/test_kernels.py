"""Tests of the functions against numpy in float64."""

import ml_dtypes
import numpy as np
import pytest

import threegate

DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.fixture
def random():
    return np.random.default_rng(7)


def bf16(array):
    return array.astype(np.float32).astype(ml_dtypes.bfloat16)


def pair(random, dtype, shape=(37, 131)):
    base = random.standard_normal(shape)
    tuned = np.where(random.random(shape) < 0.3, base * (1 + 0.01 * random.standard_normal(shape)), base)
    return base.astype(dtype), tuned.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_diff(random, dtype):
    base, tuned = pair(random, dtype)
    found = threegate.diff(base, tuned)
    a, b = base.astype(np.float64), tuned.astype(np.float64)
    changed = bf16(base) != bf16(tuned)
    assert found.total == base.size
    assert found.changed == changed.sum() > 0
    assert found.changed_stored == (a != b).sum()
    assert found.hidden == ((a != b) & ~changed).sum()
    assert found.sign_flips == (a * b < 0).sum()
    assert found.ulp_histogram.sum() == base.size
    sums = [found.base_squares, found.delta_squares, found.delta_dot_base, found.max_abs_delta]
    # The sums differ in their order alone, so by at most size * 2^-53.
    assert sums == pytest.approx([(a**2).sum(), ((b - a) ** 2).sum(), ((b - a) * a).sum(), abs(b - a).max()], rel=1e-11)
    assert (threegate.unpack_mask(found.mask, base.shape[1]) == changed).all()
    assert (found.row_changed == changed.sum(axis=1)).all()
    assert (found.column_changed == changed.sum(axis=0)).all()


def test_uint16_is_bf16(random):
    base, tuned = pair(random, ml_dtypes.bfloat16)
    bits = threegate.diff(base.view(np.uint16), tuned.view(np.uint16))
    assert bits.changed == threegate.diff(base, tuned).changed > 0


def test_layouts_and_dimensions(random):
    base, tuned = pair(random, np.float32, (40, 60))
    for view in (np.s_[5:30, 10:50], np.s_[::2], np.s_[:, ::2], np.s_[::-1], np.s_[3], np.s_[0:0], np.s_[:, 5:6]):
        found = threegate.diff(base[view], tuned[view])
        assert found.changed == (bf16(base[view]) != bf16(tuned[view])).sum()
    assert threegate.diff(base.T, np.asfortranarray(tuned).T).changed == threegate.diff(base, tuned).changed
    assert threegate.diff(np.broadcast_to(base[0], base.shape), base).changed > 0


def test_refusals(random):
    base = random.standard_normal((3, 4))
    with pytest.raises(ValueError, match="3 x 4"):
        threegate.diff(base, base[:2])
    with pytest.raises(ValueError, match="int64.*allowed are float64"):
        threegate.diff(base.astype(np.int64), base)
    with pytest.raises(ValueError, match="byte order"):
        threegate.diff(base.astype(">f8"), base)
    with pytest.raises(ValueError, match="3 dimensions"):
        threegate.diff(base[None], base)
    with pytest.raises(ValueError, match="not finite"):
        threegate.truncated_svd(np.full((4, 4), np.nan), 1)
    for rank in (0, 4):
        with pytest.raises(ValueError, match="rank"):
            threegate.truncated_svd(base, rank)
    with pytest.raises(TypeError):
        threegate.truncated_svd(base, 1.5)
    with pytest.raises(ValueError, match="count"):
        threegate.select_mask(base, 13)


@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(50, 80), (80, 50)])
def test_truncated_svd(random, dtype, shape):
    matrix, other = random.standard_normal(shape).astype(dtype), random.standard_normal(shape).astype(dtype)
    for subtracted in (None, other):
        exact = matrix.astype(np.float64) - (0 if subtracted is None else subtracted.astype(np.float64))
        left, values, right = np.linalg.svd(exact, full_matrices=False)
        found = threegate.truncated_svd(matrix, np.int64(5), subtracted=subtracted, spectrum=True)
        assert found.residual <= 1e-6 and found.orthogonality <= 1e-6 and found.method
        # A residual of 1e-6 bounds the errors of values by 1e-6, and those of vectors by 1e-6 over the relative gap.
        assert found.values == pytest.approx(values[:5], rel=1e-6)
        assert found.spectrum == pytest.approx(values, abs=1e-5 * values[0])
        tolerance = 2e-6 * values[0] / -np.diff(values[:6]).max()
        assert abs((found.left * left[:, :5].T).sum(axis=1)) == pytest.approx(np.ones(5), abs=tolerance)
        assert abs((found.right * right[:5]).sum(axis=1)) == pytest.approx(np.ones(5), abs=tolerance)


def test_select_mask(random):
    matrix = random.standard_normal((30, 70)).round(1)  # many equal magnitudes
    for smallest in (False, True):
        order = np.argsort(abs(matrix).ravel() * (1 if smallest else -1), kind="stable")
        expected = np.zeros(matrix.size, bool)
        expected[order[:500]] = True
        mask = threegate.select_mask(matrix, 500, smallest=smallest)
        assert (threegate.unpack_mask(mask, 70) == expected.reshape(matrix.shape)).all()


def test_select_mask_of_triplets(random):
    found = threegate.truncated_svd(random.standard_normal((30, 70)), 4)
    product = (found.left.T * found.values) @ found.right
    mask = threegate.unpack_mask(threegate.select_mask(found, 500), 70)
    assert mask.sum() == 500
    assert abs(product[mask]).min() >= abs(product[~mask]).max() * (1 - 1e-12)


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 200])
def test_sets_of_masks(random, columns):
    sets = random.random((3, 20, columns)) < 0.4
    masks = [threegate.pack_mask(one) for one in sets]
    assert all((threegate.unpack_mask(mask, columns) == one).all() for mask, one in zip(masks, sets))
    expected = {
        "union": sets.any(axis=0),
        "intersection": sets.all(axis=0),
        "difference": sets[0] & ~sets[1] & ~sets[2],
        "symmetric_difference": sets.sum(axis=0) % 2 == 1,
        "complement": ~sets.any(axis=0),
    }
    for operation, one in expected.items():
        mask, entries = threegate.combine_masks(masks, columns, operation)
        assert (threegate.unpack_mask(mask, columns) == one).all() and entries == one.sum()
    common, memberships = threegate.mask_overlaps(masks, columns)
    flat = sets.reshape(3, -1).astype(np.int64)
    assert (common == flat @ flat.T).all()
    assert (memberships == np.bincount(flat.sum(axis=0), minlength=4)).all()


def test_refusals_of_masks(random):
    mask = threegate.pack_mask(random.random((4, 100)) < 0.5)
    with pytest.raises(ValueError, match="100|200"):
        threegate.unpack_mask(mask, 200)
    with pytest.raises(ValueError, match="'sum'; allowed are union"):
        threegate.combine_masks([mask], 100, "sum")
    with pytest.raises(ValueError, match="one shape"):
        threegate.combine_masks([mask, mask[:2]], 100, "union")
    with pytest.raises(ValueError, match="one shape"):
        threegate.mask_overlaps([], 100)
    with pytest.raises(ValueError, match=r"masks\[0\] has bits beyond its 100 columns"):
        threegate.combine_masks([np.full((4, 2), 2**64 - 1, np.uint64)], 100, "union")  # bits beyond the columns


@pytest.mark.parametrize("form", ["overwrite", "xor"])
@pytest.mark.parametrize("dtype", [np.uint8, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_patches(random, form, dtype, share):
    before = random.integers(0, 100, (50, 70)).astype(dtype)
    after = np.where(random.random(before.shape) < share, before + dtype(1), before).astype(dtype)
    bits = f"u{before.dtype.itemsize}"
    patch = threegate.extract_patch(before, after, form=form)
    old, new = before.view(bits).ravel(), after.view(bits).ravel()
    assert (patch.positions == np.flatnonzero(old != new)).all() and patch.positions.size > 0
    assert (patch.values == (old ^ new if form == "xor" else new)[patch.positions]).all()
    target = before.copy()
    threegate.apply_patch(patch, target)
    assert (target.view(bits) == after.view(bits)).all()
    if form == "overwrite":
        assert threegate.verify_patch(patch, target) == 0
        assert threegate.verify_patch(patch, before) == patch.positions.size
    else:
        threegate.apply_patch(patch, target)
        assert (target.view(bits) == before.view(bits)).all()


def test_a_bad_patch_changes_nothing(random):
    target = random.standard_normal(100).astype(np.float32)
    before = target.copy()
    for positions in ([5, 100], [7, 7], [9, 3]):
        patch = threegate.Patch(np.array(positions, np.uint32), np.zeros(2, np.uint32), "overwrite")
        with pytest.raises(ValueError, match="position"):
            threegate.apply_patch(patch, target)
    patch = threegate.Patch(np.array([1], np.uint32), np.zeros(1, np.uint32), "overwrite")
    with pytest.raises(ValueError, match="C-contiguous"):
        threegate.apply_patch(patch, target[::2])
    with pytest.raises(ValueError, match="elements of that size"):
        threegate.apply_patch(patch, target.view(np.uint16))
    with pytest.raises(ValueError, match="1 and 2|object|dtype"):
        threegate.extract_patch(np.array([None]), np.array([target]))
    assert (target == before).all()
    target.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        threegate.apply_patch(patch, target)
