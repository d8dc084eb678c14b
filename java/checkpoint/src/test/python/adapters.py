"""Writes small adapters with PEFT, and what PEFT's own merge makes of them in float64.

    python adapters.py ../resources/adapters       needs torch, transformers, PEFT 0.21 and safetensors

bases/NAME is a random model. cases/NAME is an adapter; base.txt names its model, initial/ is the adapter before
training where one is needed, and expected.safetensors has the changes of the weights in float64: merged minus base.
"""
import copy
import os
import shutil
import sys
import warnings

import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
import transformers
from peft import (AdaLoraConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, TrainableTokensConfig, VeraConfig,
                  get_peft_model)

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
OUT = sys.argv[1]
SMALL = dict(vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=4, max_position_embeddings=8, bos_token_id=0, eos_token_id=1,
             pad_token_id=None)
MOE = dict(SMALL, moe_intermediate_size=12, num_experts=3, num_experts_per_tok=2, num_hidden_layers=1)
CONFIGS = {
    "llama": transformers.LlamaConfig(**SMALL),
    "llama-tied": transformers.LlamaConfig(**dict(SMALL, num_hidden_layers=1, tie_word_embeddings=True)),
    "qwen2": transformers.Qwen2Config(**dict(SMALL, num_hidden_layers=1)),
    "gpt2": transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=4, bos_token_id=0,
                                    eos_token_id=1, tie_word_embeddings=False),
    "moe": transformers.Qwen3MoeConfig(**MOE),
    "gpt-oss": transformers.GptOssConfig(**dict(SMALL, intermediate_size=16, num_local_experts=3, num_experts_per_tok=2,
                                                num_hidden_layers=1, layer_types=["full_attention"])),
}


def plain(state):
    """Returns tensors without copies of the same memory, as files have them."""
    seen, kept = set(), {}
    for name, tensor in state.items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            kept[name] = tensor.detach().clone().contiguous()
    return kept


def write_bases():
    for name, config in CONFIGS.items():
        torch.manual_seed(1)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        generator = torch.Generator().manual_seed(2)
        for own, tensor in model.named_parameters():
            if own.endswith("bias"):
                tensor.data = torch.randn(tensor.shape, generator=generator) * 0.1
        directory = f"{OUT}/bases/{name}"
        os.makedirs(directory, exist_ok=True)
        save_file(plain(model.state_dict()), directory + "/model.safetensors")
        config.save_pretrained(directory)


def load(name):
    from safetensors.torch import load_file
    model = transformers.AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name]), dtype=torch.float32)
    missing = model.load_state_dict(load_file(f"{OUT}/bases/{name}/model.safetensors"), strict=False)
    assert not missing.unexpected_keys, missing
    model.tie_weights()
    return model


def train(model):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.requires_grad:
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.05)


def case(name, base, config, initial=False, resize=0):
    directory = f"{OUT}/cases/{name}"
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(0)
    model = load(base)
    before = {own: tensor.double().clone() for own, tensor in plain(model.state_dict()).items()}
    if resize:
        model.resize_token_embeddings(resize)
    tuned = get_peft_model(model, config)
    if initial:
        tuned.save_pretrained(directory + "/initial")
    train(tuned)
    tuned.save_pretrained(directory, save_embedding_layers=True if resize else "auto")
    for own in [directory, directory + "/initial"]:
        if os.path.exists(own + "/README.md"):
            os.remove(own + "/README.md")
    merged = tuned.double().merge_and_unload().state_dict()
    changes = {}
    for own, tensor in before.items():
        change = merged[own][:tensor.shape[0]] - tensor
        if change.abs().max() > 0:
            changes[own] = change.contiguous()
    save_file(changes, directory + "/expected.safetensors")
    with open(directory + "/base.txt", "w") as file:
        file.write(base + "\n")
    print(name, len(changes))


def lora(targets, **options):
    options = {"r": 2, "lora_alpha": 8, **options}
    return LoraConfig(task_type="CAUSAL_LM", target_modules=targets, **options)


write_bases()
QV = ["q_proj", "v_proj"]
case("patterns", "llama", lora(["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"],
                               rank_pattern={"q_proj|k_proj": 4, "layers.1.mlp.down_proj": 1},
                               alpha_pattern={"v_proj|o_proj": 32, "^model\\.layers\\.0\\.mlp": 3}))
case("rslora", "qwen2", lora(QV, use_rslora=True, r=3))
case("orthogonal", "qwen2", lora(QV, init_lora_weights="orthogonal"))
case("mica", "qwen2", lora(QV, init_lora_weights="mica"))
case("pissa", "qwen2", lora(QV, init_lora_weights="pissa"), initial=True)
case("olora", "qwen2", lora(QV, init_lora_weights="olora"), initial=True)
case("bias-all", "qwen2", lora(QV, bias="all"))
case("bias-lora-only", "qwen2", lora(QV, bias="lora_only"))
case("lora-bias", "qwen2", lora(QV, lora_bias=True))
case("whole-modules", "llama", lora(["q_proj"], modules_to_save=["lm_head", "embed_tokens", "norm"]))
case("resized", "llama", lora(["q_proj"], modules_to_save=["lm_head", "embed_tokens"]), resize=23)
case("resized-embedding", "llama", lora(["q_proj", "embed_tokens"]), resize=23)
case("embedding", "llama", lora(["embed_tokens", "lm_head"]))
case("tokens", "llama", lora(["q_proj"], trainable_token_indices={"embed_tokens": [3, 7]}))
case("tokens-list", "llama-tied", lora(["q_proj"], trainable_token_indices=[5, 1]))
case("tokens-only", "llama", TrainableTokensConfig(token_indices=[2, 19], target_modules=["embed_tokens"]))
case("conv1d", "gpt2", lora(["c_attn", "c_proj", "c_fc", "lm_head"], fan_in_fan_out=True))
case("conv1d-no-flag", "gpt2", lora(["lm_head", "attn.c_proj"], fan_in_fan_out=False))
case("dora", "llama", lora(["q_proj", "down_proj"], use_dora=True))
case("dora-embedding", "llama", lora(["embed_tokens"], use_dora=True, use_rslora=True))
case("dora-conv1d", "gpt2", lora(["c_attn", "attn.c_proj"], use_dora=True))
case("dora-pissa", "qwen2", lora(QV, use_dora=True, init_lora_weights="pissa"), initial=True)
case("experts", "moe", lora(["q_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]))
case("experts-down", "moe", lora(["q_proj"], target_parameters=["experts.down_proj"], rank_pattern={"down_proj": 3}))
case("router", "moe", lora(["q_proj"], target_parameters=["mlp.gate.weight"]))
case("experts-inputs-first", "gpt-oss", lora(["q_proj"], target_parameters=["mlp.experts.gate_up_proj",
                                                                            "mlp.experts.down_proj"]))
case("adalora", "qwen2", AdaLoraConfig(task_type="CAUSAL_LM", init_r=3, target_r=2, total_step=10, lora_alpha=8,
                                       target_modules=QV))
case("ia3", "qwen2", IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj", "v_proj", "down_proj"],
                               feedforward_modules=["down_proj"]))
case("ia3-conv1d", "gpt2", IA3Config(task_type="CAUSAL_LM", target_modules=["c_attn", "attn.c_proj", "mlp.c_proj"],
                                     feedforward_modules=["mlp.c_proj"]))
case("loha", "qwen2", LoHaConfig(task_type="CAUSAL_LM", r=2, alpha=6, target_modules=["q_proj", "down_proj"],
                                 alpha_pattern={"down_proj": 3}))
case("lokr", "qwen2", LoKrConfig(task_type="CAUSAL_LM", r=2, alpha=6, target_modules=["q_proj", "down_proj"]))
case("lokr-both", "qwen2", LoKrConfig(task_type="CAUSAL_LM", r=1, alpha=6, decompose_both=True,
                                      target_modules=["q_proj", "down_proj"]))
case("oft", "qwen2", OFTConfig(task_type="CAUSAL_LM", oft_block_size=4, target_modules=["q_proj", "down_proj"]))
case("oft-shared", "qwen2", OFTConfig(task_type="CAUSAL_LM", oft_block_size=8, block_share=True,
                                      num_cayley_neumann_terms=3, target_modules=["q_proj"]))
case("vera", "qwen2", VeraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"]))
case("vera-conv1d", "gpt2", VeraConfig(task_type="CAUSAL_LM", r=4, target_modules=["attn.c_proj"]))


def by_expert(tensors):
    """Returns tensors with a matrix for each expert, as many files have them."""
    split = {}
    for name, tensor in tensors.items():
        if name.endswith("experts.gate_up_proj"):
            half = tensor.shape[1] // 2
            for e in range(tensor.shape[0]):
                for own, part in [("gate_proj", tensor[e, :half]), ("up_proj", tensor[e, half:])]:
                    split[name.replace("gate_up_proj", f"{e}.{own}.weight")] = part.contiguous()
        elif name.endswith("experts.down_proj"):
            for e in range(tensor.shape[0]):
                split[name.replace("down_proj", f"{e}.down_proj.weight")] = tensor[e].contiguous()
        else:
            split[name] = tensor
    return split


def write_by_expert():
    from safetensors.torch import load_file
    shutil.copytree(OUT + "/bases/moe", OUT + "/bases/moe-by-expert", dirs_exist_ok=True)
    shutil.copytree(OUT + "/cases/experts", OUT + "/cases/experts-by-expert", dirs_exist_ok=True)
    for file in ["/bases/moe%s/model.safetensors", "/cases/experts%s/expected.safetensors"]:
        save_file(by_expert(load_file(OUT + file % "")), OUT + file % "-by-expert")
    with open(OUT + "/cases/experts-by-expert/base.txt", "w") as text:
        text.write("moe-by-expert\n")


write_by_expert()
