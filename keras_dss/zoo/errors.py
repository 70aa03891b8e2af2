"""The errors of the zoo; every one is a `ZooError`, and that is a `ValueError`."""


class ZooError(ValueError):
    """Base class of the zoo's errors."""


class UnknownModelError(ZooError):
    """No model of that name is published."""


class MissingFileError(ZooError, FileNotFoundError):
    """A published model lacks one of its files."""


class DamagedFileError(ZooError):
    """A file's sha256 is not the one in the card."""


class CardError(ZooError):
    """A card breaks the schema or contradicts itself."""


class FormatError(ZooError):
    """A card was written in a format that this version does not know."""


class ArchitectureError(ZooError):
    """A stored config does not give a model."""


class WeightsMismatchError(ZooError):
    """Stored weights do not fit the stored architecture."""


class PinError(ZooError):
    """A model does not reproduce its pinned outputs."""


class PublishError(ZooError):
    """A model cannot be published as it was given."""
