"""When channels are dropped while a network trains, and by what they are judged."""

from dataclasses import replace

import pytest

from espalier.errors import GraphError
from espalier.quant.networks.resnet import resnet8
from espalier.quant.override import override
from espalier.quant.recipes import find_recipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")

from espalier.quant.model import QuantNetwork  # noqa: E402
from espalier.quant.pruning.criteria import CRITERIA, find_criterion  # noqa: E402
from espalier.quant.pruning.scheduled import RunningMean, ScheduledPruning, keep_largest  # noqa: E402
from espalier.quant.pruning.schedules import (  # noqa: E402
    SCHEDULES,
    Window,
    find_schedule,
    layerwise,
    one_shot,
    stepwise,
)

WINDOW = Window(100, 200)


def test_layerwise_goes_from_layer_to_layer():
    events = layerwise([8, 4, 6], [4, 4, 3], WINDOW)
    assert [(event.group, event.step, event.since) for event in events if event.final] == [(0, 150, 100), (2, 200, 150)]
    assert [event.step for event in events if event.group == 0] == [110, 120, 130, 140, 150]
    assert {event.keep for event in events if event.group == 0} == {4}


def test_one_shot_drops_all_after_the_same_window():
    assert [(e.group, e.step, e.since, e.keep) for e in one_shot([8, 4], [4, 1], WINDOW)] == [
        (0, 200, 100, 4),
        (1, 200, 100, 1),
    ]


def test_stepwise_is_cubic():
    events = stepwise([100], [0], WINDOW)
    assert [(event.step, event.keep, event.since) for event in events] == [
        (120, 51, 100),
        (140, 22, 120),
        (160, 6, 140),
        (180, 1, 160),
        (200, 0, 180),
    ]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [2, 3, 7, 1000])
def test_each_group_ends_at_its_width_in_the_window(name, steps):
    events = SCHEDULES[name]([8, 5, 3], [3, 2, 3], Window.of_shares(steps, 0.2, 0.6))
    last = {event.group: event for event in events if event.final}
    assert {number: event.keep for number, event in last.items()} == {0: 3, 1: 2}
    assert all(event.step == max(e.step for e in events if e.group == event.group) for event in last.values())
    assert all(0 <= event.since < event.step for event in events)


def small_resnet():
    recipe = override(replace(find_recipe("resnet8"), network=resnet8(4)), weight_bits=32, activation_bits=32)
    torch.manual_seed(1)
    return QuantNetwork(recipe)


def run(model, method, steps):
    """Steps without training; the channels kept before each."""
    method.start(model, steps)
    widths = []
    model.train()
    for step in range(steps):
        method.before_step(model, step)
        widths.append([int(group.kept.sum()) for group in model.groups()])
        model(torch.rand(4, 3, 32, 32) * 255)
        method.after_step(model, step)
    return widths


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_any_criterion_goes_with_any_schedule(criterion, schedule):
    model = small_resnet()
    keep = [group.channels // 2 for group in model.groups()]
    if criterion == "activation-l0":  # the residual sums of signed branches are never 0
        keep = [n if all(w.mask.rectified for w in g.writers) else g.channels for g, n in zip(model.groups(), keep)]
    widths = run(model, ScheduledPruning(CRITERIA[criterion], SCHEDULES[schedule], keep, (0.1, 0.9)), 12)
    assert widths[0] == [group.channels for group in model.groups()] and widths[-1] == keep
    for group in model.groups():
        assert not any(part.weights(group.channels)[~group.kept].any() for part in group.readers)


def test_importance_is_what_the_mask_takes_in_behind_its_relu():
    model = small_resnet()
    method = ScheduledPruning(CRITERIA["activation-l1"], layerwise, [4, 2, 8, 8, 16, 16], (0.0, 0.9))
    seen = []
    group = model.groups()[1]
    group.writers[0].norm.register_forward_hook(lambda module, given, result: seen.append(result.detach()))
    torch.manual_seed(2)
    method.start(model, 10)
    model.train()
    for step in range(10):
        method.before_step(model, step)
        model(torch.rand(4, 3, 32, 32) * 255)
    final = method.events[-1]
    batches = [values.relu().mean((0, 2, 3)) for values in seen[final.since : final.step]]
    assert torch.equal(group.kept, keep_largest(torch.stack(batches).mean(0), 2))


def test_a_mean_continues_where_it_was():
    mean, other = RunningMean(lambda values: values), RunningMean(lambda values: values)
    for value in (1.0, 5.0):
        mean(torch.tensor([value]))
    other.restore(**mean.state())
    for one in (mean, other):
        one(torch.tensor([9.0]))
    assert mean.value == other.value == 5


def test_random_masks_depend_on_the_seed():
    kept = []
    for seed in (0, 0, 1):
        model = small_resnet()
        run(model, ScheduledPruning(CRITERIA["random"], one_shot, [2, 2, 4, 4, 8, 8], (0.0, 0.5), seed), 4)
        kept.append(torch.cat([group.kept for group in model.groups()]))
    assert torch.equal(kept[0], kept[1]) and not torch.equal(kept[0], kept[2])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_channels_dropped_before_the_training_do_not_come_back(schedule):
    model = small_resnet()
    dropped = [torch.arange(group.channels) < group.channels // 4 for group in model.groups()]
    for group, part in zip(model.groups(), dropped):
        group.keep(~part)
        for writer in group.writers:
            writer.norm.bias.detach()[part] = 9.0  # large behind the ReLU
    method = ScheduledPruning(CRITERIA["activation-l1"], SCHEDULES[schedule], [2, 2, 4, 4, 10, 16], (0.1, 0.9))
    run(model, method, 12)
    assert [int(group.kept.sum()) for group in model.groups()] == [2, 2, 4, 4, 10, 12]
    assert not any((group.kept & part).any() for group, part in zip(model.groups(), dropped))


def test_counting_zeros_where_there_are_none_is_an_error():
    method = ScheduledPruning(CRITERIA["activation-l0"], one_shot, [4, 4, 4, 8, 16, 16], (0.0, 0.5))
    with pytest.raises(GraphError, match="block2_conv2: activation-l0 counts zeros, but no ReLU follows"):
        model = small_resnet()
        for writer in model.groups()[2].writers:
            writer.mask.rectified = False
        names = [group.name for group in model.groups()]
        names[2] = "block2_conv2"
        groups = tuple(replace(group, name=name) for group, name in zip(model.groups(), names))
        method._criterion.check(groups[2:3])


def test_a_training_that_is_too_short_is_an_error():
    with pytest.raises(GraphError, match="conv0: would be pruned in step 2 of 1; train for more epochs"):
        ScheduledPruning(CRITERIA["random"], one_shot, [2, 4, 8, 8, 16, 16], (0.0, 1.0)).start(small_resnet(), 1)


def test_a_mask_that_empties_a_group_is_an_error():
    method = ScheduledPruning(CRITERIA["random"], one_shot, [2, 0, 8, 8, 16, 16], (0.0, 0.5))
    with pytest.raises(GraphError, match="block1_conv1: none of its channels would stay; keep at least 1"):
        method.start(small_resnet(), 10)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(GraphError, match="unknown criterion 'l3'; known criteria: activation-l1, activation-l0, "):
        find_criterion("l3")
    with pytest.raises(GraphError, match="unknown schedule 'slow'; known schedules: layerwise, one-shot, stepwise"):
        find_schedule("slow")
