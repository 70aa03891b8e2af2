"""Text of Long Range Arena: film reviews byte by byte, up to 4,096 steps, two classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_text --stage=all --data_dir=...
Cost:     minutes on two CPU cores, per model: in the cards of zoo/lra_text_n*
Score:    accuracy on 25,000 test reviews: in the same cards

The first block sees bytes; after it four steps become one (the down-pooling of Goel et al., arXiv
2202.09729): cheaper steps, hence more epochs at equal cost. The step sizes learn at 0.02,
which the reference found to be worth eight points.

The main training is short and begins near an optimum, hence at a quarter of the learning rate.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=16, batch_size=32, learning_rate=4e-3, weight_decay=0.05, step_learning_rate_scale=5.0
)
_train = dataclasses.replace(_pretrain, epochs=2, learning_rate=1e-3)

settings = Settings(
    task="lra_text",
    state_size=128,
    children=tuple(
        Child(size, start) for size in (64, 32, 16, 8) for start in ("bt", "skew_hippo")
    ),
    model=ModelSettings(
        features=64, num_blocks=4, bidirectional=True, dropout=0.1, downsampling=(1, 4, 1, 1)
    ),
    pretrain=_pretrain,
    train=_train,
)
