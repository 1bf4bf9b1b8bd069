"""Where quantizers go in networks of real numbers."""

from espalier.quant.networks.layers import (
    Activation,
    Add,
    AveragePool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
    Network,
)
from espalier.quant.networks.place_quantizers import place_quantizers


def placed(*layers, signed=False):
    """By name what each activation is, and by name what each other layer reads."""
    network = Network("test", Input((4, 8, 8), high=1.0, low=-1.0 if signed else 0.0, signed=signed), layers)
    found = place_quantizers(network)
    assert found.shapes()[found.layers[-1].name] == network.shapes()[layers[-1].name]
    kinds = {layer.name: kind(layer) for layer in found.layers if isinstance(layer, Activation)}
    return kinds, {layer.name: layer.sources for layer in found.layers if layer.name not in kinds}


def kind(layer):
    names = ("signed" if layer.signed else "relu", "two" if layer.power_of_two else "")
    return layer.shares or " ".join(filter(None, names))


def conv(name, **options):
    return Conv(name, 4, (1, 1), **options)


def test_nothing_is_added_behind_relus_and_pools():
    kinds, _ = placed(
        conv("a"), Activation("r"), MaxPool("p", (2, 2)), conv("b"), MaxPool("q", (2, 2)), Activation("s")
    )
    assert kinds == {"r": "relu", "s": "relu"}


def test_the_last_layers_sums_stay_as_they_are():
    assert placed(conv("a"), AveragePool("p", (8, 8)), Flatten("f")) == ({}, {"a": ("",), "p": ("a",), "f": ("p",)})


def test_layers_without_a_relu_between_them_get_one_signed_quantizer():
    kinds, sources = placed(
        conv("a"), conv("b"), Activation("r"), conv("c", sources=("a",)), Add("s", sources=("r", "c"))
    )
    assert kinds["a_quantized"] == "signed" and sources["b"] == sources["c"] == ("a_quantized",)


def test_averages_are_quantized_without_sign():
    kinds, sources = placed(conv("a"), Activation("r"), AveragePool("p", (8, 8)), Flatten("f"), Dense("d", 3))
    assert kinds == {"r": "relu", "f_quantized": "relu"} and sources["d"] == ("f_quantized",)


def test_a_residual_block_is_that_of_resnet8():
    kinds, sources = placed(
        conv("a"), Activation("r"), conv("b"), Activation("s"), conv("c"), Add("sum", sources=("c", "r")),
        Activation("t"), conv("d"),
    )  # fmt: skip
    assert kinds == {"r": "relu", "s": "relu", "c_quantized": "signed two", "r_quantized": "c_quantized", "t": "relu"}
    assert sources["sum"] == ("c_quantized", "r_quantized") and sources["b"] == ("r",)


def test_linear_bottlenecks_need_one_quantizer_for_sum_and_layer():
    kinds, sources = placed(
        conv("a"), conv("b"), Activation("r"), conv("c"), Add("sum", sources=("a", "c")), conv("d"), Activation("s"),
        conv("e"), Add("more", sources=("sum", "e")), conv("last"),
    )  # fmt: skip
    assert kinds == {
        "a_quantized": "signed two", "r": "relu", "c_quantized": "a_quantized",
        "sum_quantized": "signed two", "s": "relu", "e_quantized": "sum_quantized", "more_quantized": "signed",
    }  # fmt: skip
    assert sources["more"] == ("sum_quantized", "e_quantized") and sources["d"] == ("sum_quantized",)


def test_joined_relus_share_the_earliest_quantizer():
    kinds, sources = placed(
        conv("a"), Activation("r"), MaxPool("p", (2, 2)), conv("b"), Activation("s"), conv("c"), Activation("t"),
        Concat("join", sources=("t", "p")), conv("d"), Activation("u"), Concat("more", sources=("u", "s")), conv("e"),
        Activation("v"), Concat("all", sources=("more", "v", "join")), conv("f"),
    )  # fmt: skip
    assert kinds == {"r": "relu two", "s": "r", "t": "r", "u": "r", "v": "r"}
    assert sources["all"] == ("more", "v", "join")


def test_fixed_limits_and_inputs_get_quantizers_to_share():
    clipped = Activation("r", limit=6.0, learned=False)
    kinds, sources = placed(conv("a"), clipped, Concat("join", sources=("r", "")), conv("b"))
    assert kinds == {"r": "relu", "r_quantized": "relu two", "inputs_quantized": "r_quantized"}
    assert sources["join"] == ("r_quantized", "inputs_quantized")


def test_codes_of_one_quantizer_are_joined_as_they_are():
    kinds, _ = placed(conv("a"), Activation("r"), Add("twice", sources=("r", "r")), Activation("s"), conv("b"))
    assert kinds == {"r": "relu", "s": "relu"}
    assert placed(Concat("twice", sources=("", "")), conv("b"), signed=True)[0] == {}


def test_signed_inputs_make_signed_codes():
    assert placed(AveragePool("p", (2, 2)), conv("b"), signed=True)[0] == {"p_quantized": "signed"}


def test_added_names_are_new():
    kinds, _ = placed(conv("a"), conv("b"), Activation("a_quantized"), conv("c"))
    assert kinds == {"a_quantized_2": "signed", "a_quantized": "relu"}
