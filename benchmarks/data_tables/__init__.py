"""Sizes, lengths, class balance and simple baselines of the data sets."""
