"""make_objectives.py FILE: writes losses, gradients and metrics of TRL's GRPOTrainer and RLOOTrainer over a grid of their options.

The trainers' own methods score the completions of a step, split them into updates and compute the losses, in float64. Only the model and
the sampler are replaced: the policy is a table of logits by the last token, so that its gradient has few numbers, and the completions are
fixed. In cells with "tools", an environment wrote some of their tokens. Options that a cell does not name have the defaults of TRL. A cell has one update, or two where the completions are split.
"""
import collections
import contextlib
import json
import random
import sys
import types

import torch
import trl.trainer.grpo_trainer as grpo
import trl.trainer.rloo_trainer as rloo
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

torch.set_default_dtype(torch.float64)
END, PADDING, VOCABULARY, GROUP, LONGEST = 1, 0, 5, 4, 5
PROMPTS = [[2, 3]] * 4 + [[4]] * 4
COMPLETIONS = [[2, 3, 4, 1], [4, 4, 2, 3, 2], [1], [3, 2, 1], [2, 2, 4, 3, 1], [4, 1], [3, 3, 3, 4, 4], [2, 4, 1]]
# The second group has equal rewards in the first function. The third function lacks some rewards.
REWARDS = [[1, 0, 0.5, 0, 1, 1, 1, 1], [0.25, 0.5, 0, 0, 0.5, 0, 1, 0.25], [None, 1, 0.5, None, None, None, 1, 0]]
# 1 for tokens that the policy sampled, 0 for those that an environment wrote.
TOOL_MASK = [[1, 0, 0, 1], [1, 1, 0, 1, 1], [1], [1, 0, 1], [1, 0, 0, 0, 1], [1, 1], [1, 0, 1, 0, 0], [0, 0, 1]]
torch.manual_seed(3)
POLICY = torch.randn(VOCABULARY, VOCABULARY)
BEFORE = POLICY + 0.3 * torch.randn(VOCABULARY, VOCABULARY)
REFERENCE = POLICY + 0.5 * torch.randn(VOCABULARY, VOCABULARY)
SAMPLER = BEFORE + 0.15 * torch.randn(VOCABULARY, VOCABULARY)
UNKNOWN = (4, 1)  # the completion and the token whose probability the sampler did not report


class Table(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits.clone())

    def forward(self, input_ids, **_):
        return types.SimpleNamespace(logits=self.logits[input_ids])


def sampled(tools):
    """The log-probabilities that the sampler reported. TRL gives those of an environment 0."""
    table = SAMPLER.log_softmax(-1)
    rows = []
    for i, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS)):
        before = [prompt[-1]] + completion[:-1]
        rows.append([None if (i, j) == UNKNOWN else table[a, b].item() for j, (a, b) in enumerate(zip(before, completion))])
        if tools:
            rows[-1] = [value if own else 0.0 for value, own in zip(rows[-1], TOOL_MASK[i])]
    return rows


def bare(kind, config, options):
    """A trainer with the attributes that scoring and losses read, set as its constructor sets them."""
    options = dict(options)
    functions = options.pop("functions", [0])
    tools = options.pop("tools", False)
    given = dict(output_dir="unused", use_cpu=True, bf16=False, report_to="none", num_generations=GROUP, max_completion_length=LONGEST,
                 per_device_train_batch_size=len(PROMPTS) // options.get("steps_per_generation", 1), gradient_accumulation_steps=1)
    args = config(**given, **options)
    own = object.__new__(kind)
    own.args = args
    for name in ("temperature", "beta", "loss_type", "importance_sampling_level", "num_iterations", "use_vllm", "mask_truncated_completions", "scale_rewards",
                 "multi_objective_aggregation", "top_entropy_quantile", "entropy_coef", "use_adaptive_entropy", "off_policy_mask_threshold", "num_generations",
                 "vllm_importance_sampling_correction", "vllm_importance_sampling_mode", "vllm_importance_sampling_clip_max", "normalize_advantages",
                 "vllm_importance_sampling_clip_min", "max_completion_length", "pad_to_multiple_of", "reward_clip_range"):
        if hasattr(args, name):
            setattr(own, name, getattr(args, name))
    own.epsilon_low = args.epsilon
    own.epsilon_high = args.epsilon if args.epsilon_high is None else args.epsilon_high
    own._entropy_bonus_enabled = getattr(args, "entropy_coef", 0) != 0
    own.aux_loss_enabled = own._is_vlm = own.log_multimodal = False
    own.environment_factories = own.environments = own.tools = None
    own.model_kwarg_keys = own.chat_template_kwargs = {}
    own.current_gradient_accumulation_steps = 1
    own.model, own.ref_model = Table(BEFORE), Table(REFERENCE)
    own.reward_func_names = [f"function{i}" for i in functions]
    own.reward_funcs = [lambda i=i, **_: REWARDS[i] for i in functions]
    own.reward_processing_classes = [None] * len(functions)
    own.reward_weights = torch.tensor([1.0] * len(functions) if args.reward_weights is None else args.reward_weights)
    same = lambda value, *_, **__: value
    own.accelerator = types.SimpleNamespace(device=torch.device("cpu"), num_processes=1, process_index=0, is_main_process=True, sync_gradients=True, gather=same, gather_for_metrics=same,
                                            reduce=same, pad_across_processes=same, unwrap_model=same)
    own.state = types.SimpleNamespace(global_step=0)
    own._tokenizer = types.SimpleNamespace(pad_token_id=PADDING, eos_token_id=END)
    own.processing_class = types.SimpleNamespace(batch_decode=lambda ids, **_: [""] * len(ids))
    own._metrics = collections.defaultdict(lambda: collections.defaultdict(list))
    own._logs = collections.defaultdict(lambda: collections.defaultdict(list))
    for name in ("prompt", "completion", "advantages"):
        own._logs[name] = []
    own._pending_extra_logs, own._pending_metrics = {}, {}
    if kind is GRPOTrainer:
        own._generate = lambda prompts: (PROMPTS, COMPLETIONS, TOOL_MASK if tools else None, [""] * len(prompts), sampled(tools) if own.use_vllm else None, {}, None, None)
    else:
        own._generate = lambda prompts: (PROMPTS, COMPLETIONS, [""] * len(prompts))
    return own


def split(batch, parts):
    rows = len(PROMPTS) // parts
    return [{name: value[i * rows:(i + 1) * rows] if torch.is_tensor(value) and value.dim() > 0 else value for name, value in batch.items()} for i in range(parts)]


def rounded(value, digits=8):
    return float(f"{value:.{digits}g}")


def run(kind, config, options):
    own = bare(kind, config, options)
    batch = own._generate_and_score_completions([{"prompt": ""} for _ in PROMPTS])
    cell = {"trainer": kind.__name__, "options": options, "advantages": [rounded(value) for value in batch["advantages"].tolist()], "updates": []}
    for part in split(batch, own.args.steps_per_generation):
        own.model = Table(POLICY)
        own._metrics.clear()
        loss = own._compute_loss(own.model, part)
        loss.backward()
        metrics = {name: rounded(values[0], 7) for name, values in own._metrics["train"].items() if name != "entropy_coef"}
        cell["updates"].append({"loss": rounded(loss.item()), "gradient": [rounded(value) for value in own.model.logits.grad.flatten().tolist()], "metrics": metrics})
    return cell


LOSSES = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
LEVELS = ["token", "sequence"]
PENALTIES = [{}, {"beta": 0.04}, {"beta": 0.04, "use_bias_correction_kl": False}]
SPLITS = [{}, {"steps_per_generation": 2}, {"num_iterations": 2}]
CORRECTIONS = [{}] + [{"use_vllm": True, "vllm_importance_sampling_mode": mode, **bounds} for mode, bounds in (
    ("token_truncate", {"vllm_importance_sampling_clip_max": 1.1}), ("token_truncate", {"vllm_importance_sampling_clip_min": 0.9}),
    ("token_mask", {"vllm_importance_sampling_clip_max": 1.1, "vllm_importance_sampling_clip_min": 0.9}),
    ("token_mask", {"vllm_importance_sampling_clip_max": None}), ("sequence_truncate", {"vllm_importance_sampling_clip_max": 1.05}),
    ("sequence_mask", {}), ("sequence_mask", {"vllm_importance_sampling_clip_max": 1.2, "vllm_importance_sampling_clip_min": 0.8}))]
AXES = [
    PENALTIES,
    SPLITS,
    CORRECTIONS,
    [{}, {"epsilon": 0.1}, {"epsilon_high": 0.28}, {"epsilon": 0.05, "epsilon_high": 0.4}],
    [{}, {"delta": 1.3}],
    [{}, {"mask_truncated_completions": True}],
    [{}, {"top_entropy_quantile": 0.5}, {"top_entropy_quantile": 0.2}, {"top_entropy_quantile": 0.0}],
    [{}, {"entropy_coef": 0.01}],
    [{}, {"off_policy_mask_threshold": 0.02}],
    [{}, {"scale_rewards": "batch"}, {"scale_rewards": "none"}],
    [{}, {"functions": [0, 1]}, {"functions": [0, 1], "reward_weights": [1.0, 0.5]}, {"functions": [0, 1, 2], "reward_weights": [0.5, 2.0, 1.0]}, {"functions": [2]},
     {"functions": [1, 2], "multi_objective_aggregation": "normalize_then_sum"},
     {"functions": [0, 1], "reward_weights": [1.0, -0.5], "multi_objective_aggregation": "normalize_then_sum"}],
    [{}, {"temperature": 0.7}],
    [{}, {"sapo_temperature_neg": 1.5, "sapo_temperature_pos": 0.8, "vespo_k_pos": 1.0, "vespo_lambda_pos": 2.0, "vespo_k_neg": 2.0, "vespo_lambda_neg": 1.5}],
]


def allowed(options):
    """TRL's constructor refuses VESPO with ratios of sequences."""
    return options.get("loss_type") != "vespo" or not options.get("use_vllm") or options["vllm_importance_sampling_mode"].startswith("token")


def tool_cells():
    """Cells in which an environment wrote some tokens: every loss with every option that the mask has a part in."""
    options = [{}, {"beta": 0.04}, {"beta": 0.04, "use_bias_correction_kl": False, "importance_sampling_level": "sequence"}, {"importance_sampling_level": "sequence"},
               {"steps_per_generation": 2}, {"mask_truncated_completions": True}, {"top_entropy_quantile": 0.5}, {"entropy_coef": 0.01, "top_entropy_quantile": 0.5},
               {"entropy_coef": 0.01}, {"off_policy_mask_threshold": 0.02}, {"delta": 1.3}]
    cells = [{"tools": True, "loss_type": loss, "num_iterations": 2, **choice} for loss in LOSSES for choice in options]
    cells += [{"tools": True, "loss_type": LOSSES[i % len(LOSSES)], "num_iterations": 2, **choice} for i, choice in enumerate(CORRECTIONS[1:] * 2)]
    cells += [{"tools": True, "loss_type": "grpo", "use_vllm": True, "off_policy_mask_threshold": 0.02}, {"tools": True}]
    chosen = random.Random(11)
    for i in range(32):
        cell = {"tools": True, "loss_type": LOSSES[i % len(LOSSES)], "importance_sampling_level": chosen.choice(LEVELS)}
        for axis in AXES:
            cell.update(chosen.choice(axis))
        cells.append(cell)
    return cells


def grid():
    off = {"num_iterations": 2}  # the policy that sampled is not the one that is updated
    cells = [{"loss_type": loss, "importance_sampling_level": level, **penalty, "steps_per_generation": 2} for loss in LOSSES for level in LEVELS for penalty in PENALTIES]
    cells += [{"loss_type": loss, **off, **choice} for loss in LOSSES for axis in AXES[1:] for choice in axis if choice]
    chosen = random.Random(7)
    for i in range(64):
        cell = {"loss_type": LOSSES[i % len(LOSSES)], "importance_sampling_level": chosen.choice(LEVELS)}
        for axis in AXES:
            cell.update(chosen.choice(axis))
        cells.append(cell)
    cells += tool_cells()
    unique = {json.dumps(cell, sort_keys=True): cell for cell in cells if allowed(cell)}
    result = [(GRPOTrainer, GRPOConfig, cell) for cell in [{}] + list(unique.values())]
    for penalty in ({}, {"beta": 0.0}, {"beta": 0.2}):
        for choice in ({}, {"normalize_advantages": True}, {"reward_clip_range": [0.1, 0.9]}, {"mask_truncated_completions": True}, {"functions": [0, 1], "reward_weights": [1.0, 0.5]},
                       {"functions": [2], "normalize_advantages": True}, {"epsilon": 0.05, "epsilon_high": 0.4}):
            result.append((RLOOTrainer, RLOOConfig, {**penalty, **choice}))
    result.append((RLOOTrainer, RLOOConfig, {"steps_per_generation": 2, "num_iterations": 2}))
    return result


def main():
    # The tables have no layers whose activations could be computed again.
    grpo.disable_gradient_checkpointing = rloo.disable_gradient_checkpointing = lambda *_: contextlib.nullcontext()
    tables = {name: [rounded(value) for value in table.flatten().tolist()] for name, table in
              (("policy", POLICY), ("before", BEFORE), ("reference", REFERENCE))}
    for table, name in ((POLICY, "policy"), (BEFORE, "before"), (REFERENCE, "reference")):
        table.copy_(torch.tensor(tables[name]).view_as(table))
    cells = [run(*cell) for cell in grid()]
    batch = {"vocabulary": VOCABULARY, "group": GROUP, "end": END, "longest": LONGEST, "prompts": PROMPTS, "completions": COMPLETIONS, "rewards": REWARDS, "sampled": sampled(False), "tool_mask": TOOL_MASK, **tables}
    with open(sys.argv[1], "w") as file:
        file.write('{"batch": ' + json.dumps(batch) + ',\n"cells": [\n')
        file.write(",\n".join(json.dumps(cell, separators=(",", ":")) for cell in cells))
        file.write("\n]}\n")
    print(f"{len(cells)} cells, {sum(len(cell['updates']) for cell in cells)} updates")


main()
