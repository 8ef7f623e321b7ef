"""A recipe: one TOML file that says all there is to say about a model and its training."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from shortaxis.errors import InputError
from shortaxis.training.checking import check_recipe

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
        pretrained: File or folder of published weights that the members start from, which are never downloaded; None starts from random
            ones. The network says what it takes, by its method `load_pretrained`.
    """

    network: str
    count: Count = 1
    options: dict[str, Any] = {}
    pretrained: str | None = None


class Objective(_Table, frozen=True):
    """`[loss]`.

    Attributes:
        name: Registered loss, taken of the pooled output (Eq. 1).
        member_weight: Weight of the same loss taken of each member alone and averaged; 0 in the paper.
        end_weight: Weight of the first two and the last two slices of each frame, where all others weigh 1; 1 in the paper.
        diversity: Registered diversity term, which keeps the members apart; None in the paper.
        diversity_weight: Weight of the diversity term.
    """

    name: str = "equation-4"
    member_weight: NotNegative = 0.0
    end_weight: Positive = 1.0
    diversity: str | None = None
    diversity_weight: NotNegative = 0.1


class Optimizer(_Table, frozen=True):
    """`[optimizer]`: one optimizer for all members.

    Attributes:
        name: `rmsprop`, `adamw`, `adam` or `sgd`.
        learning_rate: Peak learning rate.
        weight_decay: As torch defines it for the optimizer.
        momentum: For rmsprop and sgd only.
        nesterov: For sgd only: Nesterov's momentum, which must be above zero then.
        clip: Largest norm of the whole gradient; None does not clip.
    """

    name: Literal["rmsprop", "adamw", "adam", "sgd"]
    learning_rate: Positive
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    nesterov: bool = False
    clip: Positive | None = 1.0

    def __post_init__(self) -> None:
        if self.momentum and self.name not in {"rmsprop", "sgd"}:
            msg = f"`momentum` means nothing to {self.name}; take it out"
            raise ValueError(msg)
        if self.nesterov and not (self.name == "sgd" and self.momentum):
            msg = "`nesterov` needs sgd with a `momentum` above 0"
            raise ValueError(msg)


class Schedule(_Table, frozen=True):
    """`[schedule]`: linear warm-up, then a decay of the learning rate.

    Attributes:
        epochs: Length of the run; an epoch is as many steps as the first pass over the frames has batches.
        steps: Length of the run in optimizer steps, in place of `epochs`: the same however many frames there are.
        warmup_epochs: Length of the warm-up.
        warmup_steps: Length of the warm-up in optimizer steps, added to `warmup_epochs`.
        decay: `cosine` to zero; `constant`; `polynomial` of power 0.9 to zero; `exponential` to the share `final` of the peak; or `tenths`,
            a tenth of what it was at each share of the run in `at`.
        final: Share of the peak that an exponential decay ends with.
        at: Shares of the run behind the warm-up, in (0, 1), at which `tenths` acts.
    """

    epochs: Count | None = None
    steps: Count | None = None
    warmup_epochs: NotNegative = 0.0
    warmup_steps: Annotated[int, msgspec.Meta(ge=0)] = 0
    decay: Literal["cosine", "constant", "polynomial", "exponential", "tenths"] = "cosine"
    final: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    at: tuple[Annotated[float, msgspec.Meta(gt=0, lt=1)], ...] = ()

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            msg = "give the length of the schedule either as `epochs` or as `steps`"
            raise ValueError(msg)
        if bool(self.at) != (self.decay == "tenths"):
            msg = "`at` and the decay `tenths` go together; give both or neither"
            raise ValueError(msg)


class Batch(_Table, frozen=True):
    """`[batch]`: a batch holds whole frames, and always the same number of slice slots.

    Attributes:
        frames: At most so many frames.
        slices: Slots; frames that do not fit wait for the next batch, slots left over are padded and count nowhere.
        end_stacks: Share of the frames that each pass over the data deals a second time, cut down to their first two and last two slices: a
            stack of its own, with its own place among `frames`, its own augmentation and its own σ.
        cut_stacks: Share of the frames that come as a stack planned otherwise: without slices at its ends, or with every second slice only.
    """

    frames: Count = 8
    slices: Count = 96
    end_stacks: Share = 0.0
    cut_stacks: Share = 0.0


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
        resolution: Share of frames that are blended with a picture of half their resolution.
        curve: Largest bend of the grey scale, at most 1.
        ghost: Largest strength of a displaced copy of the picture.
        banding: Largest depth of a dark band.
        slice_shift_mm: Standard deviation of the displacement of each slice against the stack.
        view_mm: Smallest half-edge of a smaller field of view, up to twice as large, that half of the frames (times `probability`) are
            cut to; 0 cuts none.
        upright: On an aligned grid, share of frames that are shown as they lie in the picture, centred on the heart.
        mirror: On an aligned grid, share of frames that are mirrored along the line from LV to RV.
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
    resolution: Share = 0.0
    curve: Share = 0.0
    ghost: NotNegative = 0.0
    banding: Share = 0.0
    slice_shift_mm: NotNegative = 0.0
    view_mm: NotNegative = 0.0
    upright: Share = 0.0
    mirror: Share = 0.0
    crop: Count | None = None
    crop_on_heart: Share = 0.75


class Averaging(_Table, frozen=True):
    """`[averaging]`: average of the weights, which is what is released: a moving one, or a plain one over the end of the run.

    Attributes:
        decay: Of an exponential moving average, per step; 0 keeps the last weights.
        last: Share of the run, at its end, over whose steps a plain average is taken instead.
    """

    decay: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    last: Share = 0.0

    def __post_init__(self) -> None:
        if self.decay and self.last:
            msg = "average the weights either by `decay` or over the `last` steps; set the other to 0"
            raise ValueError(msg)


class Search(_Table, frozen=True):
    """`[search]`: choose the weights of Fixed pooling after the training, by the DSC of every mixture; see `policies.weights_search`.

    Attributes:
        patients: Whose DSC decides. `aside`: training patients that are kept out of the training for it. `held-out`: the held-out patients
            themselves, whose scores are then optimistic, which the run, its scores and its model say.
        share: Share of the training patients to keep aside.
        steps: Number of weights tried along each edge, ends included: 21 are steps of 0.05.
    """

    patients: Literal["aside", "held-out"] = "aside"
    share: Annotated[float, msgspec.Meta(gt=0, le=0.5)] = 0.1
    steps: Annotated[int, msgspec.Meta(ge=2, le=101)] = 21


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
        policy: `kind` and its options: how the members come by their training; see `shortaxis.training.policies`.
        augmenting: `transforms` and `order` of the views that the trained model is asked for; see `shortaxis.ensemble.augmenting`.
        search: Choose the weights of Fixed pooling after the training; None keeps those of `pooling`.
        precision: Arithmetic of the networks: `float32`; `bf16`, which is float32 on a CPU; or `bf16-everywhere`, for a CPU that multiplies
            bf16 itself (AVX512-BF16 or AMX); elsewhere it is emulated. Weights, pooling and loss are float32 in all.
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
    policy: dict[str, Any] = msgspec.field(default_factory=lambda: {"kind": "joint"})
    augmenting: dict[str, Any] = {}
    search: Search | None = None
    precision: Literal["bf16", "float32", "bf16-everywhere"] = "bf16"
    compile: bool = False
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


def recipe_names() -> list[str]:
    """Names of the recipes in the package, such as `release` and `paper/2unet-uncertainty`."""
    root = Path(str(resources.files("shortaxis") / "recipes"))
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by its name in the package or by the path of a TOML file.

    A file may hold `extends = "NAME"`, the name of a recipe in the package or a path beside it, and then only what differs; see `merged`.

    Raises:
        InputError: There is no such recipe, the file, or one that it extends, is not a valid one, or it cannot be trained (`check_recipe`);
            the message names the file and the key.
    """
    path = _path_of(name_or_path)
    recipe = recipe_from_dict(_content(path, ()), str(path))
    check_recipe(recipe, str(path))
    return recipe


WHOLE: Final = ("members", "pooling", "grid", "policy", "augmenting")
"""What a recipe takes from the one it extends wholly or not at all: the options of one kind mean nothing to another."""


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Put a change over a base: tables key by key, except those in `WHOLE`; anything else is replaced."""
    result = dict(base)
    for key, value in change.items():
        deep = key not in WHOLE and isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if deep else value
    return result


def _path_of(name_or_path: str | Path, child: Path | None = None) -> Path:
    """The file of a recipe; of one that a `child` extends, seen from the child's folder."""
    beside = Path() if child is None else child.parent
    path = beside / name_or_path
    if path.suffix == ".toml":
        return path
    known = Path(str(resources.files("shortaxis") / "recipes")) / f"{name_or_path}.toml"
    if known.is_file():
        return known
    if (beside / f"{name_or_path}.toml").is_file():
        hint = f"for the file of that name write '{name_or_path}.toml'"
    else:
        near = get_close_matches(str(name_or_path), recipe_names(), cutoff=0.5)
        nearest = f"the nearest are {', '.join(near)}; " if near else ""
        hint = f"{nearest}give one that `shortaxis train --list` shows, or the path of a .toml file"
    msg = f"{_extending(child)}no recipe is called '{name_or_path}'; {hint}"
    raise InputError(msg)


def _extending(child: Path | None) -> str:
    """How an error begins that is met in what a `child` extends."""
    return "" if child is None else f"{child}: its `extends`: "


def _content(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, over what the file says that it extends."""
    if path.resolve() in {child.resolve() for child in extended_by}:
        msg = f"{path}: extends itself by way of other recipes; take `extends` out of one of them"
        raise InputError(msg)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        child = extended_by[-1] if extended_by else None
        msg = f"{_extending(child)}{path}: the recipe cannot be read ({error.strerror}); check the path"
        raise InputError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: not a valid recipe: {error}"
        raise InputError(msg) from error
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        msg = f"{path}: `extends` must be the name of a recipe or the path of a .toml file, not {base!r}"
        raise InputError(msg)
    return merged(_content(_path_of(base, path), (*extended_by, path)), content)


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain built-in types, as JSON takes them; `recipe_from_dict` is the inverse."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(recipe))
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
