"""make_optimizers.py FILE: writes steps of torch.optim.SGD and torch.optim.Muon with clipped gradients, as references for Sgd and Muon.

Each rule moves a wide and a tall matrix and a vector. The vector beside Muon is moved by AdamW, as in Muon's first implementation. The
Newton-Schulz iterations of torch run in bfloat16; "exact" repeats them in float64, so that the rest can be held to float32's precision."""
import json
import sys

import torch

RATE, DECAY, CLIP, STEPS = 0.05, 0.1, 1.5, 6


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


records = {"sgd": steps(sgd(0.9, False)), "sgd-nesterov": steps(sgd(0.9, True)), "sgd-plain": steps(sgd(0, False)),
           "muon-bf16": steps(muon("match_rms_adamw", True))}
torch.optim._muon._zeropower_via_newtonschulz = exact
records |= {"muon": steps(muon("match_rms_adamw", True)), "muon-original": steps(muon("original", False))}
with open(sys.argv[1], "w") as file:
    json.dump(records, file)
    file.write("\n")
