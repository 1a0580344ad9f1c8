"""Accounts of two small compiled GPU programs: one counted by hand, one of the engine itself.

`programs/three_products` is a loop of three products of (128, 90) by (90, 90), each followed by an
optimizer's kernel; `two_folds` is the engine's training program for two folds at width 16. Both
were compiled for an H200 by JAX 0.12 and stored without places in source files.
"""

import gzip
import pathlib

import pytest

from ahmsa_jax.networks import arithmetic
from ahmsa_jax.networks.ahmsa import ModelConfig
from experiments.weighing import account, cards, kernels, program_text, rooms

PROGRAMS = pathlib.Path(__file__).with_name("programs")
H200 = cards.load("h200")


def text_of(name):
    return gzip.decompress((PROGRAMS / f"{name}.hlo.gz").read_bytes()).decode()


@pytest.fixture(scope="module")
def three_products():
    return account.account_of(text_of("three_products"), H200, "tf32", folds=1, steps=3)


@pytest.fixture(scope="module")
def two_folds():
    return account.account_of(text_of("two_folds"), H200, "bfloat16", folds=2, steps=1)


def test_a_loop_of_three_products_by_hand(three_products):
    flop = 2 * 128 * 90 * 90
    moved = 4 * (128 * 90 + 90 * 90 + 128 * 90)
    product = three_products.rooms["level 1: feed-forward"]
    assert (product.kernels, product.products, product.unaligned_products) == (3, 3, 3)
    assert product.gflop == pytest.approx(flop / 1e9, rel=1e-12)
    assert product.product_gb == pytest.approx(moved / 1e9, rel=1e-12)
    assert product.elementwise_gb == 0
    # 124,560 bytes at 4.3 TB/s take longer than 2,073,600 operations at 350 TFLOP/s.
    assert moved / 4.3e12 > flop / 350e12
    assert product.ms == pytest.approx(1e3 * moved / 4.3e12, rel=1e-12)
    update = three_products.rooms["optimizer"]
    assert (update.kernels, update.products) == (3, 0)
    assert update.elementwise_gb == pytest.approx(2 * 4 * 128 * 90 / 1e9, rel=1e-12)
    # What is left moves the loops' counters of 4 bytes.
    assert three_products.rooms["other"].elementwise_gb < 1e-7
    assert three_products.evaluation == account.Work()
    facts = three_products.facts()
    assert facts["optimizer_gb_per_fold_step"] == update.elementwise_gb
    assert facts["roof_ms_per_fold_step"] == pytest.approx(product.ms + update.ms, rel=1e-3)


def test_the_roof_is_the_longer_of_operations_and_bytes():
    slow = cards.Card("slow", "", 1, 1e12, {"tf32": 1e9})
    weighed = account.account_of(text_of("three_products"), slow, "tf32", folds=1, steps=3)
    product = weighed.rooms["level 1: feed-forward"]
    assert product.ms == pytest.approx(1e3 * 2 * 128 * 90 * 90 / 1e9, rel=1e-12)


def test_the_engines_products_are_the_networks_own_count(two_folds):
    clips = 16
    config = ModelConfig(base_dim=16, blocks=(0, 0, 1))
    forward = arithmetic.forward_products(config)
    # Zeros fill 147 pixels of a patch up to 152, 3 classes and 4 squeezed channels to 8, 12 heads
    # of 5 to 64; on the 4x4 grid the taps outside are computed too. The maps need no gradient.
    padded = {
        "patch embedding": (forward["patch_embedding"] * 152 // 147, 2),
        "down-sampling 1": (9 * 16 * 16 * 32, 3),
        "down-sampling 2": (forward["down_2"], 3),
        "level 2: channel attention": (2 * 64 * 8, 3),
        "level 2: spatial attention": (2 * 64 * 64, 3),
        "level 2: feed-forward": (2 * 64 * 256, 3),
        "head": (64 * 8, 3),
    }
    for room, (multiply_adds, passes) in padded.items():
        expected = 2 * clips * passes * multiply_adds / 1e9
        assert two_folds.rooms[room].gflop == pytest.approx(expected, rel=1e-9), room
    evaluated = 2 * 8 * sum(multiply_adds for multiply_adds, _ in padded.values()) / 1e9
    assert two_folds.evaluation.gflop == pytest.approx(evaluated, rel=1e-9)


def test_the_engine_has_no_unaligned_product_and_every_room(two_folds):
    facts = two_folds.facts()
    assert facts["unaligned_products"] == 0
    assert facts["products"] == 39
    expected = {"optimizer", "batches", "evaluation", "head", "patch embedding"}
    assert expected <= set(two_folds.rooms)
    assert two_folds.rooms["other"].ms < 0.01 * two_folds.training.ms
    # Training's kernels carry most of the bytes; the optimizer moves 28 for each live parameter.
    live = 48_811 - 2 * 64 * 60
    assert two_folds.rooms["optimizer"].elementwise_gb >= 28 * live / 1e9


def test_the_table_shows_training_and_evaluation_in_sum(two_folds):
    table = account.rows(two_folds)
    assert [row[0] for row in table[-2:]] == ["training", "evaluation"]
    assert len(table) == len(two_folds.rooms) + 1
    assert table[-2][5] == f"{two_folds.training.ms:.4f}"


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("jit(f)/while/body/jvp(AHMSANet)/level_0_block_1/norm_spatial/add", "spatial attention"),
        ("jit(f)/transpose(jvp(HTNet))/level_0_block_1/attention/output/dot", "spatial attention"),
        ("jit(f)/jvp(AHMSANet)/level_0_block_1/channel_attention/expand/dot", "channel attention"),
        ("jit(f)/jvp(AHMSANet)/level_0_block_1/add", "residual sums"),
    ],
)
def test_a_blocks_rooms_follow_from_its_modules(path, room):
    assert rooms.room_of(path) == f"level 0: {room}"


def test_rooms_outside_the_blocks():
    assert rooms.room_of("jit(f)/jvp(AHMSANet)/down_1/conv/dot_general") == "down-sampling 1"
    assert rooms.room_of("jit(f)/jvp(AHMSANet)/head_norm/mul") == "head"
    evaluating = "jit(f)/while/body/cond/evaluation/AHMSANet/level_0_block_1/add"
    assert rooms.room_of(evaluating) == "evaluation"
    mapped = "jit(f)/while/body/cond/vmap(evaluation)/AHMSANet/level_0_block_1/add"
    assert rooms.room_of(mapped) == "evaluation"
    assert rooms.room_of("jit(f)/while/body/vmap(batches)/iota") == "batches"
    assert rooms.room_of("jit(f)/while/body/add") == rooms.OTHER


def test_alignment_looks_at_the_axis_that_is_contiguous():
    rows = program_text.Array("bf16", (85, 88), (1, 0))
    columns = program_text.Array("bf16", (85, 88), (0, 1))
    assert (rows.aligned, columns.aligned, rows.bytes) == (True, False, 2 * 85 * 88)
    assert program_text.Array("f32", (), ()).aligned


def test_what_is_no_compiled_program_is_refused():
    with pytest.raises(ValueError, match="no entry computation"):
        program_text.Program("hello")
    without_loop = program_text.Program(
        "ENTRY %main (x: f32[2]) -> f32[2] {\n  ROOT %x = f32[2]{0} parameter(0)\n}\n"
    )
    with pytest.raises(ValueError, match="0 outermost loops"):
        kernels.kernels_of_loop(without_loop)


def program_with_a_kernel_of_our_own(path):
    """A loop's body as a compiled text has it, around one kernel of Pallas for two folds."""
    weights = "f32[2,256,512]{2,1,0}"
    return f"""%body (state: (s32[])) -> (s32[]) {{
  %state = (s32[]) parameter(0)
  %x = f32[2,40,256]{{2,1,0}} parameter(1)
  %dy = f32[2,40,512]{{2,1,0}} parameter(2)
  %scales = f32[2,4]{{1,0}} parameter(3)
  %p = {weights} parameter(4)
  %m = {weights} parameter(5)
  %v = {weights} parameter(6)
  %call = ({weights}, {weights}, {weights}) custom-call(%x, %dy, %scales, %p, %m, %v), \
custom_call_target="__gpu$xla.gpu.triton", metadata={{op_name="{path}"}}, \
backend_config={{ir = "(("}}
}}

ENTRY %main (x: s32[]) -> (s32[]) {{
  %loop = (s32[]) while(%x), condition=%done, body=%body
}}
"""


def test_a_kernel_of_our_own_is_a_product_by_its_shapes():
    text = program_with_a_kernel_of_our_own("jit(f)/optimizer/vmap()/product_and_adam/pallas_call")
    (kernel,) = kernels.kernels_of_loop(program_text.Program(text))
    assert kernel.is_product
    assert kernel.aligned
    assert kernel.flop == 2 * 2 * 40 * 256 * 512
    # Each weight and both moments are read and written: 24 bytes a parameter.
    given = 2 * 40 * (256 + 512) + 2 * 4
    assert kernel.bytes == 4 * given + 24 * 2 * 256 * 512
    assert rooms.room_of(kernel.op_name) == "optimizer"


@pytest.mark.parametrize(
    ("name", "flop"),
    [
        ("own_attention", 2 * 2 * 2 * 40 * 32 * 85),
        ("own_attention_gradient", 5 * 2 * 2 * 40 * 32 * 85),
        ("own_layer_norm", 0),
        ("own_layer_norm_gradient", 0),
    ],
)
def test_kernels_of_the_layers_count_for_their_module(name, flop):
    """HTNet's module is named as attention is: a kernel is told by its own name."""
    module = "jit(f)/jvp(HTNet)/level_1_block_0/attention"
    text = program_with_a_kernel_of_our_own(f"{module}/{name}/pallas_call")
    # Q, K and V side by side, 85 wide each.
    text = text.replace("f32[2,40,256]", "f32[2,40,255]")
    (kernel,) = kernels.kernels_of_loop(program_text.Program(text))
    assert (kernel.flop, kernel.is_product) == (flop, flop > 0)
    assert rooms.room_of(kernel.op_name) == "level 1: spatial attention"


def test_a_kernel_that_nobody_counted_is_refused():
    text = program_with_a_kernel_of_our_own("jit(f)/strange/pallas_call")
    with pytest.raises(ValueError, match=r"kernel %call does is not known: jit\(f\)/strange"):
        kernels.kernels_of_loop(program_text.Program(text))
