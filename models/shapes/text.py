"""Two small CLIP text encoders in transformers' names and maths, and a CLIP tokenizer whose merges are made from the captions' words."""
import collections
import re

import torch
import torch.nn.functional as F
from torch import nn

LENGTH = 77
_COMMON = {"attention_dropout": 0.0, "layer_norm_eps": 1e-5, "max_position_embeddings": LENGTH, "model_type": "clip_text_model"}
CONFIG = _COMMON | {"architectures": ["CLIPTextModel"], "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 2,
                    "num_attention_heads": 3, "hidden_act": "quick_gelu", "projection_dim": 48}
CONFIG_2 = _COMMON | {"architectures": ["CLIPTextModelWithProjection"], "hidden_size": 64, "intermediate_size": 256,
                      "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_act": "gelu", "projection_dim": 64}

_WORDS = re.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")


def byte_symbols():
    """CLIP's printable character for each byte, in the order of the ids."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def _joined(symbols, pair):
    """The symbols with each occurrence of the pair made one."""
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


def learn_merges(texts):
    """Byte-pair merges, the most frequent first, until each word of the texts is one token."""
    counts = collections.Counter(word for text in texts for word in _WORDS.findall(text.lower()))
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in counts}
    merges = []
    while True:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {word: _joined(symbols, best) for word, symbols in words.items()}


class Tokenizer:
    """Ids as CLIP lays them out: 256 bytes, 256 bytes that end a word, the merges in order, the two marks of begin and end."""

    def __init__(self, merges):
        self.merges = merges
        symbols = list(byte_symbols().values())
        tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(pair) for pair in merges]
        self.vocabulary = {token: i for i, token in enumerate(tokens + ["<|startoftext|>", "<|endoftext|>"])}
        self.begin, self.end = len(tokens), len(tokens) + 1
        self._rank = {pair: i for i, pair in enumerate(merges)}
        self._ids = {}

    def _word(self, word):
        symbols = [byte_symbols()[byte] for byte in word.encode()]
        symbols[-1] += "</w>"
        while known := [pair for pair in zip(symbols, symbols[1:]) if pair in self._rank]:
            symbols = _joined(symbols, min(known, key=self._rank.get))
        return [self.vocabulary[symbol] for symbol in symbols]

    def __call__(self, text, padding=None):
        """77 ids; padding: the id after the end mark, the end mark itself without one."""
        ids = []
        for word in _WORDS.findall(text.lower()):
            if word not in self._ids:
                self._ids[word] = self._word(word)
            ids += self._ids[word]
        ids = [self.begin, *ids[:LENGTH - 2], self.end]
        return ids + [self.end if padding is None else padding] * (LENGTH - len(ids))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, mask):
        split = lambda y: y.reshape(y.shape[0], -1, self.heads, y.shape[2] // self.heads).transpose(1, 2)
        query, key, value = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        weights = torch.softmax(query @ key.transpose(2, 3) * self.scale + mask, -1)
        return self.out_proj((weights @ value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width, inner, quick):
        super().__init__()
        self.fc1, self.fc2, self.quick = nn.Linear(width, inner), nn.Linear(inner, width), quick

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.quick else F.gelu(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["hidden_size"]
        self.self_attn = Attention(width, config["num_attention_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = Mlp(width, config["intermediate_size"], config["hidden_act"] == "quick_gelu")

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.token_embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.position_embedding = nn.Embedding(LENGTH, config["hidden_size"])
        nn.init.normal_(self.token_embedding.weight, std=0.1)
        nn.init.normal_(self.position_embedding.weight, std=0.05)

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding.weight[:ids.shape[1]]


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList([Layer(config) for _ in range(config["num_hidden_layers"])])


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings, self.encoder = Embeddings(config), Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config["hidden_size"])

    def forward(self, ids):
        """All hidden states, the embedding first, and the normed last one."""
        states = [self.embeddings(ids)]
        mask = torch.full((LENGTH, LENGTH), -1e4, dtype=states[0].dtype).triu(1)[:ids.shape[1], :ids.shape[1]]
        for layer in self.encoder.layers:
            states.append(layer(states[-1], mask))
        return states, self.final_layer_norm(states[-1])


class TextModel(nn.Module):
    """CLIPTextModel, or CLIPTextModelWithProjection if the config's architecture says so."""

    def __init__(self, config):
        super().__init__()
        self.text_model = Transformer(config)
        projected = config["architectures"] == ["CLIPTextModelWithProjection"]
        self.text_projection = nn.Linear(config["hidden_size"], config["projection_dim"], bias=False) if projected else None

    def forward(self, ids):
        """(pooled, last hidden state, [hidden states]); pooled is what stands at the end mark, the largest id."""
        states, last = self.text_model(ids)
        pooled = last[torch.arange(ids.shape[0]), ids.argmax(1)]
        return self.text_projection(pooled) if self.text_projection else pooled, last, states
