"""Labels and images as other tools leave them: `evaluate` and `train` take them for what they are, or name the file and what is wrong."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

RV, MYO, LV = 1, 2, 3
FRAME = "patient101/patient101_frame01"


def without(structure):
    return lambda labels: np.where(labels == structure, 0, labels)


def one_voxel_of(structure):
    def change(labels):
        kept = without(structure)(labels)
        kept[tuple(np.argwhere(labels == structure)[0])] = structure
        return kept

    return change


def without_slice(labels):
    labels[:, :, 2] = 0
    return labels


def rewrite(path, change, target=None, affine=None):
    """Change the voxels of a file, and where asked for its name and its affine."""
    image = nib.load(path)
    changed = change(np.asarray(image.dataobj).copy())
    nib.save(nib.Nifti1Image(changed, image.affine if affine is None else affine), target or path)


@pytest.fixture
def scored(run, acdc, tmp_path):
    """Score copies of the annotations of one patient; give the result and the figures of `clinical`, read as strict JSON."""

    def score(prediction=np.asarray, truth=np.asarray, *, ending=".nii.gz", affine=None):
        (tmp_path / "out").mkdir()
        for path in sorted((acdc / "patient101").glob("*_gt.nii.gz")):
            rewrite(path, prediction, tmp_path / "out" / path.name.replace(".nii.gz", ending), affine)
            rewrite(path, truth)
        result = run("evaluate", tmp_path / "out", acdc, "--exclude", "patient102", "--allow-missing", "--protocol", "clinical", "--json")
        assert result.exit_code == 0, result.stderr
        content = json.loads(result.stdout, parse_constant=pytest.fail)
        return result, {name: figure["value"] for name, figure in content["results"]["clinical"]["overall"].items()}

    return score


def test_a_structure_that_is_missed_scores_zero_and_lowers_the_average(scored):
    _, figures = scored(without(RV))
    assert (figures["dsc_rv"], figures["dsc_average"], figures["hd95_rv"]) == (0, pytest.approx(200 / 3), None)


def test_a_structure_that_is_invented_scores_zero(scored):
    _, figures = scored(truth=without(RV))
    assert (figures["dsc_rv"], figures["dsc_lv"]) == (0, 100)


def test_empty_predictions_score_zero(scored):
    _, figures = scored(np.zeros_like)
    assert (figures["dsc_average"], figures["ec"], figures["lv_ef_bias"]) == (0, 0, None)


def test_a_structure_of_one_voxel_has_distances(scored):
    _, figures = scored(one_voxel_of(RV))
    assert 0 < figures["dsc_rv"] < 10
    assert figures["hd95_rv"] > 5


def test_a_slice_without_annotation_in_the_middle_costs_what_it_holds(scored):
    _, figures = scored(truth=without_slice)
    assert 50 < figures["dsc_lv"] < 100


def test_ed_and_es_the_other_way_round_give_a_negative_ejection_fraction(run, acdc):
    info = acdc / "patient101" / "Info.cfg"
    info.write_text(info.read_text().replace("ED:", "XX:").replace("ES:", "ED:").replace("XX:", "ES:"))
    content = json.loads(run("evaluate", acdc, acdc, "--exclude", "patient102", "--protocol", "clinical", "--json").stdout)
    (row,) = content["results"]["clinical"]["patients"]
    assert row["lv_ef_truth"] == row["lv_ef_prediction"] < 0


def test_uncompressed_predictions_pair_with_compressed_annotations(scored):
    assert scored(ending=".nii")[1]["dsc_average"] == 100


def test_a_prediction_elsewhere_is_named_on_stderr(scored, acdc):
    affine = nib.load(acdc / f"{FRAME}_gt.nii.gz").affine
    affine[:3, 3] += (40, 0, 0)
    result, figures = scored(affine=affine)
    assert "patient101_frame01" in result.stderr
    assert "40.0 mm" in result.stderr
    assert figures["dsc_average"] == 100


def constant(image):
    return np.full_like(image, 7)


def with_nan(image):
    image = image.astype(np.float32)
    image[5, 5] = np.nan
    return image


@pytest.fixture
def trained(run, acdc, tmp_path):
    """Train one step on two patients, one file of which is changed."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'name = "tiny"\ntitle = "Tiny"\n[grid]\nkind = "physical"\nspacing_mm = 4.0\nsize = 48\n'
        '[[members]]\nnetwork = "unet"\noptions = { widths = [2, 4] }\n[pooling]\nrule = "fixed"\n'
        '[optimizer]\nname = "adamw"\nlearning_rate = 1e-3\n[schedule]\nsteps = 1\n[batch]\nframes = 2\nslices = 24\n'
    )

    def train(change, *names):
        for name in names:
            rewrite(acdc / f"{name}.nii.gz", change)
        return run("train", recipe, "--data", f"acdc:{acdc}", "--device", "cpu", "--out", tmp_path / "run")

    return train


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (constant, FRAME, "single grey value"),
        (with_nan, FRAME, "NaN"),
        (lambda labels: np.where(labels == LV, 7, labels), f"{FRAME}_gt", "7"),
        (lambda labels: labels[:-1], f"{FRAME}_gt", "shape"),
    ],
    ids=["constant", "NaN", "unknown label", "other shape"],
)
def test_a_frame_that_cannot_be_trained_on_is_refused_by_name(trained, tmp_path, change, name, said):
    result = trained(change, name)
    assert (result.exit_code, "patient101_frame01" in result.stderr, said in result.stderr) == (2, True, True), result.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_an_annotation_without_foreground_is_named(trained):
    result = trained(np.zeros_like, f"{FRAME}_gt")
    assert result.exit_code == 0, result.stderr
    assert "1 of 4 training frames" in result.stderr
    assert "patient101" in result.stderr


def test_annotations_without_foreground_throughout_are_refused(trained, acdc):
    names = [str(path.relative_to(acdc)).removesuffix(".nii.gz") for path in acdc.glob("*/*_gt.nii.gz")]
    result = trained(np.zeros_like, *names)
    assert result.exit_code == 2
    assert "4 of 4" in result.stderr
