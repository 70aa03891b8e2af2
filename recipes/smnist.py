"""Sequential MNIST: digits read pixel by pixel, 784 steps, ten classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Le et al., arXiv 1504.00941
Command:  python -m recipes.run --recipe=smnist --stage=all
Cost:     minutes on two CPU cores, per model: in the cards of zoo/smnist_*
Score:    accuracy on 10,000 test images: in the same cards
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(epochs=4, batch_size=50, learning_rate=4e-3, weight_decay=0.05)
_train = dataclasses.replace(_pretrain, epochs=2)

settings = Settings(
    task="smnist",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=32, num_blocks=2, glu=True),
    pretrain=_pretrain,
    train=_train,
)
