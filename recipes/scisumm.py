"""Citation pairs of CL-SciSumm: does one paper cite another? Bytes, 2 x 4,000 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     as Retrieval of Tay et al., arXiv 2011.04006, on the open CL-SciSumm corpus
Command:  python -m recipes.run --recipe=scisumm --stage=all --data_dir=...
Cost:     not measured yet
Score:    none yet
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=10, batch_size=16, learning_rate=3e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=4)

settings = Settings(
    task="scisumm",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=64, num_blocks=3, bidirectional=True, dropout=0.1),
    pretrain=_pretrain,
    train=_train,
)
