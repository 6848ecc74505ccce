import pytest


def test_entries(script):
    doc = script("limits-doc")
    rows = doc.entries('LIMIT(A, 5000, MEDIA_LIMIT, "steps", "walk less", "Feet hurt.")\nLIMIT(B, 2, NONE, "shoes", "nothing", "Two feet.")\n')
    assert doc.table(rows) == "| 5,000 | steps | `media.limit` | walk less | Feet hurt. |\n| 2 | shoes |  | nothing | Two feet. |\n"


def test_unreadable_entry_is_an_error(script):
    with pytest.raises(SystemExit):
        script("limits-doc").entries('LIMIT(A, 1 << 20, MEDIA_LIMIT, "a", "b", "c")\n')


def test_every_reason_is_a_sentence(script):
    doc = script("limits-doc")
    for _, _, what, advice, reason in doc.entries(doc.SOURCE.read_text(encoding="utf-8")):
        assert what and advice and reason.endswith(".")
