"""The published rows that no set of predictions gives, or that their own lists contradict."""

from experiments.recording import impossible


def test_mfdans_composite_cannot_be():
    table = impossible.impossible_rows()
    # Its row stands in two tables of its paper; no other published row is beyond the bound.
    assert {(row[0], row[1]) for row in table.rows} == {
        ("MFDAN, Table III", "MFDAN"),
        ("MFDAN, Table IV", "MFDAN"),
    }
    for row in table.rows:
        assert row[2:] == ("0.9326 / 0.8196 / 0.7043", "0.8688", "0.7566 to 0.8649")


def test_htnets_own_list_contradicts_its_paper():
    paper, own = impossible.contradicted_rows().rows
    assert paper[:2] == ("HTNet, its paper", "0.8603 / 0.8475")
    assert own[:2] == ("HTNet, its own list", "0.8313 / 0.8175")
    assert all("/" in cell for cell in (*paper[1:], *own[1:]))
