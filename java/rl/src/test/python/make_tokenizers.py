"""make_tokenizers.py RESOURCES: writes small tokenizers of each kind, and the tokens that the library in Python gives for texts.

Needs tokenizers and sentencepiece, which makes the table of the Precompiled normalizer.
"""
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

RESOURCES = Path(sys.argv[1])
CORPUS = ["The quick brown fox jumps over the lazy dog 12345 times.", "def f(x):\n    return x + 1\n", "ﬁne Ångström ½ ① e\u0301té",
          "Hello, world! It's 3.14 isn't it?", "日本語のテキスト и русский текст", "<think>12+34=46</think>"] * 3
TEXTS = ["The quick brown fox 12345", "  def f(x):\n    return x+1\r\n\n", "ﬁne Å ½ ① e\u0301 é \u0001x", "Hello, world! isn't it? 3.14",
         "日本語 и русский", "<|endoftext|> [MASK] <s> <extra_id_0> mask", "   ", "ABC|def  \t x", "ﷺab"]
# Code points from and to: ligatures, compositions, compatibility forms, a removed one, and one that becomes long.
RULES = ["FB01\t66 69", "41 30A\tC5", "BD\t31 2044 32", "2460\t31", "65 301\tE9", "1\t", "3000\t20", "FDFA\t635 644 649 20 627 644 644 647",
         "61 30A\tE5"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def trained(tokenizer, trainer):
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_level(special):
    return trainers.BpeTrainer(vocab_size=290, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special)


def gpt2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return trained(tokenizer, byte_level(["<|endoftext|>"]))


def llama3():
    begin = "<|begin_of_text|>"
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trained(tokenizer, byte_level([begin, "<|eot_id|>"]))
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, 0)])])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding(length=16)
    return tokenizer


def llama2():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    plain = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    plain.normalizer = tokenizer.normalizer
    trained(plain, trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"]))
    learned, written = json.loads(plain.to_str()), json.loads(tokenizer.to_str())
    vocabulary = learned["model"]["vocab"]
    vocabulary.update({"<0x%02X>" % byte: len(vocabulary) + byte for byte in range(256)})
    written["model"].update(vocab=vocabulary, merges=learned["model"]["merges"])
    written["added_tokens"] = learned["added_tokens"]
    return Tokenizer.from_str(json.dumps(written))


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trained(tokenizer, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def fields(message):
    """Yields the number and the bytes of each length-delimited field of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 2:
            length = varint()
            yield key >> 3, message[at:at + length]
            at += length
        elif key & 7 == 0:
            varint()
        else:
            at += {1: 8, 5: 4}[key & 7]


def t5():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "rules.tsv").write_text("\n".join(RULES) + "\n")
        (scratch / "corpus.txt").write_text("\n".join(CORPUS))
        sentencepiece.SentencePieceTrainer.train(
            input=scratch / "corpus.txt", model_prefix=scratch / "t5", vocab_size=80, model_type="unigram", hard_vocab_limit=False,
            normalization_rule_tsv=scratch / "rules.tsv", minloglevel=3)
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(scratch / "t5.model"))
        specification = next(value for number, value in fields((scratch / "t5.model").read_bytes()) if number == 3)
    charsmap = next(value for number, value in fields(specification) if number == 2)
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<pad>", AddedToken("<extra_id_0>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return tokenizer


def wordlevel():
    """A tokenizer with all parts that the others lack."""
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2, "1": 3, ".": 4}, "<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFKC(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Nmt()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.UnicodeScripts(), pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(True),
         pre_tokenizers.CharDelimiterSplit("|"), pre_tokenizers.Whitespace(), pre_tokenizers.Split("ab", "merged_with_previous", False),
         pre_tokenizers.FixedLength(3)])
    tokenizer.decoder = decoders.Sequence([decoders.CTC(), decoders.BPEDecoder(), decoders.WordPiece()])
    tokenizer.add_tokens([AddedToken("mask", single_word=True, rstrip=True), "long word"])
    return tokenizer


def clip():
    end = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(unk_token=end, continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(CLIP), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trained(tokenizer, trainers.BpeTrainer(vocab_size=300, end_of_word_suffix="</w>", special_tokens=[end]))
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    return tokenizer


def written(value, path):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf8")


expected = {}
for name, make in {"bpe-clip": clip, "bpe-gpt2": gpt2, "bpe-llama2": llama2, "bpe-llama3": llama3, "unigram-t5": t5, "wordlevel": wordlevel,
                   "wordpiece-bert": bert}.items():
    written(json.loads(make().to_str()), RESOURCES / "tokenizers" / f"{name}.json")
    tokenizer = Tokenizer.from_file(str(RESOURCES / "tokenizers" / f"{name}.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    expected[name] = [{"text": text, "ids": ids, "back": tokenizer.decode(ids, skip_special_tokens=False)}
                      for text in TEXTS for ids in [tokenizer.encode(text, add_special_tokens=False).ids]]
written(expected, RESOURCES / "tokenizers.json")
