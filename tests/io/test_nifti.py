"""NIfTI in and out: exact round trips, places in the world, the rule for disagreeing headers, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import warnings

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from shortaxis.errors import InputError
from shortaxis.io.nifti import read_labels, read_nifti, write_like
from shortaxis.labels import ACDC, MNMS
from shortaxis.study import Study

GRID_FIELDS = ("dim", "pixdim", "srow_x", "srow_y", "srow_z", "sform_code", "qform_code", "xyzt_units", "qoffset_x", "quatern_b")
OBLIQUE = Rotation.from_euler("xyz", [30, -20, 40], degrees=True).as_matrix()

quick = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
rotations = st.tuples(*[st.floats(-180, 180)] * 3).map(lambda angles: Rotation.from_euler("xyz", angles, degrees=True).as_matrix())
orders = st.permutations(range(3)).map(tuple)
signs = st.tuples(*[st.booleans()] * 3)


def save(path, array, affine, *, pixdim=None, code=1, edit=None):
    """Write a file whose sform is `affine`; without an affine nibabel leaves the header as it is made here."""
    image = nib.Nifti1Image(array, None)
    header = image.header
    header.set_sform(affine, code=code)
    header.set_qform(None, code=0)
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0) if pixdim is None else pixdim
    if edit is not None:
        edit(header)
    nib.save(image, path)
    return path


def affine_of(directions, spacing, origin=(5.0, -3.0, 7.0)):
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(spacing)
    affine[:3, 3] = origin
    return affine


def reordered(array, affine, order, flips):
    """Store the same volume with its axes in another order and sign."""
    flipped = affine.copy()
    for axis in range(3):
        if flips[axis]:
            array = np.flip(array, axis)
            flipped[:3, 3] += flipped[:3, axis] * (array.shape[axis] - 1)
            flipped[:3, axis] *= -1
    return array.transpose(*order, *range(3, array.ndim)), flipped[:, [*order, 3]]


@pytest.fixture
def volume():
    """A frame of unlike voxels, (x, y, z) = (7, 6, 4), oblique, 1.5 x 1.25 x 8 mm."""
    return np.arange(7 * 6 * 4, dtype=np.int16).reshape(7, 6, 4), affine_of(OBLIQUE, (1.5, 1.25, 8.0))


@quick
@given(rotation=rotations, order=orders, flips=signs, n_phases=st.sampled_from([None, 1, 3]))
def test_round_trip_keeps_voxels_and_grid_for_any_axis_order_sign_and_direction(tmp_path, rotation, order, flips, n_phases):
    shape = (7, 6, 4) if n_phases is None else (7, 6, 4, n_phases)
    array, affine = reordered(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine_of(rotation, (1.5, 1.25, 8)), order, flips)
    path = save(tmp_path / "in.nii.gz", array, affine)
    study = read_nifti(path)
    assert study.pixels.shape == (n_phases or 1, 4, *study.pixels.shape[2:])
    write_like(study.pixels, study, tmp_path / "out.nii.gz", dtype=np.int16)
    before, after = nib.load(path), nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), array)
    for field in GRID_FIELDS:
        np.testing.assert_array_equal(after.header[field], before.header[field], err_msg=field)


@quick
@given(rotation=rotations, order=orders, flips=signs)
def test_world_positions_are_those_of_nibabel_and_simpleitk(tmp_path, rotation, order, flips):
    array, affine = reordered(np.arange(168, dtype=np.int16).reshape(7, 6, 4), affine_of(rotation, (1.5, 1.25, 8)), order, flips)
    path = save(tmp_path / "in.nii.gz", array, affine)
    study = read_nifti(path)
    itk = SimpleITK.ReadImage(str(path))
    for d, h, w in itertools.product((0, 3), (0, 2), (0, 4)):
        i, j, k = (int(n) for n in np.argwhere(array == study.pixels[0, d, h, w])[0])
        world = study.affine @ (d, h, w, 1)
        np.testing.assert_allclose(world, nib.load(path).affine @ (i, j, k, 1), atol=1e-4)
        np.testing.assert_allclose(world[:3] * (-1, -1, 1), itk.TransformIndexToPhysicalPoint((i, j, k)), atol=1e-3)


@quick
@given(order=orders, flips=st.tuples(st.booleans(), st.booleans(), st.just(False)))
def test_one_volume_reads_alike_however_its_axes_are_stored(tmp_path, volume, order, flips):
    as_stored = read_nifti(save(tmp_path / "a.nii", *volume))
    turned = read_nifti(save(tmp_path / "b.nii", *reordered(*volume, order, flips)))
    np.testing.assert_array_equal(turned.pixels, as_stored.pixels)
    np.testing.assert_allclose(turned.affine, as_stored.affine, atol=1e-5)
    assert turned.spacing == pytest.approx(as_stored.spacing)


def test_a_sheared_affine_keeps_its_positions(tmp_path, volume):
    array, affine = volume
    affine = affine.copy()
    affine[:3, 1] += 0.02 * affine[:3, 0]  # no longer orthonormal, as in some M&Ms files
    path = save(tmp_path / "in.nii", array, affine, pixdim=np.linalg.norm(affine[:3, :3], axis=0))
    study = read_nifti(path)
    i, j, k = np.argwhere(array == study.pixels[0, 2, 3, 1])[0]
    np.testing.assert_allclose(study.affine @ (2, 3, 1, 1), affine @ (i, j, k, 1), atol=1e-4)


class TestLengths:
    """The written rule for headers that say lengths twice."""

    def test_a_1_mm_affine_loses_to_pixdim_in_silence_as_in_acdc(self, tmp_path):
        array = np.arange(7 * 6 * 4, dtype=np.int16).reshape(7, 6, 4)
        path = save(tmp_path / "in.nii.gz", array, np.diag([-1.0, -1.0, 1.0, 1.0]), pixdim=(1.5, 1.25, 10))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            study = read_nifti(path)
        assert study.spacing == (10.0, 1.25, 1.5)
        assert study.voxel_ml == pytest.approx(0.01875)
        np.testing.assert_array_equal(study.pixels[0], array.T)  # rows are the second file axis, columns the first
        np.testing.assert_array_equal(study.affine @ (1, 0, 0, 1), (0, 0, 10, 1))
        np.testing.assert_array_equal(study.affine @ (0, 1, 2, 1), (-3, -1.25, 0, 1))

    def test_an_oblique_1_mm_affine_gives_the_direction_and_pixdim_the_length(self, tmp_path, volume):
        path = save(tmp_path / "in.nii", volume[0], affine_of(OBLIQUE, (1, 1, 1)), pixdim=(1.5, 1.25, 8))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            study = read_nifti(path)
        np.testing.assert_allclose(study.affine, read_nifti(save(tmp_path / "b.nii", *volume)).affine, atol=1e-5)

    def test_a_1_mm_pixdim_loses_to_the_affine_with_a_warning(self, tmp_path, volume):
        path = save(tmp_path / "in.nii", *volume, pixdim=(1, 1, 1))
        with pytest.warns(UserWarning, match=r"in\.nii: .*8.0\].*taking the affine"):
            study = read_nifti(path)
        assert sorted(study.spacing) == pytest.approx([1.25, 1.5, 8.0])

    def test_two_that_disagree_give_pixdim_with_a_warning_that_names_both(self, tmp_path, volume):
        path = save(tmp_path / "in.nii", *volume, pixdim=(2.0, 2.0, 10.0))
        with pytest.warns(UserWarning, match=r"2.0, 10.0\].*1.25, 8.0\].*taking pixdim"):
            study = read_nifti(path)
        assert study.spacing == (10.0, 2.0, 2.0)
        lengths = np.linalg.norm(study.affine[:3, :3], axis=0)
        np.testing.assert_allclose(lengths, study.spacing, rtol=1e-6)

    def test_both_stay_in_the_output_as_they_were(self, tmp_path, volume):
        path = save(tmp_path / "in.nii", *volume, pixdim=(2.0, 2.0, 10.0))
        with pytest.warns(UserWarning, match="taking pixdim"):
            study = read_nifti(path)
        write_like(np.zeros(study.pixels.shape), study, tmp_path / "out.nii")
        header = nib.load(tmp_path / "out.nii").header
        np.testing.assert_array_equal(header["pixdim"][1:4], (2, 2, 10))
        np.testing.assert_allclose(header.get_sform(), volume[1], atol=1e-5)

    def test_without_any_code_pixdim_alone_counts(self, tmp_path):
        array = np.zeros((7, 6, 4), np.int16)
        study = read_nifti(save(tmp_path / "in.nii", array, np.diag([2.0, 3.0, 9.0, 1.0]), pixdim=(1.5, 1.25, 8), code=0))
        assert study.spacing == (8.0, 1.25, 1.5)

    def test_the_sform_goes_before_the_qform_and_the_qform_before_nothing(self, tmp_path, volume):
        array, affine = volume

        def with_qform(header):
            header.set_qform(affine, code=2)

        other = affine_of(Rotation.from_euler("z", 25, degrees=True).as_matrix(), (1.5, 1.25, 8.0))
        by_sform = read_nifti(save(tmp_path / "s.nii", array, other, edit=with_qform))
        by_qform = read_nifti(save(tmp_path / "q.nii", array, other, code=0, edit=with_qform))
        np.testing.assert_allclose(by_sform.affine, read_nifti(save(tmp_path / "a.nii", array, other)).affine, atol=1e-5)
        np.testing.assert_allclose(by_qform.affine, read_nifti(save(tmp_path / "b.nii", array, affine)).affine, atol=1e-4)

    @pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("mm", 1), ("micron", 0.001), ("unknown", 1)])
    def test_lengths_are_brought_to_mm(self, tmp_path, volume, unit, factor):
        array, affine = volume
        affine = affine_of(OBLIQUE, np.array((1.5, 1.25, 8.0)) / factor, origin=np.array((5, -3, 7)) / factor)
        study = read_nifti(save(tmp_path / "in.nii", array, affine, edit=lambda header: header.set_xyzt_units(unit)))
        assert sorted(study.spacing) == pytest.approx([1.25, 1.5, 8.0])
        np.testing.assert_allclose(study.affine, read_nifti(save(tmp_path / "b.nii", *volume)).affine, atol=1e-4)


@pytest.mark.parametrize(
    ("unit", "step", "expected"), [("sec", 0.04, (0, 40, 80)), ("msec", 40, (0, 40, 80)), ("unknown", 40, None), ("msec", 0, None)]
)
def test_phase_times_need_a_unit_and_a_step(tmp_path, unit, step, expected):
    def edit(header):
        header.set_xyzt_units("mm", unit)
        header["pixdim"][4] = step

    path = save(tmp_path / "in.nii", np.zeros((5, 5, 2, 3), np.int16), np.diag([1.5, 1.5, 8, 1]), edit=edit)
    times = read_nifti(path).phase_times
    assert times == (None if expected is None else pytest.approx(expected, abs=1e-4))


@pytest.mark.parametrize("shape", [(5, 6, 1), (5, 6, 3, 1), (5, 6, 3, 2, 1, 1), (1, 5, 6)])
def test_single_slices_and_trailing_axes_of_length_1_go_in_and_out(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    study = read_nifti(save(tmp_path / "in.nii.gz", array, affine_of(OBLIQUE, (1.5, 1.5, 8))))
    write_like(study.pixels, study, tmp_path / "out.nii.gz", dtype=np.int16)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj), array)


def test_stored_scaling_is_applied_on_reading_and_not_written(tmp_path):
    image = nib.Nifti1Image(np.full((4, 5, 3), 7, np.int16), np.diag([1.5, 1.5, 8, 1]))
    image.header.set_slope_inter(2.0, 3.0)
    nib.save(image, tmp_path / "in.nii")
    raw = bytearray((tmp_path / "in.nii").read_bytes())
    raw[112:120] = np.array([2.0, 3.0], "<f4").tobytes()  # scl_slope, scl_inter of the NIfTI-1 header
    raw[352:] = np.full(60, 7, "<i2").tobytes()
    (tmp_path / "in.nii").write_bytes(raw)
    study = read_nifti(tmp_path / "in.nii")
    assert set(study.pixels.flat) == {17.0}
    write_like(np.full(study.pixels.shape, 3), study, tmp_path / "out.nii")
    written = (tmp_path / "out.nii").read_bytes()
    slope, inter = np.frombuffer(written[112:120], "<f4")
    assert (slope, inter) in {(1.0, 0.0), (0.0, 0.0)} or np.isnan(slope)
    assert set(written[352:]) == {3}


def test_free_text_and_extensions_do_not_leak(tmp_path, volume):
    def edit(header):
        header["descrip"] = b"Jane Doe"
        header["aux_file"] = b"doe.dcm"
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"born 1970, Jane Doe"))

    study = read_nifti(save(tmp_path / "in.nii", *volume, edit=edit))
    write_like(np.zeros(study.pixels.shape), study, tmp_path / "out.nii")
    written = (tmp_path / "out.nii").read_bytes().lower()
    assert b"doe" in (tmp_path / "in.nii").read_bytes().lower()
    assert b"doe" not in written
    np.testing.assert_array_equal(nib.load(tmp_path / "out.nii").affine, nib.load(tmp_path / "in.nii").affine)


def test_nifti_2_and_header_image_pairs_are_read(tmp_path, volume):
    array, affine = volume
    nib.save(nib.Nifti2Image(array, affine), tmp_path / "two.nii.gz")
    nib.save(nib.Nifti1Pair(array, affine), tmp_path / "pair.img")
    expected = read_nifti(save(tmp_path / "one.nii", array, affine)).pixels
    for name in ("two.nii.gz", "pair.img", "pair.hdr"):
        study = read_nifti(tmp_path / name)
        np.testing.assert_array_equal(study.pixels, expected)
        write_like(study.pixels, study, tmp_path / "out.nii", dtype=np.float32)
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii").dataobj), array)
    assert isinstance(nib.load(tmp_path / "two.nii.gz"), nib.Nifti2Image)


class TestWriteLike:
    def test_one_phase_of_a_cine_is_written_as_a_3d_file(self, tmp_path):
        array = np.arange(7 * 6 * 4 * 3, dtype=np.int16).reshape(7, 6, 4, 3)
        study = read_nifti(save(tmp_path / "in.nii", array, affine_of(OBLIQUE, (1.5, 1.25, 8))))
        write_like(study.pixels[1], study, tmp_path / "out.nii", dtype=np.int16)
        image = nib.load(tmp_path / "out.nii")
        np.testing.assert_array_equal(np.asarray(image.dataobj), array[..., 1])
        np.testing.assert_allclose(image.affine, nib.load(tmp_path / "in.nii").affine)

    @pytest.mark.parametrize("times", [None, (0.0,), (0.0, 35.0)])
    def test_a_study_from_no_file_reads_back_as_it_was(self, tmp_path, times):
        n_phases = len(times or "12")
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack([(0, 0, 8.0), (0, -1.5, 0), (-1.5, 0, 0)])
        affine[:3, :3] = OBLIQUE.T @ affine[:3, :3]
        rng = np.random.default_rng(0)
        study = Study(rng.random((n_phases, 4, 6, 7), np.float32), (8.0, 1.5, 1.5), affine, phase_times=times)
        write_like(study.pixels, study, tmp_path / "out.nii", dtype=np.float32)
        back = read_nifti(tmp_path / "out.nii")
        world = {round(float(v), 6): study.affine @ (*index, 1) for index, v in np.ndenumerate(study.pixels[0])}
        for index, value in np.ndenumerate(back.pixels[0]):
            np.testing.assert_allclose(back.affine @ (*index, 1), world[round(float(value), 6)], atol=1e-4)
        if n_phases == 2:
            assert back.phase_times == times

    def test_a_study_without_affine_is_written_without_orientation(self, tmp_path):
        study = Study(np.random.default_rng(0).random((1, 4, 6, 7), np.float32), (8.0, 1.25, 1.5))
        write_like(study.pixels, study, tmp_path / "out.nii", dtype=np.float32)
        back = read_nifti(tmp_path / "out.nii")
        np.testing.assert_array_equal(back.pixels, study.pixels)
        assert back.spacing == study.spacing

    def test_another_shape_is_refused(self, tmp_path, volume):
        study = read_nifti(save(tmp_path / "in.nii", *volume))
        for shape in ((1, 4, 6, 8), (2, *study.pixels.shape[1:])):
            with pytest.raises(ValueError, match="do not fit"):
                write_like(np.zeros(shape), study, tmp_path / "out.nii")
        assert not (tmp_path / "out.nii").exists()

    def test_another_ending_is_refused(self, tmp_path, volume):
        study = read_nifti(save(tmp_path / "in.nii", *volume))
        with pytest.raises(InputError, match=r"out\.png: .*\.nii or \.nii\.gz"):
            write_like(study.pixels, study, tmp_path / "out.png")

    def test_the_same_labels_give_the_same_bytes(self, tmp_path, volume):
        study = read_nifti(save(tmp_path / "in.nii", *volume))
        for name in ("a.nii.gz", "b.nii.gz"):
            write_like(np.ones(study.pixels.shape), study, tmp_path / name)
        # a gzip header may hold a time (bytes 4-7) and must not hold the temporary name
        a, b = ((tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))
        assert gzip.decompress(a) == gzip.decompress(b)


class TestReadLabels:
    def test_labels_are_translated_and_turned_like_the_image(self, tmp_path, volume):
        array, affine = volume
        labels = (array % 4).astype(np.uint8)
        study = read_nifti(save(tmp_path / "in.nii", array, affine))
        got = read_labels(save(tmp_path / "gt.nii", labels, affine), MNMS, like=study)
        np.testing.assert_array_equal(got, np.array([0, 3, 2, 1])[study.pixels.astype(int) % 4])
        assert got.dtype == np.uint8

    def test_a_label_file_without_its_affine_pairs_by_voxel(self, tmp_path, volume):
        array, affine = volume
        study = read_nifti(save(tmp_path / "in.nii", *reordered(array, affine, (2, 0, 1), (True, False, True))))
        bare = save(tmp_path / "gt.nii", (np.asarray(nib.load(tmp_path / "in.nii").dataobj) % 4).astype(np.float32), np.eye(4))
        np.testing.assert_array_equal(read_labels(bare, ACDC, like=study), study.pixels % 4)

    def test_without_an_image_the_own_header_decides(self, tmp_path, volume):
        array, affine = volume
        study = read_nifti(save(tmp_path / "in.nii", array, affine))
        path = save(tmp_path / "gt.nii", (array % 4).astype(np.uint8), affine)
        np.testing.assert_array_equal(read_labels(path, ACDC), study.pixels % 4)

    def test_another_shape_names_both_files(self, tmp_path, volume):
        study = read_nifti(save(tmp_path / "in.nii", *volume))
        path = save(tmp_path / "gt.nii", np.zeros((7, 6, 5), np.uint8), volume[1])
        with pytest.raises(InputError, match=r"gt\.nii: .*\(7, 6, 5\).*in\.nii .*\(7, 6, 4\)"):
            read_labels(path, ACDC, like=study)

    def test_another_shape_than_a_study_from_no_file_is_refused(self, tmp_path, volume):
        path = save(tmp_path / "gt.nii", np.zeros((7, 6, 5), np.uint8), volume[1])
        with pytest.raises(InputError, match=r"gt\.nii: .*\(1, 5, .*\(1, 4, 6, 7\)"):
            read_labels(path, ACDC, like=Study(np.zeros((1, 4, 6, 7), np.float32), (8, 1, 1)))

    def test_another_axis_order_is_refused(self, tmp_path, volume):
        study = read_nifti(save(tmp_path / "in.nii", *volume))
        path = save(tmp_path / "gt.nii", *reordered(np.zeros((7, 6, 4), np.uint8), volume[1], (0, 1, 2), (True, False, False)))
        with pytest.raises(InputError, match=r"gt\.nii: its axes run .*in\.nii run"):
            read_labels(path, ACDC, like=study)

    def test_labels_out_of_scheme_name_the_file(self, tmp_path, volume):
        path = save(tmp_path / "gt.nii", np.full((7, 6, 4), 9, np.uint8), volume[1])
        with pytest.raises(InputError, match=r"gt\.nii: label values \[9"):
            read_labels(path, ACDC)


def _raw(path, edit):
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)


def _pixdim(values):
    def edit(content):
        content[80:92] = np.array(values, "<f4").tobytes()  # pixdim[1:4] of the NIfTI-1 header

    return edit


class TestRefused:
    def test_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"none\.nii: no such file"):
            read_nifti(tmp_path / "none.nii")

    def test_a_folder(self, tmp_path):
        with pytest.raises(InputError, match="is a folder; give a NIfTI file"):
            read_nifti(tmp_path)

    @pytest.mark.parametrize("name", ["text.nii", "text.nii.gz", "text.txt"])
    @pytest.mark.parametrize("content", [b"", b"not an image, but some text that goes on for a while" * 20])
    def test_what_is_no_nifti(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: is not a readable NIfTI file"):
            read_nifti(tmp_path / name)

    def test_another_image_format(self, tmp_path):
        nib.save(nib.MGHImage(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / "in.mgz")
        with pytest.raises(InputError, match=r"in\.mgz: is not a NIfTI file"):
            read_nifti(tmp_path / "in.mgz")

    @pytest.mark.parametrize("name", ["in.nii", "in.nii.gz"])
    @pytest.mark.parametrize("keep", [0.3, 0.9])
    def test_a_file_cut_short(self, tmp_path, name, keep):
        array = np.random.default_rng(0).integers(0, 1000, (20, 20, 5), np.int16)
        path = save(tmp_path / name, array, affine_of(OBLIQUE, (1.5, 1.5, 8)))
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        with pytest.raises(InputError, match="not a readable NIfTI file"):
            read_nifti(path)

    @pytest.mark.parametrize("shape", [(6, 7), (5, 6, 3, 2, 2)])
    def test_2d_and_5d_images(self, tmp_path, shape):
        path = save(tmp_path / "in.nii", np.zeros(shape, np.int16), np.eye(4))
        with pytest.raises(InputError, match=rf"has {len(shape)} axes .*give a 3D frame or a 4D cine"):
            read_nifti(path)

    def test_an_empty_axis(self, tmp_path):
        nib.save(nib.Nifti1Image(np.zeros((5, 0, 3), np.int16), np.eye(4)), tmp_path / "in.nii")
        with pytest.raises(InputError, match="has an empty axis"):
            read_nifti(tmp_path / "in.nii")

    def test_complex_numbers_and_colours(self, tmp_path):
        save(tmp_path / "c.nii", np.zeros((4, 4, 3), np.complex64), np.eye(4))
        save(tmp_path / "rgb.nii", np.zeros((4, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), np.eye(4))
        with pytest.raises(InputError, match=r"complex numbers; .*grey-scale"):
            read_nifti(tmp_path / "c.nii")
        with pytest.raises(InputError, match=r"colours; .*grey-scale"):
            read_nifti(tmp_path / "rgb.nii")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_voxels_that_are_not_finite(self, tmp_path, value):
        array = np.zeros((5, 6, 3), np.float32)
        array[1, 2, 0] = value
        with pytest.raises(InputError, match="NaN or infinite voxels"):
            read_nifti(save(tmp_path / "in.nii", array, np.eye(4)))

    @pytest.mark.parametrize("spacing", [(0, 1, 8), (-1.5, 1.5, 8), (np.nan, 1.5, 8), (1.5, np.inf, 8)])
    @pytest.mark.parametrize("name", ["in.nii", "in.img"])
    def test_spacing_that_is_no_length(self, tmp_path, volume, spacing, name):
        image_class = nib.Nifti1Pair if name.endswith("img") else nib.Nifti1Image
        nib.save(image_class(*volume), tmp_path / name)
        _raw(tmp_path / name.replace("img", "hdr"), _pixdim(spacing))
        with pytest.raises(InputError, match=r"\(pixdim\) is .*three positive lengths"):
            read_nifti(tmp_path / name)

    @pytest.mark.parametrize("value", [0.0, np.nan])
    def test_an_affine_that_cannot_be_inverted(self, tmp_path, volume, value):
        path = save(tmp_path / "in.nii", *volume)

        def edit(content):
            content[280:328] = np.full(12, value, "<f4").tobytes()  # srow_x, srow_y, srow_z

        _raw(path, edit)
        with pytest.raises(InputError, match="its affine is not invertible"):
            read_nifti(path)

    def test_a_header_that_promises_more_than_any_machine_holds(self, tmp_path, volume):
        path = save(tmp_path / "in.nii", *volume)

        def edit(content):
            content[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], "<i2").tobytes()  # dim

        _raw(path, edit)
        (tmp_path / "in.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
        for name in ("in.nii", "in.nii.gz"):
            with pytest.raises(InputError, match="not a readable NIfTI file"):
                read_nifti(tmp_path / name)


@pytest.mark.data
def test_a_real_acdc_frame_gives_its_true_spacing_and_goes_back_exactly(tmp_path, acdc_root):
    stem = acdc_root / "patient001" / "patient001_frame01"
    study = read_nifti(f"{stem}.nii.gz")
    assert study.pixels.shape == (1, 10, 256, 216)
    assert study.spacing == (10.0, 1.5625, 1.5625)
    np.testing.assert_allclose(np.linalg.norm(study.affine[:3, :3], axis=0), study.spacing)
    labels = read_labels(f"{stem}_gt.nii.gz", ACDC, like=study)
    write_like(labels, study, tmp_path / "out.nii.gz")
    truth, written = nib.load(f"{stem}_gt.nii.gz"), nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(truth.dataobj))
    for field in GRID_FIELDS:
        np.testing.assert_array_equal(written.header[field], truth.header[field], err_msg=field)
    assert written.get_data_dtype() == np.uint8
