"""Folders and cases under the protocols, from files to figures."""

from __future__ import annotations

import gzip
import io
import json
import struct
import time

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from shortaxis import __version__
from shortaxis.datasets.phantom import write_phantoms
from shortaxis.errors import DataWarning, InputError
from shortaxis.evaluation import evaluate_cases, evaluate_folders
from shortaxis.labels import ACDC, MNMS, Structure, as_scheme
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.case import Case
from shortaxis.metrics.protocols import PROTOCOLS

SPACING = (8.0, 1.5, 1.25)
FAST = Resampling(rounds=50)


def heart(depth=4, lv=3.0, shape=(30, 26)):
    """uint8 (D, H, W): an LV disc in a ring of MYO, and an RV beside it."""
    rows, columns = np.indices(shape)
    radius = np.hypot(rows - 15, columns - 10)
    plane = np.zeros(shape, np.uint8)
    plane[radius < lv + 3] = Structure.MYO
    plane[radius < lv] = Structure.LV
    plane[np.hypot(rows - 15, columns - 20) < 4] = Structure.RV
    return np.repeat(plane[None], depth, axis=0)


def write(path, labels, scheme=ACDC):
    """Write (D, H, W) or (T, D, H, W) as a NIfTI file in the order x, y, z, t, with the spacing in pixdim."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.moveaxis(scheme.from_canonical(labels), [-1, -2, -3], [0, 1, 2])
    image = nib.Nifti1Image(array, np.diag([*SPACING[::-1], 1.0]))
    nib.save(image, path)
    return path


@pytest.fixture
def folders(tmp_path):
    """Two patients in ACDC's layout; the predicted LV of patient b is too small."""
    for patient, group, change in (("a", "NOR", 0.0), ("b", "DCM", 1.0)):
        for frame, lv in (("01", 5.0), ("09", 3.0)):
            name = f"{patient}/{patient}_frame{frame}"
            write(tmp_path / "truth" / f"{name}_gt.nii.gz", heart(lv=lv))
            write(tmp_path / "out" / f"{name}.nii.gz", heart(lv=lv - change))
        (tmp_path / "truth" / patient / "Info.cfg").write_text(f"ED: 1\nES: 9\nGroup: {group}\n")
    return tmp_path / "out", tmp_path / "truth"


def test_truth_against_itself_scores_full_marks(folders):
    _, truth = folders
    results = evaluate_folders(truth, truth, resampling=FAST).results
    for result in results.values():
        figures = {name: figure.value for name, figure in result.overall.items()}
        assert all(value == 100.0 for name, value in figures.items() if name.startswith("dsc") or name == "ec")
        assert all(value == 0.0 for name, value in figures.items() if name.startswith(("hd95", "assd")))
    assert results["clinical"].overall["lv_ef_sd"].value == 0.0


def test_phase_group_patient_and_spacing_come_from_the_truth(folders):
    row = evaluate_folders(*folders, "clinical", resampling=FAST).results["clinical"].cases[0]
    assert (row["name"], row["patient"], row["phase"], row["group"]) == ("a_frame01", "a", "ED", "NOR")
    assert row["lv_ml_truth"] == pytest.approx((heart(lv=5.0) == Structure.LV).sum() * np.prod(SPACING) / 1000)


def test_figures_are_split_by_phase_and_group(folders):
    strata = evaluate_folders(*folders, "clinical", resampling=FAST).results["clinical"].strata
    assert {by: list(parts) for by, parts in strata.items()} == {"phase": ["ED", "ES"], "group": ["DCM", "NOR"]}
    assert strata["group"]["NOR"]["dsc_lv"].value == 100.0
    assert strata["group"]["DCM"]["dsc_lv"].value < 90.0
    assert "lv_ef_bias" in strata["group"]["DCM"]
    assert "lv_ef_bias" not in strata["phase"]["ED"]  # it needs both phases


def test_json_is_complete_and_without_nan(folders):
    evaluation = evaluate_folders(*folders, ["paper", "clinical"], resampling=FAST)
    content = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert {name: content[name] for name in ("schema_version", "shortaxis_version", "protocols", "n_cases", "n_patients", "missing")} == {
        "schema_version": 1,
        "shortaxis_version": __version__,
        "protocols": ["paper", "clinical"],
        "n_cases": 4,
        "n_patients": 2,
        "missing": [],
    }
    assert content["bootstrap"] == {"unit": "patient", "rounds": 50, "seed": 0, "level": 0.95}
    paper = content["results"]["paper"]
    assert set(paper["overall"]["dsc_lv"]) == {"value", "low", "high", "unit", "n", "undefined"}
    assert len(paper["cases"]) == 4
    assert [row["patient"] for row in content["results"]["clinical"]["patients"]] == ["a", "b"]


def test_table_names_the_protocol_above_its_own_figures(folders):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(evaluate_folders(*folders, resampling=FAST).table())
    text = console.export_text()
    parts = text.split("Protocol ")[1:]
    assert [part.split()[0] for part in parts] == list(PROTOCOLS)
    reference, paper, clinical = (parts[list(PROTOCOLS).index(name)] for name in ("reference", "paper", "clinical"))
    assert ["HD95" in part for part in (reference, paper, clinical)] == [False, False, True]
    assert ["LV EF" in part for part in (reference, paper, clinical)] == [False, False, True]
    assert "4 frames of 2 patients" in text


def test_table_shows_what_is_undefined_and_what_could_not_enter():
    full, empty = heart(), np.zeros_like(heart())
    cases = [Case("a", "a", full, full, SPACING), Case("b", "b", full, empty, SPACING)]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(evaluate_cases(cases, "clinical", resampling=FAST).table())
    console.print(evaluate_cases(cases[1:], "clinical", resampling=FAST).table())
    first, second = console.export_text().split("Protocol ")[1:]
    assert "1 of 2" in first
    assert "−" in second.split("HD95", 1)[1].splitlines()[0]


def test_a_missing_prediction_is_refused_by_name(folders):
    prediction, truth = folders
    (prediction / "b" / "b_frame01.nii.gz").unlink()
    with pytest.raises(InputError, match=r"no prediction for 1 of the 4 .*\(b_frame01\)"):
        evaluate_folders(prediction, truth)


def test_missing_predictions_are_left_out_and_listed_when_allowed(folders):
    prediction, truth = folders
    (prediction / "b" / "b_frame01.nii.gz").unlink()
    evaluation = evaluate_folders(prediction, truth, "paper", allow_missing=True, resampling=FAST)
    assert (evaluation.missing, evaluation.n_cases) == (("b_frame01",), 3)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(evaluation.table())
    assert "1 frames without a prediction" in " ".join(console.export_text().split())


def test_no_prediction_at_all_is_refused_even_when_missing_ones_are_allowed(folders, tmp_path):
    write(tmp_path / "other" / "c_frame01.nii.gz", heart())
    with pytest.raises(InputError, match=r"4 of the 4 .*\(a_frame01, a_frame09, "):
        evaluate_folders(tmp_path / "other", folders[1], allow_missing=True)


def test_predictions_that_pair_with_nothing_are_named_where_others_are_missing(folders):
    prediction, truth = folders
    (prediction / "b" / "b_frame01.nii.gz").rename(prediction / "b" / "b_frame01_label.nii.gz")
    with pytest.raises(InputError, match=r"\(b_frame01\); .*1 \(b_frame01_label"):
        evaluate_folders(prediction, truth)


def test_predictions_without_a_truth_are_listed(folders):
    prediction, truth = folders
    stray = write(prediction / "c_frame01.nii.gz", heart())
    assert evaluate_folders(prediction, truth, "paper", resampling=FAST).unused == (str(stray),)


def test_patients_can_be_left_out(folders):
    evaluation = evaluate_folders(*folders, "paper", exclude=["b"], resampling=FAST)
    assert evaluation.n_patients == 1
    assert evaluation.results["paper"].overall["dsc_lv"].value == 100.0


def test_leaving_out_an_unknown_patient_is_refused(folders):
    with pytest.raises(InputError, match="has no patient 'patient118' to exclude"):
        evaluate_folders(*folders, exclude=["patient118"])


def test_a_mismatched_shape_is_refused_with_both_files(folders):
    prediction, truth = folders
    write(prediction / "a" / "a_frame01.nii.gz", heart(depth=5))
    with pytest.raises(InputError, match=r"out/a/a_frame01\.nii.*truth/a/a_frame01_gt"):
        evaluate_folders(prediction, truth)


@pytest.mark.parametrize("side", [0, 1])
def test_a_label_out_of_the_scheme_is_refused_with_its_file(folders, side):
    path = folders[side] / "a" / ("a_frame01.nii.gz", "a_frame01_gt.nii.gz")[side]
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + np.uint8(1), image.affine), path)
    with pytest.raises(InputError, match=rf"{path.name}: .*\[4(\.0)?\] .*'acdc'"):
        evaluate_folders(*folders)


def moved(path, mm):
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += mm
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)


def test_predictions_on_another_grid_are_named_and_scored_all_the_same(folders):
    prediction, _ = folders
    for name in ("a_frame01.nii.gz", "a_frame09.nii.gz"):
        moved(prediction / "a" / name, 40)
    with pytest.warns(DataWarning, match=r"2 of 4 .*a_frame01\.nii\.gz: .*40\.0 mm"):
        evaluation = evaluate_folders(*folders, "paper", resampling=FAST)
    assert evaluation.off_grid == tuple(str(prediction / "a" / name) for name in ("a_frame01.nii.gz", "a_frame09.nii.gz"))
    assert evaluation.to_dict()["off_grid"] == list(evaluation.off_grid)
    assert evaluation.n_cases == 4


def test_predictions_on_the_grid_of_their_annotations_give_no_warning(folders, recwarn):
    assert evaluate_folders(*folders, "paper", resampling=FAST).off_grid == ()
    assert not [warning for warning in recwarn if issubclass(warning.category, DataWarning)]


def test_labels_stored_as_floats_just_beside_integers_are_taken(folders):
    path = folders[0] / "a" / "a_frame01.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * np.float32(0.9999), image.affine), path)
    row = evaluate_folders(*folders, "paper", resampling=FAST).results["paper"].cases[0]
    assert (row["name"], row["dsc_average"]) == ("a_frame01", 100.0)


def test_labels_stored_with_a_slope_are_taken(folders):
    """85, 170 and 255 with a slope of 1/85, which is no binary fraction."""
    path = folders[0] / "a" / "a_frame01.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * np.uint8(85), image.affine), path)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<ff", raw, 112, 1 / 85, 0)
    path.write_bytes(gzip.compress(bytes(raw)))
    row = evaluate_folders(*folders, "paper", resampling=FAST).results["paper"].cases[0]
    assert (row["name"], row["dsc_average"]) == ("a_frame01", 100.0)


def test_an_unknown_protocol_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="no protocol is called 'challenge'"):
        evaluate_folders(tmp_path / "nowhere", tmp_path / "nowhere", "challenge")


def test_two_files_can_be_compared(folders):
    prediction, truth = (folder / "b" / name for folder, name in zip(folders, ("b_frame09.nii.gz", "b_frame09_gt.nii.gz"), strict=True))
    evaluation = evaluate_folders(prediction, truth, "clinical", resampling=FAST)
    assert evaluation.results["clinical"].cases[0]["phase"] == "ES"
    assert evaluation.results["clinical"].strata == {}


def test_annotated_phases_of_a_cine_are_cases_and_the_scheme_is_translated(tmp_path):
    truth = np.stack([heart(lv=5.0), np.zeros_like(heart()), heart(lv=3.0)])
    prediction = np.stack([heart(lv=5.0)] * 3)
    write(tmp_path / "truth" / "A0_sa_gt.nii.gz", truth, MNMS)
    write(tmp_path / "out" / "A0_sa.nii.gz", prediction, MNMS)
    result = evaluate_folders(tmp_path / "out", tmp_path / "truth", "clinical", scheme=MNMS, resampling=FAST).results["clinical"]
    assert [(row["name"], row["phase"]) for row in result.cases] == [("A0_sa_phase00", None), ("A0_sa_phase02", None)]
    assert result.cases[0]["dsc_lv"] == 100.0
    assert result.cases[1]["dsc_lv"] < 90.0


@pytest.fixture
def cyclic(tmp_path):
    """The same hearts on both sides: predicted as 1 MYO, 2 LV, 3 RV, annotated in M&Ms' order."""
    for phase, lv in (("ED", 5.0), ("ES", 3.0)):
        write(tmp_path / "out" / f"x_{phase}.nii.gz", heart(lv=lv), as_scheme("rv=3,myo=1,lv=2"))
        write(tmp_path / "truth" / f"x_{phase}.nii.gz", heart(lv=lv), MNMS)
    return tmp_path / "out", tmp_path / "truth"


@pytest.mark.parametrize("said", [{"truth_scheme": "mnms"}, {"scheme": MNMS}, {"scheme": "acdc", "truth_scheme": MNMS}])
def test_each_side_may_have_its_own_scheme(cyclic, said):
    overall = evaluate_folders(*cyclic, "clinical", pred_scheme="rv=3,myo=1,lv=2", resampling=FAST, **said).results["clinical"].overall
    assert overall["dsc_average"].value == 100.0


@pytest.mark.parametrize("argument", ["scheme", "pred_scheme", "truth_scheme"])
def test_a_scheme_that_is_not_understood_is_refused(cyclic, argument):
    with pytest.raises(InputError, match="'monai' is not understood"):
        evaluate_folders(*cyclic, **{argument: "monai"})


@pytest.mark.parametrize(
    ("argument", "order", "rest"),
    [("pred_scheme", "rv=3,myo=1,lv=2", {"truth_scheme": "mnms"}), ("truth_scheme", "rv=3,myo=2,lv=1", {"pred_scheme": "rv=3,myo=1,lv=2"})],
)
def test_labels_in_another_order_than_said_are_told_with_the_order_that_fits(cyclic, argument, order, rest):
    with pytest.warns(DataWarning, match=f"order their labels differently .*--{argument.replace('_', '-')} {order}"):
        evaluate_folders(*cyclic, "paper", resampling=FAST, **rest)
    assert evaluate_folders(*cyclic, "paper", resampling=FAST, **rest, **{argument: order}).exchanged == {}


def test_exchanged_labels_in_memory_are_told():
    swapped = np.array([0, 3, 2, 1], np.uint8)[heart()]
    with pytest.warns(DataWarning, match=r"as LV fits RV, .*as RV fits LV, .*to_canonical"):
        evaluate_cases([Case("a", "a", heart(), swapped, SPACING)], "paper", resampling=FAST)


@pytest.fixture
def nnunet(tmp_path):
    """An nnU-Net data set of one phantom whose labels are in the order of M&Ms, and its labels in ACDC's order as predictions."""
    write_phantoms(tmp_path / "data", 1, layout="nnunet")
    facts = tmp_path / "data" / "dataset.json"
    facts.write_text(facts.read_text().replace('"RV": 1', '"RV": 3').replace('"LV": 3', '"LV": 1'))
    (tmp_path / "out").mkdir()
    for path in (tmp_path / "data" / "labelsTr").iterdir():
        stored = nib.load(path.rename(tmp_path / "out" / path.name))
        nib.save(nib.Nifti1Image(np.array([0, 3, 2, 1], np.uint8)[np.asarray(stored.dataobj)], None, stored.header), path)
    return tmp_path / "out", f"nnunet:{tmp_path / 'data'}"


def test_the_labels_of_a_data_set_are_translated_as_it_says(nnunet):
    result = evaluate_folders(*nnunet, "clinical", resampling=FAST).results["clinical"]
    assert result.overall["dsc_average"].value == 100.0
    assert result.overall["lv_ef_bias"].n == 1
    assert [(row["name"], row["phase"], row["group"]) for row in result.cases] == [
        ("phantom001_ED", "ED", "NOR"),
        ("phantom001_ES", "ES", "NOR"),
    ]


def test_a_scheme_for_a_data_set_is_refused_and_not_advised(nnunet):
    with pytest.raises(InputError, match=r"data: .*truth_scheme \(--truth-scheme\)"):
        evaluate_folders(*nnunet, truth_scheme="mnms")
    with pytest.warns(DataWarning, match="--pred-scheme rv=1,myo=2,lv=3$"):
        evaluate_folders(*nnunet, "paper", scheme="mnms", resampling=FAST)


def test_ed_and_es_of_an_mnms_data_set_are_taken_from_its_files(tmp_path):
    write_phantoms(tmp_path / "data", 1, layout="mnms", n_phases=3)
    data, labels = f"mnms:{tmp_path / 'data'}", tmp_path / "data" / "Training" / "Labeled" / "phantom001" / "phantom001_sa_gt.nii.gz"
    result = evaluate_folders(labels.parent, data, "clinical", scheme="mnms", resampling=FAST).results["clinical"]
    assert [(row["name"], row["phase"], row["dsc_lv"]) for row in result.cases] == [
        ("phantom001_ED", "ED", 100.0),
        ("phantom001_ES", "ES", 100.0),
    ]
    stored = nib.load(labels)
    array = np.asarray(stored.dataobj).copy()
    array[..., 1] = 0
    nib.save(nib.Nifti1Image(array, None, stored.header), labels)
    with pytest.raises(InputError, match=r"_gt\.nii\.gz: frame 1 \(ES.*no labels"):
        evaluate_folders(labels.parent, data, "clinical", scheme="mnms")
    nib.save(nib.Nifti1Image(array[..., :1], None, stored.header), labels)
    with pytest.raises(InputError, match=r"_gt\.nii\.gz: frame 1 \(ES.*no labels"):
        evaluate_folders(labels.parent, data, "clinical", scheme="mnms")


def test_patients_of_whom_ed_and_es_are_not_known_are_listed_and_the_table_says_why_it_has_no_index(folders):
    prediction, truth = folders
    assert evaluate_folders(prediction, truth, "clinical", resampling=FAST).unphased == ()
    (truth / "b" / "Info.cfg").unlink()
    assert evaluate_folders(prediction, truth, "clinical", resampling=FAST).unphased == ("b",)
    (truth / "a" / "Info.cfg").unlink()
    console = Console(width=200, record=True, file=io.StringIO())
    evaluation = evaluate_folders(prediction, truth, resampling=FAST)
    console.print(evaluation.table())
    assert evaluation.unphased == ("a", "b")
    assert " ".join(console.export_text().split()).count("ED and ES are not known") == 1


def test_progress_counts_files(folders):
    seen = []
    evaluate_folders(*folders, "paper", resampling=FAST, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_cases_are_asked_for_one_by_one_and_let_go():
    seen = []

    def cases():
        for name in "abc":
            seen.append(name)
            yield Case(name, name, heart(), heart(lv=2.0), SPACING)

    evaluation = evaluate_cases(cases(), resampling=Resampling(rounds=0))
    assert seen == ["a", "b", "c"]
    assert evaluation.results["reference"].overall["dsc_lv"].to_dict()["low"] is None


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(InputError, match="no case to evaluate"):
        evaluate_cases([])


def test_the_protocols_give_different_figures_for_the_same_files(folders):
    results = evaluate_folders(*folders, resampling=FAST).results
    averages = {round(results[name].overall["dsc_average"].value, 6) for name in ("reference", "paper", "clinical")}
    assert len(averages) == 3


@pytest.mark.slow
def test_a_hundred_frames_take_less_than_a_minute():
    frame = heart(depth=10, lv=20.0, shape=(256, 216))
    prediction = np.roll(frame, 2, axis=2)
    cases = [Case(f"p{i // 2}_{i % 2}", f"p{i // 2}", frame, prediction, SPACING, ("ED", "ES")[i % 2]) for i in range(10)]
    begin = time.process_time()
    evaluate_cases(cases)
    assert time.process_time() - begin < 6.0  # a tenth of the cases, all of the draws


@pytest.mark.data
def test_acdc_against_itself_scores_full_marks(acdc_root):
    patients = sorted(folder.name for folder in acdc_root.iterdir() if folder.is_dir())
    evaluation = evaluate_folders(acdc_root, acdc_root, exclude=patients[6:], resampling=FAST)
    assert (evaluation.n_cases, evaluation.n_patients) == (12, 6)
    for result in evaluation.results.values():
        assert result.overall["dsc_average"].value == 100.0
        assert result.overall["ec"].value == 100.0
    clinical = evaluation.results["clinical"]
    assert {row["phase"] for row in clinical.cases} == {"ED", "ES"}
    assert clinical.overall["lv_ef_sd"].value == 0.0
    # ACDC's spacing stands in pixdim only; read off the affine the volumes would be many times too small or too large.
    assert all(30 < row["lv_edv_truth"] < 500 and 5 < row["lv_ef_truth"] < 90 for row in clinical.patients)


def test_labels_that_compress_as_no_scan_does_are_scored(folders, monkeypatch):
    monkeypatch.setattr("shortaxis.io.nifti_limits.LARGE_BYTES", 0)
    monkeypatch.setattr("shortaxis.io.nifti_limits.IMAGE_EXPANSION", 0)
    assert evaluate_folders(*folders, resampling=FAST).n_cases == 4
