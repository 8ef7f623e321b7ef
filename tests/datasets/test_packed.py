"""The packed data set: lossless, small, lazily read, and clear about what is wrong with a file."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from shortaxis.datasets.acdc import read_acdc
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.packed import read_packed, to_uint8, write_packed
from shortaxis.errors import InputError
from shortaxis.study import Frame


def frame(name="patient001_frame01", patient="patient001", phase="ED", group="NOR", shape=(3, 20, 30), dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 80.0, shape).astype(dtype)
    return Frame(name, patient, phase, group, image, rng.integers(0, 4, shape, np.uint8), (10.0, 1.25, 1.5))


def dataset(*frames):
    return Dataset("made", tuple(FrameRef(f.name, f.patient, f.phase, f.group, lambda f=f: f) for f in frames))


def foreign(path, meta, images):
    """A file of the same layout by other hands: members as given."""
    with zipfile.ZipFile(path, "w") as archive:
        for member, volume in images.items():
            buffer = io.BytesIO()
            Image.fromarray(volume.reshape(-1, volume.shape[-1])).save(buffer, "WEBP", lossless=True)
            archive.writestr(member, buffer.getvalue())
        archive.writestr("meta.json", json.dumps(meta))
    return path


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "made.zip"
    write_packed(dataset(frame("b_frame02", "b", "ES", None, seed=1), frame("a_frame01", "a")), path)
    return path


def test_frames_come_back_whole_sorted_and_with_all_that_is_known(packed):
    got = read_packed(packed)
    assert got.name == "made"
    assert [(ref.name, ref.patient, ref.phase, ref.group) for ref in got.refs] == [
        ("a_frame01", "a", "ED", "NOR"),
        ("b_frame02", "b", "ES", None),
    ]
    for back, original in zip(got, (frame("a_frame01", "a"), frame("b_frame02", "b", seed=1)), strict=True):
        np.testing.assert_array_equal(back.image, to_uint8(original.image))
        np.testing.assert_array_equal(back.labels, original.labels)
        assert (back.image.dtype, back.labels.dtype) == (np.uint8, np.uint8)
        assert back.spacing == (10.0, 1.25, 1.5)


def test_packing_twice_changes_nothing_down_to_the_bytes(packed, tmp_path):
    write_packed(read_packed(packed), tmp_path / "again.zip")
    write_packed(read_packed(tmp_path / "again.zip"), tmp_path / "thrice.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "thrice.zip").read_bytes()
    for one, other in zip(read_packed(packed), read_packed(tmp_path / "again.zip"), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_a_file_with_shape_and_zoom_only_is_read(tmp_path):
    image = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    meta = {"patient007_frame03": {"shape": [2, 3, 4], "zoom": [1.5, 1.25, 8.0]}, "patient008_12": {"shape": [2, 3, 4], "zoom": [1, 1, 5]}}
    members = {f"{name}.{kind}.webp": image if kind == "img" else image % 4 for name in meta for kind in ("img", "gt")}
    got = read_packed(foreign(tmp_path / "foreign.zip", meta, members))
    assert [(ref.patient, ref.phase, ref.group) for ref in got.refs] == [("patient007", None, None), ("patient008", None, None)]
    first = got.refs[0].load()
    assert first.spacing == (8.0, 1.25, 1.5)
    np.testing.assert_array_equal(first.image, image)
    np.testing.assert_array_equal(first.labels, image % 4)


def test_intensities_are_scaled_between_minimum_and_99_9th_percentile():
    values = np.arange(1001, dtype=np.float32) + 50  # minimum 50, 99.9th percentile 1049
    values[-1] = 1e6
    got = to_uint8(values.reshape(1, 7, 143))
    assert (got.min(), got.max()) == (0, 255)
    assert got.flat[0] == 0
    assert got.flat[100] == int(100 / 999 * 255 + 0.5)
    np.testing.assert_array_equal(got, to_uint8(values.reshape(1, 7, 143).astype(np.int32)))


@given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_scaling_keeps_the_order_of_intensities(image):
    got = to_uint8(image).ravel()[np.argsort(image, axis=None, kind="stable")]
    assert (np.diff(got.astype(int)) >= 0).all()


def test_a_constant_image_is_packed_as_zero():
    assert not to_uint8(np.full((2, 3, 4), 7.0)).any()


def test_a_frame_too_tall_for_webp_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match="huge: 40 slices of 512 x 2 do not fit"):
        write_packed(dataset(frame("huge", shape=(40, 512, 2))), tmp_path / "out.zip")
    assert list(tmp_path.iterdir()) == []


class TestDamaged:
    def test_no_file(self, tmp_path):
        with pytest.raises(InputError, match=r"none\.zip: no such file"):
            read_packed(tmp_path / "none.zip")

    def test_no_zip(self, tmp_path):
        (tmp_path / "in.zip").write_bytes(b"text")
        with pytest.raises(InputError, match=r"in\.zip: is not a readable"):
            read_packed(tmp_path / "in.zip")

    def test_cut_short(self, packed):
        packed.write_bytes(packed.read_bytes()[:-200])
        with pytest.raises(InputError, match="is not a readable packed data set"):
            read_packed(packed)

    def test_no_meta(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            archive.writestr("else.txt", "text")
        with pytest.raises(InputError, match=r"holds no meta\.json"):
            read_packed(tmp_path / "in.zip")

    @pytest.mark.parametrize(
        "text", ["{", "\xff", "[1]", '{"a": 3}', '{"a": {"shape": [1, 2], "zoom": [1, 1, 1]}}', '{"a": {"shape": [1, 2, 3]}}']
    )
    def test_bad_meta(self, tmp_path, text):
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            archive.writestr("meta.json", text.encode("latin-1"))
        with pytest.raises(InputError, match=r"in\.zip: .*(packed data set|meta\.json)"):
            read_packed(tmp_path / "in.zip")

    def test_a_missing_image(self, tmp_path):
        meta = {"a": {"shape": [1, 2, 3], "zoom": [1, 1, 1]}}
        with pytest.raises(InputError, match=r"a\.gt\.webp is missing"):
            read_packed(foreign(tmp_path / "in.zip", meta, {"a.img.webp": np.zeros((1, 2, 3), np.uint8)}))

    def test_an_image_that_does_not_fit_its_shape(self, tmp_path):
        image = np.zeros((1, 2, 3), np.uint8)
        path = foreign(tmp_path / "in.zip", {"a": {"shape": [2, 2, 3], "zoom": [1, 1, 1]}}, {"a.img.webp": image, "a.gt.webp": image})
        with pytest.raises(InputError, match=r"in\.zip: a is damaged"):
            read_packed(path).refs[0].load()

    def test_an_image_that_is_no_webp(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            archive.writestr("meta.json", json.dumps({"a": {"shape": [1, 2, 3], "zoom": [1, 1, 1]}}))
            archive.writestr("a.img.webp", b"text")
            archive.writestr("a.gt.webp", b"text")
        with pytest.raises(InputError, match=r"in\.zip: a is damaged"):
            read_packed(tmp_path / "in.zip").refs[0].load()

    def test_a_damaged_compressed_member(self, packed, tmp_path):
        path = tmp_path / "deflated.zip"
        with zipfile.ZipFile(packed) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in source.namelist():
                archive.writestr(member, source.read(member))
            start = archive.getinfo("a_frame01.img.webp").header_offset + 30 + len("a_frame01.img.webp")
        content = bytearray(path.read_bytes())
        content[start : start + 20] = b"\xff" * 20
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"deflated\.zip: a_frame01 is damaged"):
            read_packed(path).refs[0].load()

    def test_labels_out_of_scheme(self, tmp_path):
        image = np.full((1, 2, 3), 7, np.uint8)
        path = foreign(tmp_path / "in.zip", {"a": {"shape": [1, 2, 3], "zoom": [1, 1, 1]}}, {"a.img.webp": image, "a.gt.webp": image})
        with pytest.raises(InputError, match=r"in\.zip, a: label values \[7\]"):
            read_packed(path).refs[0].load()


@pytest.mark.data
@pytest.mark.slow
def test_the_packed_acdc_training_set_would_travel(acdc_root, tmp_path):
    """Three patients stand for a hundred, which may take 55 MiB."""
    data = read_acdc(acdc_root)
    write_packed(data.select(data.patients[::10][:3]), tmp_path / "some.zip")
    assert (tmp_path / "some.zip").stat().st_size <= 3 * 0.55 * 2**20
