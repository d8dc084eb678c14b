"""patch_peers.py make DIRECTORY | create DIRECTORY | evict FILES: writes a pair of checkpoints, and measures a sparse patch by torch.

make: writes DIRECTORY/base and DIRECTORY/tuned, bf16 in the shapes of Qwen2.5-1.5B with 3.1 GB each. 1 % of the elements differ by one
spacing.
create: writes the positions and values of the changed elements to a safetensors file, without checksums. Prints the least elapsed and
processor seconds of five runs.
evict: drops the files from the page cache.
"""
import os
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file, save_file

HIDDEN, KEYS, BETWEEN, VOCABULARY, LAYERS = 1536, 256, 8960, 151936, 28


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for i in range(LAYERS):
        for name, shape in (
            ("self_attn.q_proj", (HIDDEN, HIDDEN)),
            ("self_attn.k_proj", (KEYS, HIDDEN)),
            ("self_attn.v_proj", (KEYS, HIDDEN)),
            ("self_attn.o_proj", (HIDDEN, HIDDEN)),
            ("mlp.gate_proj", (BETWEEN, HIDDEN)),
            ("mlp.up_proj", (BETWEEN, HIDDEN)),
            ("mlp.down_proj", (HIDDEN, BETWEEN)),
            ("input_layernorm", (HIDDEN,)),
            ("post_attention_layernorm", (HIDDEN,)),
        ):
            yield f"model.layers.{i}.{name}.weight", shape


def make(directory):
    generator = torch.Generator().manual_seed(1)
    base, tuned = {}, {}
    for name, shape in shapes():
        base[name] = (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)
        moved = torch.rand(shape, generator=generator) < 0.01
        tuned[name] = (base[name].view(torch.int16) + moved.to(torch.int16)).view(torch.bfloat16)
    for name, tensors in (("base", base), ("tuned", tuned)):
        (directory / name).mkdir(parents=True, exist_ok=True)
        save_file(tensors, directory / name / "model.safetensors")


def create(directory):
    begin, processor = time.perf_counter(), time.process_time()
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
    return time.perf_counter() - begin, time.process_time() - processor


def evict(files):
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
elif sys.argv[1] == "create":
    elapsed, processor = zip(*(create(pathlib.Path(sys.argv[2])) for _ in range(5)))
    print(f"{min(elapsed):.3f}\t{min(processor):.2f}")
else:
    evict(sys.argv[2:])
