"""Writes what a Hugging Face model's linear layers see, for `threegate curvature`.

    python capture_curvature.py MODEL PROMPTS.jsonl capture.safetensors [LAYER-SUFFIX ...]

PROMPTS has a line {"prompt": "...", "answer": "..."} a sequence. Labels are sampled from the model (the true Fisher information); give
EMPIRICAL=1 in the environment for the data's labels. Needs torch, transformers and safetensors.
"""
import json, os, sys
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

def capture(model, sequences, suffixes, empirical=False):
    """sequences: token ids, one tensor each. Returns the tensors of a capture."""
    parts, found = {}, {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n.endswith(tuple(suffixes))}
    def hook(name):
        def forward(module, inputs, output):
            parts.setdefault(name + ".input", []).append(inputs[0].detach().flatten(0, -2))
            output.register_hook(lambda g: parts.setdefault(name + ".grad_output", []).append(g.detach().flatten(0, -2)))
        return forward
    handles = [module.register_forward_hook(hook(name)) for name, module in found.items()]
    for number, tokens in enumerate(sequences):
        log_probabilities = torch.log_softmax(model(tokens[None, :-1]).logits[0].float(), -1)
        labels = tokens[1:] if empirical else torch.distributions.Categorical(logits=log_probabilities.detach()).sample()
        log_probabilities.gather(1, labels[:, None]).sum().backward()
        model.zero_grad()
        for name in found:
            parts.setdefault(name + ".sequence", []).append(torch.full((len(tokens) - 1,), number))
    for handle in handles:
        handle.remove()
    return {name: torch.cat(tensors) for name, tensors in parts.items()}

if __name__ == "__main__":
    path, prompts, out = sys.argv[1:4]
    torch.manual_seed(0)
    model, tokenizer, empirical = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path), "EMPIRICAL" in os.environ
    texts = [json.loads(line) for line in open(prompts)]
    sequences = [tokenizer(text["prompt"] + text["answer"], return_tensors="pt").input_ids[0] for text in texts]
    save_file(capture(model, sequences, sys.argv[4:] or ["o_proj", "down_proj"], empirical), out, {"fisher": "empirical" if empirical else "true"})
