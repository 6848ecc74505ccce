"""A small vocabulary of CLIP's kind, learnt from the words below, and an encoder that shows what its ids should be.

The order is CLIP's: 256 bytes, the same at a word's end, one token a merge, the two specials. Splitting and lower-casing are those of
transformers' CLIPTokenizerFast.
"""
import collections
import functools
import json
import re
import unicodedata

MERGES = 480
START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
WORDS = """a an the of in on at with and by for from under over into is are one two three many
photo photograph portrait painting picture drawing sketch illustration poster render style cinematic film still scene close up wide shot
detailed highly sharp focus blurry soft light lighting shadow bright dark golden hour sunset sunrise night morning evening moon sun stars
red orange yellow green blue purple pink black white grey brown silver colour colourful pastel neon vivid
cat dog horse bird fish lion tiger fox wolf dragon man woman child girl boy king queen knight robot astronaut dancer singer actor hero
face eyes hair smile hand standing sitting running walking flying dancing looking holding wearing riding
house castle city street village tower bridge train car boat ship market temple palace garden forest mountain river lake sea beach desert
tree flower grass leaf snow rain storm cloud sky fire water smoke gold stone wood glass metal silk dress hat crown sword umbrella
circle square triangle star cross small large left right top bottom centre background foreground film poster key art title
don't isn't it's we'll they're i'm café naïve 1 2 4 k 8 masterpiece quality best low worst ugly deformed text watermark"""


@functools.lru_cache(None)
def byte_symbols():
    """One printable character for each byte, in the order of CLIP's ids."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def _kind(character):
    if character.isspace():
        return " "
    kind = unicodedata.category(character)[0]
    return kind if kind in "LN" else "other"


def split(text):
    """Words, single digits and runs of anything else, of text without capitals; white space falls away."""
    text, parts, i = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).lower(), [], 0
    while i < len(text):
        found = re.compile("'(?:s|t|re|ve|m|ll|d)").match(text, i)
        end, kind = found.end() if found else i + 1, _kind(text[i])
        while not found and kind not in "N " and end < len(text) and _kind(text[end]) == kind:
            end += 1
        if kind != " ":
            parts.append(text[i:end])
        i = end
    return parts


def symbols(word):
    characters = [byte_symbols()[byte] for byte in word.encode()]
    return (*characters[:-1], characters[-1] + WORD_END)


def merged(word, pair):
    """The symbols of a word with every occurrence of the pair made one, from the left."""
    result, i = [], 0
    while i < len(word):
        width = 2 if word[i:i + 2] == pair else 1
        result.append("".join(word[i:i + width]))
        i += width
    return tuple(result)


@functools.lru_cache(None)
def merges():
    """The most frequent pair first, in order of the alphabet where two are equally frequent."""
    words, learnt = collections.Counter(map(symbols, split(WORDS))), []
    while len(learnt) < MERGES:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learnt.append(best)
        words = {merged(word, best): count for word, count in words.items()}
    return learnt


@functools.lru_cache(None)
def ids():
    bytes_ = list(byte_symbols().values())
    tokens = [*bytes_, *(b + WORD_END for b in bytes_), *("".join(pair) for pair in merges()), START, END]
    return {token: i for i, token in enumerate(tokens)}


def encode(prompt, second=False, count=77):
    """What the tokenizer gives the network: start, at most count-2 tokens, end, and padding, of which the second encoder has another. That
    one it finds in texts too."""
    ranks, tokens = {pair: i for i, pair in enumerate(merges())}, []
    for word in split(prompt.replace("!", " ! ") if second else prompt):
        if second and word == "!":
            tokens.append(ids()["!"])
            continue
        word = symbols(word)
        while pairs := [pair for pair in zip(word, word[1:]) if pair in ranks]:
            word = merged(word, min(pairs, key=ranks.get))
        tokens += [ids()[symbol] for symbol in word]
    tokens = [ids()[START], *tokens[:count - 2], ids()[END]]
    return tokens + [ids()["!"] if second else ids()[END]] * (count - len(tokens))


def write(folder, second):
    """tokenizer or tokenizer_2, as transformers saves them."""
    folder.mkdir()
    special = lambda content: {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    pad = "!" if second else END
    specials = {"bos_token": special(START), "eos_token": special(END), "pad_token": pad, "unk_token": special(END)}
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77,
              "tokenizer_class": "CLIPTokenizer", **specials}
    (folder / "vocab.json").write_text(json.dumps(ids(), ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges()), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(specials, indent=2))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
