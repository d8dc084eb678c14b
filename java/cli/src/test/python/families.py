"""Collects the names and shapes of models, for the test of families.

    python families.py families.json MODEL_DIRECTORY...

A model directory has config.json and safetensors files, as save_pretrained of transformers writes them. Models of two
layers with random weights are enough: AutoModelForCausalLM.from_config makes them. AutoConfig.for_model makes the
configuration of an entry again, from its fields. Two entries were edited: deepseek_v3_mtp has a third layer with
eh_proj, and the experts of qwen3_vl_moe_hub are transposed, as in the published checkpoints. qwen, which is no part of
transformers, has the names and shapes of its own code.
"""
import glob
import json
import os
import struct
import sys

NOT_NEEDED = {"architectures", "transformers_version", "dtype", "use_cache", "initializer_range"}

models = {}
for directory in sorted(sys.argv[2:]):
    tensors = {}
    for path in sorted(glob.glob(directory + "/*.safetensors")):
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":  # the dtype is that of nearly all tensors, unless it is given
                dtype = [] if entry["dtype"] == "BF16" else [entry["dtype"]]
                tensors[name] = dtype + entry["shape"]
    with open(directory + "/config.json") as file:
        fields = json.load(file).items()
        config = {name: value for name, value in fields if name not in NOT_NEEDED and "dropout" not in name}
    name = os.path.basename(os.path.dirname(os.path.abspath(directory)))
    models[name] = {"config": config, "tensors": dict(sorted(tensors.items()))}

lines = [" %s: %s" % (json.dumps(name), json.dumps(model, separators=(",", ":"))) for name, model in models.items()]
with open(sys.argv[1], "w") as file:
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
