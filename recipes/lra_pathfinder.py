"""Pathfinder of Long Range Arena: are two markers joined? 32 x 32 pixels, 1,024 steps.

Paper:    Ezoe and Sato, arXiv 2402.15993: pretrain a model with a large state size, reduce its
          layers by balanced truncation, train the small models.
Task:     Tay et al., arXiv 2011.04006
Command:  python -m recipes.run --recipe=lra_pathfinder --stage=all
Cost:     minutes, and the hardware, per model: in the cards of zoo/lra_pathfinder_*
Score:    accuracy on 20,000 test images: in the same cards
Why:      labels of pixels, which say at each dash whether it is on the contour that begins at the
          first marker. One bit an image taught these models nothing in twelve epochs, and shorter
          contours in the first epochs did not lead to the task's own; to follow a contour is
          learned outwards from the pixels beside the marker. The first epochs draw contours of 2
          to 14 dashes, the last has the task's own labels alone. Four pixels of a row become one
          step before the first block, which makes a step four times as cheap, and the step sizes
          begin four times as large for it. Batch normalization learned faster than layer
          normalization.
"""

import dataclasses

from recipes.settings import Child, ModelSettings, Settings, TrainingSettings

_pretrain = TrainingSettings(
    epochs=8,
    batch_size=50,
    learning_rate=8e-3,
    weight_decay=0.05,
    warmup=0.02,
    curriculum=(14, 14, None, None, None, None, None),
    step_labels=1.0,
)
_train = dataclasses.replace(
    _pretrain, epochs=1, learning_rate=1e-3, warmup=0.1, curriculum=(None,)
)

settings = Settings(
    task="lra_pathfinder",
    state_size=64,
    children=(Child(16, "bt"), Child(8, "bt"), Child(16, "skew_hippo")),
    model=ModelSettings(
        features=64,
        num_blocks=6,
        bidirectional=True,
        normalization="batch",
        downsampling=(4, 1, 1, 1, 1, 1),
        dt_min=4e-3,
        dt_max=4e-1,
    ),
    pretrain=_pretrain,
    train=_train,
)
