"""Running a trained ensemble on studies."""

from __future__ import annotations

from shortaxis.inference.cleaning import keep_largest
from shortaxis.inference.predictor import FramePrediction, Model, load_model, released_model_path

__all__ = ["FramePrediction", "Model", "keep_largest", "load_model", "released_model_path"]
