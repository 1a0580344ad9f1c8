"""The comparison that .ci/weigh makes: counts bind for the same compiler only, seconds never."""

import json

import pytest
import weighed

AS_IT_COMES, WITH_OWN_KERNELS = weighed.PROGRAMS


def counts_of(name):
    return json.loads((weighed.GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def stored():
    return counts_of(AS_IT_COMES)


def run(tmp_path, capsys, found):
    path = tmp_path / "now.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    status = weighed.main(str(path), AS_IT_COMES)
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


# Bounds in ms at the roof, tf32 and bfloat16.
@pytest.mark.parametrize(
    ("name", "roofs"), [(AS_IT_COMES, (1.65, 1.2)), (WITH_OWN_KERNELS, (1.5, 1.1))]
)
def test_the_stored_programs_have_the_keys_that_are_promised(name, roofs):
    stored = counts_of(name)
    assert (stored["memory_rate"], stored["tf32"]["folds"]) == ("4.3e+12", 34)
    promised = {
        *("folds", "roof_ms_per_fold_step", "unaligned_products"),
        *("elementwise_gb_per_fold_step", "optimizer_gb_per_fold_step"),
        *("evaluation_ms_per_fold_step", "product_gflop_per_fold_step"),
        *("gib_arguments", "gib_temporaries"),
    }
    for precision, roof in zip(("tf32", "bfloat16"), roofs, strict=True):
        facts = stored[precision]
        assert promised <= set(facts)
        assert facts["unaligned_products"] == 0
        assert float(facts["roof_ms_per_fold_step"]) < roof


def test_kernels_of_our_own_move_less_memory():
    def other_gb(name, precision):
        facts = counts_of(name)[precision]
        optimizer = float(facts["optimizer_gb_per_fold_step"])
        return float(facts["elementwise_gb_per_fold_step"]) - optimizer

    assert other_gb(WITH_OWN_KERNELS, "tf32") < 1.2 < other_gb(AS_IT_COMES, "tf32")
    assert other_gb(WITH_OWN_KERNELS, "bfloat16") < other_gb(AS_IT_COMES, "bfloat16") < 1.2
