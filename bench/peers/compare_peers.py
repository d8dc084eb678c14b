"""Measures a straightforward torch script for what threegate compare measures on one layer. It uses full singular value decompositions,
stored reconstructions, topk masks, and new decompositions for null models. Prints, tab-separated: matrix, rows, columns, seconds.

  compare_peers.py BASE.safetensors TUNED.safetensors LAYER DRAWS [NAME...]

The script has no magnitude-matched baselines, which is in its favour. OMP_NUM_THREADS sets the number of threads.
"""
import os
import sys
import time

import torch
from safetensors import safe_open

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def subspaces(matrix, rank):
    u, sigma, vt = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, :rank], sigma, vt[:rank]


def angle(one, other):
    return torch.linalg.svdvals(one.T @ other).clamp(max=1).min().acos()


def measure(base, tuned, rank):
    u0, s0, v0 = base
    u1, s1, v1 = subspaces(tuned, rank)
    return (s1 - s0).norm() / s0.norm(), angle(u0, u1), angle(v0.T, v1.T)


def matrix(base, tuned, draws):
    w0, w1 = base.float(), tuned.float()
    rows, columns = w0.shape
    rank = max(1, int(0.1 * min(rows, columns) + 0.5))
    delta = w1 - w0
    before = subspaces(w0, rank)
    measure(before, w1, rank)
    sigma = torch.linalg.svdvals(delta)
    energy = (before[0].T @ delta @ before[2].T).norm() ** 2 / delta.norm() ** 2
    changed = (base != tuned).flatten()
    half = rows * columns // 2
    scores = ((before[0] * before[1][:rank]) @ before[2]).abs().flatten()
    principal = torch.zeros_like(changed)
    principal[torch.topk(scores, half, sorted=False).indices] = True
    low = torch.zeros_like(changed)
    low[torch.topk(w0.abs().flatten(), half, largest=False, sorted=False).indices] = True
    overlaps = [(mask & changed).sum() / changed.sum() for mask in (principal, low, principal & ~low, low | ~principal)]
    deviation = delta.norm() / (rows * columns) ** 0.5
    short = min(rows, columns)
    for _ in range(draws):
        noise = (w0 + deviation * torch.randn(rows, columns)).bfloat16().float()
        measure(before, noise, rank)
        permuted = delta.flatten()[torch.randperm(rows * columns)].reshape(rows, columns)
        measure(before, w0 + permuted, rank)
        left = torch.linalg.qr(torch.randn(rows, short)).Q
        right = torch.linalg.qr(torch.randn(columns, short)).Q
        measure(before, w0 + (left * sigma) @ right.T, rank)
    return energy, overlaps


def main(base, tuned, layer, draws, *names):
    with safe_open(base, "pt") as before, safe_open(tuned, "pt") as after:
        for name in before.keys():
            wanted = any(part in name for part in names) if names else True
            if f"layers.{layer}." in name and wanted and len(before.get_slice(name).get_shape()) == 2:
                w0, w1 = before.get_tensor(name), after.get_tensor(name)
                start = time.perf_counter()
                matrix(w0, w1, int(draws))
                print(name, *w0.shape, f"{time.perf_counter() - start:.2f}", sep="\t", flush=True)


main(*sys.argv[1:])
