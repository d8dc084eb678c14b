"""make_decoder.py DIRECTORY: writes a decoder of the shape of Qwen2.5-0.5B with random weights in bfloat16."""
import sys

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

torch.manual_seed(0)
config = Qwen2Config(
    vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
    num_key_value_heads=2, max_position_embeddings=32768, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    rms_norm_eps=1e-6, tie_word_embeddings=True)
Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(sys.argv[1])
