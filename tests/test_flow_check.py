import json

import pytest

from espalier.flow import cli
from small_models import Builder, write_mlp


def check(capsys, *arguments):
    capsys.readouterr()
    status = cli.run(["check", *map(str, arguments)])
    return status, capsys.readouterr()


def test_a_good_model_imports_cleanly(tmp_path, capsys):
    status, printed = check(capsys, write_mlp(tmp_path / "net.onnx"))
    assert status == 0
    assert printed.out == "imports cleanly: 3 layers (2 Dense, 1 Threshold); input x uint4[6], output fc2_y int9[3]\n"


def test_every_problem_has_a_line(tmp_path, capsys):
    net = Builder()
    x = net.quant("x", "q_in", 0.25, 4, signed=False)
    weights = net.quant(net.constant("w1", [[1.0] * 6] * 6), "q_w1", 0.125, 4, True)
    both = [net.add("NonZero", [x], "where"), net.add("MatMul", [net.add("Det", [x], "det"), weights], "fc1")]
    path = net.save(tmp_path / "bad.onnx", 6, 6, net.add("Add", both, "sum"))
    status, printed = check(capsys, path)
    lines = printed.out.splitlines()
    assert status == 1 and len(lines) == 2
    assert "where" in lines[0] and "det" in lines[1]
    assert json.loads(check(capsys, path, "--json")[1].out)["problems"] == lines


@pytest.mark.parametrize("type_, words", [("uint9x", "uint9x"), ("", "--input-type ''")])
def test_an_input_type_that_is_none(tmp_path, capsys, type_, words):
    status, printed = check(capsys, write_mlp(tmp_path / "net.onnx"), "--input-type", type_)
    assert status == 2 and words in printed.err
