"""Faults for the benchmark's tests, put into its process before it starts (see injected_faults)."""


def wrong_torch_weights():
    """PyTorch starts from weights that are not the engine's, as a wrong conversion would give."""
    from experiments.baselines import twins

    honest = twins.to_torch

    def wrong(config, params, form):
        state = honest(config, params, form)
        state["head.bias"] += 0.01 * state["head.bias"].new_tensor([1.0, 0.0, -1.0])
        return state

    twins.to_torch = wrong


def without_torch():
    """As where the baselines extra is not installed."""
    import importlib.util

    honest = importlib.util.find_spec

    def missing(name, package=None):
        return None if name == "torch" else honest(name, package)

    importlib.util.find_spec = missing


def without_compiler():
    """As on a machine that has no C++ compiler, which torch.compile needs on a CPU."""
    import os

    os.environ["PATH"] = "/nowhere"
    os.environ.pop("CXX", None)


def torch_traces_alone():
    """PyTorch's compiler traces program and gradient as ever, but writes no C++ of them.

    For a network of frames g++ takes a minute over some sixty files.
    """
    import functools

    import torch

    torch.compile = functools.partial(torch.compile, backend="aot_eager")
