from __future__ import annotations

from shortaxis.io.walking import files_below


def test_links_to_folders_are_followed_once_and_never_in_a_circle(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "root"
    (root / "b").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "b" / "file").write_text("")
    (root / "a").write_text("")
    (elsewhere / "far").write_text("")
    (root / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == ["a", "b/file", "linked/far"]


def test_an_empty_folder_holds_nothing(tmp_path):
    assert files_below(tmp_path) == []
