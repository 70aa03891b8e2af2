"""Citation pairs of CL-SciSumm: does one paper cite another? Bytes, 2 x 4,000 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     as Retrieval of Tay et al., arXiv 2011.04006, on the open CL-SciSumm corpus
Command:  python -m recipes.run --recipe=scisumm --stage=all --data_dir=...
Cost:     minutes, and the hardware, per model: in the cards of zoo/scisumm_*
Score:    accuracy on 554 test pairs: in the same cards
Why:      4,434 labels of pairs say little of words to a model of bytes. Topics of words do, labels
          of the steps from papers that hold the same words (keras_dss.datasets.word_topics): the
          model assigns each step to one of their classes, or to none, and compares how often each
          occurs in both papers, standardised, for the shares differ little between papers. Training
          takes parts of papers, and gives those that are not cited other partners in each epoch.
          Four bytes become one step before the first block; step sizes from 1e-2 to 0.5 are those
          of words.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=8,
    batch_size=16,
    learning_rate=8e-3,
    weight_decay=0.05,
    warmup=0.02,
    augmentation="partners",
    step_labels=1.0,
)
_train = dataclasses.replace(_pretrain, epochs=2, learning_rate=2e-3, warmup=0.1)

settings = Settings(
    task="scisumm",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=128,
        num_blocks=3,
        bidirectional=True,
        normalization="batch",
        dropout=0.1,
        downsampling=(4, 1, 1),
        classes=129,  # no topic, and 128 of them
        standardize=True,
        dt_min=1e-2,
        dt_max=0.5,
    ),
    pretrain=_pretrain,
    train=_train,
)
