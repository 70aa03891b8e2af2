"""Sequential MNIST: digits read one pixel at a time, 784 steps, ten classes.

Paper:    Ezoe & Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its layers by balanced
          truncation, train the small model.
Command:  python -m recipes.run --recipe=smnist --stage=all
Cost:     see the cards in zoo/ (sized for two CPU cores)
Score:    see the cards in zoo/
"""

from recipes.settings import Child, DataFacts, ModelSettings, Settings, TrainingSettings

_training = TrainingSettings(epochs=6, batch_size=50, learning_rate=4e-3, weight_decay=0.05)

settings = Settings(
    task="smnist",
    data=DataFacts(
        description="MNIST digits as sequences of 784 pixels.",
        source="MNIST (LeCun, Cortes and Burges).",
        defects=(),
    ),
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(features=32, num_blocks=2, glu=True),
    pretrain=_training,
    train=_training,
)
