"""nnU-Net itself as a row: nnunetv2 (2.8 or newer, extra `[nnunet]`) plans, trains and predicts in folders of its own, and is scored here.

It runs as its own commands; nothing of it is imported. See Isensee et al., Nature Methods 18, 2021, and for the M&Ms challenge Full et al.,
STACOM 2020.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.benchmark.scoring import score_predictions
from shortaxis.datasets.nnunet import write_nnunet
from shortaxis.datasets.splits import k_fold
from shortaxis.errors import InputError
from shortaxis.io.atomic import write_json
from shortaxis.io.nifti import read_labels, read_nifti, write_like
from shortaxis.labels import ACDC
from shortaxis.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from shortaxis.benchmark.result import ScoredSet
    from shortaxis.datasets.dataset import Dataset

COMMANDS: Final = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict", "nnUNetv2_ensemble")
RESULT: Final = "nnunet.json"
_ID: Final = 501
_NAME: Final = f"Dataset{_ID}_shortaxis"
_PLANS: Final = "nnUNetPlans"
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class NnUNetOptions:
    """What is asked of nnU-Net.

    Attributes:
        configurations: Its configurations, whose softmax is averaged; nnU-Net's entry to M&Ms has both.
        folds: Number of folds, drawn by patient with `k_fold`; nnU-Net's own folds would part the frames of a patient.
        trainer: Its trainer class, such as `nnUNetTrainer`, `nnUNetTrainer_100epochs` or `nnUNetTrainerBN`.
        device: `cuda`, `cpu` or `mps`.
        seed: Draws the folds; nnU-Net's own draws are not seeded.
        processes: Processes that preprocess.

    Raises:
        InputError: A name is no single word, there is no configuration, or a number is out of range.
    """

    configurations: tuple[str, ...] = ("2d", "3d_fullres")
    folds: int = 5
    trainer: str = "nnUNetTrainer"
    device: str = "cuda"
    seed: int = 0
    processes: int = 2

    def __post_init__(self) -> None:
        for word in (*self.configurations, self.trainer):
            if not _WORD.fullmatch(word):
                msg = f"nnU-Net: '{word}' is no name of a configuration or trainer; write it as nnU-Net does, such as 3d_fullres"
                raise InputError(msg)
        if not self.configurations or len(set(self.configurations)) < len(self.configurations):
            msg = f"nnU-Net: give one or more different configurations, not {list(self.configurations)}"
            raise InputError(msg)
        if self.folds < 2 or self.processes < 1 or self.device not in {"cuda", "cpu", "mps"}:
            msg = f"nnU-Net: folds ({self.folds}) is at least 2, processes ({self.processes}) at least 1, device one of cuda, cpu, mps"
            raise InputError(msg)


class NnUNetRow:
    """One training and scoring of nnU-Net, in a folder that holds everything of it: give the same again to go on.

    Args:
        training: Annotated frames.
        test: Annotated frames of other patients.
        out: The folder: `raw`, `preprocessed`, `results`, `predicted`, a log for each command, and at the end `nnunet.json`.
        options: What is asked for.
        on_step: Called with what is done next, in words.

    Raises:
        InputError: nnU-Net is not installed, a patient is in both sets, or a frame is not wholly annotated.
    """

    def __init__(
        self,
        training: Dataset,
        test: Dataset,
        out: Path,
        options: NnUNetOptions | None = None,
        on_step: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.training, self.test, self.out = training, test, out.absolute()
        self.options = options or NnUNetOptions()
        self.on_step = on_step
        shared = sorted(set(training.patients) & set(test.patients))
        if shared:
            msg = f"{shared[0]} is both trained on and tested on; give test patients that are not in the training set"
            raise InputError(msg)
        part = next((ref.name for ref in (*training.refs, *test.refs) if not ref.is_whole), None)
        if part is not None:
            msg = f"{part}: is annotated in part only, which nnU-Net would take for background; give wholly annotated frames"
            raise InputError(msg)
        for command in COMMANDS:
            if shutil.which(command) is None:
                msg = f"nnU-Net's command {command} is not found; install it with: pip install 'shortaxis[nnunet]'"
                raise InputError(msg)

    def run(self) -> ScoredSet:
        """Do what is not done yet, and score.

        Returns:
            The scores, which also lie in `nnunet.json`.

        Raises:
            InputError: A command fails, or a prediction is missing or unfit; the message names the log.
        """
        self._write_images()
        self._plan()
        for configuration in self.options.configurations:
            for fold in range(self.options.folds):
                self._train(configuration, fold)
        begun = time.monotonic()
        folder = self._predict()
        seconds = time.monotonic() - begun
        self.on_step("scoring")
        scored = score_predictions(self.test, lambda name: self._mask(folder, name), seconds)
        write_json(self.out / RESULT, self._described(scored))
        return scored

    def _described(self, scored: ScoredSet) -> dict[str, Any]:
        import msgspec  # noqa: PLC0415 - beside the one use

        options = self.options
        return {
            "row": "nnunet",
            "configurations": list(options.configurations),
            "folds": options.folds,
            "trainer": options.trainer,
            "device": options.device,
            "pretrained": "none",
            "data": self.training.name,
            "train_patients": list(self.training.patients),
            "test": msgspec.to_builtins(scored),
        }

    def _write_images(self) -> None:
        """The raw folder: training cases, and the test images without labels."""
        raw = self.out / "raw" / _NAME
        if not (raw / "dataset.json").is_file():  # which is written last
            self.on_step("writing the raw folder")
            write_nnunet(raw, self.training)
        for frame in self.test:
            path = self.out / "raw" / "test" / f"{frame.name}_0000.nii.gz"
            if not path.is_file():
                write_like(frame.image, Study(frame.image[np.newaxis].astype(np.float32), frame.spacing), path, dtype=np.float32)

    def _plan(self) -> None:
        preprocessed = self.out / "preprocessed" / _NAME
        done = self.out / "preprocessed" / "done"
        if not done.is_file():
            asked = ["-d", str(_ID), "--verify_dataset_integrity", "-np", str(self.options.processes), "-c", *self.options.configurations]
            self._call("plan", COMMANDS[0], *asked)
            done.touch()
        splits = k_fold(self.training, self.options.folds, self.options.seed)
        names = [{side: self._cases(getattr(split, attribute)) for side, attribute in _SIDES.items()} for split in splits]
        write_json(preprocessed / "splits_final.json", names)

    def _cases(self, patients: Sequence[str]) -> list[str]:
        return [ref.name for ref in self.training.select(patients).refs]

    def _train(self, configuration: str, fold: int) -> None:
        folder = self.out / "results" / _NAME / f"{self.options.trainer}__{_PLANS}__{configuration}" / f"fold_{fold}"
        if (folder / "checkpoint_final.pth").is_file():
            return
        goes_on = ["--c"] if (folder / "checkpoint_latest.pth").is_file() else []
        asked = [str(_ID), configuration, str(fold), "-tr", self.options.trainer, "-device", self.options.device, *goes_on]
        self._call(f"train-{configuration}-{fold}", COMMANDS[1], *asked)

    def _predict(self) -> Path:
        """Predict with all folds of each configuration, and average the configurations; the folder of the masks."""
        predicted, images = self.out / "predicted", self.out / "raw" / "test"
        folders = [predicted / configuration for configuration in self.options.configurations]
        folds = [str(fold) for fold in range(self.options.folds)]
        keep = ["--save_probabilities"] if len(folders) > 1 else []
        for configuration, folder in zip(self.options.configurations, folders, strict=True):
            where = ["-i", str(images), "-o", str(folder), "-d", str(_ID), "-c", configuration, "-f", *folds]
            self._call(f"predict-{configuration}", COMMANDS[2], *where, "-tr", self.options.trainer, "-device", self.options.device, *keep)
        if len(folders) == 1:
            return folders[0]
        both = predicted / "mean"
        self._call("ensemble", COMMANDS[3], "-i", *(str(folder) for folder in folders), "-o", str(both))
        return both

    def _mask(self, folder: Path, name: str) -> NDArray[np.uint8]:
        path = folder / f"{name}.nii.gz"
        if not path.is_file():
            msg = f"{path}: nnU-Net left no prediction of this frame; see the logs in {self.out / 'logs'}"
            raise InputError(msg)
        mask: NDArray[np.uint8] = read_labels(path, ACDC, like=read_nifti(self.out / "raw" / "test" / f"{name}_0000.nii.gz"))[0]
        return mask

    def _call(self, step: str, command: str, *arguments: str) -> None:
        """Run one command with nnU-Net's three folders inside `out`; what it prints goes into a log."""
        self.on_step(step)
        folders = {f"nnUNet_{kind}": str(self.out / kind) for kind in ("raw", "preprocessed", "results")}
        for folder in (*folders.values(), str(self.out / "logs")):
            Path(folder).mkdir(parents=True, exist_ok=True)
        log = self.out / "logs" / f"{step}.txt"
        with log.open("w", encoding="utf-8") as stream:
            found = subprocess.run(  # noqa: S603 - no shell; every argument is a path or a checked word
                [shutil.which(command) or command, *arguments],
                env=os.environ | folders,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if found.returncode:
            msg = f"nnU-Net's step '{step}' failed with exit code {found.returncode}; {log} says why, and the same call goes on from there"
            raise InputError(msg)


_SIDES: Final = {"train": "train", "val": "held_out"}
"""nnU-Net's names for the sides of a split, and ours."""
