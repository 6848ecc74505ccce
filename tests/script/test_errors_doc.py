import pytest


def test_entries(script):
    text = '/* ERROR_CODE(a) */\nERROR_CODE(IO, "io", 500, WORKER, "Reading \\"x\\" failed.")\n' \
           'ERROR_CODE(GONE, "a.gone", 404, INPUT,\n           "It is "\n           "gone (really).")\n'
    doc = script("errors-doc")
    rows = doc.entries(text)
    assert rows == [("io", 500, "worker", 'Reading "x" failed.'), ("a.gone", 404, "input", "It is gone (really).")]
    assert doc.table(rows).splitlines()[1] == "| `a.gone` | 404 | input | It is gone (really). |"


def test_unreadable_entry_is_an_error(script):
    with pytest.raises(SystemExit):
        script("errors-doc").entries("ERROR_CODE(IO, io, 500, WORKER, \"x\")\n")


def test_codes_are_unique_and_well_formed(script):
    doc = script("errors-doc")
    rows = doc.entries(doc.SOURCE.read_text(encoding="utf-8"))
    names = [name for name, *_ in rows]
    assert len(names) == len(set(names))
    assert all(name == name.lower() and 400 <= http < 600 and meaning[-1] in ".?" for name, http, _, meaning in rows)
