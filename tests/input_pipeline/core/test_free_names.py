"""Names for files that are not there yet."""

from input_pipeline.core.files import first_free


def test_what_is_there_keeps_its_name(tmp_path):
    path = tmp_path / "benchmark-2026-11-30.json"
    assert first_free(path) == path
    for name in (path.name, "benchmark-2026-11-30-2.json"):
        (tmp_path / name).touch()
    assert first_free(path) == tmp_path / "benchmark-2026-11-30-3.json"
    # The number goes by the name, not by how many there are.
    path.unlink()
    assert first_free(path) == path
