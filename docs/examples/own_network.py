"""An own network under a name of its own, beside one of the project's on the same folds.

python docs/examples/own_network.py
"""

import dataclasses

import flax.linen as nn

import experiments.api as ahmsa


@dataclasses.dataclass(frozen=True)
class PerceptronConfig(ahmsa.NetworkConfig):
    """One hidden layer."""

    hidden: int = ahmsa.setting(16, "Hidden units.", span=ahmsa.Span(1, 4096))


@ahmsa.network("perceptron", PerceptronConfig, layout="whole")
class Perceptron(nn.Module):
    """Maps (B, H, W, C) in 0..255 to logits (B, K)."""

    config: PerceptronConfig
    dtype: object = "float32"

    @nn.compact
    def __call__(self, flow_BxHxWxC, *, real_B=None, train=False):
        """The module's call as every network has it."""
        x = flow_BxHxWxC.reshape(len(flow_BxHxWxC), -1) / 255
        return nn.Dense(self.config.num_classes)(nn.relu(nn.Dense(self.config.hidden)(x))), {}


def main() -> None:
    """Train both on some folds and print their paired statistics."""
    clips = ahmsa.load("synthetic", layout="whole")
    how = {"subjects": ["synthetic-a/a05", "synthetic-b/b04"], "epochs": 3}
    own = ahmsa.loso(clips, "runs/perceptron", model="perceptron", hidden=8, **how)
    theirs = ahmsa.loso(clips, "runs/small", model="small", **how)
    print(ahmsa.compare([own, theirs], "runs/comparison").paired.to_string())


if __name__ == "__main__":
    main()
