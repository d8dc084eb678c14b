"""make_optimizer.py FILE: writes steps of torch.optim.AdamW with clipped gradients and a schedule, as a reference for AdamW."""
import json
import math
import sys

import torch

torch.manual_seed(5)
matrix = torch.nn.Parameter(torch.randn(3, 4))
vector = torch.nn.Parameter(torch.randn(4))
STEPS, RATE, WARM_UP, FLOOR, CLIP = 7, 0.05, 3, 0.1, 1.5
optimizer = torch.optim.AdamW([{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}], lr=RATE, betas=(0.9, 0.95), eps=1e-8)


def rate(step):
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / (STEPS - WARM_UP)
    return RATE * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))


record = {"matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist(), "steps": []}
for step in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    gradients = [torch.randn(3, 4), 0.2 * torch.randn(4)]
    matrix.grad, vector.grad = [gradient.clone() for gradient in gradients]
    norm = torch.nn.utils.clip_grad_norm_([matrix, vector], CLIP)
    optimizer.step()
    record["steps"].append({"rate": rate(step), "norm": norm.item(), "gradients": [gradient.flatten().tolist() for gradient in gradients],
                            "matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist()})
with open(sys.argv[1], "w") as file:
    json.dump(record, file, indent=1)
    file.write("\n")
