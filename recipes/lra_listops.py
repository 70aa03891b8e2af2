"""ListOps of Long Range Arena: values of nested expressions of 501 to 1999 tokens, ten classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_listops --stage=all
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_listops_*
Score:    accuracy on 2,000 test expressions: in the same cards

The logits are read at the first step, where the outermost operator stands and where the backward
kernels bring the rest: a mean over a thousand steps has to find that step first, and stayed at the
share of the commonest class for half an epoch.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=20, batch_size=50, learning_rate=4e-3, weight_decay=0.05, step_learning_rate_scale=1.0
)
_train = dataclasses.replace(_pretrain, epochs=1, learning_rate=1e-3)

settings = Settings(
    task="lra_listops",
    state_size=128,
    children=tuple(
        Child(size, start) for size in (64, 32, 16, 8) for start in ("bt", "skew_hippo")
    ),
    model=ModelSettings(features=64, num_blocks=6, bidirectional=True, readout="first"),
    pretrain=_pretrain,
    train=_train,
)
