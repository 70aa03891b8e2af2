"""Settings of a recipe: frozen dataclasses, changed only by `override` (`--set key=value`)."""

import ast
import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass

# those of recipes.augmentation, which imports Keras
AUGMENTATIONS = ("waveforms", "crops", "partners")

REDUCTIONS = {"bt": "balanced", "h2": "h2_optimal"}  # starts of children, their methods


def _check_positive(settings, *names):
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"Expected {name} of at least 1. Received: {value}")


def _check_range(settings, names, expected, valid):
    for name in names:
        if not valid(getattr(settings, name)):
            raise ValueError(f"Expected {name} {expected}. Received: {getattr(settings, name)}")


@dataclass(frozen=True)
class ModelSettings:
    """Arguments of the models of `keras_dss.models`, except the state size.

    `readout` and `downsampling` (one factor for each block, or none) are for all but language
    models, `classes` and `standardize` for pairs, `mask_zeros` for real-valued inputs, `relative`
    for regression.
    """

    features: int = 64
    num_blocks: int = 4
    bidirectional: bool = False
    glu: bool = True
    normalization: str = "layer"
    prenorm: bool = True
    dropout: float = 0.0
    readout: str | None = "mean"
    classes: int | None = None
    standardize: bool = False
    downsampling: tuple | None = None
    mask_zeros: bool = False
    relative: bool = False
    dt_min: float = 1e-3
    dt_max: float = 1e-1

    def __post_init__(self):
        _check_positive(self, "features", "num_blocks", "classes")


@dataclass(frozen=True)
class TrainingSettings:
    """One training: AdamW, linear warm-up from zero, then half a cosine down to zero."""

    epochs: int = 10
    batch_size: int = 50
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup: float = 0.1  # fraction of all steps
    ssm_learning_rate_scale: float = 0.25
    step_learning_rate_scale: float = 0.25
    label_smoothing: float = 0.0
    augmentation: str | None = None  # of the inputs, a name in AUGMENTATIONS
    # easier examples for the first epochs: values of the argument in the task's GRADES, or None for
    # the task's own
    curriculum: tuple | None = None
    step_labels: float = 0.0  # weight of the labels of steps, which some tasks have
    clip_norm: float | None = 1.0
    validate_every: int | None = None  # steps; None: at the end of every epoch

    def __post_init__(self):
        _check_positive(self, "epochs", "batch_size", "validate_every")
        rates = ("learning_rate", "ssm_learning_rate_scale", "step_learning_rate_scale")
        _check_range(self, rates, "of a positive number", lambda value: value > 0.0)
        not_negative = ("weight_decay", "step_labels")
        _check_range(self, not_negative, "of at least 0", lambda value: value >= 0.0)
        _check_range(self, ("warmup",), "of 0 to 1", lambda value: 0.0 <= value <= 1.0)
        _check_range(
            self, ("label_smoothing",), "of 0 to below 1", lambda value: 0.0 <= value < 1.0
        )
        _check_range(self, ("clip_norm",), "above 0", lambda value: value is None or value > 0.0)
        if self.augmentation not in (None, *AUGMENTATIONS):
            raise ValueError(
                f"Expected an augmentation of {', '.join(AUGMENTATIONS)}, or None. "
                f"Received: {self.augmentation!r}"
            )
        if not all(
            length is None or (isinstance(length, int) and length > 1)
            for length in self.curriculum or ()
        ):
            raise ValueError(
                "Expected a curriculum of whole numbers from 2 or None, one for each of the first "
                f"epochs. Received: {self.curriculum}"
            )


@dataclass(frozen=True)
class Child:
    """A small model: from Skew-HiPPO ("skew_hippo"), or reduced from the parent.

    A start "bt" is its balanced truncation, "h2" its H2-optimal reduction.

    A reduced layer has eigenvalues of its own for every feature; by default so has the control, so
    that both have the same architecture and differ in their initial parameters alone.
    """

    state_size: int
    start: str
    eigenvalues: str = "per_feature"

    def __post_init__(self):
        _check_positive(self, "state_size")
        if self.start not in (*REDUCTIONS, "skew_hippo"):
            starts = ", ".join(f'"{start}"' for start in REDUCTIONS)
            raise ValueError(f'Expected start {starts} or "skew_hippo". Received: {self.start!r}')

    @property
    def suffix(self):
        return f"n{self.state_size}" + (f"_{self.start}" if self.start in REDUCTIONS else "")


@dataclass(frozen=True)
class Settings:
    """A recipe: the parent, its children, their trainings.

    The size is `"edge"`, what two CPU cores train in hours, or `"base"`, that of the published
    systems; models of the base size have it in their names. Trainings start as the recipe says
    (`start="recipe"`: from Skew-HiPPO, or from the reduced parent), or go on from the published
    weights of the same names (`"published"`).
    """

    task: str
    size: str = "edge"
    start: str = "recipe"
    state_size: int = 64
    children: tuple[Child, ...] = (Child(16, "bt"), Child(16, "skew_hippo"))
    model: ModelSettings = ModelSettings()
    pretrain: TrainingSettings = TrainingSettings()
    train: TrainingSettings = TrainingSettings()
    calibration: int = 64  # training sequences that measure the controllability Gramians; 0: exact
    # the first so many, of the training split and of the validation split where a training reads
    # it; None: all
    examples: int | None = None
    validation_examples: int | None = None
    num_lengths: int = 8  # that batches are cut to; JAX compiles for each of them
    seed: int = 0
    checkpoint_minutes: float = 2.0

    def __post_init__(self):
        _check_positive(self, "state_size", "num_lengths", "examples", "validation_examples")
        _check_range(self, ("calibration", "seed"), "of at least 0", lambda value: value >= 0)
        if self.size not in ("edge", "base"):
            raise ValueError(f'Expected size "edge" or "base". Received: {self.size!r}')
        if self.start not in ("recipe", "published"):
            raise ValueError(f'Expected start "recipe" or "published". Received: {self.start!r}')

    @property
    def recipe(self):
        """The recipe's name, and the beginning of its models' names."""
        return self.task if self.size == "edge" else f"{self.task}_base"

    @property
    def parent(self):
        """The parent's published name."""
        return f"{self.recipe}_n{self.state_size}"

    def name(self, child):
        """A child's published name."""
        return f"{self.recipe}_{child.suffix}"

    @property
    def models(self):
        """Every published name of the recipe, the parent's first, with its `Child` (or None)."""
        return {self.parent: None, **{self.name(child): child for child in self.children}}

    def select(self, models=()):
        """Return the full names of the named models (`n16_bt` will do), or of all."""
        known = self.models
        found = [name if name in known else f"{self.recipe}_{name}" for name in models]
        for name, full in zip(models, found, strict=True):
            if full not in known:
                raise ValueError(f"Expected models of {', '.join(known)}. Received: {name!r}")
        return found or list(known)

    def reduced(self, name):
        """Return whether a model's training starts from the reduced parent."""
        child = self.models[name]
        return self.start == "recipe" and child is not None and child.start in REDUCTIONS

    def architecture(self, name):
        """Return a model's architecture, as the card of a published model holds it."""
        child = self.models[name]
        return {
            **dataclasses.asdict(self.model),
            "state_size": child.state_size if child else self.state_size,
            "eigenvalues": child.eigenvalues if child else "shared",
        }


def keys(settings, prefix=""):
    """Return every key that `override` knows, nested ones with a dot."""
    found = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in ("task", "size"):  # what the recipe is, not how it is done
            continue
        nested = dataclasses.is_dataclass(value)
        found += keys(value, f"{prefix}{field.name}.") if nested else [prefix + field.name]
    return found


def override(settings, assignments):
    """Return `settings` with `key=value` strings applied.

    Args:
        settings: a `Settings`.
        assignments: strings such as `"pretrain.epochs=3"`; children are written
            `"children=n16_bt,n16"`.

    Raises:
        ValueError: an unknown key (near ones are named), or a value of another type or out of
            bounds.

    >>> settings = Settings("lra_listops")
    >>> override(settings, ["pretrain.epochs=3", "children=n8_bt"]).children
    (Child(state_size=8, start='bt', eigenvalues='per_feature'),)
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        known = keys(settings)
        if not equals:
            raise ValueError(f"Expected key=value. Received: {assignment!r}")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.4)
            ends = [name for name in known if name.split(".")[-1] == key]
            hint = ", ".join(dict.fromkeys(ends + near))
            hint = f"did you mean {hint}?" if hint else f"there are {', '.join(known)}."
            raise ValueError(f"Unknown setting; {hint} Received: {key!r}")
        settings = _replace(settings, key.split("."), text, key)
    return settings


def _replace(settings, path, text, key):
    head, *rest = path
    if rest:
        value = _replace(getattr(settings, head), rest, text, key)
    elif head == "children":
        value = tuple(_child(part) for part in text.split(",") if part)
    else:
        value = _parse(text, typing.get_type_hints(type(settings))[head], key)
    return dataclasses.replace(settings, **{head: value})


def _child(text):
    size, _, start = text.removeprefix("n").partition("_")
    if not text.startswith("n") or not size.isdigit() or start not in ("", *REDUCTIONS):
        raise ValueError(f"Expected children such as n16_bt, n16_h2 or n16. Received: {text!r}")
    return Child(int(size), start or "skew_hippo")


def _parse(text, hint, key):
    accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if str in accepted:
        return None if text == "None" and type(None) in accepted else text
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        value = text
    if float in accepted and type(value) is int:
        value = float(value)
    if type(value) not in accepted:
        names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in accepted)
        raise ValueError(f"Expected {key} of type {names}. Received: {text!r}")
    return value
