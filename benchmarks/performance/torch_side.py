"""Blocks of the PyTorch peers, run inside a worker."""

import torch
from torch import nn

from benchmarks.performance.sizes import Size

HEADS = 4


class Recurrent(nn.Module):
    """An LSTM or GRU of torch, its outputs alone."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Attention(nn.Module):
    """Causal multi-head self-attention by torch's fused kernel."""

    def __init__(self, features):
        super().__init__()
        self.project = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def forward(self, x):
        heads = self.project(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)  # (B, heads, L, h)
        return self.out(y.transpose(1, 2).flatten(-2))


class ResidualBlock(nn.Module):
    """x + dense(gelu(mixer(norm(x)))); peers that normalise themselves have no second norm."""

    def __init__(self, mixer, features, norm=True):
        super().__init__()
        self.norm = nn.LayerNorm(features) if norm else nn.Identity()
        self.mixer = mixer
        self.dense = nn.Linear(features, features)

    def forward(self, x):
        return x + self.dense(nn.functional.gelu(self.mixer(self.norm(x))))


def residual_block(kind, size):
    width = size.features
    if kind == "gss_dss":
        from gated_state_spaces_pytorch.gss import DSS

        return ResidualBlock(DSS(dim=width, kernel_N=size.states), width, norm=False)
    if kind == "gss":
        from gated_state_spaces_pytorch import GSS

        return GSS(dim=width, dim_expansion_factor=1, dss_kernel_N=size.states, dss_kernel_H=width)
    if kind == "s5":
        from s5 import S5

        return ResidualBlock(S5(width, state_width=size.states), width)
    if kind == "mamba":
        from mambapy.mamba import MambaConfig
        from mambapy.mamba import ResidualBlock as MambaResidual

        return MambaResidual(
            MambaConfig(d_model=width, n_layers=1, d_state=size.states, expand_factor=1)
        )
    if kind == "attention":
        return ResidualBlock(Attention(width), width)
    layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
    return ResidualBlock(Recurrent(layer(width, width, batch_first=True)), width)


def passes(model, x, y, compiled):
    """Functions `forward` and `step`."""
    call = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def forward():
        with torch.no_grad():
            return call(x).flatten()[0].item()

    def step():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(call(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {"forward": forward, "step": step}


def settle(compiled=False):
    """Trains a dense layer, so that all that is imported or started late is there."""
    x = torch.ones(256, 7)
    passes(nn.Linear(7, 1), x, x[:, :1], compiled)["step"]()


def block(kind, size, compiled=False):
    """Functions `forward` and `step` of one block at one size."""
    torch.manual_seed(0)
    size = Size(**size)
    x, y = torch.randn(2, size.batch, size.length, size.features)
    return passes(residual_block(kind, size), x, y, compiled)
