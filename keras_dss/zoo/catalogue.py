"""Read published models: cards, models, checks. Nothing here writes or uses a network.

Cards are read without Keras: only what needs a model imports it.
"""

from keras_dss.zoo.counting import count_ssm_parameters, count_states
from keras_dss.zoo.errors import CardError
from keras_dss.zoo.schema import read_card
from keras_dss.zoo.storage import CONFIG, WEIGHTS, check_hash, locate


def card(name, root=None):
    """Returns the card of a published model as a dict.

    Args:
        name: a name out of `zoo.list()`.
        root: folder of the published models; `zoo.root()` if None.

    Raises:
        UnknownModelError: for an unknown name, with the nearest ones.
        MissingFileError, CardError, FormatError: for a missing, damaged or newer card.

    Example:

    >>> import keras_dss
    >>> all(keras_dss.zoo.card(name)["version"] >= 1 for name in keras_dss.zoo.list())
    True
    """
    folder = locate(name, root)
    found = read_card(folder)
    if found["name"] != name:
        raise CardError(f"Expected the card of {name!r} in {folder}. Received: {found['name']!r}.")
    return found


def load(name, load_weights=True, *, root=None):
    """Returns a published model, an ordinary uncompiled `keras.Model`.

    Every file is checked against its sha256 in the card before it is used. No network is used.

    Args:
        name: a name out of `zoo.list()`.
        load_weights: False leaves the weights as the architecture's initializers draw them.
        root: folder of the published models; `zoo.root()` if None.

    Raises:
        UnknownModelError: for an unknown name, with the nearest ones.
        MissingFileError, DamagedFileError: naming the file; expected and received hash.
        CardError, FormatError: for a damaged or newer card.
        ArchitectureError: for a config that this Keras or keras_dss cannot build.
        WeightsMismatchError: if weights do not fit the architecture, with names and shapes.

    Example:

    >>> import keras, keras_dss
    >>> model = keras_dss.zoo.load("smnist_n8_bt")  # its outputs are logits
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    """
    from keras_dss.zoo import files

    found = card(name, root)
    folder = locate(name, root)
    for file in (CONFIG, WEIGHTS) if load_weights else (CONFIG,):
        check_hash(folder / file, found["files"][file])
    model = files.read_config(folder)
    if load_weights:
        files.read_weights(model, folder)
    return model


def verify(name, *, root=None):
    """Checks a published model whole: card, hashes, counts, and its pin on the running backend.

    Args:
        name: a name out of `zoo.list()`.
        root: folder of the published models; `zoo.root()` if None.

    Returns:
        A dict of `name`, `version`, `backend` and `pin_error`, the largest absolute difference
        between the model's outputs and the pinned ones.

    Raises:
        ZooError: a subclass that says what does not hold; see `load`, and
        PinError: if an output differs by more than the card's `pin["atol"]`.

    Example:

    >>> import keras_dss
    >>> all("pin_error" in keras_dss.zoo.verify(name) for name in keras_dss.zoo.list()[:1])
    True
    """
    import keras

    from keras_dss.zoo import files

    found = card(name, root)
    folder = locate(name, root)
    for file, expected in found["files"].items():
        check_hash(folder / file, expected)
    model = load(name, root=root)
    received = describe(model, folder)
    expected = {key: found[key] for key in received}
    if received != expected:
        raise CardError(f"Expected the counts of the card, {expected}. Received: {received}.")
    error = files.check_pin(model, folder, found["pin"]["atol"])
    return {
        "name": name,
        "version": found["version"],
        "backend": keras.backend.backend(),
        "pin_error": error,
    }


def describe(model, folder):
    """Returns what a card counts in a model: parameters, states, bytes of its weights' file."""
    return {
        "parameters": {"total": model.count_params(), "ssm": count_ssm_parameters(model)},
        "states": count_states(model),
        "bytes": (folder / WEIGHTS).stat().st_size,
    }
