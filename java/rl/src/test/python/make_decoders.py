"""make_decoders.py DIRECTORY [MODEL FILE]: writes tiny random decoders of each family and their results by transformers, as a reference for Decoder.

Each has config.json, model.safetensors and expected.safetensors. The last one holds tokens and a mask (3 rows, padded on the left),
the logits where the mask is 1, the mean loss of the next tokens, and its gradient for each parameter. expected-beyond.safetensors has
logits of texts that are longer than the positions of the model, where the positions are extended. expected-long.safetensors has
logits and gradients of texts of more tokens than a chunk of the gated delta rule. With a MODEL that has a
tokenizer, the tokens and logits of a few texts are written to FILE. Run it again only to add a family,
with its name in ONLY.
"""
import json
import os
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, GptOssConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3_5Config,
                          Qwen3_5ForConditionalGeneration, Qwen3_5MoeTextConfig, Qwen3_5TextConfig, Qwen3Config, Qwen3MoeConfig, Qwen3NextConfig)

SIZES = dict(vocab_size=24, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32, head_dim=8,
             bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.4)

LARGER = {**SIZES, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 24, "initializer_range": 0.2}
EXPERTS = dict(moe_intermediate_size=12, num_experts=4, num_experts_per_tok=2)
# What the first tokens read from a memory may be small. With a small term, its norm would lose more digits than the test allows.
LINEAR = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=6, rms_norm_eps=1e-2)
SHARED = dict(moe_intermediate_size=12, shared_expert_intermediate_size=10, num_experts=4, num_experts_per_tok=2)
VISION = dict(depth=1, hidden_size=8, intermediate_size=12, num_heads=2, in_channels=3, patch_size=4, spatial_merge_size=2, temporal_patch_size=2,
              out_hidden_size=32, num_position_embeddings=16)
SPLIT = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}


def rope(kind, **parameters):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=100.0, **parameters))


DECODERS = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=False),
    "llama-tied-biased": LlamaConfig(**SIZES, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3),
    "llama-linear": LlamaConfig(**SIZES, **rope("linear", factor=4.0)),
    "llama-3": LlamaConfig(**SIZES, **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
    "llama-yarn": LlamaConfig(**SIZES, **rope("yarn", factor=4.0, original_max_position_embeddings=8)),
    "llama-dynamic": LlamaConfig(**SIZES, **rope("dynamic", factor=2.0)),
    "qwen2": Qwen2Config(**{**SIZES, "head_dim": 4}, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**{**SIZES, "head_dim": 6}, tie_word_embeddings=False),
    "mistral-window": MistralConfig(**SIZES, sliding_window=4, tie_word_embeddings=False),
    "llama-longrope": LlamaConfig(**SIZES, **rope("longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.0, 2.0, 5.0, 9.0], factor=4.0, original_max_position_embeddings=20)),
    "qwen3-moe": Qwen3MoeConfig(**{**LARGER, "num_hidden_layers": 3}, **EXPERTS, norm_topk_prob=True, mlp_only_layers=[1], tie_word_embeddings=False),
    "qwen3-moe-fused": Qwen3MoeConfig(**LARGER, **EXPERTS, norm_topk_prob=False, tie_word_embeddings=True),
    "gemma3": Gemma3TextConfig(**{**LARGER, "num_hidden_layers": 3}, query_pre_attn_scalar=12, sliding_window=4, sliding_window_pattern=3, rope_parameters=dict(
        full_attention=dict(rope_type="linear", factor=4.0, rope_theta=1000.0), sliding_attention=dict(rope_type="default", rope_theta=100.0))),
    "gpt-oss": GptOssConfig(**LARGER, num_local_experts=4, num_experts_per_tok=2, sliding_window=4, **rope(
        "yarn", factor=4.0, beta_fast=2.0, beta_slow=0.5, truncate=False, original_max_position_embeddings=16)),
    "qwen3-5-text": Qwen3_5TextConfig(**{**LARGER, "num_hidden_layers": 3}, **LINEAR, linear_conv_kernel_dim=3, attention_bias=True, tie_word_embeddings=True,
                                      layer_types=["linear_attention", "full_attention", "linear_attention"],
                                      **rope("yarn", factor=4.0, original_max_position_embeddings=8, partial_rotary_factor=0.5)),
    "qwen3-5": Qwen3_5Config(text_config=dict(**{**LARGER, "num_hidden_layers": 4}, **LINEAR, tie_word_embeddings=False,
                                              **rope("default", partial_rotary_factor=0.5, mrope_section=[1, 1, 0], mrope_interleaved=True)),
                             vision_config=VISION, tie_word_embeddings=False, image_token_id=60, video_token_id=61, vision_start_token_id=62, vision_end_token_id=63),
    "qwen3-5-moe": Qwen3_5MoeTextConfig(**{**LARGER, "num_hidden_layers": 2, "intermediate_size": None}, **{**LINEAR, "linear_num_value_heads": 2}, **SHARED,
                                        layer_types=["linear_attention", "full_attention"], tie_word_embeddings=False, **rope("default", partial_rotary_factor=0.25)),
    "qwen3-next": Qwen3NextConfig(**{**LARGER, "num_hidden_layers": 3}, **LINEAR, **SHARED, mlp_only_layers=[1], tie_word_embeddings=False,
                                  layer_types=["linear_attention", "full_attention", "linear_attention"], **rope("default", partial_rotary_factor=0.25)),
}
if "ONLY" in os.environ:
    DECODERS = {name: config for name, config in DECODERS.items() if name in os.environ["ONLY"].split(",")}


def as_on_the_hub(gradients):
    """Splits the gradients of fused experts into those of the matrices of each expert."""
    for name in [name for name in gradients if ".experts." in name]:
        prefix, kind = name.rsplit(".", 1)
        for number, matrix in enumerate(gradients.pop(name)):
            for part, rows in zip(SPLIT[kind], matrix.chunk(len(SPLIT[kind]))):
                gradients[f"{prefix}.{number}.{part}.weight"] = rows
    return gradients


def parameters_of(model):
    """Draws norms and biases, and gives the memories of gated delta rules rates at which they last for many tokens."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):
                parameter.copy_(torch.empty_like(parameter).uniform_(0.01, 0.5).log())
            elif name.endswith("dt_bias"):
                parameter.copy_(torch.randn_like(parameter))
            elif "norm" in name or name.endswith("bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
            if name.endswith("gate_up_proj_bias"):
                parameter[0].mul_(30)  # so that some activations are clipped


def nested(config, directory):
    """Saves a model with vision and text, and tensors for the prediction of several tokens; returns its text model."""
    whole = Qwen3_5ForConditionalGeneration._from_config(config, attn_implementation="eager", dtype=torch.float32)
    parameters_of(whole)
    whole.save_pretrained(directory)
    stored = load_file(directory / "model.safetensors")
    stored.update({"mtp.fc.weight": torch.randn(32, 64), "mtp.norm.weight": torch.randn(32)})
    save_file(stored, directory / "model.safetensors", {"format": "pt"})
    text = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
    tokens = torch.randint(3, 60, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(text(input_ids=tokens).logits, whole(input_ids=tokens).logits)
    return text


def expected_of(model, tokens, mask):
    """Returns the logits, the mean loss of the next tokens and its gradients."""
    model.zero_grad()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(input_ids=tokens, attention_mask=mask, position_ids=positions).logits
    counted = (mask[:, 1:] * mask[:, :-1]).bool()
    loss = torch.nn.functional.cross_entropy(logits[:, :-1][counted], tokens[:, 1:][counted])
    loss.backward()
    expected = {"tokens": tokens, "mask": mask, "logits": (logits * mask[:, :, None]).detach(), "loss": loss.detach().reshape(1)}
    return expected, {key: value.grad for key, value in model.named_parameters()}


def padded(vocabulary, lengths):
    """Returns random tokens that are padded on the left, and their mask."""
    columns = max(lengths)
    tokens = torch.randint(3, vocabulary, (len(lengths), columns))
    mask = torch.ones(len(lengths), columns, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, : columns - length] = 0
        tokens[row, : columns - length] = 0
    return tokens, mask


def main():
    for seed, (name, config) in enumerate(DECODERS.items()):
        torch.manual_seed(seed)
        directory = pathlib.Path(sys.argv[1]) / name
        text = config.get_text_config()
        if text is config:
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
            parameters_of(model)
            if "num_experts_per_tok" in config.to_dict():
                model.set_experts_implementation("eager")
            model.save_pretrained(directory, save_original_format=not name.endswith("-fused"))
        else:
            model = nested(config, directory)
        for extra in directory.glob("generation_config.json"):
            extra.unlink()
        expected, gradients = expected_of(model, *padded(text.vocab_size, (12, 9, 5)))
        if name in ("qwen3-moe", "qwen3-5-moe", "qwen3-next"):
            gradients = as_on_the_hub(gradients)
        if text is not config:
            gradients = {key.replace("model.", "model.language_model."): value for key, value in gradients.items()}
        expected.update({f"gradient.{key}": value for key, value in gradients.items()})
        save_file({key: value.contiguous() for key, value in expected.items()}, directory / "expected.safetensors")
        if name in ("qwen3-5", "qwen3-next"):
            expected, gradients = expected_of(model, *padded(text.vocab_size, (150, 100)))
            prefix = "model.language_model." if text is not config else "model."
            expected["logits"] = expected["logits"][:, -20:]
            expected.update({"gradient." + key.replace("model.", prefix): value for key, value in gradients.items() if "linear_attn" in key})
            save_file({key: value.contiguous() for key, value in expected.items()}, directory / "expected-long.safetensors")
        config_path = directory / "config.json"
        config_path.write_text(json.dumps(json.loads(config_path.read_text()), indent=1) + "\n")


def beyond():
    """Writes expected-beyond.safetensors beside each decoder whose rotary embeddings are extended: the logits of texts that are longer
    than its positions, row by row, and those of a cache that was filled with 8 tokens and then gets one at a time."""
    for name in sorted(DECODERS):
        config = DECODERS[name]
        own = config.get_text_config().rope_parameters
        if all(each["rope_type"] == "default" for each in ([own] if "rope_type" in own else own.values())):
            continue
        directory = pathlib.Path(sys.argv[1]) / name
        torch.manual_seed(7)
        tokens = torch.randint(3, SIZES["vocab_size"], (3, 40))
        lengths = (40, 33, 9)
        whole, cached = torch.zeros(2, 3, 40, config.get_text_config().vocab_size)
        with torch.no_grad():
            for row, length in enumerate(lengths):
                # A model of its own for each text, because dynamic embeddings remember the longest one.
                own = tokens[row:row + 1, :length]
                model = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
                whole[row, :length] = model(input_ids=own).logits[0]
                model = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
                cache = None
                for begin, end in [(0, 8)] + [(at, at + 1) for at in range(8, length)]:
                    result = model(input_ids=own[:, begin:end], past_key_values=cache, use_cache=True)
                    cache = result.past_key_values
                    cached[row, begin:end] = result.logits[0]
        save_file({"tokens": tokens, "lengths": torch.tensor(lengths), "whole": whole, "cached": cached}, directory / "expected-beyond.safetensors")


def texts_of(model_path, path):
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    tokens = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("B04+19=023$", "B84-90=-06$", "B12*34=08#9")])
    with torch.no_grad():
        save_file({"tokens": tokens, "logits": model(input_ids=tokens).logits.contiguous()}, path)


main()
beyond()
if len(sys.argv) > 2:
    texts_of(sys.argv[2], sys.argv[3])
