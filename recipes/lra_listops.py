"""ListOps of Long Range Arena: values of nested expressions of 501 to 1999 tokens, ten classes.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_listops --stage=all
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_listops_*
Score:    accuracy on 2,000 test expressions: in the same cards
Why:      labels of steps: the value so far of the expression around each argument, and of the whole
          at each operator. Shorter expressions in the first epochs: what operators do is learned
          there, and many more of them fit into an hour. The model is causal, as the labels are, and
          its last step is read. Four tokens become one step before the first block, which makes a
          training four times as cheap. Batch normalization, and step sizes from 0.001 to 1: the
          whole is remembered for hundreds of steps, an argument for one.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=9,
    batch_size=50,
    learning_rate=1e-2,
    weight_decay=0.05,
    warmup=0.02,
    curriculum=(64, 64, 128, 128, 256, 512),
    step_labels=1.0,
)
_train = dataclasses.replace(_pretrain, epochs=1, learning_rate=1e-3, warmup=0.1, curriculum=None)

settings = Settings(
    task="lra_listops",
    state_size=128,
    children=tuple(
        Child(size, start) for size in (64, 32, 16, 8) for start in ("bt", "skew_hippo")
    ),
    model=ModelSettings(
        features=64,
        num_blocks=6,
        readout="last",
        normalization="batch",
        downsampling=(4, 1, 1, 1, 1, 1),
        dt_min=1e-3,
        dt_max=1.0,
    ),
    pretrain=_pretrain,
    train=_train,
)
