"""Settings that all tests share: four pretend devices, and one cache of compiled programs."""

import importlib.metadata
import os
import tempfile

import pytest

# Commands run by tests compile the same few programs again and again, and many tests start from the
# same finished run; a cache of programs and one of made_once keep the suite within its time. They
# must be named before JAX or a command's process starts. The workers of pytest-xdist inherit the
# names from the process that starts them.
_SESSION = None
if "PYTEST_XDIST_WORKER" not in os.environ:
    _SESSION = tempfile.TemporaryDirectory(prefix="ahmsa-jax-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(_SESSION.name, "programs")
    os.environ["AHMSA_TESTS_SHARED"] = os.path.join(_SESSION.name, "made")
    os.mkdir(os.environ["AHMSA_TESTS_SHARED"])
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Tiny programs spend their time in the compiler, three quarters of it on optimising; whether the
# optimised ones round alike is asked where it matters, by the tests that compile with OPTIMISED.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
# Half of what is left. XLA ends a process whose flags it does not know, so these go only to the
# version that they were tried with, that of constraints.txt.
if importlib.metadata.version("jaxlib") == "0.7.1":
    os.environ["XLA_FLAGS"] += (
        " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        " --xla_llvm_disable_expensive_passes=true"
    )
# Commands see one device, however many cores are here: their files are compared byte by byte.
os.environ["JAX_NUM_CPU_DEVICES"] = "1"
# A second thread of NumPy or PyTorch waits for work by spinning, on a core that a test needs.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


# The slowest files, by a run's durations: begun first, so that no worker is left with one of them
# at the end while the others have nothing to do. The first computes on all cores, the second mostly
# waits.
SLOWEST = (
    "test_wheel.py",
    "test_ray_cluster.py",
    "test_measure.py",
    "test_restart.py",
    "test_watched_runs.py",
    "test_native_build.py",
    "test_benchmark.py",
    "test_engine.py",
    "test_frame_networks.py",
    "test_ablation.py",
    "test_nested.py",
    "test_nested_command.py",
    "test_loso.py",
    "test_loso_mistakes.py",
    "test_peer_training.py",
    "test_golden.py",
    "test_map_forms.py",
    "test_lost_motion.py",
    "test_build_faces.py",
    "test_mfdan.py",
    "test_hsta.py",
    "test_build_class_sets.py",
    "test_contributing.py",
    "test_project.py",
    "test_run_files.py",
    "test_torch_parity.py",
    "test_fold_weights.py",
    "test_classical.py",
    "test_prepared.py",
    "test_batch_loss.py",
    "test_jitter.py",
    "test_tasks.py",
    "test_optical.py",
    "test_compile_cache.py",
)


def pytest_collection_modifyitems(items):
    """Put the slowest files first; the others keep their order."""
    place = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def pytest_configure(config):
    import jax
    from command_runner import collect_rarely

    # Else xdist sorts the files by their number of tests, and the slowest ones hold few.
    config.option.loadscopereorder = False
    collect_rarely()
    # Only in this process: commands see the machine as it is.
    jax.config.update("jax_num_cpu_devices", 4)


def pytest_unconfigure(config):
    if _SESSION:
        _SESSION.cleanup()


@pytest.fixture(scope="session")
def pretend_smic():
    """Folder of a pretend SMIC: ten clips, no sheet, labels from the folders; not to be changed."""
    from native_builds import pretend_database

    return pretend_database("smic")
