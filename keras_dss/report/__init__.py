"""Reports on models: pictures of their state space layers, and one page that holds all of them."""

from keras_dss.report.curves import Curve, published_curve, read_curve
from keras_dss.report.facts import LayerFacts, layer_facts
from keras_dss.report.measured import measure_curve
from keras_dss.report.page import render, write
from keras_dss.report.pictures import accuracy_curve, hankel_values, kernels, pole_map

__all__ = [
    "Curve",
    "LayerFacts",
    "accuracy_curve",
    "hankel_values",
    "kernels",
    "layer_facts",
    "measure_curve",
    "pole_map",
    "published_curve",
    "read_curve",
    "render",
    "write",
]
