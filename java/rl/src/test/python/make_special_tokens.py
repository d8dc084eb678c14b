"""make_special_tokens.py RESOURCES: writes RESOURCES/special-tokens.json, what transformers' tokenizers put around texts and print.

Each case is one of RESOURCES/tokenizers with another post-processor and tokenizer_config.json. "ids" have the special tokens of the
post-processor. "text" is decoded from them with skip_special_tokens, and "all" without it.
"""
import json
import pathlib
import sys
import tempfile

from transformers import AutoTokenizer

RESOURCES = pathlib.Path(sys.argv[1])
TEXTS = ["Hello, world! isn't it? 3.14", "12+34=", "The quick , brown fox . It ' s 5 ! I 'm we 've they 're do n't", "<think>12</think> dog", ""]


def template(single, **tokens):
    pieces = [{"Sequence": {"id": "A", "type_id": 0}} if piece == "$A" else {"SpecialToken": {"id": piece, "type_id": 0}} for piece in single]
    return {"type": "TemplateProcessing", "single": pieces, "pair": pieces + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": ids, "tokens": [name] * len(ids)} for name, ids in tokens.items()}}


def listed(content, special=False, single_word=False, normalized=False):
    return {"content": content, "special": special, "single_word": single_word, "normalized": normalized, "lstrip": False, "rstrip": False}


BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
CASES = [
    ("bpe-gpt2", {}, {}),
    ("bpe-gpt2", {}, {"eos_token": "<|endoftext|>", "clean_up_tokenization_spaces": True}),
    ("bpe-gpt2", {}, {"clean_up_tokenization_spaces": True, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}),
    ("bpe-gpt2", {"post_processor": None}, {"add_bos_token": True, "bos_token": "<|endoftext|>"}),
    ("bpe-gpt2", {"post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 0], "cls": ["<|endoftext|>", 0],
                                     "trim_offsets": True, "add_prefix_space": False}}, {}),
    ("bpe-llama3", {}, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "add_bos_token": False}),
    ("bpe-llama3", {"post_processor": {"type": "Sequence", "processors": [
        BYTES, template(["c", "b", "$A", "e", "e"], c=[1, 0], b=[0], e=[1])]}}, {}),
    ("bpe-llama2", {"post_processor": template(["<s>", "$A"], **{"<s>": [1]})}, {"bos_token": "<s>", "eos_token": "</s>"}),
    ("bpe-llama2", {"post_processor": template(["<s>", "$A", "</s>"], **{"<s>": [1], "</s>": [2]})}, {"bos_token": "<s>"}),
    ("unigram-t5", {}, {"eos_token": "</s>", "clean_up_tokenization_spaces": True}),
    ("wordpiece-bert", {}, {"cls_token": "[CLS]"}),
    ("wordpiece-bert", {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False}}, {"clean_up_tokenization_spaces": True}),
    ("wordpiece-bert", {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False}}, {"clean_up_tokenization_spaces": False}),
    ("wordlevel", {}, {"extra_special_tokens": ["long word"]}),
    # Tokens that tokenizer.json does not have get ids after its own.
    ("bpe-gpt2", {}, {"eos_token": "<think>", "bos_token": "12", "additional_special_tokens": ["</think>", "<think>"]}),
    ("unigram-t5", {}, {"pad_token": "<pad>", "unk_token": {"__type": "AddedToken", "content": "<think>", "lstrip": False, "rstrip": True, "single_word": False, "normalized": False, "special": True}, "added_tokens_decoder": {
        "91": listed("dog"), "90": listed("</think>", special=True), "7": listed("extra", single_word=True)}}),
    ("wordlevel", {}, {"eos_token": "fox", "mask_token": "quick"}),
    ("wordpiece-bert", {}, {"sep_token": "<think>", "added_tokens_decoder": {"5": listed("The"), "6": listed("dog", normalized=True)}}),
]


def main():
    rows = []
    for name, changes, config in CASES:
        tokenizer = {**json.loads((RESOURCES / "tokenizers" / f"{name}.json").read_text()), **changes}
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            (directory / "config.json").write_text('{"model_type": "llama"}')
            (directory / "tokenizer.json").write_text(json.dumps({**tokenizer, "truncation": None, "padding": None}))
            (directory / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}))
            own = AutoTokenizer.from_pretrained(directory)
        texts = [dict(given=text, ids=ids, text=own.decode(ids, skip_special_tokens=True), all=own._tokenizer.decode(ids, skip_special_tokens=False))
                 for text in TEXTS for ids in [own(text)["input_ids"]]]
        rows.append({"tokenizer": name, "changes": changes, "config": config, "texts": texts})
    (RESOURCES / "special-tokens.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


main()
