"""Measures the principal mask in the formulations that torch and numpy offer, on the factors of threegate_bench_mask.

Each stores the reconstruction, which the kernel does not. Prints, tab-separated: rows, columns, rank, name, processor seconds (the
best of several), bytes of the reconstruction. One thread, float32.
"""
import os
import pathlib
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import torch

torch.set_num_threads(1)


def torch_topk(values, left, right, count):
    scores = ((left.T * values) @ right).abs().flatten()
    mask = torch.zeros(scores.shape, dtype=torch.bool)
    mask[torch.topk(scores, count, sorted=False).indices] = True
    return mask


def torch_kthvalue(values, left, right, count):
    scores = ((left.T * values) @ right).abs().flatten()
    return scores >= torch.kthvalue(scores, scores.numel() - count + 1).values


def numpy_partition(values, left, right, count):
    scores = np.abs((left.numpy().T * values.numpy()) @ right.numpy()).ravel()
    return scores >= np.partition(scores, scores.size - count)[scores.size - count]


def main(directory):
    for file in sorted(pathlib.Path(directory).glob("*x*.f32"), key=lambda file: file.stat().st_size):
        rows, columns = map(int, file.stem.split("x"))
        rank = min(rows, columns) // 10
        data = torch.from_numpy(np.fromfile(file, np.float32))
        values, left, right = data[:rank], data[rank : rank + rank * rows], data[rank + rank * rows :]
        left, right = left.reshape(rank, rows), right.reshape(rank, columns)
        for name, runs, select in (
            ("torch.topk", 2, torch_topk),
            ("torch.kthvalue", 2, torch_kthvalue),
            ("numpy partition", 15, numpy_partition),
        ):
            best = float("inf")
            for _ in range(runs):
                start = time.process_time()
                select(values, left, right, rows * columns // 2)
                best = min(best, time.process_time() - start)
            print(rows, columns, rank, name, f"{best:.5f}", 4 * rows * columns, sep="\t", flush=True)


main(sys.argv[1])
