"""Image of Long Range Arena: gray CIFAR-10 pixel by pixel, 1,024 steps, ten classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_image --stage=all --data_dir=...
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_image_n*
Score:    accuracy on 10,000 test images: in the same cards

The second and third block see pairs of the steps before them as one (the down-pooling of Goel et
al., arXiv 2202.09729): cheaper steps, hence more epochs at equal cost.

The main training is short and begins near an optimum, hence at a quarter of the learning rate.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=60, batch_size=50, learning_rate=4e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=3, learning_rate=1e-3)

settings = Settings(
    task="lra_image",
    state_size=128,
    children=tuple(
        Child(size, start) for size in (64, 32, 16, 8) for start in ("bt", "skew_hippo")
    ),
    model=ModelSettings(
        features=64, num_blocks=4, bidirectional=True, dropout=0.1, downsampling=(1, 2, 2, 1)
    ),
    pretrain=_pretrain,
    train=_train,
)
