"""Search of the ranks of a model's DSS layers with keras-tuner.

Import it by its name: `import keras_dss` alone leaves keras-tuner, which it needs, aside.
"""

from keras_dss.tuner.hypermodel import RankHyperModel
from keras_dss.tuner.oracles import OBJECTIVE, SEARCHES, make_oracle
from keras_dss.tuner.pareto import draw_front, pareto_front
from keras_dss.tuner.tuner import CompressionTuner

__all__ = [
    "OBJECTIVE",
    "SEARCHES",
    "CompressionTuner",
    "RankHyperModel",
    "draw_front",
    "make_oracle",
    "pareto_front",
]
