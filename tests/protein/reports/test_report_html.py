"""Can a page be broken by the texts of a file, and is a strange viewer refused?"""

import re
import sys
from pathlib import Path

import pytest

from provq_protein.errors import ConfigError, MissingExtraError
from provq_protein.reports import molstar_viewer
from provq_protein.reports.html import embedded, facts, page, table


def test_texts_of_files_do_not_become_markup() -> None:
    nasty = "</script><img src=x onerror=alert(1)>\"'&"
    parts = [table((nasty,), [[nasty]], note=nasty), facts([(nasty, nasty)]), embedded("x", nasty)]
    text = page(nasty, parts, styles=[], scripts=[])
    assert "<img" not in text
    assert text.count("</script>") == 1


def test_data_for_scripts_survives_escaping() -> None:
    import json

    value = {"name": "</script>\u2028<b>", "number": 1.5}
    inside = re.fullmatch(r"<script [^>]*>(.*)</script>", embedded("x", value)).group(1)
    assert json.loads(inside) == value


def test_a_script_that_would_end_its_element_is_refused() -> None:
    with pytest.raises(ValueError, match="end tag"):
        page("x", [], styles=[], scripts=["'</SCRIPT>'"])


def test_pages_forbid_loading_anything() -> None:
    for evaluates in (False, True):
        text = page("x", [], styles=[], scripts=[], evaluates=evaluates)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
        assert policy.startswith("default-src 'none'; ")
        assert "http" not in policy and "*" not in policy
        assert ("'unsafe-eval'" in policy) is evaluates


@pytest.fixture
def other_viewer(tmp_path, monkeypatch) -> Path:
    """Put a package with other files in the place of the known one, and return its folder."""
    folder = tmp_path / "molstar_cli" / "static" / "molstar"
    folder.mkdir(parents=True)
    (tmp_path / "molstar_cli" / "__init__.py").write_text("")
    for name in molstar_viewer.KNOWN:
        (folder / name).write_text("alert(1)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "molstar_cli", raising=False)
    yield folder
    sys.modules.pop("molstar_cli", None)


def test_another_build_of_the_viewer_is_refused_by_name(other_viewer) -> None:
    with pytest.raises(
        ConfigError, match=r"molstar_cli: molstar\.js is not that of Mol\* 5\.11\.0"
    ):
        molstar_viewer.viewer_files()


def test_a_viewer_that_lacks_a_file_is_refused(other_viewer) -> None:
    (other_viewer / "molstar.js").unlink()
    with pytest.raises(ConfigError, match=r"molstar\.js cannot be read.*--no-viewer"):
        molstar_viewer.viewer_files()


def test_an_absent_viewer_names_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "molstar_cli", None)
    with pytest.raises(MissingExtraError, match=r"provq\[report\]"):
        molstar_viewer.viewer_files()


def test_the_installed_viewer_is_the_known_one() -> None:
    pytest.importorskip("molstar_cli", reason="the 3D viewer needs the extra 'report'")
    files = molstar_viewer.viewer_files()
    assert len(files.script) > 1_000_000
    assert "</script" not in files.script.lower()
    # A condition of the license.
    assert "Copyright (c) 2017 - now, Mol* contributors" in files.script.split("*/", 1)[0]
