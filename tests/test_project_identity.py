"""The key of a project: which folder it is, and whose caches its runs use."""

from __future__ import annotations

from pathlib import Path

from azureml_tasks.state.project_identity import project_key


def test_a_project_is_its_folder_and_its_scope(tmp_path: Path) -> None:
    """A link names the project that it leads to; another folder and another scope are other projects."""
    folder, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)

    keys = {
        project_key(folder, ""),
        project_key(other, ""),
        project_key(folder, "main"),
        project_key(folder, "pull-request"),
    }
    assert (4, {32}, set()) == (len(keys), set(map(len, keys)), set("".join(keys)) - set("0123456789abcdef"))
    assert project_key(folder, "main") == project_key(link, "main") == project_key(folder / "../one", "main")


def test_any_name_of_a_folder_has_a_key(tmp_path: Path) -> None:
    """Also one that is no text in any encoding."""
    assert project_key(tmp_path, "") != project_key(tmp_path / "\udcff", "")
