"""Characters of Shakespeare: the next one from up to 256 before it.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Karpathy, the tiny Shakespeare corpus
Command:  python -m recipes.run --recipe=shakespeare --stage=all --data_dir=...
Cost:     minutes on two CPU cores, per model: in the cards of zoo/shakespeare_n*
Score:    bits per character of the last 5 % of the text: in the same cards
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=20, batch_size=16, learning_rate=4e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=8)

settings = Settings(
    task="shakespeare",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=128, num_blocks=4, dropout=0.2),
    pretrain=_pretrain,
    train=_train,
)
