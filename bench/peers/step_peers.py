"""step_peers.py MODEL MODE WORK RUNS: the step of StepBench with transformers and torch, for a decoder in bfloat16.

MODE tells how float32 weights are kept, as two recipes of GRPO do:

    masters     bfloat16 parameters and float32 masters, which AdamW moves; the parameters are rounded from them
    autocast    float32 parameters, and matrix products in bfloat16 (TRL with bf16=True)

WORK is sampling, update or step, which is both. The loss is that of TRL's GRPOTrainer: one forward pass over all completions, logits of the
completions only, selective_log_softmax, and entropies for the metrics. AdamW is torch's fused one, which transformers takes by default.
Prints, tab-separated, for each run: name, seconds, processor seconds. Then the peak of resident memory in bytes.
"""
import contextlib
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import entropy_from_logits, selective_log_softmax

PROMPT, COMPLETION, GROUP, THREADS = 64, 64, 8, 2
path, mode, work, runs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
torch.set_num_threads(THREADS)
masters = mode == "masters"
dtype = torch.bfloat16 if masters else torch.float32
model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="sdpa")
model.generation_config.eos_token_id = None
vocabulary = model.config.vocab_size
moved = [p.detach().float() for p in model.parameters()] if masters else list(model.parameters())
optimizer = torch.optim.AdamW(moved, lr=1e-6, weight_decay=0, fused=True)
precision = contextlib.nullcontext if masters else lambda: torch.autocast("cpu", torch.bfloat16)
prompt = 3 + torch.arange(PROMPT)[None] * 7 % (vocabulary - 3)
advantages = torch.where(torch.arange(GROUP) % 2 == 0, 1.0, -1.0)[:, None]


def sampling():
    with torch.no_grad(), precision():
        return model.generate(
            prompt, attention_mask=torch.ones_like(prompt), min_new_tokens=COMPLETION, max_new_tokens=COMPLETION,
            do_sample=True, num_return_sequences=GROUP, top_k=0, top_p=1.0, temperature=1.0, pad_token_id=0)


def update(texts):
    with precision():
        logits = model(input_ids=texts, attention_mask=torch.ones_like(texts), logits_to_keep=COMPLETION + 1).logits
        logits = logits[:, :-1] / 1.0
        own = selective_log_softmax(logits, texts[:, PROMPT:])
        with torch.no_grad():
            entropies = entropy_from_logits(logits)
        ratio = (own - own.detach()).exp()
        loss = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    loss.backward()
    del logits, own, ratio, entropies
    if masters:
        for master, parameter in zip(moved, model.parameters()):
            master.grad, parameter.grad = parameter.grad.float(), None
    torch.nn.utils.clip_grad_norm_(moved, 1)
    optimizer.step()
    optimizer.zero_grad()
    if masters:
        with torch.no_grad():
            for master, parameter in zip(moved, model.parameters()):
                parameter.copy_(master)


def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


def timed(name, body):
    wall, processor = seconds()
    result = body()
    ended, used = seconds()
    print(f"{name}\t{ended - wall:.4f}\t{used - processor:.4f}", flush=True)
    return result


texts = 3 + torch.arange(GROUP * (PROMPT + COMPLETION)).reshape(GROUP, -1) * 7919 % (vocabulary - 3)
texts[:, :PROMPT] = prompt
for _ in range(runs):
    if work != "update":
        texts = timed("sampling", sampling)
    if work != "sampling":
        timed("update", lambda: update(texts))
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
print(f"peak\t{int(peak) * 1024}")
