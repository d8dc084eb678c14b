"""Collects the names and shapes of models, for the test of families.

    python families.py ../resources/families/families.json MODEL_DIRECTORY...

A model directory has config.json and safetensors files, as save_pretrained of transformers writes them. Models of two
layers with random weights are enough: AutoModelForCausalLM.from_config makes them.
"""
import glob
import json
import os
import struct
import sys

FIELDS = {
    "model_type", "num_attention_heads", "num_key_value_heads", "num_kv_heads", "num_heads", "head_dim", "hidden_size",
    "n_head", "n_heads", "n_embd", "d_model", "multi_query", "new_decoder_architecture", "global_head_dim",
    "num_global_key_value_heads", "layer_types", "num_hidden_layers", "n_layer", "n_layers", "tie_word_embeddings",
}

models = {}
for directory in sorted(sys.argv[2:]):
    tensors = {}
    for path in sorted(glob.glob(directory + "/*.safetensors")):
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length))
        tensors.update({name: entry["shape"] for name, entry in header.items() if name != "__metadata__"})
    with open(directory + "/config.json") as file:
        config = {name: value for name, value in json.load(file).items() if name in FIELDS}
    name = os.path.basename(os.path.dirname(os.path.abspath(directory)))
    models[name] = {"config": config, "tensors": dict(sorted(tensors.items()))}

lines = [" %s: %s" % (json.dumps(name), json.dumps(model, separators=(",", ":"))) for name, model in models.items()]
with open(sys.argv[1], "w") as file:
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
