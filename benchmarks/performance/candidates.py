"""Who is measured: ours on each backend and setting, and what one would pick instead."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Candidate:
    """One library in one setting.

    `side` is the module that builds it, `options` the arguments of its `block`. `group` is `ours`,
    `state_space` (PyTorch packages of state space layers) or `other` (recurrent nets, attention).
    """

    name: str
    group: str
    side: str
    options: dict = field(default_factory=dict)
    backend: str | None = None
    note: str = ""

    @property
    def compiled(self):
        return self.options.get("compiled", False)


def _ours(backend, suffix="", **options):
    name = f"keras_dss, {backend}{suffix}"
    return Candidate(name, "ours", "keras_side", {"kind": "dss"} | options, backend)


def _torch(name, group, kind, note="", compiled=False):
    options = {"kind": kind, "compiled": compiled}
    mode = "compile" if compiled else "eager"
    return Candidate(f"{name}, {mode}", group, "torch_side", options, "torch", note)


def _keras(name, kind, backend="tensorflow"):
    return Candidate(f"{name}, {backend}", "other", "keras_side", {"kind": kind}, backend)


GSS = "gated-state-spaces-pytorch"
CANDIDATES = (
    _ours("tensorflow"),
    _ours("tensorflow", " XLA", compiled=True),
    _ours("jax"),
    _ours("torch"),
    _ours("torch", " compile", compiled=True),
    _torch(f"{GSS} DSS", "state_space", "gss_dss"),
    _torch(f"{GSS} DSS", "state_space", "gss_dss", compiled=True),
    _torch(f"{GSS} GSS", "state_space", "gss", "its own gated block, expansion factor 1"),
    _torch("s5-pytorch S5", "state_space", "s5", "one system of N states for all features"),
    _torch("s5-pytorch S5", "state_space", "s5", "one system of N states for all features", True),
    _torch("mambapy Mamba", "state_space", "mamba", "its own gated block, expansion factor 1"),
    _keras("Keras LSTM", "lstm"),
    _keras("Keras GRU", "gru"),
    _keras("Keras MultiHeadAttention", "attention"),
    _torch("torch LSTM", "other", "lstm"),
    _torch("torch GRU", "other", "gru"),
    _torch("torch fused attention", "other", "attention"),
)
