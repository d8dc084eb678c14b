"""Writes a checkpoint of safetensors as four processes of a training run store it.

    python make_shards.py MODEL.safetensors OUT     needs torch and safetensors

OUT/dcp is a distributed checkpoint of torch, and OUT/ranks has the files model_world_size_4_rank_R.pt of verl. Each
tensor is split by rows, as FSDP does. The four processes are real ones with the backend gloo.
"""
import os
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from safetensors import safe_open
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

WORLD = 4


def write(rank, model, out):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29621", RANK=str(rank), WORLD_SIZE=str(WORLD))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD)
    mesh = init_device_mesh("cpu", (WORLD,), mesh_dim_names=("fsdp",))
    state = {}
    with safe_open(model, "pt") as file:
        for name in file.keys():
            stored = file.get_slice(name)
            shape = stored.get_shape()
            size = -(-shape[0] // WORLD)
            own = stored[min(rank * size, shape[0]) : min((rank + 1) * size, shape[0])].clone()
            strides = torch.empty(shape, device="meta").stride()
            state[name] = DTensor.from_local(own, mesh, [Shard(0)], shape=torch.Size(shape), stride=strides)
    os.makedirs(f"{out}/ranks", exist_ok=True)
    torch.save(state, f"{out}/ranks/model_world_size_{WORLD}_rank_{rank}.pt")
    dcp.save(state, checkpoint_id=f"{out}/dcp")
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(write, args=(sys.argv[1], sys.argv[2]), nprocs=WORLD)
