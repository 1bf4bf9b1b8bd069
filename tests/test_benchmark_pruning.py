"""The frame of the pruning benchmark: jobs that resume, equal budgets, and what the tables compute."""

import json
import threading
from argparse import Namespace
from dataclasses import replace

import pytest
from filelock import FileLock

from espalier.errors import BuildError
from espalier.hw.design import generate
from espalier.hw.estimate import estimate, total
from espalier.hw.planner import plan
from espalier.hw.queues import analyse
from espalier.ir.onnx_import import import_onnx
from espalier.ir.simplify import simplify
from espalier.quant.networks.coupling import find_couplings

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)
pytest.importorskip("brevitas", reason="needs the train extra")

import pruning  # noqa: E402
import pruning_rows as rows  # noqa: E402
from markdown_tables import spread, table  # noqa: E402
from pruning_bench import Bench, Budget, Row  # noqa: E402
from pruning_jobs import Job, Store, jobs_of, run_jobs, seconds_left  # noqa: E402
from pruning_networks import STUDIES, Study, rows_of  # noqa: E402
from pruning_tables import format_tables, read_results  # noqa: E402

TINY = Budget(320, 1, 2, 1, 1)
STUDY = Study("digits-cnn", 2, TINY, replace(TINY, pretrain=2), (("random", "one-shot"),), ("W4A4",))


def options_of(folder, **changes):
    values = {"work": folder, "seeds": None, "rows": "*", "processes": 1, "device": "cpu", "full": False, "data": None}
    return Namespace(**values | {"table": False} | changes)


def bench_of(study=STUDY, **changes):
    return pruning.make_bench(study, options_of(None, **changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    options = options_of(folder, rows="dense,random*,thin 50,cap*50,hardware W4A4 50", seeds=1)
    assert pruning.run(STUDY, options) == 0
    return folder


def test_each_job_leaves_one_result(finished):
    names = sorted(path.name for path in (finished / "digits-cnn").glob("*.json"))
    wanted = [
        "W4A4_50",
        "cap_50",
        "cap_untrained_50",
        "dense",
        "hardware_W4A4_50",
        "pretrained",
        "random_one-shot_50",
        "random_one-shot_75",
    ]
    assert names == sorted(f"{name}-0.json" for name in [*wanted, "thin_50"])
    assert not list((finished / "digits-cnn" / "running").iterdir())


def test_a_finished_folder_is_only_read(finished, monkeypatch, capsys):
    monkeypatch.setattr(Bench, "fit", lambda *given, **options: pytest.fail("trains again"))
    assert pruning.main(["digits-cnn", "--work", str(finished), "--table"]) == 2
    assert "is of another budget, recipe or other data; choose another --work folder" in capsys.readouterr().err
    assert pruning.run(STUDY, options_of(finished, rows="random*", seeds=1)) == 0
    assert "| random, one-shot | 75 % | 3 |" in capsys.readouterr().out


def test_results_hold_what_the_masks_left(finished):
    found = json.loads((finished / "digits-cnn" / "random_one-shot_50-0.json").read_text())
    assert found["kept"] == [8, 16, 16] and (found["epochs"], found["seed"]) == (3, 0)
    weights = 9 * (1 * 8 + 8 * 16 + 16 * 16) + 16 * 10
    features = 64 * (8 + 16 + 16) + 16
    assert found["weight_mbit"] == weights * 32 / 1e6 and found["feature_mbit"] == (features * 32 + 64 * 8) / 1e6
    assert found["density"] == pytest.approx(found["score"] / (found["weight_mbit"] + found["feature_mbit"]))


def test_quantized_rows_have_the_work_of_the_integer_graph(finished):
    found = json.loads((finished / "digits-cnn" / "W4A4_50-0.json").read_text())
    work = json.loads((finished / "digits-cnn" / "hardware_W4A4_50-0.json").read_text())
    weights = 9 * (1 * 8 + 8 * 16 + 16 * 16) + 16 * 10
    assert work["weight_bits"] == 4 * weights and found["weight_mbit"] == 4 * weights / 1e6
    assert work["multiplications"] == 64 * 9 * (1 * 8 + 8 * 16 + 16 * 16) + 16 * 10


def test_hardware_is_made_of_the_row_it_needs(finished):
    found = json.loads((finished / "digits-cnn" / "hardware_W4A4_50-0.json").read_text())
    graph = simplify(import_onnx(finished / "digits-cnn" / "models" / "0" / "W4A4_50.onnx").graph)
    design = generate(graph, plan(graph))
    assert found["ii_cycles"] == analyse(design.schedules, design.links).ii_cycles
    predicted = total(estimate(design, "ecp5"))
    assert found["lut"] > 1000 and found["ff"] > 1000
    assert (found["bram"], found["dsp"]) == (predicted.bram, predicted.dsp)


def test_hardware_is_that_of_the_first_seed():
    names = [job.name for job in jobs_of(STUDY, TINY, 2) if job.row.table == "hardware"]
    assert names == [f"hardware_W4A4_{share}-0" for share in (0, 50, 75)]


def test_a_full_schedule_is_another_run(finished):
    with pytest.raises(BuildError, match=r"-0.json: is of another budget"):
        pruning.run(STUDY, options_of(finished, full=True, table=True))


@pytest.fixture
def epochs(monkeypatch):
    """The epochs of each training that a bench is asked for, none of which takes place."""
    counts = []
    monkeypatch.setattr(Bench, "fit", lambda self, model, recipe, stage, epochs, method=None: counts.append(epochs))
    monkeypatch.setattr(Bench, "dense", lambda self: self.make(self.recipe))
    monkeypatch.setattr(Bench, "samples", lambda self, count: torch.zeros(2, *self.recipe.network.input.shape))
    monkeypatch.setattr(Bench, "measure", lambda self, model, recipe, epochs: {"epochs": epochs})
    monkeypatch.setattr(rows, "dcp", lambda model, recipe, data, keep, options: counts.append(options.auxiliary_epochs))
    for name in ("cap", "recalibrate_norms"):
        monkeypatch.setattr(rows, name, lambda *given, **options: None)
    return counts


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_of_the_table_has_the_same_budget(name, epochs):
    study = STUDIES[name]
    bench = replace(bench_of(), budget=study.budget, recipe=pruning.float_recipe(study, study.budget))
    found = [row for row in rows_of(study, study.budget) if row.table == "main" and "untrained" not in row.name]
    for row in found:
        epochs.clear()
        before = 0 if row.name.startswith("thin") else study.budget.pretrain
        assert row.run(bench)["epochs"] == sum(epochs) + before == study.budget.whole, row.name


@pytest.mark.parametrize("name", STUDIES)
def test_row_names_are_their_own_and_excluded_layers_exist(name):
    study = STUDIES[name]
    names = [row.name for row in rows_of(study, study.budget)]
    assert len(set(names)) == len(names)
    recipe = pruning.float_recipe(study, study.budget)
    assert {*study.budget.excluded} <= {coupling.name for coupling in find_couplings(recipe.network)}
    assert (study.full.images or 0) >= (study.budget.images or 0) and study.full.whole > study.budget.whole


def job_of(name, run, seed=0, epochs=1.0, needs=""):
    return Job(Row(name, "main", epochs, run, needs), seed)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "digits-cnn", "config")


def work(jobs, store, said=None):
    run_jobs(jobs, store, bench_of(), 1, (said if said is not None else []).append)


def test_a_killed_job_finds_its_folder_again(store):
    def run(bench):
        found = bench.folder.exists()
        bench.folder.mkdir(exist_ok=True)
        if not found:
            raise KeyboardInterrupt
        return {"score": 7.0}

    done = job_of("done", lambda bench: {"score": 1.0})
    jobs = [done, job_of("killed", run)]
    with pytest.raises(KeyboardInterrupt):
        work(jobs, store)
    before = (store.folder / "done-0.json").read_bytes()
    work(jobs, store)
    assert store.read(jobs[1])["score"] == 7.0 and not store.running(jobs[1]).exists()
    assert (store.folder / "done-0.json").read_bytes() == before


def test_jobs_wait_for_the_trained_network_of_their_seed(store):
    order = []

    def pretrain(bench):
        order.append("pretrain")
        bench.trained.touch()
        return {}

    rest = job_of(
        "rest", lambda bench: order.append(str(bench.trained.relative_to(store.folder))) or {}, needs="pretrained"
    )
    work([rest, job_of("pretrained", pretrain)], store)
    assert order == ["pretrain", "models/0/dense.safetensors"]


def test_a_job_that_another_process_has_is_left_to_it(store):
    jobs = [job_of(name, lambda bench: {}) for name in ("taken", "free")]
    (store.folder / "locks").mkdir(parents=True)
    lock = FileLock(store.folder / "locks" / "taken-0.lock", thread_local=False)
    with lock:
        worker = threading.Thread(target=work, args=(jobs, store), daemon=True)
        worker.start()
        while store.read(jobs[1]) is None:
            worker.join(0.05)
        assert store.read(jobs[0]) is None
    worker.join(60)
    assert not worker.is_alive() and store.read(jobs[0]) is not None


def test_what_another_process_has_just_done_is_not_done_again(store):
    class Late(Store):
        reads = 0

        def read(self, job):
            Late.reads += 1
            return None if Late.reads == 1 else {"seconds": 1.0}

    work([job_of("one", lambda bench: pytest.fail("runs again"))], Late(store.folder, "config"))


def test_all_rows_of_a_seed_see_the_same_random_numbers(store):
    drawn = []
    jobs = [job_of(str(n), lambda bench: drawn.append(torch.rand(1)) or {}, seed) for seed in (0, 1) for n in (1, 2)]
    work(jobs, store)
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]


def test_results_of_another_budget_are_refused(store):
    job = job_of("one", lambda bench: {})
    work([job], store)
    with pytest.raises(BuildError, match="one-0.json: is of another budget, recipe or other data"):
        Store(store.folder, "other").read(job)


def test_time_left_is_that_of_the_same_row_or_of_epochs(store):
    jobs = [job_of("a", None, 0, 2), job_of("b", None, 0, 6), job_of("a", None, 1, 2), job_of("c", None, 0, 4)]
    store.folder.mkdir()
    store.write(jobs[0], {"seconds": 10.0})
    store.write(jobs[1], {"seconds": 70.0})
    assert seconds_left(jobs, store, 2) == (10 + 4 * 80 / 8) / 2


def test_spread_is_the_sample_deviation():
    assert spread([1.0, 2.0, 6.0]) == "3.00 ± 2.65"
    assert (spread([5.0]), spread([])) == ("5.00", "–")


def test_tables_are_markdown():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def result(score, density=1.0, **more):
    return {"score": score, "density": density, "epochs": 3, "weight_mbit": 0.5, "feature_mbit": 0.25} | more


def tables(results, study=STUDY):
    return "\n".join(format_tables(study, results))


def test_density_is_compared_with_the_dense_network():
    text = tables({"dense": {0: result(90, 100.0), 1: result(92, 300.0)}, "W4A4 50": {0: result(80, 5000.0)}})
    assert "| dense | 0 % | 3 | 91.00 ± 1.41 | 0.5000 | 0.2500 | 200 ± 141 | 1.0 | 2 |" in text
    assert "| joint, W4A4 | 50 % | 3 | 80.00 | 0.5000 | 0.2500 | 5000 | 25.0 | 1 |" in text


def test_schedules_are_compared_seed_by_seed():
    scores = {"layerwise": (80, 70, 60), "one-shot": (70, 65, 61)}
    results = {
        f"short random {name} 50": {seed: result(score) for seed, score in enumerate(row)}
        for name, row in scores.items()
    }
    line = "| random | 50 % | 70.00 ± 10.00 | 65.33 ± 4.51 | – | 4.67 ± 5.51 | 2 of 3 |"
    assert line in tables(results)
    del results["short random one-shot 50"][1]
    assert "| 4.50 ± 7.78 | 1 of 2 |" in tables(results)


def test_figures_of_claims_are_averaged():
    drifts = {f"conv2 batch {share:g} tau": share for share in rows.DRIFTS} | {"conv2 batch 0.5 distance": 0.25}
    by_lambda = {"0": 10.0, "0.1": 20.0, "1": 30.0, "inf": 40.0}
    ranks = {"trp": 7, "trp factorised": 6, "trp weights": 30}
    results = {
        "drift": {seed: {"figures": {key: value + seed for key, value in drifts.items()}} for seed in (0, 1)},
        "lambda 50": {0: {"figures": by_lambda}},
        "trp": {0: {"figures": {"plain": 9, "plain factorised": 8, "plain weights": 70} | ranks}},
        "untrained random 50": {0: {"figures": {"alone": 1.0, "norms": 2.0, "compensated": 3.0}}},
    }
    text = tables(results)
    assert "| conv2 | batch statistics | 0.75 ± 0.71 | 1.00 ± 0.71 | 1.25 ± 0.71 | 1.38 ± 0.71 | 0.75 ± 0.71 |" in text
    assert "| 50 % | 10.00 | 20.00 | 30.00 | 40.00 |" in text
    assert "| random | 50 % | 1.00 | 2.00 | 3.00 |" in text
    assert "| plainly | 9.00 | 8.00 | 70.00 |" in text and "| by TRP | 7.00 | 6.00 | 30.00 |" in text


def test_results_are_read_of_what_is_done(finished):
    store = Store(finished / "digits-cnn", bench_of().config)
    found = read_results(store, jobs_of(STUDY, TINY, 2))
    assert found["dense"].keys() == {0} and "thin 75" not in found
