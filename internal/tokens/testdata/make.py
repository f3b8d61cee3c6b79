"""Makes the small vocabularies of this folder and golden.json: what the libraries that define
their formats make of some hard texts. Run with tokenizers 0.23.3, sentencepiece 0.2.3 and
gguf 0.19.0; training is deterministic."""

import json
import os

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as spm
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = [
    "", " ", "a", "Hello, world!", "  leading and trailing  ", "tabs\tand\nnew\n\n\nlines\r\n\r\nend\n",
    "The committee met on Thursday; it's they'll we'VE I'D 'tis don't.", "antidisestablishmentarianism",
    "今天下午我们在图书馆讨论了新的城市规划方案，大家都觉得很有意思", "お誕生日おめでとう。東京タワー", "안녕하세요 세계",
    "Съешь же ещё этих мягких французских булок", "ذهب الأولاد إلى المدرسة صباحا", "שלום עולם", "हिन्दी में एक वाक्य", "ภาษาไทยไม่มีช่องว่าง",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🧑‍🚀🦑🪗🫠", "e\u0301 vs \u00e9, \ufb01 \u2167 \u00bd \uff21\uff22", "Straße naïve coöperate Ångström İstanbul",
    "3141592653589793238462643383279502884197169399375105820974", "1 12 123 1234 12345 1,234,567.89 ١٢٣ Ⅻ ²³",
    "a"+" "*37+"b\t\t\t\tc"+" "*11+"d", " \n \n\t x", "\u00a0\u2003\u3000 wide\u200bspaces\u2028line",
    "getUserAccountByExternalReferenceIdOrDefault(currentHttpRequestContext, maxRetryCountPerShard)",
    "def f(x):\n    return {'a': [1, 2, 3], \"b\": x ** 2}  # comment\n", "if (a != b && c >= d) { x->y = ~z; }\n\t}\n",
    "SGVsbG8sIFdvcmxkIQ== aHR0cHM6Ly9leGFtcGxlLm9yZy8/YT0xJmI9Mg==", "https://example.org/a/b?c=d&e=%20#frag user@example.com",
    "<|im_start|>user\nhi<|im_end|> <s></s> <unk> <bos> <|endoftext|>", "<0x0A> <0xFF> \u2581 \u2581\u2581x", "\x00\x01\x7f\u0085", "\ufeffBOM \ufffd",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "--------====____****####....????!!!!", "\U0001F1E9\U0001F1EA \U0010FFFF \U000E0041 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nfunc main() {}\n```\n", "ſ 's 'S 'ſ K Å ŉ ǅ", "x\u0300\u0301\u0302\u0303", "ABCdef GHIjkl XMLHttpRequest iPhone's",
    "\n", "\n\n\n\n\n\n\n\n", "word"*50, "\u0e01\u0e33 \u1100\u1161\u11a8 \u0915\u094d\u0937",
]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def train(name, tokenizer, size, alphabet, special, added):
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.add_tokens(added)
    t = json.loads(tokenizer.to_str())
    if name == "qwen.json":
        t["model"]["ignore_merges"] = True
    if name == "older.json":
        t["model"]["merges"] = [" ".join(m) for m in t["model"]["merges"]]
    if "<0x00>" in t["model"]["vocab"]:
        t["model"]["byte_fallback"] = True
        t["added_tokens"] = [a for a in t["added_tokens"] if not a["content"].startswith("<0x")]
    json.dump(t, open(name, "w"), ensure_ascii=False, separators=(",", ":"))


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


def vocabularies():
    """The shapes of common models."""
    # Llama 3 and Qwen: a pattern, then bytes; composed characters; words that are tokens are not merged.
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([split(Regex(LLAMA3)), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train("qwen.json", t, 700, ALPHABET, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
          [AddedToken("hi<", special=False, normalized=False), AddedToken("é vs", special=False, normalized=True), AddedToken("wide", special=False, normalized=False, lstrip=True, rstrip=True)])
    # GPT-2, StarCoder and SmolLM: digits apart, GPT-2's pattern, a space before the text, merges as one text.
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)])
    train("older.json", t, 600, ALPHABET, ["<|endoftext|>"], [])
    # Llama 2: no words, bytes for unknown characters, a space before each part.
    fallback = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    train("llama2.json", t, 700, [], fallback, [AddedToken("def", special=False, normalized=False)])
    # Gemma: spaces as signs, no space before.
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = split(" ", "merged_with_previous")
    train("gemma.json", t, 600, [], fallback, [AddedToken(" " * n, special=False, normalized=False) for n in (2, 3, 4, 8)])
    # Without bytes; the same in its newer form.
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    train("metaspace.json", t, 300, [], ["<unk>"], [AddedToken("nai", special=False, normalized=False)])
    # Each way to cut.
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        split(Regex(r"\p{L}+|[^\s\p{L}]+"), "removed", True), split("-", "merged_with_next"), split(Regex("[.,]"), "merged_with_previous"),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train("cuts.json", t, 400, ALPHABET, [], [])


def models_of_sentencepiece():
    common = dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
                  hard_vocab_limit=False, character_coverage=.98)
    for name, size, more in (("llama2", 800, dict(byte_fallback=True)), ("unknown", 550, dict(add_dummy_prefix=False)),
                             ("defined", 800, dict(byte_fallback=True, add_dummy_prefix=False, user_defined_symbols=["\n\n", "▁▁", "▁▁▁▁", "def"]))):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([l for t in TEXTS for l in t.replace("\0", "").split("\n")]), model_prefix=name, vocab_size=size, **common, **more)
        os.remove(name + ".vocab")


def ggufs():
    """GGUF files with the vocabularies of others of this folder."""
    t = json.load(open("qwen.json"))
    w = gguf.GGUFWriter("llama3.gguf", "llama")
    tokens = sorted(t["model"]["vocab"], key=t["model"]["vocab"].get)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("llama-bpe")
    w.add_token_list(tokens)
    w.add_token_types([3 if x in ("<|endoftext|>", "<|im_start|>", "<|im_end|>") else 1 for x in tokens])
    w.add_token_merges([" ".join(m) for m in t["model"]["merges"]])
    write(w)
    for source in ("llama2", "defined"):
        m = spm.ModelProto()
        m.ParseFromString(open(source + ".model", "rb").read())
        w = gguf.GGUFWriter(source + ".gguf", "llama")
        w.add_tokenizer_model("llama")
        w.add_token_list([p.piece.replace("▁", " ") if p.type == 4 else p.piece for p in m.pieces])
        w.add_token_scores([p.score for p in m.pieces])
        w.add_token_types([p.type for p in m.pieces])
        w.add_add_space_prefix(m.normalizer_spec.add_dummy_prefix)
        w.add_uint32("tokenizer.ggml.unknown_token_id", 0)
        write(w)


def write(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def golden():
    """Ids, without tokens that begin or end a text, and with control tokens in it as text."""
    ids = {}
    for name in sorted(os.listdir(".")):
        if name.endswith(".model"):
            s = sentencepiece.SentencePieceProcessor(model_file=name)
            ids[name] = [s.encode(x) for x in TEXTS]
        elif name.endswith(".json") and name != "golden.json":
            t = Tokenizer.from_file(name)
            t.encode_special_tokens = True
            ids[name] = [t.encode(x, add_special_tokens=False).ids for x in TEXTS]
    plain = json.load(open("qwen.json"))
    plain["normalizer"], plain["added_tokens"] = None, []
    t = Tokenizer.from_str(json.dumps(plain))
    ids["llama3.gguf"] = [t.encode(x, add_special_tokens=False).ids for x in TEXTS]
    ids["llama2.gguf"], ids["defined.gguf"] = ids["llama2.model"], ids["defined.model"]
    json.dump({"texts": TEXTS, "ids": ids}, open("golden.json", "w"), separators=(",", ":"))


vocabularies()
models_of_sentencepiece()
ggufs()
golden()
