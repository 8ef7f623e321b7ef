"""A recipe: one TOML file that says all there is to say about a model and its training."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from shortaxis.errors import InputError

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the recipe; a key that it does not know is an error, so that a typing slip cannot pass unseen."""


class Members(_Table, frozen=True):
    """`[[members]]`: one or more equal members.

    Attributes:
        network: Registered name.
        count: How many of them.
        options: Options of the network's constructor.
    """

    network: str
    count: Count = 1
    options: dict[str, Any] = {}


class Objective(_Table, frozen=True):
    """`[loss]`.

    Attributes:
        name: Registered loss, taken of the pooled output (Eq. 1).
        member_weight: Weight of the same loss taken of each member alone and averaged; 0 in the paper.
    """

    name: str = "equation-4"
    member_weight: NotNegative = 0.0


class Optimizer(_Table, frozen=True):
    """`[optimizer]`: one optimizer for all members.

    Attributes:
        name: `rmsprop` or `adamw`.
        learning_rate: Peak learning rate.
        weight_decay: As torch defines it for the optimizer.
        momentum: For rmsprop only.
        clip: Largest norm of the whole gradient; None does not clip.
    """

    name: Literal["rmsprop", "adamw"]
    learning_rate: Positive
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    clip: Positive | None = 1.0


class Schedule(_Table, frozen=True):
    """`[schedule]`: linear warm-up, then a cosine to zero; `constant` keeps the peak after the warm-up.

    Attributes:
        epochs: An epoch is as many steps as the first pass over the frames has batches.
        warmup_epochs: Length of the warm-up.
        decay: `cosine` or `constant`.
    """

    epochs: Count
    warmup_epochs: NotNegative = 0.0
    decay: Literal["cosine", "constant"] = "cosine"


class Batch(_Table, frozen=True):
    """`[batch]`: a batch holds whole frames, and always the same number of slice slots.

    Attributes:
        frames: At most so many frames.
        slices: Slots; frames that do not fit wait for the next batch, slots left over are padded and count nowhere.
    """

    frames: Count = 8
    slices: Count = 96


class Augmentation(_Table, frozen=True):
    """`[augmentation]`: drawn once a frame and applied to all its slices. All values are half-widths of a uniform draw around no change.

    Attributes:
        probability: Share of frames that each geometric and intensity change is applied to.
        rotation_deg: Rotation in degrees.
        scale: Relative zoom.
        shift_mm: Translation along each axis in mm.
        shear: Shear factor.
        flip: Mirror along each in-plane axis with probability one half.
        quarter_turns: Turn by a random multiple of 90 degrees.
        elastic_mm: Standard deviation of the coarse displacement field in mm.
        gamma: Exponent range, on a log scale.
        brightness: In standard deviations of the frame.
        contrast: Relative.
        noise: Largest standard deviation of added noise.
        blur: Largest share of a smoothed image that is mixed in.
        bias: Largest amplitude of a smooth multiplicative field.
        crop: Edge in pixels of the square that training sees; None is the whole grid.
        crop_on_heart: Share of frames whose crop is centred on the annotated heart, the rest lie anywhere.
    """

    probability: Share = 1.0
    rotation_deg: NotNegative = 0.0
    scale: NotNegative = 0.0
    shift_mm: NotNegative = 0.0
    shear: NotNegative = 0.0
    flip: bool = False
    quarter_turns: bool = False
    elastic_mm: NotNegative = 0.0
    gamma: NotNegative = 0.0
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    noise: NotNegative = 0.0
    blur: Share = 0.0
    bias: NotNegative = 0.0
    crop: Count | None = None
    crop_on_heart: Share = 0.75


class Averaging(_Table, frozen=True):
    """`[averaging]`: exponential moving average of the weights, which is what is released.

    Attributes:
        decay: Per step; 0 keeps the last weights.
    """

    decay: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0


class Recipe(_Table, frozen=True):
    """The whole file.

    Attributes:
        name: Short name, as the command line and the results use it.
        title: One line for people.
        members: The members.
        pooling: `rule` and the options of the rule.
        grid: `kind` and the options of the grid.
        loss: The objective.
        optimizer: The optimizer.
        schedule: Length and learning-rate curve.
        batch: What one step sees.
        augmentation: What is done to a frame before the networks see it.
        averaging: Averaged weights.
        precision: Arithmetic on a GPU, `bf16` or `float32`; on a CPU it is always float32.
        compile: Compile the step with `torch.compile` on a GPU.
        seed: Of everything that is drawn.
    """

    name: str
    title: str
    members: Annotated[list[Members], msgspec.Meta(min_length=1)]
    pooling: dict[str, Any]
    grid: dict[str, Any]
    optimizer: Optimizer
    schedule: Schedule
    loss: Objective = Objective()
    batch: Batch = Batch()
    augmentation: Augmentation = Augmentation()
    averaging: Averaging = Averaging()
    precision: Literal["bf16", "float32"] = "bf16"
    compile: bool = False
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


def recipe_names() -> list[str]:
    """Names of the recipes in the package, such as `release` and `paper/2unet-uncertainty`."""
    root = Path(str(resources.files("shortaxis") / "recipes"))
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by its name in the package or by the path of a TOML file.

    Raises:
        InputError: There is no such recipe, or the file is not a valid one; the message names the key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = Path(str(resources.files("shortaxis") / "recipes")) / f"{name_or_path}.toml"
        if not path.is_file():
            msg = f"no recipe is called '{name_or_path}'; known are {', '.join(recipe_names())}, or give the path of a .toml file"
            raise InputError(msg)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(content, Recipe)
    except OSError as error:
        msg = f"{path}: the recipe cannot be read ({error.strerror}); check the path"
        raise InputError(msg) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        msg = f"{path}: not a valid recipe: {error}"
        raise InputError(msg) from error


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain built-in types, as JSON takes them; `recipe_from_dict` is the inverse."""
    content: dict[str, Any] = msgspec.to_builtins(recipe)
    return content


def recipe_from_dict(content: Any, source: str = "the recipe") -> Recipe:
    """Rebuild a recipe from plain types.

    Raises:
        InputError: The content is not a recipe.
    """
    try:
        return msgspec.convert(content, Recipe)
    except msgspec.ValidationError as error:
        msg = f"{source}: not a valid recipe: {error}"
        raise InputError(msg) from error
