"""Writes pairs for the cost of null models: noise, and noise with rescaled rows, on 21 bf16 matrices of 1024 x 1024.

python3 null_pairs.py DIRECTORY    writes DIRECTORY/nulls-base, nulls-noise and nulls-rescaled
"""

import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

SIDE = 1024
LAYERS = 3
KINDS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def bf16(values):
    return torch.tensor(values, dtype=torch.float32).to(torch.bfloat16)


def main(directory):
    random = np.random.default_rng(5)
    pairs = {"nulls-base": {}, "nulls-noise": {}, "nulls-rescaled": {}}
    values = np.arange(1, SIDE + 1) ** -0.35
    for layer in range(LAYERS):
        for kind in KINDS:
            left, _ = np.linalg.qr(random.normal(size=(SIDE, SIDE)))
            right, _ = np.linalg.qr(random.normal(size=(SIDE, SIDE)))
            weights = (left * values) @ right.T
            weights *= np.exp(0.25 * random.normal(size=(SIDE, 1))) * np.exp(0.25 * random.normal(size=(1, SIDE)))
            base = bf16(weights * 0.03 / weights.std())
            exact = base.double().numpy()
            noise = 1e-4 * random.normal(size=exact.shape)
            name = f"model.layers.{layer}.{kind}.weight"
            pairs["nulls-base"][name] = base
            pairs["nulls-noise"][name] = bf16(exact + noise)
            pairs["nulls-rescaled"][name] = bf16(exact * (1 + 5e-3 * random.normal(size=(SIDE, 1))) + noise)
    for name, tensors in pairs.items():
        os.makedirs(os.path.join(directory, name))
        save_file(tensors, os.path.join(directory, name, "model.safetensors"))


if __name__ == "__main__":
    main(sys.argv[1])
