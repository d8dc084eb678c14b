"""make_adapters.py RESOURCES: writes an adapter by PEFT for one of the random decoders, as a reference for LowRankAdapter."""
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

resources = Path(sys.argv[1])
torch.manual_seed(3)
model = AutoModelForCausalLM.from_pretrained(resources / "decoders/llama", dtype=torch.float32)
config = LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
adapted = get_peft_model(model, config)
for name, parameter in adapted.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(parameter, std=0.3)
tokens = torch.arange(10).reshape(2, 5) % model.config.vocab_size
adapted.save_pretrained(resources / "adapters/lora")
(resources / "adapters/lora/README.md").unlink(missing_ok=True)
save_file({"logits": adapted(input_ids=tokens).logits.detach().contiguous()}, resources / "adapters/lora/expected.safetensors")
