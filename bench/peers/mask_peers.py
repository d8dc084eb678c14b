"""Measures the principal mask in the formulations that torch and numpy offer, on the factors of threegate_bench_mask.

Each stores the reconstruction, which the kernel does not. Prints, tab-separated: rows, columns, rank, name, seconds (the best of
two), bytes of the reconstruction. One thread, float32.
"""
import os
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
    for rows, columns in ((1536, 1536), (1536, 8960), (4096, 4096)):
        rank = min(rows, columns) // 10
        data = torch.from_numpy(np.fromfile(f"{directory}/{rows}x{columns}.f32", np.float32))
        values, left, right = data[:rank], data[rank : rank + rank * rows], data[rank + rank * rows :]
        left, right = left.reshape(rank, rows), right.reshape(rank, columns)
        for name, select in (("torch.topk", torch_topk), ("torch.kthvalue", torch_kthvalue), ("numpy partition", numpy_partition)):
            best = float("inf")
            for _ in range(2):
                start = time.perf_counter()
                select(values, left, right, rows * columns // 2)
                best = min(best, time.perf_counter() - start)
            print(rows, columns, rank, name, f"{best:.4f}", 4 * rows * columns, sep="\t", flush=True)


main(sys.argv[1])
