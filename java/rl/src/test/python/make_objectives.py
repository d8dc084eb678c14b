"""make_objectives.py FILE: writes losses, gradients and metrics of TRL's trainers on a small batch, as a reference for PolicyObjective.

It calls _compute_loss of the trainers, in float64, on an object that has only the attributes that this method reads.
"""
import collections
import json
import sys
import types

import torch
from trl import GRPOTrainer, RLOOTrainer

ROWS, TOKENS = 4, 6
torch.manual_seed(3)
NEW = -torch.rand(ROWS, TOKENS, dtype=torch.float64) * 3
OLD = NEW + 0.5 * torch.randn(ROWS, TOKENS, dtype=torch.float64)
REFERENCE = NEW + 0.3 * torch.randn(ROWS, TOKENS, dtype=torch.float64)
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]], dtype=torch.float64)
ADVANTAGES = torch.tensor([1.2, -0.7, 0.4, -0.9], dtype=torch.float64)
LENGTH = 8

CASES = {
    "grpo": dict(loss_type="grpo", beta=0.04),
    "bnpo": dict(loss_type="bnpo"),
    "dapo": dict(loss_type="dapo", epsilon_high=0.28),
    "dr_grpo": dict(loss_type="dr_grpo"),
    "gspo": dict(loss_type="grpo", importance_sampling_level="sequence", epsilon_low=0.05, epsilon_high=0.1),
    "cispo": dict(loss_type="cispo", epsilon_high=1.3),
    "rloo": dict(trainer=RLOOTrainer),
}


def run(trainer=GRPOTrainer, loss_type="grpo", beta=0.0, epsilon_low=0.2, epsilon_high=0.2, importance_sampling_level="token"):
    logps = NEW.clone().requires_grad_(True)
    gather = lambda value: value
    accelerator = types.SimpleNamespace(gather=gather, gather_for_metrics=gather, reduce=lambda value, reduction: value, num_processes=1, sync_gradients=True)
    own = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps), None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level=importance_sampling_level, beta=beta,
        args=types.SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1), loss_type=loss_type, epsilon_low=epsilon_low,
        epsilon_high=epsilon_high, use_vllm=False, model=types.SimpleNamespace(training=True), current_gradient_accumulation_steps=1,
        max_completion_length=LENGTH, _entropy_bonus_enabled=False, accelerator=accelerator,
        _metrics=collections.defaultdict(lambda: collections.defaultdict(list)))
    tokens = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    inputs = dict(prompt_ids=tokens[:, :1], prompt_mask=MASK[:, :1].long(), completion_ids=tokens, completion_mask=MASK, advantages=ADVANTAGES, old_per_token_logps=OLD,
                  old_logps=(OLD * MASK).sum(1), ref_per_token_logps=REFERENCE, num_items_in_batch=MASK.sum())
    loss = trainer._compute_loss(own, None, inputs)
    loss.backward()
    metrics = {name: values[0] for name, values in own._metrics["train"].items() if name == "kl" or "clip_ratio" in name}
    return {"loss": loss.item(), "gradient": logps.grad.flatten().tolist(), "metrics": metrics}


def main():
    batch = {"rows": ROWS, "tokens": TOKENS, "length": LENGTH}
    for name, values in (("logProbabilities", NEW), ("before", OLD), ("reference", REFERENCE), ("mask", MASK), ("advantages", ADVANTAGES)):
        batch[name] = values.flatten().tolist()
    with open(sys.argv[1], "w") as file:
        json.dump({"batch": batch, "cases": {name: run(**case) for name, case in CASES.items()}}, file, indent=1)
        file.write("\n")


main()
