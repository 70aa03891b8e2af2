"""ETTh1: the next 96 hours of seven quantities of a power transformer from the last 336.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Zhou et al., arXiv 2012.07436
Command:  python -m recipes.run --recipe=etth1 --stage=all --data_dir=...
Cost:     minutes on two CPU cores, per model: in the cards of zoo/etth1_n*
Score:    mean squared error on 2,785 test windows: in the same cards
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=6, batch_size=32, learning_rate=1e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=3)

settings = Settings(
    task="etth1",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=32, num_blocks=2, readout="last", relative=True, dropout=0.2),
    pretrain=_pretrain,
    train=_train,
)
