"""Writes small checkpoints of several processes, and their tensors as safetensors.

    python torch_distributed.py ../resources/torch     needs torch and safetensors

Each NAME/ beside expected/NAME.safetensors is read with these tensors; the others are refused. dcp-* has distributed
checkpoints, ranks-* the files of all ranks as verl writes them, and zero-* the files of DeepSpeed. The processes of the
first two are real ones with the backend gloo. The files of DeepSpeed are written here, by the layout that its
zero_to_fp32.py reads.
"""
import math
import os
import shutil
import sys
import types
from collections import OrderedDict

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

OUT = sys.argv[1]
WORLD = 4


def normal(*shape, dtype=torch.float32, seed=7):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def path(name):
    os.makedirs(os.path.dirname(os.path.join(OUT, name)), exist_ok=True)
    return os.path.join(OUT, name)


def expect(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path("expected/" + name + ".safetensors"))


def whole():
    """Uneven sizes, a transposed matrix, three dimensions, a vector shorter than the ranks, and a scalar."""
    return OrderedDict(
        {
            "model.embed_tokens.weight": normal(7, 4, dtype=torch.bfloat16),
            "a.weight": normal(5, 9),
            "b.weight": normal(6, 5).t(),
            "c.weight": normal(3, 4, 5, dtype=torch.float16),
            "d.bias": normal(3),
            "e.weight": normal(2, 3, 2, 3),
        }
    )


def save_ranks(rank, name, state):
    torch.save(state, path(f"{name}/model_world_size_{WORLD}_rank_{rank}.pt"))


def of_rank(rank):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29611", RANK=str(rank), WORLD_SIZE=str(WORLD))
    dist.init_process_group("gloo", rank=rank, world_size=WORLD)
    line = init_device_mesh("cpu", (WORLD,), mesh_dim_names=("fsdp",))
    grid = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    tensors = whole()

    # FSDP2, with the state of an optimizer.
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.Linear(4, 3))
    if rank == 0:
        expect("dcp-nested", model.state_dict())
        expect("dcp-flat", model.state_dict())
    fully_shard(model, mesh=line)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    state, _ = get_state_dict(model, optimizer)
    dcp.save(state, checkpoint_id=path("dcp-flat"))
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    state, moments = get_state_dict(model, optimizer)
    dcp.save({"model": state, "optim": moments, "step": 3}, checkpoint_id=path("dcp-nested"))

    # Meshes of two dimensions.
    placements = {
        "model.embed_tokens.weight": (Shard(0), Shard(1)),
        "a.weight": (Shard(1), Shard(0)),
        "b.weight": (Replicate(), Shard(1)),
        "c.weight": (Shard(2), Shard(1)),
        "d.bias": (Shard(0), Shard(0)),
        "e.weight": (Shard(3), Replicate()),
    }
    state = OrderedDict({k: distribute_tensor(v, grid, placements[k]) for k, v in tensors.items()})
    for name in ("dcp-grid", "ranks-grid"):
        if rank == 0:
            expect(name, tensors)
    dcp.save(state, checkpoint_id=path("dcp-grid"))
    save_ranks(rank, "ranks-grid", state)

    # An output head that is a copy of the embedding.
    embedding = tensors["model.embed_tokens.weight"]
    tied = {k: distribute_tensor(embedding, line, [Shard(0)]) for k in ("model.embed_tokens.weight", "lm_head.weight")}
    dcp.save(tied, checkpoint_id=path("dcp-tied"))
    if rank == 0:
        with open(path("dcp-tied/config.json"), "w") as file:
            file.write('{"model_type": "llama", "tie_word_embeddings": true}\n')

    # Columns, and local tensors that are transposed in their storage.
    columns = {k: distribute_tensor(v, line, [Shard(v.dim() - 1)]) for k, v in tensors.items() if k != "d.bias"}
    turned = distribute_tensor(tensors["b.weight"], line, [Shard(0)])
    local = turned.to_local().t().contiguous().t()
    columns["turned.weight"] = DTensor.from_local(local, line, [Shard(0)], shape=turned.shape, stride=turned.stride())
    columns["d.bias"] = distribute_tensor(tensors["d.bias"], line, [Replicate()])
    save_ranks(rank, "ranks-columns", columns)
    if rank == 0:
        expect("ranks-columns", {**tensors, "turned.weight": tensors["b.weight"]})

    # What is refused.
    partial = DTensor.from_local(normal(4, 4), line, [Partial()])
    save_ranks(rank, "ranks-partial", {"a.weight": partial})
    linear = torch.nn.Linear(4, 8)
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    linear = parallelize_module(linear, grid["tp"], ColwiseParallel())
    fully_shard(linear, mesh=grid["dp"])
    save_ranks(rank, "ranks-strided", {"a.weight": linear.weight.detach()})
    two = {k: distribute_tensor(tensors["a.weight"], line, [Shard(0)]) for k in ("a", "b")}
    dcp.save({"model": {"x": two["a"]}, "module": {"x": two["b"]}}, checkpoint_id=path("dcp-two"))
    dcp.save({"policy": {"x": two["a"]}}, checkpoint_id=path("dcp-other-key"))
    dist.destroy_process_group()


def of_one_process():
    tensors = whole()
    tensors["f.scalar"] = torch.tensor(1.5)
    tensors["g.empty"] = torch.zeros(0, 3)
    tensors["h.steps"] = torch.arange(4)
    expect("dcp-one", tensors)
    dcp.save(dict(tensors), checkpoint_id=path("dcp-one"), no_dist=True)

    # Views that are not contiguous, in one file.
    base = normal(6, 8)
    views = {
        "turned": normal(3, 4, dtype=torch.bfloat16).t(),
        "columns": base[:, 2:5],
        "steps": base[::2, 1::3],
        "permuted": normal(2, 3, 4).permute(2, 0, 1),
        "channels.last": normal(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "bytes": torch.arange(6, dtype=torch.uint8).reshape(2, 3).t(),
        "large": normal(150, 70, dtype=torch.float16).t(),
        "plain": normal(2, 2),
    }
    torch.save(views, path("views/model.pt"))
    expect("views", views)


def scaler():
    """Returns objects of the classes that DeepSpeed stores beside the masters."""
    names = ["deepspeed", "deepspeed.runtime", "deepspeed.runtime.fp16", "deepspeed.runtime.fp16.loss_scaler"]
    names += ["deepspeed.runtime.zero", "deepspeed.runtime.zero.config"]
    names += ["deepspeed.utils", "deepspeed.utils.tensor_fragment"]
    modules = {name: sys.modules.setdefault(name, types.ModuleType(name)) for name in names}
    scaling = type("LossScaler", (), {"__module__": names[3]})
    modules[names[3]].LossScaler = scaling
    import enum

    stages = enum.Enum("ZeroStageEnum", {"gradients": 2, "weights": 3}, module=names[5], type=int)
    modules[names[5]].ZeroStageEnum = stages
    address = type("fragment_address", (), {"__module__": names[-1]})
    modules[names[-1]].fragment_address = address
    made = scaling()
    made.cur_scale = 1.0
    made.dtype = torch.bfloat16
    place = address()
    place.numel, place.start = 4, 0
    return made, stages, place


def zero(stage, world):
    """Cuts tensors as ZeRO does: stage 2 all parameters of a group together, stage 3 each parameter."""
    made, stages, place = scaler()
    name = f"zero-{stage}"
    groups = [
        OrderedDict({"model.embed_tokens.weight": normal(7, 4), "a.weight": normal(5, 3), "e.weight": normal(2, 3, 2)}),
        OrderedDict({"a.bias": normal(5), "norm.weight": normal(1)}),
    ]
    frozen = OrderedDict({"z.weight": normal(3, 3, dtype=torch.bfloat16)})
    buffers = {"rotary.inv_freq": normal(4)}
    shared = {"lm_head.weight": "model.embed_tokens.weight"}
    parameters = {k: v for group in groups for k, v in group.items()}
    expect(name, {**parameters, **frozen, **buffers})

    def part(vector, rank, align):
        length = align * math.ceil(vector.numel() / align) // world
        padded = torch.cat([vector.flatten(), torch.zeros(length * world - vector.numel(), dtype=vector.dtype)])
        return padded[rank * length : (rank + 1) * length].clone()

    for rank in range(world):
        if stage == 3:
            flat = torch.cat([part(v, rank, world) for v in parameters.values()])
            vectors = [flat[:15].clone(), flat[15:].clone()]  # a group may end after any parameter
            key = "fp32_flat_groups"
        else:
            flat = [torch.cat([v.flatten() for v in g.values()]) for g in groups]
            vectors = [part(v, rank, 2 * world) for v in flat]
            # The padding of the last process is not stored.
            starts = [rank * own.numel() for own in vectors]
            vectors = [own[: max(0, v.numel() - at)].clone() for own, v, at in zip(vectors, flat, starts)]
            key = "single_partition_of_fp32_groups"
        moments = {i: {"step": torch.tensor(1.0), "exp_avg": torch.zeros_like(v)} for i, v in enumerate(vectors)}
        state = {
            "zero_stage": stages(stage),
            "loss_scaler": made,
            "dynamic_loss_scale": False,
            "overflow": False,
            "partition_count": world if stage == 3 else [world] * len(groups),
            "base_optimizer_state": {"state": moments, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.95)}]},
            key: vectors,
            "group_paddings": [0, 2],
            "param_slice_mappings": [OrderedDict({k: place for k in group}) for group in groups],
        }
        everything = {"optimizer_state_dict": state, "ds_config": {"train_batch_size": 8}, "ds_version": "0.15.0"}
        step = f"{name}/global_step5"
        prefix = "bf16_" if stage == 2 else ""
        torch.save(everything, path(f"{step}/{prefix}zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"))
        if rank > 0 and stage < 3:
            continue
        module = {k: v.bfloat16() if stage < 3 else torch.zeros(0) for k, v in {**parameters, **frozen}.items()}
        module.update(buffers)
        model = {
            "module": module,
            "buffer_names": list(buffers),
            "optimizer": None,
            "param_shapes": [OrderedDict({k: v.shape for k, v in group.items()}) for group in groups],
            "frozen_param_shapes": OrderedDict({k: v.shape for k, v in frozen.items()}),
            "frozen_param_fragments": OrderedDict(
                {k: part(v, rank, world) if stage == 3 else v for k, v in frozen.items()}
            ),
            "shared_params": shared,
            "sparse_tensor_module_names": set(),
            "dp_world_size": world,
            "mp_world_size": 1,
            "ds_version": "0.15.0",
        }
        own = f"zero_pp_rank_{rank}_mp_rank_00" if stage == 3 else "mp_rank_00"
        torch.save(model, path(f"{step}/{own}_model_states.pt"))
    with open(path(f"{name}/latest"), "w") as file:
        file.write("global_step5")


if __name__ == "__main__":
    for old in os.listdir(OUT):
        if old.startswith(("dcp-", "ranks-", "zero-", "views", "expected")):
            shutil.rmtree(os.path.join(OUT, old))
    mp.spawn(of_rank, (), WORLD)
    of_one_process()
    zero(2, 2)
    zero(3, 3)
