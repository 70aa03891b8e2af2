"""Pathfinder of Long Range Arena: are two markers joined? 32 x 32 pixels, 1,024 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathfinder --stage=all
Cost:     an epoch takes ten to fifteen minutes on two CPU cores
Score:    none yet
Why:      four pixels of a row become one step before the first block, which makes a step four
          times as cheap. The first epochs draw shorter contours: twelve epochs of the task's own
          images taught nothing, and those with at most 5 dashes are learned within one or two.
          From 9 dashes to the task's own images alone was too far, all was lost again; so the
          last grades mix all lengths.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=8,
    batch_size=50,
    learning_rate=8e-3,
    weight_decay=0.05,
    warmup=0.02,
    curriculum=(14, 14, None, None, None, None, None),
    step_labels=1.0,
)
_train = dataclasses.replace(
    _pretrain, epochs=1, learning_rate=1e-3, warmup=0.1, curriculum=None, step_labels=0.0
)

settings = Settings(
    task="lra_pathfinder",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=64,
        num_blocks=6,
        bidirectional=True,
        normalization="batch",
        downsampling=(4, 1, 1, 1, 1, 1),
        dt_min=4e-3,
        dt_max=4e-1,
    ),
    pretrain=_pretrain,
    train=_train,
)
