"""patch_peers.py make DIRECTORY | create DIRECTORY: a pair of checkpoints, and the sparse patch of them as torch makes it.

make: DIRECTORY/base and DIRECTORY/tuned, 1 GB of bf16 each, 1 % of the elements changed by one spacing.
create: positions and values of what changed, as a safetensors file; prints seconds.
"""
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file, save_file

directory = pathlib.Path(sys.argv[2])
if sys.argv[1] == "make":
    generator = torch.Generator().manual_seed(1)
    base, tuned = {}, {}
    for i in range(32):
        weight = (torch.randn(4096, 4096, generator=generator) * 0.02).to(torch.bfloat16)
        moved = torch.rand(4096, 4096, generator=generator) < 0.01
        base[f"layers.{i}.weight"] = weight
        tuned[f"layers.{i}.weight"] = (weight.view(torch.int16) + moved.to(torch.int16)).view(torch.bfloat16)
    for name, tensors in (("base", base), ("tuned", tuned)):
        (directory / name).mkdir(parents=True, exist_ok=True)
        save_file(tensors, directory / name / "model.safetensors")
else:
    begin = time.perf_counter()
    before = load_file(directory / "base" / "model.safetensors")
    after = load_file(directory / "tuned" / "model.safetensors")
    patch = {}
    for name, old in before.items():
        new = after[name].flatten()
        positions = (old.flatten().view(torch.int16) != new.view(torch.int16)).nonzero().flatten()
        if len(positions):
            patch[name + ".idx"] = positions.to(torch.int32)
            patch[name + ".val"] = new[positions]
    save_file(patch, directory / "torch.safetensors")
    print(f"{time.perf_counter() - begin:.3f}")
