from __future__ import annotations

from dataclasses import replace

from shortaxis.endocardium import Endocardium
from shortaxis.indices import indices, regional_indices
from shortaxis.phantom import make_phantom
from shortaxis.study import Segmentation


def test_the_definition_of_an_index_says_where_the_endocardium_is_drawn():
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6, spacing=(10.0, 3.0, 3.0))
    plain = Segmentation(phantom.study, phantom.labels)
    compact = replace(plain, endocardium=Endocardium.COMPACT)
    for measure in (indices, regional_indices):
        before, after = measure(plain), measure(compact)
        for name, index in after.items():
            depends = name.startswith(("lv_", "wall_", "sv_"))
            assert ("compact myocardium" in index.definition) == depends
            assert replace(index, definition=before[name].definition) == before[name]
    assert all(
        "inner side" in found.definition
        for name, found in indices(replace(plain, endocardium=Endocardium.TRABECULAE)).items()
        if "lv_" in name
    )
