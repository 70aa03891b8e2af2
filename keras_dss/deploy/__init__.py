"""Models for devices: one step at a time, and in the formats of other runtimes."""

from keras_dss.deploy.export import FORMATS, export_model
from keras_dss.deploy.streaming import StreamingModel, to_streaming

__all__ = ["FORMATS", "StreamingModel", "export_model", "to_streaming"]
