TEXT = "# The file.\n\nimage:\n  # Where they are,\n  # with a path.\n  registry: \"\"\n  tag: x\n# All of them.\npools:\n  cpu: 1\n"


def test_a_comment_right_above_a_value_describes_it(script):
    docs = script("helm-docs")
    assert docs.entries(TEXT) == [(("image", "registry"), "Where they are, with a path."), (("pools",), "All of them.")]
    assert docs.table(TEXT).splitlines()[2:] == ['| `image.registry` | `""` | Where they are, with a path. |',
                                                 '| `pools` | `{"cpu": 1}` | All of them. |']


def test_only_the_table_of_the_readme_is_written(script):
    docs = script("helm-docs")
    readme = f"before\n{docs.START}old\n{docs.END}after\n"
    new = docs.updated(readme, TEXT)
    assert new.startswith(f"before\n{docs.START}| value |") and new.endswith(f"{docs.END}after\n")
    assert docs.updated(new, TEXT) == new
