"""training_peers.py MODEL: measures the update and the sampling of TrainingBench with transformers and eager torch, on all processors.

Prints, tab-separated: name, seconds (the best of ten).
"""
import sys
import time

import torch
from transformers import AutoModelForCausalLM

ROWS, GROUP, PROMPT, COMPLETION = 256, 16, 7, 6
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
vocabulary = model.config.vocab_size
tokens = (3 + torch.arange(ROWS * (PROMPT + COMPLETION)) * 7 % (vocabulary - 3)).reshape(ROWS, -1)
advantages = torch.where(torch.arange(ROWS) % 2 == 0, 1.0, -1.0)[:, None]
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0)


def update():
    logits = model(input_ids=tokens).logits[:, PROMPT - 1 : -1]
    own = logits.log_softmax(-1).gather(-1, tokens[:, PROMPT:, None])[..., 0]
    ratio = (own - own.detach()).exp()
    loss = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    optimizer.zero_grad()


prompts = 3 + (torch.arange(ROWS // GROUP)[:, None] + torch.arange(PROMPT)) % (vocabulary - 3)


def sampling():
    model.generate(prompts, attention_mask=torch.ones_like(prompts), min_new_tokens=10, max_new_tokens=10, do_sample=True, num_return_sequences=GROUP, top_k=0, pad_token_id=0)


for name, body in (("update", update), ("sampling", sampling)):
    best = float("inf")
    for _ in range(10):
        begin = time.perf_counter()
        body()
        best = min(best, time.perf_counter() - begin)
    print(f"{name}\t{best:.4f}", flush=True)
