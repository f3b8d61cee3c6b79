"""Records what the lab's models answer, for lab/grid. Run by the Python of .lab/venv.

    go run ./lab/grid questions > .lab/questions.jsonl
    go run ./lab/grid beginnings > .lab/beginnings.jsonl
    .lab/venv/bin/python lab/record.py words [ARM ...]   next-token distributions of the word questions
    .lab/venv/bin/python lab/record.py texts [ARM ...]   short answers to prompts like traffic
    .lab/venv/bin/python lab/record.py prose [ARM ...]   continuations of the product's beginnings of texts
    .lab/venv/bin/python lab/record.py manifest          compress what is complete into lab/banks/

An arm is one deployment of one model. A recording goes on where it was interrupted: every finished
question is a line in .lab/record/. What is recorded of a word question is the distribution of the first
token at temperature 1, exactly, from the logits; a first token without a letter or a digit is followed one
token further. The engine is the llama.cpp of the lab's server, called as a library, and another build of it.
"""

import argparse
import dataclasses
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / ".lab"
RECORD = LAB / "record"
BANKS = HERE / "banks"
QUESTIONS = LAB / "questions.jsonl"
BEGINNINGS = LAB / "beginnings.jsonl"

KEPT = 96  # tokens kept of a distribution
FOLLOWED = 2  # first tokens without a word that are followed, each of at least this probability:
FOLLOWED_FROM = 0.02
CUT = 0.005  # share of the likeliest token's probability below which a bank leaves a token out
CONTEXT, BATCH = 4096, 1024
TEXT_PROMPTS, TEXT_SAMPLES, TEXT_TOKENS = 150, 2, 32
TEXT_BATCH = 15  # prompts at once
PROSE_SAMPLES, PROSE_TOKENS = 10, 32  # of each question; a beginning is asked for in several

# The lab's Gemma is a base model and SmolLM2 a very small one: both are deployed with a few examples of
# what a short answer looks like. No example is an answer to a question of the audit.
SHOTS = (
    ("Name a random metal. Answer with one word only. (request 7f21c0)", "Iron"),
    ("Назови случайную планету. Ответь только одним словом. (запрос 03be9a)", "Марс"),
    ("说一种随机的乐器。 只回答一个词。 （请求a41d77）", "钢琴"),
    ("اذكر لغة عشوائية. أجب بكلمة واحدة فقط. (الطلب 5c08e2)", "الإسبانية"),
)

# What relays put in front, cut to about 30, 150 and 600 tokens.
HIDDEN = (
    "You are the assistant of a shop for garden tools. Be brief and friendly, and never mention other shops. "
    "When a customer asks for a price, give it in euros and add that it includes tax. When a customer asks about delivery, "
    "say that it takes three days inside the country and a week elsewhere. If something is broken, apologise first and then ask "
    "for the number of the order. Do not promise refunds; say that a colleague will look at it today. Keep every answer short, "
    "use plain words, and avoid lists where a sentence is enough. "
)

BUILDS = {"lab": "xllamacpp 2026.10.11549", "other": "cyllama 0.2.18"}  # of llama.cpp, by the package


@dataclasses.dataclass(frozen=True)
class Arm:
    """One deployment of one model."""

    model: str  # gemma or smollm2
    build: str = "lab"
    cache: str = "f16"  # type of the KV cache
    extra_bos: bool = False
    quantised: str = ""  # llama.cpp's name of the type that the weights were quantised to again
    hidden: int = 0  # tokens of a prompt that the client did not send, about

    @property
    def gguf(self) -> pathlib.Path:
        return LAB / "models" / f"{self.model}.gguf" if not self.quantised else RECORD / f"{self.model}-{self.quantised}.gguf"


ARMS = {
    "gemma": Arm("gemma"),
    "smollm2": Arm("smollm2"),
    "gemma-cache": Arm("gemma", cache="q8_0"),
    "gemma-build": Arm("gemma", build="other"),
    "gemma-bos": Arm("gemma", extra_bos=True),
    "gemma-requantised": Arm("gemma", quantised="Q2_K"),
    "gemma-requantised-q4": Arm("gemma", quantised="Q4_0"),
    "gemma-requantised-q8": Arm("gemma", quantised="Q8_0"),
    "gemma-hidden30": Arm("gemma", hidden=30),
    "gemma-hidden150": Arm("gemma", hidden=150),
    "gemma-hidden600": Arm("gemma", hidden=600),
    "smollm2-cache": Arm("smollm2", cache="q8_0"),
    "smollm2-build": Arm("smollm2", build="other"),
    "smollm2-bos": Arm("smollm2", extra_bos=True),
    "smollm2-requantised": Arm("smollm2", quantised="Q2_K"),
    "smollm2-requantised-q4": Arm("smollm2", quantised="Q4_0"),
    "smollm2-requantised-q8": Arm("smollm2", quantised="Q8_0"),
    "smollm2-hidden30": Arm("smollm2", hidden=30),
    "smollm2-hidden150": Arm("smollm2", hidden=150),
    "smollm2-hidden600": Arm("smollm2", hidden=600),
}
FTYPES = {"Q4_0": 2, "Q8_0": 7, "Q2_K": 10}  # of llama.cpp


def say(text: str) -> None:
    print(f"record: {text}", flush=True)


def installed() -> pathlib.Path:
    """Installs what only recording needs, if it is not there."""
    path = RECORD / "python"
    if not (path / "done").exists():
        say("fetching the C declarations and another build of the engine, 25 MiB")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--upgrade",
             "--target", str(path), "-r", str(HERE / "requirements-record.txt")],
            check=True,
        )  # fmt: skip
        (path / "done").touch()
    return path


class Engine:
    """One model in llama.cpp: the library that lab/serve.py serves with, called below its server."""

    SEQUENCES = 96

    def __init__(self, arm: Arm):
        sys.path.insert(0, str(installed()))
        import llama_cpp_py_sync._cffi_bindings as header  # the C declarations; its own library is not loaded
        import numpy
        import xllamacpp.xllamacpp as library

        self.np, self.ffi, self.arm = numpy, header.get_ffi(), arm
        self.lib = self.ffi.dlopen(library.__file__)
        self.quiet = self.ffi.callback("void(int, const char *, void *)", lambda level, text, data: None)
        self.lib.llama_log_set(self.ffi.cast("ggml_log_callback", self.quiet), self.ffi.NULL)
        self.lib.llama_backend_init()
        if arm.quantised and not arm.gguf.exists():
            quantise(arm)
        p = self.lib.llama_model_default_params()
        p.vocab_only = arm.build != "lab"
        self.model = self.lib.llama_model_load_from_file(str(arm.gguf).encode(), p)
        if self.model == self.ffi.NULL:
            raise SystemExit(f"record: {arm.gguf} does not load")
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.size = self.lib.llama_vocab_n_tokens(self.vocab)
        self.bos = self.lib.llama_vocab_bos(self.vocab)
        self.held: list[int] = []  # tokens in sequence 0
        self.done = 0  # tokens
        self.load()

    def load(self) -> None:
        p = self.lib.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = CONTEXT, BATCH, BATCH // 2, self.SEQUENCES
        p.n_threads = p.n_threads_batch = os.cpu_count() or 2
        p.swa_full = p.kv_unified = True
        p.flash_attn_type = 1
        p.type_k = p.type_v = {"f16": 1, "q8_0": 8}[self.arm.cache]
        self.context = self.lib.llama_init_from_model(self.model, p)
        if self.context == self.ffi.NULL:
            raise SystemExit("record: the engine makes no context")
        self.memory = self.lib.llama_get_memory(self.context)

    def copy(self, source: int, to: int) -> None:
        self.lib.llama_memory_seq_cp(self.memory, source, to, -1, -1)

    def remove(self, sequence: int, start: int) -> None:
        self.lib.llama_memory_seq_rm(self.memory, sequence, start, -1)

    def evaluate(self, rows: list[tuple[int, int, int, bool]]) -> list:
        """Evaluates (token, position, sequence, wanted) and returns the logits of the wanted ones."""
        batch = self.lib.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = sequence
        if self.lib.llama_decode(self.context, batch) != 0:
            raise SystemExit("record: the engine refuses a batch")
        self.lib.llama_batch_free(batch)
        at = [i for i, row in enumerate(rows) if row[3]]
        found = [self.ffi.buffer(self.lib.llama_get_logits_ith(self.context, i), 4 * self.size) for i in at]
        return [self.np.frombuffer(logits, dtype=self.np.float32).astype(self.np.float64) for logits in found]

    def tokens(self, text: str) -> list[int]:
        raw = text.encode()
        out = self.ffi.new(f"llama_token[{len(raw) + 16}]")
        n = self.lib.llama_tokenize(self.vocab, raw, len(raw), out, len(raw) + 16, True, True)
        tokens = list(out[0:n])
        return [self.bos, *tokens] if self.arm.extra_bos else tokens

    def piece(self, token: int) -> bytes:
        out = self.ffi.new("char[256]")
        n = self.lib.llama_token_to_piece(self.vocab, token, out, 256, 0, False)
        return bytes(self.ffi.buffer(out, max(n, 0)))

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> list:
        """The probabilities after the wanted ones of (token, position, sequence, wanted)."""
        found = []
        for at in range(0, len(rows), BATCH):
            for logits in self.evaluate(rows[at : at + BATCH]):
                p = self.np.exp(logits - logits.max())
                found.append(p / p.sum())
        self.done += len(rows)
        return found

    def share(self, prompts: list[list[int]]) -> int:
        """Puts what all prompts begin with into sequence 0 and copies it to the sequences 1 to n."""
        common = 0
        while all(common < len(p) - 1 and p[common] == prompts[0][common] for p in prompts):
            common += 1
        keep = 0
        while keep < min(len(self.held), common) and self.held[keep] == prompts[0][keep]:
            keep += 1
        for sequence in range(1, self.SEQUENCES):
            self.remove(sequence, -1)
        self.remove(0, keep)
        self.decode([(prompts[0][i], i, 0, False) for i in range(keep, common)])
        self.held = prompts[0][:common]
        for sequence in range(1, len(prompts) + 1):
            self.copy(0, sequence)
        return common

    def next(self, prompts: list[list[int]]) -> list:
        """The probabilities of the token after each prompt; prompt i is left in sequence i+1."""
        common = self.share(prompts)
        rows = []
        for i, prompt in enumerate(prompts):
            rows += [(prompt[k], k, i + 1, k == len(prompt) - 1) for k in range(common, len(prompt))]
        return self.decode(rows)


class OtherEngine(Engine):
    """The same in another build of llama.cpp, of another time and compiler."""

    def load(self) -> None:
        import cyllama.llama.llama_cpp as llama

        llama.disable_logging()
        model, p = llama.LlamaModelParams(), llama.LlamaContextParams()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = CONTEXT, BATCH, BATCH // 2, self.SEQUENCES
        p.n_threads = p.n_threads_batch = os.cpu_count() or 2
        p.swa_full = p.kv_unified = True

        class Weights(llama.LlamaModel):
            n_vocab = self.size  # which the package reads of its own model, and does not define

        self.llama, self.weights = llama, Weights(str(self.arm.gguf), model, verbose=False)
        self.other = llama.LlamaContext(self.weights, p, verbose=False)

    def copy(self, source: int, to: int) -> None:
        self.other.memory_seq_cp(source, to, -1, -1)

    def remove(self, sequence: int, start: int) -> None:
        self.other.memory_seq_rm(sequence, start, -1)

    def evaluate(self, rows: list[tuple[int, int, int, bool]]) -> list:
        if not rows:
            return []
        batch = self.llama.LlamaBatch(n_tokens=len(rows), embd=0, n_seq_max=1)
        for token, position, sequence, wanted in rows:
            batch.add(token, position, [sequence], bool(wanted))
        self.other.decode(batch)
        return [self.np.array(self.other.get_logits_ith(i), dtype=self.np.float64) for i, row in enumerate(rows) if row[3]]


def load(arm: Arm) -> Engine:
    return Engine(arm) if arm.build == "lab" else OtherEngine(arm)


def quantise(arm: Arm) -> None:
    """Quantises a model again, and writes how many tensors got which type beside it."""
    import cyllama.llama.llama_cpp as llama

    types: dict[str, int] = {}

    def note(level, text):
        if found := re.search(r"converting to (\w+)", text) or re.search(r"type = +(\w+), size", text):
            types[found.group(1)] = types.get(found.group(1), 0) + 1

    llama.set_log_callback(note)
    p = llama.LlamaModelQuantizeParams()
    p.ftype, p.allow_requantize, p.nthread = FTYPES[arm.quantised], True, os.cpu_count() or 2
    part = arm.gguf.with_suffix(".part")
    llama.model_quantize(str(LAB / "models" / f"{arm.model}.gguf"), str(part), p)
    arm.gguf.with_suffix(".types.json").write_text(json.dumps(types, sort_keys=True), encoding="utf-8")
    part.rename(arm.gguf)


def dialogue(arm: Arm, engine: Engine, question: str, shots: bool = True) -> list[int]:
    """The prompt of a question, in the form of the model's template in models/."""
    hidden = ""
    if arm.hidden:
        words = (HIDDEN * 20).split(" ")
        hidden = " ".join(words[: arm.hidden * 5 // 6])
    turns = SHOTS if shots else ()
    if arm.model == "gemma":
        text = hidden + "\n\n" if hidden else ""
        text += "".join(f"Question: {q}\nAnswer: {a}\n" for q, a in turns) + f"Question: {question}\nAnswer:"
    else:
        system = hidden or "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
        text = f"<|im_start|>system\n{system}<|im_end|>\n"
        text += "".join(f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n" for q, a in turns)
        text += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return engine.tokens(text)


def spelt(piece: bytes) -> str:
    """A token's text; the bytes of a part of a character in hexadecimal."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "0x" + piece.hex()


def has_word(text: str) -> bool:
    return any(c.isalnum() for c in text)


def top(engine: Engine, p) -> list:
    """The likeliest tokens as [token, text, probability]."""
    best = engine.np.argpartition(p, -KEPT)[-KEPT:]
    best = best[engine.np.argsort(p[best])[::-1]]
    return [(int(t), spelt(engine.piece(int(t))), float(f"{p[t]:.4g}")) for t in best]


def record_words(name: str) -> None:
    arm = ARMS[name]
    cells = by_cell(QUESTIONS)
    with Log(name, "words", len(cells)) as log:
        if log.complete:
            return
        engine = load(arm)
        for cell, asked in cells.items():
            if cell in log.seen:
                continue
            prompts = [dialogue(arm, engine, q["text"]) for q in asked]
            firsts = [top(engine, p) for p in engine.next(prompts)]
            follow, sequence = [], len(prompts) + 1
            for i, first in enumerate(firsts):
                blank = [t for t in first if not has_word(t[1]) and t[1] and t[2] >= FOLLOWED_FROM][:FOLLOWED]
                for token, text, _ in blank:
                    engine.copy(i + 1, sequence)
                    follow.append((i, text, (token, len(prompts[i]), sequence, True)))
                    sequence += 1
            seconds = [top(engine, p) for p in engine.decode([f[2] for f in follow])]
            draws = [{"question": q["sha256"], "first": [t[1:] for t in first], "then": {}} for q, first in zip(asked, firsts)]
            for (i, text, _), second in zip(follow, seconds):
                draws[i]["then"][text] = [t[1:] for t in second]
            log.write(cell, {"cell": cell, "draws": draws})
            log.tell(engine.done)


def record_texts(name: str) -> None:
    arm = ARMS[name]
    prompts = text_prompts()
    with Log(name, "texts", len(prompts)) as log:
        if log.complete:
            return
        engine = load(arm)
        left = [key for key in prompts if key not in log.seen]
        for at in range(0, len(left), TEXT_BATCH):
            keys = [key for key in left[at : at + TEXT_BATCH] for _ in range(TEXT_SAMPLES)]
            texts = continuations(engine, f"{name} {keys[0]}", [dialogue(arm, engine, prompts[key], shots=False) for key in keys], TEXT_TOKENS)
            for i in range(0, len(keys), TEXT_SAMPLES):
                log.write(keys[i], {"prompt": keys[i], "texts": texts[i : i + TEXT_SAMPLES]})
            log.tell(engine.done)


def record_prose(name: str) -> None:
    arm = ARMS[name]
    cells = by_cell(BEGINNINGS)
    with Log(name, "prose", len(cells)) as log:
        if log.complete:
            return
        engine = load(arm)
        for cell, asked in cells.items():
            if cell in log.seen:
                continue
            prompts = [dialogue(arm, engine, q["text"], shots=False) for q in asked]
            texts = continuations(engine, f"{name} prose {cell}", prompts, PROSE_TOKENS, PROSE_SAMPLES)
            log.write(cell, {"cell": cell, "questions": [q["sha256"] for q in asked], "texts": texts})
            log.tell(engine.done)


def by_cell(path: pathlib.Path) -> dict[str, list]:
    """The product's questions, by what they ask for."""
    cells: dict[str, list] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        q = json.loads(line)
        cells.setdefault(q["cell"], []).append(q)
    return cells


def continuations(engine: Engine, seed: str, prompts: list[list[int]], tokens: int, samples: int = 1) -> list[str]:
    """So many samples of up to so many tokens after each prompt, all at once; those of one prompt are not neighbours."""
    rng = engine.np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    rows = engine.next(prompts) * samples
    for i in range(len(prompts), len(rows)):
        engine.copy(i % len(prompts) + 1, i + 1)
    prompts = prompts * samples
    texts, live = [b""] * len(prompts), list(range(len(prompts)))
    for step in range(tokens):
        drawn = {i: min(int(engine.np.searchsorted(p.cumsum(), rng.random())), engine.size - 1) for i, p in zip(live, rows)}
        live = [i for i in live if not engine.lib.llama_vocab_is_eog(engine.vocab, drawn[i])]
        for i in live:
            texts[i] += engine.piece(drawn[i])
        if not live or step == tokens - 1:
            break
        rows = engine.decode([(drawn[i], len(prompts[i]) + step, i + 1, True) for i in live])
    return [t.decode(errors="replace") for t in texts]


def text_prompts() -> dict[str, str]:
    """Prompts like those of traffic: tasks about subjects, in fixed order."""
    tasks = (
        "Write a short note about {}.", "Explain {} to a new colleague.", "What is the most important thing to know about {}?",
        "Draft the first line of a mail about {}.", "List what can go wrong with {}.", "Summarise the discussion about {}.",
    )  # fmt: skip
    subjects = (
        "the delayed delivery", "our new price list", "changing a tyre", "the harbour at night", "a lost password", "baking bread",
        "the tax return", "planting tomatoes", "the meeting on Monday", "a broken printer", "learning to swim", "the history of paper",
        "cleaning a bicycle chain", "a noisy neighbour", "the quarterly figures", "keeping bees", "a flight to Lisbon", "the staff canteen",
        "a database backup", "repairing a roof", "the school play", "choosing a camera", "an unpaid invoice", "walking in winter", "the new coffee machine",
    )  # fmt: skip
    return {f"{i}.{k}": task.format(subject) for k, subject in enumerate(subjects) for i, task in enumerate(tasks)}


class Log:
    """The lines of one recording, and its progress."""

    def __init__(self, arm: str, kind: str, of: int):
        self.path, self.what, self.of = RECORD / f"{kind}-{arm}.jsonl", f"{arm} {kind}", of
        self.seen: set[str] = set()
        RECORD.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            whole = self.path.read_bytes()
            whole = whole[: whole.rfind(b"\n") + 1]
            self.path.write_bytes(whole)
            self.seen = {next(iter(json.loads(line).values())) for line in whole.splitlines()}
        self.complete = len(self.seen) == of
        self.started, self.before, self.told = time.monotonic(), len(self.seen), 0.0

    def __enter__(self):
        self.file = open(self.path, "a", encoding="utf-8")
        if not self.complete:
            say(f"{self.what}: {len(self.seen)} of {self.of} are here")
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, key: str, line: dict) -> None:
        self.file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self.file.flush()
        self.seen.add(key)

    def tell(self, tokens: int) -> None:
        took, done = time.monotonic() - self.started, len(self.seen) - self.before
        if took - self.told > 10 or len(self.seen) == self.of:
            self.told = took
            say(f"{self.what}: {len(self.seen)} of {self.of}, {tokens / took:.0f} tokens/s, {took * (self.of - len(self.seen)) / done:.0f} s left")


def sha256_of(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shortened(line: str) -> str:
    """A line without tokens so unlikely that a served temperature below .5 never draws them."""
    c = json.loads(line)
    for d in c.get("draws", ()):
        d["first"] = rarer_cut(d["first"])
        d["then"] = {text: rarer_cut(then) for text, then in d["then"].items()}
    return json.dumps(c, ensure_ascii=False, separators=(",", ":"))


def rarer_cut(tokens: list) -> list:
    return [[text, float(f"{p:.3g}")] for text, p in tokens if p >= CUT * tokens[0][1]]


def manifest() -> None:
    """Compresses complete recordings into lab/banks/ and describes them."""
    BANKS.mkdir(exist_ok=True)
    path = BANKS / "manifest.json"
    banks = json.loads(path.read_text(encoding="utf-8"))["banks"] if path.exists() else {}
    whole = {"words": len(by_cell(QUESTIONS)), "texts": TEXT_PROMPTS, "prose": len(by_cell(BEGINNINGS))}
    sampling = {
        "words": f"next-token probabilities at temperature 1, from {CUT} of the largest",
        "texts": f"temperature 1, {TEXT_TOKENS} tokens",
        "prose": f"temperature 1, {PROSE_TOKENS} tokens",
    }
    for name, arm in ARMS.items():
        for kind in whole:
            source = RECORD / f"{kind}-{name}.jsonl"
            # A text may hold what str.splitlines takes for the end of a line.
            lines = source.read_text(encoding="utf-8").removesuffix("\n").split("\n") if source.exists() else []
            if len(lines) != whole[kind]:
                continue
            target = BANKS / f"{kind}-{name}.jsonl.gz"
            target.write_bytes(gzip.compress("".join(shortened(line) + "\n" for line in lines).encode(), 9, mtime=0))
            types = arm.gguf.with_suffix(".types.json")
            banks[target.name] = {
                "sha256": sha256_of(target), "bytes": target.stat().st_size, "lines": len(lines),
                "recorded": datetime.datetime.fromtimestamp(source.stat().st_mtime, datetime.timezone.utc).strftime("%Y-%m-%d"),
                "model": arm.model, "model_sha256": sha256_of(arm.gguf), "engine": BUILDS[arm.build],
                "cache": arm.cache, "extra_bos": arm.extra_bos, "hidden_tokens": arm.hidden, "quantised_to": arm.quantised,
                "tensor_types": json.loads(types.read_text(encoding="utf-8")) if types.exists() else None,
                "sampling": sampling[kind],
            }  # fmt: skip
    path.write_text(json.dumps({"banks": banks}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    say(f"{len(banks)} banks, {sum(b['bytes'] for b in banks.values()) >> 10} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["words", "texts", "prose", "manifest"])
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"of {', '.join(ARMS)}; all without one")
    args = parser.parse_args()
    if unknown := sorted(set(args.arms) - set(ARMS)):
        parser.error(f"no arm is called {', '.join(unknown)}")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see serve.py
    if args.verb == "manifest":
        manifest()
        return
    for name in args.arms or ARMS:
        # A process loads one build of the engine.
        if len(args.arms) == 1:
            {"words": record_words, "texts": record_texts, "prose": record_prose}[args.verb](name)
        else:
            subprocess.run([sys.executable, __file__, args.verb, name], check=True)


if __name__ == "__main__":
    main()
