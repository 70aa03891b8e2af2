"""Who is measured: ours on each backend and setting, and what one would pick instead."""

from dataclasses import dataclass, field, replace

from benchmarks.performance.turns import KEPT


@dataclass(frozen=True)
class Candidate:
    """One library in one setting.

    `side` is the module that builds it, `options` the arguments of its `block`. `group` is `ours`,
    `state_space` (PyTorch packages of state space layers), `other` (recurrent nets, attention) or
    `kept` (one of the others under other conditions, compared with nobody). Beyond `longest` steps
    it is left out, to keep the run short. `environment` is added to that of its process.
    """

    name: str
    group: str
    side: str
    options: dict = field(default_factory=dict)
    backend: str | None = None
    note: str = ""
    longest: int | None = None
    environment: dict = field(default_factory=dict)

    @property
    def compiled(self):
        return self.options.get("compiled", False)


def _ours(backend, suffix="", longest=None, **options):
    name = f"keras_dss, {backend}{suffix}"
    options = {"kind": "dss"} | options
    return Candidate(name, "ours", "keras_side", options, backend, longest=longest)


def _torch(name, group, kind, note="", compiled=False, longest=None):
    options = {"kind": kind, "compiled": compiled}
    mode = "compile" if compiled else "eager"
    return Candidate(f"{name}, {mode}", group, "torch_side", options, "torch", note, longest)


def _keras(name, kind, longest=None):
    backend = "tensorflow"
    return Candidate(
        f"{name}, {backend}", "other", "keras_side", {"kind": kind}, backend, longest=longest
    )


def _kept(candidate):
    name = f"{candidate.name}, memory kept"
    return replace(candidate, name=name, group="kept", environment=KEPT)


GSS = "gated-state-spaces-pytorch"
OWN_BLOCK = "its own gated block, expansion factor 1"
SHARED = "one system of N states for all features"
CANDIDATES = (
    _ours("tensorflow"),
    _ours("tensorflow", " XLA", compiled=True),
    _ours("jax"),
    _ours("torch"),
    _ours("torch", " compile", longest=784, compiled=True),
    _torch(f"{GSS} DSS", "state_space", "gss_dss"),
    _torch(f"{GSS} DSS", "state_space", "gss_dss", compiled=True),
    _torch(f"{GSS} GSS", "state_space", "gss", OWN_BLOCK, longest=1024),
    _torch("s5-pytorch S5", "state_space", "s5", SHARED),
    _torch("s5-pytorch S5", "state_space", "s5", SHARED, compiled=True),
    _torch("mambapy Mamba", "state_space", "mamba", OWN_BLOCK, longest=784),
    _keras("Keras LSTM", "lstm", longest=1024),
    _keras("Keras GRU", "gru", longest=1024),
    _keras("Keras MultiHeadAttention", "attention"),
    _torch("torch LSTM", "other", "lstm"),
    _torch("torch GRU", "other", "gru"),
    _torch("torch fused attention", "other", "attention"),
    _kept(_ours("tensorflow")),
    _kept(_ours("jax")),
    _kept(_ours("torch")),
    _kept(_torch("s5-pytorch S5", "state_space", "s5", SHARED)),
)
