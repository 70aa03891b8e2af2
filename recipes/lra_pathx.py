"""Path-X of Long Range Arena: are two markers joined? 128 x 128 pixels, 16,384 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathx --stage=all
Cost:     not measured yet
Score:    none yet

An epoch is 160,000 images of 16,384 steps: many hours on two cores.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=1, batch_size=16, learning_rate=2e-3, weight_decay=0.05, validate_every=1000
)
_train = dataclasses.replace(_pretrain, epochs=1)

settings = Settings(
    task="lra_pathx",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=32, num_blocks=4, bidirectional=True, dt_min=1e-4, dt_max=1e-2),
    pretrain=_pretrain,
    train=_train,
)
