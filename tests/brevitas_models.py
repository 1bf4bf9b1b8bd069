"""Small convolutional models made with Brevitas: what people export, one idea each."""

import warnings

import pytest


def build(variant):
    """torch, and the model in evaluation mode, with the shape of its input."""
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("brevitas.nn")
    from brevitas.quant import Int8WeightPerChannelFloat, ShiftedUint8ActPerTensorFloat, TruncTo8bit

    torch.manual_seed(3)
    plain = torch.nn
    weights = {"weight_bit_width": 4, "weight_quant": Int8WeightPerChannelFloat, "bias": False}

    class Residual(plain.Module):
        """Both branches end in one quantizer, as Brevitas recommends."""

        def __init__(self, shared):
            super().__init__()
            self.conv = nn.QuantConv2d(6, 6, 3, padding=1, **weights)
            self.norm = plain.BatchNorm2d(6)
            self.first = nn.QuantIdentity(bit_width=4)
            self.second = self.first if shared else nn.QuantIdentity(bit_width=4)
            self.relu = nn.QuantReLU(bit_width=4)

        def forward(self, x):
            return self.relu(self.first(self.norm(self.conv(x))) + self.second(x))

    class Split(plain.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.QuantConv2d(2, 2, 3, padding=1, groups=2, **weights)
            self.act = nn.QuantReLU(bit_width=4)
            self.both = nn.QuantReLU(bit_width=5)

        def forward(self, x):
            first, second = x.split([2, 4], dim=1)
            return self.both(torch.cat([self.act(self.left(first)), second], dim=1))

    start = [
        nn.QuantIdentity(bit_width=6),
        nn.QuantConv2d(3, 6, 3, padding=1, **weights),
        plain.BatchNorm2d(6),
        nn.QuantReLU(bit_width=4),
    ]
    end = [plain.Flatten(), nn.QuantLinear(6 * 16, 5, bias=True, weight_bit_width=4)]
    layers = {
        "pools": [
            *start,
            plain.MaxPool2d(2),
            nn.QuantConv2d(6, 6, 3, padding=1, **weights),
            plain.BatchNorm2d(6),
            nn.QuantReLU(bit_width=4, return_quant_tensor=True),
            plain.AvgPool2d(2),
            plain.Flatten(),
            nn.QuantLinear(24, 5, bias=True, weight_bit_width=4),
        ],
        "truncated average": [
            *start[:-1],
            nn.QuantReLU(bit_width=4, return_quant_tensor=True),
            nn.TruncAvgPool2d(2, trunc_quant=TruncTo8bit, bit_width=4),
            *end,
        ],
        "depthwise": [
            *start,
            nn.QuantConv2d(6, 6, 3, padding=1, stride=2, groups=6, **weights),
            plain.BatchNorm2d(6),
            nn.QuantReLU(bit_width=4),
            nn.QuantConv2d(6, 6, 1, **weights),
            nn.QuantReLU(bit_width=4),
            *end,
        ],
        "residual, one quantizer": [*start, Residual(True), plain.AvgPool2d(2), nn.QuantIdentity(bit_width=8), *end],
        "residual, two quantizers": [*start, Residual(False), plain.AvgPool2d(2), nn.QuantIdentity(bit_width=8), *end],
        "transposed": [
            *start,
            plain.MaxPool2d(2),
            nn.QuantConvTranspose2d(6, 4, 4, stride=2, padding=1, weight_bit_width=4, bias=False),
            plain.BatchNorm2d(4),
            nn.QuantReLU(bit_width=4),
            nn.QuantConv2d(4, 2, 3, padding=1, bias=True, weight_bit_width=4),
        ],
        "pixel shuffle": [
            *start,
            nn.QuantConv2d(6, 8, 3, padding=1, **weights),
            plain.PixelShuffle(2),
            nn.QuantReLU(bit_width=4),
            nn.QuantConv2d(2, 2, 3, padding=1, **weights),
        ],
        "upsampled and split": [*start, Split(), plain.Upsample(scale_factor=2), nn.QuantConv2d(6, 3, 3, **weights)],
        "zero points and biases": [
            nn.QuantIdentity(bit_width=5, act_quant=ShiftedUint8ActPerTensorFloat, return_quant_tensor=True),
            nn.QuantConv2d(3, 6, 2, stride=2, bias=True, weight_bit_width=4),
            plain.LeakyReLU(0.1),
            nn.QuantIdentity(bit_width=5, act_quant=ShiftedUint8ActPerTensorFloat),
            *end,
        ],
        "curves": [
            *start,
            nn.QuantConv2d(6, 6, 3, padding=1, stride=2, **weights),
            plain.SiLU(),
            nn.QuantIdentity(bit_width=5),
            nn.QuantConv2d(6, 6, 1, **weights),
            plain.Hardswish(),
            nn.QuantIdentity(bit_width=4),
            *end,
        ],
        "sequences": [
            nn.QuantIdentity(bit_width=6),
            nn.QuantConv1d(3, 6, 5, padding=2, **weights),
            plain.BatchNorm1d(6),
            nn.QuantReLU(bit_width=4),
            plain.MaxPool1d(4),
            nn.QuantConv1d(6, 4, 3, weight_bit_width=4, bias=True),
        ],
        "bipolar": [
            *start[:-1],
            nn.QuantIdentity(**bipolar()),
            nn.QuantConv2d(6, 6, 3, padding=1, stride=2, **weights),
            plain.BatchNorm2d(6),
            nn.QuantIdentity(**bipolar()),
            *end,
        ],
    }[variant]
    shape = (3, 32) if variant == "sequences" else (3, 8, 8)
    model = plain.Sequential(*layers)
    for _ in range(6):  # lets scales and statistics settle
        model(torch.randn(8, *shape))
    return torch, model.eval(), shape


def bipolar():
    from brevitas.quant import SignedBinaryActPerTensorConst

    return {"act_quant": SignedBinaryActPerTensorConst}


def write(model, shape, path):
    """The model as Brevitas itself writes it."""
    import torch
    from brevitas.export import export_qonnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model, args=torch.zeros(1, *shape), export_path=str(path), opset_version=17, dynamo=False)
    return path


VARIANTS = (
    "pools",
    "truncated average",
    "depthwise",
    "residual, one quantizer",
    "residual, two quantizers",
    "transposed",
    "pixel shuffle",
    "upsampled and split",
    "zero points and biases",
    "curves",
    "sequences",
    "bipolar",
)
