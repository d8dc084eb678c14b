"""make_optimizers.py DIRECTORY: writes steps of PyTorch's optimizers with clipped gradients, as references.

- adamw.json: AdamW with warm-up and cosine decay, for a matrix and a vector.
- optimizers.json: SGD and Muon for a wide matrix, a tall one and a vector. The vector beside Muon is moved by AdamW, as in Muon's first
  implementation. The Newton-Schulz iterations of torch run in bfloat16. "exact" repeats them in float64, so that the rest can be held to
  the precision of float32.
"""
import json
import math
import pathlib
import sys

import torch

RATE, DECAY, CLIP, STEPS = 0.05, 0.1, 1.5, 6
SCHEDULED, WARM_UP, FLOOR = 7, 3, 0.1  # of AdamW


def exact(gradient, coefficients, steps, eps):
    a, b, c = coefficients
    x = gradient.double()
    if gradient.size(0) > gradient.size(1):
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if gradient.size(0) > gradient.size(1) else x).float()


def sgd(momentum, nesterov):
    def make(wide, tall, vector):
        return [torch.optim.SGD([{"params": [wide, tall], "weight_decay": DECAY}, {"params": [vector], "weight_decay": 0.0}],
                                lr=RATE, momentum=momentum, nesterov=nesterov)]
    return make


def muon(scaling, nesterov):
    def make(wide, tall, vector):
        return [torch.optim.Muon([wide, tall], lr=RATE, weight_decay=DECAY, momentum=0.9, nesterov=nesterov, adjust_lr_fn=scaling),
                torch.optim.AdamW([vector], lr=RATE, weight_decay=0.0, betas=(0.9, 0.95), eps=1e-8)]
    return make


def steps(make):
    torch.manual_seed(6)
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in [(3, 5), (6, 2), (4,)]]
    optimizers = make(*parameters)
    record = {"begin": [p.detach().flatten().tolist() for p in parameters], "steps": []}
    for _ in range(STEPS):
        gradients = [0.3 * torch.randn(p.shape) for p in parameters]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        for optimizer in optimizers:
            optimizer.step()
        record["steps"].append({"norm": norm.item(), "gradients": [g.flatten().tolist() for g in gradients],
                                "parameters": [p.detach().flatten().tolist() for p in parameters]})
    return record


def scheduled():
    torch.manual_seed(5)
    matrix = torch.nn.Parameter(torch.randn(3, 4))
    vector = torch.nn.Parameter(torch.randn(4))
    optimizer = torch.optim.AdamW([{"params": [matrix], "weight_decay": DECAY}, {"params": [vector], "weight_decay": 0.0}],
                                  lr=RATE, betas=(0.9, 0.95), eps=1e-8)
    record = {"matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist(), "steps": []}
    for step in range(SCHEDULED):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        gradients = [torch.randn(3, 4), 0.2 * torch.randn(4)]
        matrix.grad, vector.grad = [gradient.clone() for gradient in gradients]
        norm = torch.nn.utils.clip_grad_norm_([matrix, vector], CLIP)
        optimizer.step()
        record["steps"].append({"rate": rate(step), "norm": norm.item(), "gradients": [gradient.flatten().tolist() for gradient in gradients],
                                "matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist()})
    return record


def rate(step):
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / (SCHEDULED - WARM_UP)
    return RATE * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))


def write(name, record, **form):
    with open(pathlib.Path(sys.argv[1], name), "w") as file:
        json.dump(record, file, **form)
        file.write("\n")


write("adamw.json", scheduled(), indent=1)
records = {"sgd": steps(sgd(0.9, False)), "sgd-nesterov": steps(sgd(0.9, True)), "sgd-plain": steps(sgd(0, False)),
           "muon-bf16": steps(muon("match_rms_adamw", True))}
torch.optim._muon._zeropower_via_newtonschulz = exact
records |= {"muon": steps(muon("match_rms_adamw", True)), "muon-original": steps(muon("original", False))}
write("optimizers.json", records)
