from __future__ import annotations

import re

import msgspec
import pytest

from shortaxis.reports import content
from shortaxis.reports.detail import curves, end_slices, provenance
from shortaxis.reports.markup import element, write
from shortaxis.reports.summary import flags, header, ventricles
from shortaxis.reports.viewer import make_pictures

change = msgspec.structs.replace


def row(value, unit="ml", **fields):
    return content.IndexRow(value, unit, "a definition", "a source", **fields)


def said(*parts):
    """The words, with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", write(*parts)).split())


def test_text_and_attributes_are_escaped():
    assert write(element("p", "<b>", title='"&<')) == '<p title="&quot;&amp;<">&lt;b&gt;</p>'


def test_texts_and_elements_keep_their_order():
    assert write(element("p", "a", "b", element("b", "c"), "d", None, "e", class_=None)) == "<p>ab<b>c</b>de</p>"


def test_an_index_stands_with_its_interval_and_its_share_of_the_body():
    indices = {
        "lv_edv": row(150.2, interval=(136.4, 164.0), interval_level=0.9, interval_note="Base not covered."),
        "lv_edv_indexed": row(81.2, "ml/m²"),
        "lv_esv": row(60.0),
        "lv_esv_indexed": row(None, "ml/m²", reason="?"),
    }
    text = said(*ventricles(indices))
    assert "Index Value 90 % interval ÷ BSA" in text
    assert "EDV 150 ml 136 to 164 81 ml/m²" in text
    assert "ESV 60 ml — —" in text
    assert "Base not covered." in text


def test_bars_of_one_unit_share_their_scale():
    bars = write(*ventricles({"lv_edv": row(100.0, interval=(90.0, 110.0), interval_level=0.9), "rv_edv": row(190.0)}))
    # 200 ml is the right end, at 118: 100 ml lies in the middle.
    assert '<line class="tick" x1="60" x2="60"' in bars


def test_missing_values_say_why_once_for_all_of_the_same_reason():
    text = said(*ventricles({"rv_ef": row(None, "%", reason="no ES"), "rv_esv": row(None, reason="no ES"), "rv_sv": row(None)}))
    assert "EF not known" in text
    assert "EF, ESV : no ES" in text
    assert "SV : no reason is given" in text


def test_a_ventricle_without_indices_has_no_card():
    assert "Right" not in said(*ventricles({"lv_ef": row(50.0, "%")}))
    assert ventricles({}) == []


def test_flags_say_what_they_are_by_how_much_and_what_to_do(cine):
    report = change(
        cine[0],
        flags=[
            content.Flag("a", "warning", "Message one.", "Remedy one.", -0.5, 2.0, "mm"),
            content.Flag("b", "note", "Message two.", "Remedy two.", 3.0),
            content.Flag("c", "note", "Message three.", "Remedy three."),
        ],
    )
    text = said(*flags(report))
    assert "Warning Message one. −0.5 mm (limit 2 mm) Remedy one." in text
    assert "Note Message two. 3 Remedy two." in text
    assert "Note Message three. Remedy three." in text
    assert "1 warning" in said(*header(report))
    assert "2 notes" in said(*header(report))
    assert said(*flags(change(report, flags=[]))) == "Nothing was flagged."


def test_the_head_counts_end_slices_of_ed_and_es_only(cine):
    assert "2 of 8 end slices to check" in said(*header(cine[0]))
    trusted = [change(frame, end_slices=frame.end_slices[:1]) for frame in cine[0].frames[:5]]
    assert "2 end slices trusted" in said(*header(change(cine[0], frames=trusted)))


def test_where_ed_and_es_are_unknown_the_head_counts_the_end_slices_that_are_shown(cine):
    """A cine of three phases, of which the cards show the first."""
    unnamed = change(cine[0], phases="unknown", frames=[change(frame, phase=None) for frame in cine[0].frames[:3]])
    assert "1 of 4 end slices to check" in said(*header(unnamed))


def test_what_was_said_when_an_image_was_read_is_said_again(cine):
    image = change(cine[0].images[0], notes=["one slice was there twice"])
    assert "one slice was there twice" in said(*header(change(cine[0], images=[image])))


def test_an_end_slice_stands_with_its_verdict_and_reasons(cine):
    report, pixels = cine
    text = said(*end_slices(report, make_pictures(report, pixels)))
    assert "Slice 8, apical ▲ check risk 71 % the outline is blurred; the section is small" in text
    assert "Slice 1, basal ✓ trust risk 12 %" in text
    assert "Over the cine" in text


def test_places_decided_anew_are_listed(cine):
    report = change(cine[0], repairs=[content.RepairRow("cine.nii.gz", 3, 2, "RV", 120.0, 340.4)])
    assert "1 place decided anew" in said(*curves(report))
    assert "cine.nii.gz, frame 3 2 RV 120 mm² 340 mm²" in said(*curves(report))
    assert "decided anew" not in said(*curves(cine[0]))


@pytest.mark.parametrize(("options", "words"), [({}, "defaults"), ({"clean": False}, "clean = False")])
def test_provenance_names_what_made_the_report_and_defines_every_index(cine, options, words):
    report = change(cine[0], provenance=change(cine[0].provenance, options=options, command=None, calibrated=False))
    text = said(*provenance(report))
    assert f"Options {words}" in text
    assert "called from Python" in text
    assert "release (without calibration)" in text
    for index in report.indices.values():
        assert " ".join(index.definition.split()) in text


def test_the_rv_stands_at_the_phases_of_the_lv_and_at_its_own_with_their_frames():
    frames = {"ed_frame": 1.0, "es_frame": 8.0, "rv_ed_frame": 3.0, "rv_es_frame": 11.0}
    indices = {"rv_ef": row(33.0, "%"), "rv_ef_own": row(54.0, "%")} | {name: row(value, "frame") for name, value in frames.items()}
    text = said(*ventricles(indices))
    assert re.search(r"frames 1 and 8.* 33 % .*frames 3 and 11.* 54 %", text)


def test_without_phases_of_its_own_the_rv_has_one_group_and_a_reason():
    text = said(
        *ventricles({"rv_ef": row(33.0, "%"), "rv_ef_own": row(None, "%", reason="no cine"), "rv_esv_own": row(None, reason="no cine")})
    )
    assert "of the LV" not in text
    assert text.count("no cine") == 1
