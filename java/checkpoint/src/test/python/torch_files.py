"""Writes small files of torch.save, and their tensors as safetensors.

    python torch_files.py ../resources/torch     needs torch and safetensors

NAME.pt beside NAME.safetensors is read with these tensors. The other files are refused. ranks/ has the shards of two
processes as FSDP and verl write them, with the whole tensors in whole.safetensors. The processes are simulated.
"""
import json
import os
import subprocess
import sys
from collections import OrderedDict

import torch
from safetensors.torch import save_file

OUT = sys.argv[1]
GENERATOR = torch.Generator().manual_seed(5)


def normal(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=GENERATOR).to(dtype)


def path(name):
    os.makedirs(os.path.dirname(os.path.join(OUT, name)), exist_ok=True)
    return os.path.join(OUT, name)


def expect(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path(name + ".safetensors"))


def every_kind():
    """Dtypes, views, ties, parameters, an empty tensor and a scalar."""
    wide = normal(6, 4, dtype=torch.bfloat16)
    tensors = OrderedDict(
        {
            "embed.weight": wide,
            "head.weight": wide,
            "rows": wide[2:5],
            "part.of.a.row": wide[1, 1:3],
            "f64": normal(3, dtype=torch.float64),
            "f32": torch.nn.Parameter(normal(2, 3, 2)),
            "f16": normal(2, 5, dtype=torch.float16),
            "i64": torch.arange(4),
            "i32": torch.arange(3, dtype=torch.int32),
            "i16": torch.arange(3, dtype=torch.int16),
            "i8": torch.arange(3, dtype=torch.int8),
            "u8": torch.arange(3, dtype=torch.uint8),
            "u16": torch.tensor([1, 2, 3], dtype=torch.uint16),
            "bool": torch.tensor([True, False]),
            "e4m3": normal(4, 2).to(torch.float8_e4m3fn),
            "e5m2": normal(4, 2).to(torch.float8_e5m2),
            "scalar": torch.tensor(1.5),
            "empty": torch.zeros(0, 3),
            "one.row.of.many": normal(3, 4)[1:2],
        }
    )
    return tensors


def main():
    tensors = every_kind()
    tensors._metadata = OrderedDict({"": {"version": 1}})
    for protocol in (2, 4, 5):
        torch.save(tensors, path(f"protocol-{protocol}.pt"), pickle_protocol=protocol)
        expect(f"protocol-{protocol}", tensors)

    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {k: v.clone() for k, v in module.state_dict().items()}
    for key in ("model", "state_dict", "module", "model_state_dict"):
        everything = {"epoch": 3, "loss": 0.5, key: module.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(everything, path(f"under-{key}.pt"))
        expect(f"under-{key}", state)

    torch.save({"a": state, "epoch": 1}, path("other-key.pt"))
    torch.save({"model": state, "module": state}, path("two-models.pt"))
    torch.save(normal(3), path("no-dictionary.pt"))
    torch.save({"a.weight": normal(1, 4).expand(3, 4)}, path("expanded.pt"))
    torch.save(module, path("module.pt"))
    torch.save(state, path("legacy.pt"), _use_new_zipfile_serialization=False)
    torch.jit.script(module).save(path("script.pt"))

    names = list(tensors)
    weight_map = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(names)}
    for shard in sorted(set(weight_map.values())):
        torch.save({k: tensors[k].detach().clone() for k in names if weight_map[k] == shard}, path("shards/" + shard))
    with open(path("shards/pytorch_model.bin.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)

    whole = {"a.weight": normal(5, 3, dtype=torch.bfloat16), "norm.weight": normal(7), "u.weight": normal(4, 2, 3)}
    expect("ranks/whole", whole)
    for rank in range(2):
        subprocess.run([sys.executable, __file__, OUT, str(rank)], check=True)


def of_rank(rank):
    """Writes the file of one of two processes."""
    from safetensors.torch import load_file
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Replicate, Shard
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=rank, world_size=2, store=FakeStore())
    mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("fsdp",))
    whole = load_file(path("ranks/whole.safetensors"))

    def part(tensor, placement):
        local = tensor if placement == Replicate() else tensor.chunk(2)[rank].clone()
        return DTensor.from_local(local, mesh, [placement], shape=tensor.shape, stride=tensor.stride())

    state = OrderedDict({k: part(v, Shard(0)) for k, v in whole.items() if k != "norm.weight"})
    state["norm.weight"] = part(whole["norm.weight"], Replicate())
    torch.save(state, path(f"ranks/model_world_size_2_rank_{rank}.pt"))


if __name__ == "__main__":
    of_rank(int(sys.argv[2])) if len(sys.argv) > 2 else main()
