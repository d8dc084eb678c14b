"""make_generation.py RESOURCES: writes RESOURCES/generation.json, what transformers' generation makes of logits, texts and models.

"processors" has the log-probabilities that tokens are sampled with, in the order in which generate() applies its logits processors.
"stops" has, for random tokens after a prompt, how many of them there are when a stop string ends the text. "greedy" has the tokens
that generate() appends with the decoders of make_decoders.py.
"""
import itertools
import json
import pathlib
import random
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation.stopping_criteria import StopStringCriteria

RESOURCES = pathlib.Path(sys.argv[1])
VOCABULARY = 24
TEXTS = [[3, 9, 17, 4, 4], [5, 23], [8, 8, 8, 20, 21, 22, 3]]


def processors():
    torch.manual_seed(1)
    logits = 3 * torch.randn(len(TEXTS), VOCABULARY)
    logits[1, 7] = logits[1, 2] = logits[1, 11]  # equally likely
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2))
    grid = itertools.product([0.6, 1.0, 1.7], [0, 1, 5], [0.3, 0.9, 1.0], [None, 0.05, 0.5], [0.8, 1.0, 1.4])
    chosen = random.Random(2).sample(list(grid), 40)
    rows = []
    for temperature, top_k, top_p, min_p, penalty in chosen:
        config = GenerationConfig(do_sample=True, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty)
        found = []
        for i, text in enumerate(TEXTS):
            own = model._get_logits_processor(config, input_ids_seq_length=len(text))
            values = own(torch.tensor([text]), logits[i:i + 1].clone()).log_softmax(-1)[0].tolist()
            found.append([None if value == -float("inf") else round(value, 5) for value in values])
        rows.append(dict(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p or 0, repetition_penalty=penalty, log_probabilities=found))
    return dict(texts=TEXTS, logits=logits.tolist(), rows=rows)


def stops():
    choice = random.Random(3)
    rows = []
    for name, texts in {
        "bpe-gpt2": ["ox", "日本", "\n", "times.", "+1", "é"],
        "bpe-llama2": ["ox", "日", "jumps over", "it's", "1"],
        "bpe-llama3": ["<|eot_id|>", "r la", "x + 1\n"],
        "unigram-t5": ["ow", "is", "Hello"],
    }.items():
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            (directory / "config.json").write_text('{"model_type": "llama"}')
            tokenizer = json.loads((RESOURCES / "tokenizers" / f"{name}.json").read_text())
            (directory / "tokenizer.json").write_text(json.dumps({**tokenizer, "truncation": None, "padding": None}))
            (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
            own = AutoTokenizer.from_pretrained(directory)
        corpus = [own(text, add_special_tokens=False)["input_ids"] for text in [
            "The quick brown fox jumps over the lazy dog 12345 times.", "def f(x):\n    return x + 1\n", "Hello, world! It's 3.14 isn't it?",
            "日本語のテキスト и русский текст", "e\u0301té é <|eot_id|> 12"]]
        for strings in [[text] for text in texts] + [texts]:
            criteria = StopStringCriteria(own, strings)
            for _ in range(8):
                tokens = [token for part in choice.sample(corpus, 3) for token in (part if choice.random() < 0.6 else choice.sample(part, len(part)))]
                begin = choice.randrange(1, 8)
                at = next((n for n in range(begin + 1, len(tokens) + 1) if criteria(torch.tensor([tokens[:n]]), None)[0]), -1)
                rows.append(dict(tokenizer=name, strings=strings, prompt=tokens[:begin], tokens=tokens[begin:], at=at - begin if at > 0 else -1))
    return rows


def greedy():
    rows = []
    for name in ("llama", "qwen2", "qwen3", "mistral-window", "llama-dynamic", "llama-yarn"):
        model = AutoModelForCausalLM.from_pretrained(RESOURCES / "decoders" / name, dtype=torch.float32, attn_implementation="eager")
        for text, penalty, ends in itertools.product(TEXTS, (1.0, 1.3), ([2], [2, 7, 11])):
            config = GenerationConfig(do_sample=False, repetition_penalty=penalty, eos_token_id=ends, pad_token_id=0, max_new_tokens=40)
            found = model.generate(torch.tensor([text]), generation_config=config)[0, len(text):].tolist()
            rows.append(dict(model=name, prompt=text, repetition_penalty=penalty, eos_token_id=ends, tokens=found))
    return rows


written = dict(processors=processors(), stops=stops(), greedy=greedy())
lines = json.dumps(written, ensure_ascii=False).replace("}, {", "},\n{")
(RESOURCES / "generation.json").write_text(lines + "\n", encoding="utf8")
