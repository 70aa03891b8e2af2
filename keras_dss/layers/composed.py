"""Layers made of others, which come back from a configuration frozen or quantised as they were."""

import keras


class Composed(keras.layers.Layer):
    """Base of layers that make others in `build`.

    Their configuration says of those layers only what differs from the way they are made, so that
    it is that of the constructor's arguments for most.

    A subclass lists the attributes of its layers in `parts` and ends `build` with `_restore()`.
    """

    parts = ()

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._changed_layers = {}

    def inner_layers(self):
        """The layers made so far, by their attributes."""
        found = {name: getattr(self, name, None) for name in self.parts}
        return {name: layer for name, layer in found.items() if layer is not None}

    def _restore(self):
        self._policies = {n: layer.dtype_policy for n, layer in self.inner_layers().items()}
        for layer in self.inner_layers().values():
            layer.trainable = self.trainable
        apply_changes(self.inner_layers(), self._changed_layers)

    def quantized_call(self, *args, **kwargs):
        """That of the inner layers, each under its own policy."""
        return self.call(*args, **kwargs)

    def get_config(self):
        changed = dict(self._changed_layers)
        if self.built:
            changed = changes(self.inner_layers(), self._policies, self.trainable)
        return super().get_config() | ({"changed_layers": changed} if changed else {})

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        changed = config.pop("changed_layers", {})
        layer = cls(**config)
        layer._changed_layers = changed
        return layer


def changes(layers, policies, trainable):
    """What differs from the way that layers were made.

    Args:
        layers: dict of layers. policies: dict of the dtype policies that they were made with.
        trainable: whether they were made trainable.

    Returns:
        dict with an entry for each layer that differs, of `trainable`, `dtype` or both.
    """
    found = {}
    for name, layer in layers.items():
        change = {}
        if layer.dtype_policy != policies[name]:
            change["dtype"] = keras.dtype_policies.serialize(layer.dtype_policy)
        if layer.trainable != trainable:
            change["trainable"] = layer.trainable
        if change:
            found[name] = change
    return found


def apply_changes(layers, changed):
    """Makes layers differ as `changes` found."""
    for name, change in changed.items():
        if "dtype" in change:
            layers[name].dtype_policy = keras.dtype_policies.deserialize(change["dtype"])
        if "trainable" in change:
            layers[name].trainable = change["trainable"]


def source_policy(policy):
    """The dtype policy that a quantised one was made from; any other as it is."""
    if policy.quantization_mode is None:
        return policy
    return keras.dtype_policies.get(policy.get_config()["source_name"])
