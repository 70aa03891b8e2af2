"""Text of Long Range Arena: film reviews byte by byte, up to 4,096 steps, two classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_text --stage=all --data_dir=...
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_text_*
Score:    accuracy on 25,000 test reviews: in the same cards
Why:      22,500 labels of reviews say little of words to a model of bytes. Polarities of words do,
          labels of the steps, which a logistic regression on the training reviews' words gives
          (keras_dss.datasets.word_polarity); their head is thrown away. Four bytes become one step
          before the first block: cheaper steps, hence more epochs at equal cost; step sizes from
          1e-2 to 0.5 are those of words. 128 features and no dropout, for words are a matter of
          memory; parts of reviews, others in each epoch, take its place. Small batches: more steps
          of the optimiser in the same time.

The main training is short and begins near an optimum, hence at a quarter of the learning rate.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=12,
    batch_size=16,
    learning_rate=8e-3,
    weight_decay=0.05,
    warmup=0.02,
    augmentation="crops",
    step_labels=1.0,
)
_train = dataclasses.replace(_pretrain, epochs=2, learning_rate=2e-3, warmup=0.1)

settings = Settings(
    task="lra_text",
    state_size=128,
    children=tuple(
        Child(size, start) for size in (64, 32, 16, 8) for start in ("bt", "skew_hippo")
    ),
    model=ModelSettings(
        features=128,
        num_blocks=3,
        bidirectional=True,
        normalization="batch",
        downsampling=(4, 1, 1),
        dt_min=1e-2,
        dt_max=0.5,
    ),
    pretrain=_pretrain,
    train=_train,
)
