"""Prompts of many scripts, with emoji, digits, contractions, what is no text, and long ones."""
import random

CORPUS = [
    "", "a photo of a cat", "Hello, World!", "  white \t\n space  ", "it's they're I'VE we'll he'd I'm don't 'S ''s", "o'clock 'tis rock'n'roll",
    "1024x1024 3.14 2026-11-28 ½ ² Ⅷ ٣٤ १२३", "[x] (y:1.3) {z} <lora:a:1> <|endoftext|> <|startoftext|>", "éclair naïve Ångström ÇA São",
    "e\u0301 A\u030a n\u0303 \u1e9b\u0323 \ufb01 \u212b \u2126", "İstanbul I ı ΣΊΣΥΦΟΣ ẞ ǅ", "Привет, мир! Ёж", "γειά σου Κόσμε", "مرحبا بالعالم", "שלום עולם",
    "नमस्ते दुनिया", "வணக்கம் உலகம்", "ไทยภาษา", "你好，世界。漢字", "こんにちは カタカナ", "안녕하세요 \u1112\u1161\u11ab", "😀😃 👩‍👩‍👧 🇩🇪 ❤️ ✨", "a\u00a0b\u2003c\u3000d\u0085e\u2028f",
    "\u200b\u200d\ufeff\x01\x7f", "constructor toString __proto__ hasOwnProperty", "!!!?!...,,,;;;", "C++ & C# @ 50% #1 $5", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚", "aaaaaaaaaaaaaaaa zzzzzzzzzz",
    "masterpiece, best quality, 1girl, solo, (detailed:1.2), 8k uhd, dslr, soft lighting",
]
WORDS = "the quick brown fox jumps over a lazy dog while seven photographers photograph extraordinary antidisestablishmentarianism".split()


def long_prompts(count):
    """Of 200 words each."""
    rng = random.Random(1)
    return [" ".join(rng.choice(WORDS) for _ in range(200)) for _ in range(count)]
