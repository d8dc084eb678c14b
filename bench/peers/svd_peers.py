"""Measures leading singular triplets in the formulations that numpy, scipy and torch offer, on the matrices of threegate_bench_svd.

Prints, tab-separated: rows, columns, rank, requested tolerance, name, processor seconds (the best of two), residual measured in float64. All use
one thread. Formulations that miss the tolerance are printed too, and must be left out of comparisons.
"""
import os
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch

torch.set_num_threads(1)


def gram(a, rank, dtype):
    wide = a.shape[0] <= a.shape[1]
    b = a.astype(dtype)
    g = b @ b.T if wide else b.T @ b
    n = g.shape[0]
    values, x = scipy.linalg.eigh(g, subset_by_index=[n - rank, n - 1], driver="evr", overwrite_a=True, check_finite=False)
    sigma = np.sqrt(values)
    y = (b.T @ x if wide else b @ x) / sigma
    return (x, sigma, y) if wide else (y, sigma, x)


def iterative(a, rank, solver, tolerance):
    u, sigma, vt = scipy.sparse.linalg.svds(a, rank, solver=solver, tol=tolerance)
    return u, sigma, vt.T


def torch_svd(a, rank):
    u, sigma, vt = torch.linalg.svd(torch.from_numpy(a), full_matrices=False)
    return u.numpy()[:, :rank], sigma.numpy()[:rank], vt.numpy()[:rank].T


def gesdd(a, rank):
    u, sigma, vt = np.linalg.svd(a, full_matrices=False)
    return u[:, :rank], sigma[:rank], vt[:rank].T


def residual(a, u, sigma, v):
    a, u, v = a.astype(np.float64), u.astype(np.float64), v.astype(np.float64)
    forward = np.linalg.norm(a @ v - u * sigma, axis=0).max()
    backward = np.linalg.norm(a.T @ u - v * sigma, axis=0).max()
    return max(forward, backward) / sigma.max()


def main(directory):
    for rows, columns in ((1536, 1536), (1536, 8960), (4096, 4096)):
        a = np.fromfile(f"{directory}/{rows}x{columns}.f32", np.float32).reshape(rows, columns)
        large = rows == 4096
        for rank in (32, 128, 512):
            for tolerance in (1e-4, 1e-6):
                peers = {
                    "gram float32 + syevr": lambda: gram(a, rank, np.float32),
                    "gram float64 + syevr": lambda: gram(a, rank, np.float64),
                }
                if rank <= 128:
                    peers["arpack"] = lambda: iterative(a, rank, "arpack", tolerance)
                    peers["propack"] = lambda: iterative(a, rank, "propack", tolerance)
                if rank == 32 and tolerance == 1e-4 and not large:
                    # These depend neither on the rank nor on the tolerance.
                    peers["torch.linalg.svd"] = lambda: torch_svd(a, rank)
                    peers["numpy gesdd"] = lambda: gesdd(a, rank)
                for name, solve in peers.items():
                    best = float("inf")
                    for _ in range(1 if large or name in ("torch.linalg.svd", "numpy gesdd") else 2):
                        start = time.process_time()
                        found = solve()
                        best = min(best, time.process_time() - start)
                    print(rows, columns, rank, f"{tolerance:g}", name, f"{best:.4f}", f"{residual(a, *found):.1e}", sep="\t", flush=True)


main(sys.argv[1])
