"""Writes mmd.json: fixed samples and their statistic by the authors' own package.

python3 -m venv venv && venv/bin/pip install model-equality-testing==0.0.2 tqdm transformers
venv/bin/python mmd.py > mmd.json

(It imports tqdm and transformers without declaring them.)
"""

import importlib.metadata
import json
import random

import numpy as np
from model_equality_testing.distribution import CompletionSample
from model_equality_testing.tests import mmd_hamming
from model_equality_testing.utils import pad_to_length, tokenize_unicode

WORDS = ["the", "a", "river", "élan", "数", "🙂", "Москва", "is", "of", "42", "—", "tree"]


def texts(rng, words, counts):
    return [
        {"prompt": prompt, "text": " ".join(rng.choice(words) for _ in range(rng.randint(0, 9)))}
        for prompt, n in enumerate(counts)
        for _ in range(n)
    ]


def sample(completions, prompts, length):
    cut = [c["text"][:length] for c in completions]
    return CompletionSample(
        np.array([c["prompt"] for c in completions]),
        pad_to_length(tokenize_unicode(cut), length),
        prompts,
    )


def case(name, seed, words, counts_x, counts_y, length):
    rng = random.Random(seed)
    x, y = texts(rng, WORDS, counts_x), texts(rng, words, counts_y)
    prompts = len(counts_x)
    statistic = mmd_hamming(sample(x, prompts, length), sample(y, prompts, length))
    return {"name": name, "length": length, "x": x, "y": y, "statistic": float(statistic)}


cases = [
    case("one distribution", 1, WORDS, [6] * 4, [6] * 4, 30),
    case("two distributions", 2, WORDS[:5], [6] * 4, [6] * 4, 30),
    case("unequal sizes", 3, WORDS[3:], [2, 7, 4], [5, 3, 9], 20),
    case("a prompt of one side", 4, WORDS, [4, 3, 0], [4, 0, 5], 12),
    case("all cut", 5, WORDS[:2], [5, 5], [5, 5], 3),
    case("one code point", 6, WORDS, [8, 8], [8, 8], 1),
]
version = importlib.metadata.version("model-equality-testing")
print(json.dumps({"package": "model-equality-testing " + version, "made_by": "venv/bin/python mmd.py > mmd.json", "cases": cases}, ensure_ascii=False, indent=1))
