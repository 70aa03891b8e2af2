"""Pathfinder of Long Range Arena: are two markers joined? 32 x 32 pixels, 1,024 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathfinder --stage=all
Cost:     4.2 minutes on an H200, beside another training
Score:    none yet: 50.0 % of the validation images after twelve epochs, as many as by chance
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=12, batch_size=64, learning_rate=4e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=1, learning_rate=1e-3)

settings = Settings(
    task="lra_pathfinder",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=64, num_blocks=6, bidirectional=True),
    pretrain=_pretrain,
    train=_train,
)
