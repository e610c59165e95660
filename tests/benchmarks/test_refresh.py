"""What a document quotes is replaced, block by block."""

from benchmarks import refresh

DOCUMENT = """before

<!-- printed by: python first -->

<!-- end -->

<!-- printed by: python second -->

old words

<!-- end -->

<!-- printed by: python third -->
```text
old figures
```
after
"""


def test_each_block_is_filled_by_its_own_command(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "printed", lambda command: f"what {command.split()[1]} says\n")
    document = tmp_path / "document.md"
    document.write_text(DOCUMENT)
    monkeypatch.setattr("sys.argv", ["refresh.py", str(document)])
    refresh.main()
    refresh.main()  # what is there is replaced, not added to
    text = document.read_text()
    assert text == (
        DOCUMENT.replace("first -->\n\n", "first -->\n\nwhat first says\n\n")
        .replace("old words", "what second says")
        .replace("old figures", "what third says")
    )


def test_what_is_not_asked_for_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "printed", lambda command: "new\n")
    document = tmp_path / "document.md"
    document.write_text(DOCUMENT)
    monkeypatch.setattr("sys.argv", ["refresh.py", str(document), "--only", "second"])
    refresh.main()
    assert document.read_text() == DOCUMENT.replace("old words", "new")
