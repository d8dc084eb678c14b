"""Measures the statistics of the diff in numpy and torch, on the bytes of two .safetensors files.

Usage: diff_peers.py BASE TUNED. Both files must be bf16 only, and are read as rows of 1536 entries. Prints `NAME<tab>SECONDS` for one
thread. Both libraries are several times faster on blocks that stay in the cache, so the best of several block sizes counts.
"""

import json
import os
import struct
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402

COLUMNS = 1536


def codes(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        json.loads(file.read(length))
        data = np.fromfile(file, dtype=np.uint16)
    return data[: len(data) // COLUMNS * COLUMNS].reshape(-1, COLUMNS)


def widen(a):
    return (a.astype(np.uint32) << 16).view(np.float32)


def with_numpy(a, b, block):
    total = np.zeros(6)
    columns = np.zeros(COLUMNS, np.int64)
    histogram = np.zeros(15, np.int64)
    rows = []
    largest = 0.0
    for i in range(0, len(a), block):
        x, y = a[i : i + block], b[i : i + block]
        bits = x != y
        changed = bits & (((x | y) & 0x7FFF) != 0)
        rows.append(changed.sum(1))
        columns += changed.sum(0)
        u, v = widen(x).astype(np.float64), widen(y).astype(np.float64)
        delta = v - u
        magnitude = np.abs(delta)
        largest = max(largest, magnitude.max())
        exponent = np.maximum((x >> 7) & 0xFF, 1).astype(np.int32) - 134
        fraction, power = np.frexp(magnitude)
        power -= fraction == 0.5
        index = np.where(magnitude == 0, 0, np.clip(power - exponent + 3, 1, 14))
        histogram += np.bincount(index.ravel(), minlength=15)
        total += [
            bits.sum(),
            changed.sum(),
            (u * v < 0).sum(),
            np.dot(u.ravel(), u.ravel()),
            np.dot(delta.ravel(), delta.ravel()),
            np.dot(delta.ravel(), u.ravel()),
        ]
    return total, columns, np.concatenate(rows), histogram, largest


def with_torch(torch, a, b, block):
    total = torch.zeros(6, dtype=torch.float64)
    columns = torch.zeros(COLUMNS, dtype=torch.int64)
    histogram = torch.zeros(15, dtype=torch.int64)
    rows = []
    largest = 0.0
    for i in range(0, len(a), block):
        x, y = a[i : i + block], b[i : i + block]
        bits = x != y
        changed = x.view(torch.bfloat16) != y.view(torch.bfloat16)
        rows.append(changed.sum(1))
        columns += changed.sum(0)
        u, v = x.view(torch.bfloat16).double(), y.view(torch.bfloat16).double()
        delta = v - u
        magnitude = delta.abs()
        largest = max(largest, magnitude.max().item())
        exponent = ((x >> 7) & 0xFF).clamp(min=1).int() - 134
        fraction, power = torch.frexp(magnitude)
        index = (power - (fraction == 0.5).int() - exponent + 3).clamp(1, 14)
        index[magnitude == 0] = 0
        histogram += torch.bincount(index.flatten(), minlength=15)
        total += torch.stack(
            [
                bits.sum().double(),
                changed.sum().double(),
                (u * v < 0).sum().double(),
                torch.dot(u.flatten(), u.flatten()),
                torch.dot(delta.flatten(), delta.flatten()),
                torch.dot(delta.flatten(), u.flatten()),
            ]
        )
    return total, columns, torch.cat(rows), histogram, largest


def best(function):
    times = []
    for block in (8, 32, 128, 1024):
        for _ in range(2):
            start = time.perf_counter()
            result = function(block)
            times.append(time.perf_counter() - start)
    return min(times), result


def main():
    a, b = codes(sys.argv[1]), codes(sys.argv[2])
    seconds, (total, _, _, histogram, _) = best(lambda block: with_numpy(a, b, block))
    print(f"numpy\t{seconds:.4f}")
    try:
        import torch
    except ImportError:
        print("SKIPPED: torch is not installed", file=sys.stderr)
        return
    torch.set_num_threads(1)
    x, y = torch.from_numpy(a.view(np.int16)), torch.from_numpy(b.view(np.int16))
    seconds, (other, _, _, histogram_t, _) = best(lambda block: with_torch(torch, x, y, block))
    print(f"torch\t{seconds:.4f}")
    assert np.array_equal(histogram, histogram_t.numpy()), "numpy and torch disagree"
    assert int(total[1]) == int(other[1]), "numpy and torch disagree"


main()
