"""The command line `keras-dss`: list, describe, evaluate and compress models."""

from keras_dss.cli.command_line import main

__all__ = ["main"]
