"""The comparison that .ci/weigh makes: counts bind for the same compiler only, seconds never."""

import json

import pytest
import weighed


@pytest.fixture
def stored():
    return json.loads(weighed.GOLDEN.read_text(encoding="utf-8"))


def run(tmp_path, capsys, found):
    path = tmp_path / "now.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    status = weighed.main(str(path))
    return status, capsys.readouterr().out


def test_the_stored_counts_pass_whatever_compiling_took(tmp_path, capsys, stored):
    stored["tf32"]["compile_cpu_seconds"] = 1.0
    assert run(tmp_path, capsys, stored) == (0, "the counts are the stored ones\n")


def test_a_changed_count_is_named_and_fails(tmp_path, capsys, stored):
    before = stored["tf32"]["rooms"]["head"]["kernels"]
    stored["tf32"]["rooms"]["head"]["kernels"] = before + 1
    status, said = run(tmp_path, capsys, stored)
    assert status == 1
    assert said == f"tf32.rooms.head.kernels: stored {before}, now {before + 1}\n"


def test_another_compiler_is_not_compared(tmp_path, capsys, stored):
    stored["jaxlib"] = "0.0"
    stored["bfloat16"]["unaligned_products"] = 5
    status, said = run(tmp_path, capsys, stored)
    assert status == 0
    assert said.startswith("another compiler than the stored counts'; not compared:\n")


def test_the_stored_program_has_the_keys_that_are_promised(stored):
    assert (stored["memory_rate"], stored["tf32"]["folds"]) == ("4.3e+12", 34)
    promised = {
        *("folds", "roof_ms_per_fold_step", "unaligned_products"),
        *("elementwise_gb_per_fold_step", "optimizer_gb_per_fold_step"),
        *("evaluation_ms_per_fold_step", "product_gflop_per_fold_step"),
        *("gib_arguments", "gib_temporaries"),
    }
    for precision in ("tf32", "bfloat16"):
        assert promised <= set(stored[precision])
        assert stored[precision]["unaligned_products"] == 0
    assert float(stored["tf32"]["roof_ms_per_fold_step"]) < 1.68
    assert float(stored["bfloat16"]["roof_ms_per_fold_step"]) < 1.2
