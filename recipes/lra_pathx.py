"""Path-X of Long Range Arena: are two markers joined? 128 x 128 pixels, 16,384 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathx --stage=all
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_pathx_*
Score:    accuracy on 20,000 test images: in the same cards
Why:      labels of pixels, which say at each dash whether it is on the contour that begins at the
          first marker, as in Pathfinder's recipe. The first epochs are of images of 128 columns
          and 32 rows or more, with shorter contours: there a training sees several times as many
          images a minute, and what it learns, where the rows above and below are, is the same in
          whole images. Sixteen pixels of a row become one step before the first block. An epoch
          has 32,000 images, a fifth of the split, so that drawing them takes minutes.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=10,
    batch_size=50,
    learning_rate=8e-3,
    weight_decay=0.05,
    warmup=0.02,
    curriculum=(32, 32, 40, 48, 64, 80, 96, None, None, None),
    step_labels=1.0,
)
_train = dataclasses.replace(
    _pretrain, epochs=1, learning_rate=1e-3, warmup=0.1, curriculum=(None,)
)

settings = Settings(
    task="lra_pathx",
    state_size=64,
    examples=32_000,
    validation_examples=4_000,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=64,
        num_blocks=6,
        bidirectional=True,
        normalization="batch",
        downsampling=(16, 1, 1, 1, 1, 1),
        dt_min=1e-3,
        dt_max=4e-1,
    ),
    pretrain=_pretrain,
    train=_train,
)
