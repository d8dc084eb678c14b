"""Measures the slopes of 2048 tokens along eight directions of a 2048 x 2048 layer, in the formulations that torch offers. Also measures
a product F V and finite differences of 2^26 numbers. All are in float32 with one thread.

Prints, tab-separated: name, seconds (the best of three).
"""
import os
import time

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import torch

torch.set_num_threads(1)
torch.manual_seed(1)
SIDE, TOKENS, DIRECTIONS = 2048, 2048, 8
x = torch.randn(TOKENS, SIDE)
g = torch.randn(TOKENS, SIDE)
v = torch.randn(DIRECTIONS, SIDE, SIDE)


def einsum():
    return torch.einsum("tm,dmn,tn->dt", g, v, x)


def batched():
    return ((x @ v.transpose(1, 2)) * g).sum(-1)


def one_by_one():
    return torch.stack([((x @ direction.T) * g).sum(-1) for direction in v])


def per_sample():
    # One gradient per token, as torch.func.vmap(grad) makes them, for as many tokens at once as fit into memory.
    parts = []
    for begin in range(0, TOKENS, 64):
        gradients = g[begin : begin + 64, :, None] * x[begin : begin + 64, None, :]
        parts.append(gradients.flatten(1) @ v.flatten(1).T)
    return torch.cat(parts).T


weights = torch.full((TOKENS, 1), 0.5)


def product():
    return (g * weights).T @ x


numbers = torch.randn(5, 1 << 26)


def displace():
    return torch.add(numbers[0], numbers[1], alpha=0.5, out=numbers[4])


def difference():
    ahead, behind, wider, direction, out = numbers
    torch.sub(ahead, behind, out=out)
    change = (out - wider) / 3
    out += change
    return out.dot(direction), ahead.dot(ahead), behind.dot(behind), change.dot(change)


for name, body, runs in (
    ("torch, einsum", einsum, 3),
    ("torch, batched products", batched, 3),
    ("torch, one by one", one_by_one, 3),
    ("torch, one gradient per token", per_sample, 1),
    ("torch, F V of given slopes", product, 3),
    ("torch, displace 2^26 (no rounding error)", displace, 3),
    ("torch, difference of 2^26, extrapolated, with sums", difference, 3),
):
    best = float("inf")
    for _ in range(runs):
        begin = time.perf_counter()
        body()
        best = min(best, time.perf_counter() - begin)
    print(f"{name}\t{best:.4f}", flush=True)
