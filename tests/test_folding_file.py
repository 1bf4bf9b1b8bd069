import json

import pytest

from espalier.errors import BuildError, PlanError
from espalier.hw.folding_file import Folding, read_folding, read_plan, write_plan
from espalier.hw.plan import LayerPlan, Plan


def read(tmp_path, document):
    path = tmp_path / "folding.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_folding(path)


def test_plan_survives_the_file(tmp_path):
    layers = {"fc1": LayerPlan(pe=16, simd=49, memory="block"), "best": LayerPlan(pe=10)}
    plan = Plan(125.0, layers, {"fc1": 4}, "axi-stream")
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


def test_every_key_may_be_left_out(tmp_path):
    assert read(tmp_path, {}) == Folding()
    assert read(tmp_path, {"layers": {"fc1": {"pe": 3}}}).layers == {"fc1": {"pe": 3}}


def test_finn_folding_gives_the_dense_layers_in_order(tmp_path):
    document = {
        "Defaults": {},
        "Thresholding_Batch_0": {"PE": 49},
        "MatrixVectorActivation_0": {"PE": 16, "SIMD": 49, "ram_style": "block"},
        "MatrixVectorActivation_1": {"PE": 8, "SIMD": 8, "ram_style": "auto"},
        "LabelSelect_Batch_0": {"PE": 1},
    }
    assert read(tmp_path, document).in_order == ({"pe": 16, "simd": 49}, {"pe": 8, "simd": 8})


def test_finn_layers_without_a_pair_are_an_error(tmp_path):
    with pytest.raises(PlanError, match="l0: no entry has PE and SIMD; give both"):
        read(tmp_path, {"l0": {"PE": 1}})


def test_a_queue_deeper_than_any_memory_is_an_error(tmp_path):
    with pytest.raises(PlanError, match="the depth of fc1 is 1000000000000; it can be 65536 at most"):
        read(tmp_path, {"depths": {"fc1": 10**12}})


@pytest.mark.parametrize("document", ["[" * 100_000, '{"depths": {"fc1": ' + "9" * 5000 + "}}"])
def test_a_file_that_json_cannot_hold_is_an_error(tmp_path, document):
    with pytest.raises(PlanError, match="not JSON"):
        read(tmp_path, document)


@pytest.mark.parametrize(
    "document, words",
    [
        ("{", r"folding file .*folding.json: not JSON \(Expecting property name"),
        ([], r"folding.json: its content is \[\]; it must be an object"),
        ({"layer": {}}, "folding.json: no key 'layer'; known keys: clock_mhz, interface, layers, depths"),
        ({"layers": 3}, "folding.json: layers is 3; it must be an object"),
        ({"layers": {"fc1": 8}}, "fc1: its content is 8; it must be an object"),
        ({"layers": {"fc1": {"PE": 8}}}, "fc1: no key 'PE'; known keys: engine, pe, simd, multiplier, memory"),
        ({"layers": {"fc1": {"pe": 0}}}, "fc1: pe is 0; it must be an integer of at least 1"),
        ({"layers": {"fc1": {"pe": 2.0}}}, "fc1: pe is 2.0; it must be an integer"),
        ({"layers": {"fc1": {"pe": True}}}, "fc1: pe is True; it must be an integer"),
        ({"layers": {"fc1": {"multiplier": "bram"}}}, "fc1: multiplier is 'bram'; it must be one of lut, dsp"),
        ({"layers": {"fc1": {"memory": []}}}, r"fc1: memory is \[\]; it must be one of auto, block, lut, logic"),
        ({"depths": {"fc1": 0}}, "folding.json: the depth of fc1 is 0; it must be an integer of at least 1"),
        ({"clock_mhz": -1}, "folding.json: clock_mhz is -1; it must be a number of MHz above 0"),
        ({"interface": "axi"}, "folding.json: interface is 'axi'; it must be one of stream, axi-stream"),
        ({"fc1": {"PE": "4", "SIMD": 2}}, "fc1: PE is '4'; it must be an integer"),
    ],
)
def test_bad_folding_file_names_layer_and_key(tmp_path, document, words):
    with pytest.raises(PlanError, match=words):
        read(tmp_path, document)


def test_missing_folding_file_is_named(tmp_path):
    with pytest.raises(BuildError, match=r"folding file .*none.json: cannot be read \(.*No such file"):
        read_folding(tmp_path / "none.json")


def test_windows_and_pools_of_a_finn_folding_are_left_out(tmp_path):
    document = {
        "Defaults": {},
        "Thresholding_Batch_0": {"PE": 1},
        "ConvolutionInputGenerator_0": {"SIMD": 3},
        "MatrixVectorActivation_0": {"PE": 16, "SIMD": 3},
        "ConvolutionInputGenerator_1": {"SIMD": 32},
        "MatrixVectorActivation_1": {"PE": 32, "SIMD": 32},
        "StreamingMaxPool_Batch_0": {},
        "FMPadding_0": {"SIMD": 1},
        "VectorVectorActivation_0": {"PE": 4, "SIMD": 1},
        "LabelSelect_Batch_0": {"PE": 1},
    }
    assert [(fold["pe"], fold["simd"]) for fold in read(tmp_path, document).in_order] == [(16, 3), (32, 32), (4, 1)]
