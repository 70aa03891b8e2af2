"""Pathfinder of Long Range Arena, in the size of the published systems.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathfinder_base --stage=all
Cost:     hours to days on one accelerator
Score:    on the model's card once it is trained

Settings of the reference (DSS; Gupta et al., arXiv 2203.14343), 84.6 % there. Here the kernel is
that of DSS-exp, stable by construction so that balanced truncation applies, and the learning rate
falls along a cosine instead of at plateaus.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=200,
    batch_size=100,
    learning_rate=0.004,
    weight_decay=0.0,
    ssm_learning_rate_scale=0.25,
    step_learning_rate_scale=0.25,
)
_train = dataclasses.replace(_pretrain, epochs=100)

settings = Settings(
    task="lra_pathfinder",
    size="base",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=256,
        num_blocks=6,
        glu=False,
        normalization="batch",
        prenorm=True,
        dropout=0.1,
        readout="last",
    ),
    pretrain=_pretrain,
    train=_train,
)
