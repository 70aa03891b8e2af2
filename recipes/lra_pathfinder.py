"""Pathfinder of Long Range Arena: are two markers joined? 32 x 32 pixels, 1,024 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathfinder --stage=all
Cost:     about eleven minutes an epoch on one CPU core
Score:    none yet
Why:      four pixels of a row become one step before the first block, which makes a step four
          times as cheap. The first epochs draw shorter contours: without them twelve epochs
          taught nothing, with them loss and accuracy move after 0.1 million images.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=7,
    batch_size=100,
    learning_rate=4e-3,
    weight_decay=0.05,
    warmup=0.02,
    curriculum=(5, 5, 9),
)
_train = dataclasses.replace(_pretrain, epochs=1, learning_rate=1e-3, warmup=0.1, curriculum=None)

settings = Settings(
    task="lra_pathfinder",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=64, num_blocks=6, bidirectional=True, downsampling=(4, 1, 1, 1, 1, 1)
    ),
    pretrain=_pretrain,
    train=_train,
)
