"""Spoken digits as raw waveforms of 8,000 samples a second, up to 8,192 steps, ten classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Jackson et al., the Free Spoken Digit Dataset
Command:  python -m recipes.run --recipe=fsdd --stage=all --data_dir=...
Cost:     minutes on two CPU cores, per model: in the cards of zoo/fsdd_n*
Score:    accuracy on 300 test recordings: in the same cards
Why:      eight samples become one step before the first block: an eighth of the steps leaves time
          for twice the features and more epochs. Recordings are played faster or slower, louder
          or softer, so that 2,400 of them are not learned by heart.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=60, batch_size=20, learning_rate=4e-3, weight_decay=0.05, augmentation="waveforms"
)
_train = dataclasses.replace(_pretrain, epochs=10)

settings = Settings(
    task="fsdd",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=64,
        num_blocks=4,
        bidirectional=True,
        dropout=0.1,
        downsampling=(8, 1, 1, 1),
        mask_zeros=True,
    ),
    pretrain=_pretrain,
    train=_train,
)
