"""What each stage of a pruning achieves, and for how much memory."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..density import density_of, in_figures
from ..files import read_json
from ..finish import Metrics
from ..tasks import find_task
from .plot import Point, draw
from .work import State


@dataclass(frozen=True)
class StageRow:
    """One stage on the whole test set: dense, as the run was; pruned; or quantized.

    Memory in Mbit of what pruning has left; density is the score, in percent or dB, per Mbit. channels: kept by group.
    """

    stage: str
    score: float
    weight_mbit: float
    feature_mbit: float
    density: float
    channels: Mapping[str, int]


@dataclass(frozen=True)
class PruneResult:
    """metrics: of the finished model."""

    metrics: Metrics
    rows: tuple[StageRow, ...]

    def record(self) -> list[dict[str, Any]]:
        """The rows as JSON values."""
        return [asdict(row) for row in self.rows]

    def draw(self) -> str:
        """An SVG of score against density."""
        metric = self.metrics.metric
        points = [Point(row.stage, row.density, in_figures(metric, row.score)) for row in self.rows]
        return draw(points, "PSNR in dB" if metric == "psnr_db" else f"{metric} in %")


def make_row(stage: str, state: State, score: float) -> StageRow:
    channels = {group.name: int(group.kept.sum()) for group in state.model.groups()}
    density = density_of(state.recipe, channels)
    figure = in_figures(find_task(state.recipe.task).metric, score)
    return StageRow(stage, score, density.weight_mbit, density.feature_mbit, density.of(figure), channels)


def read_result(folder: Path) -> PruneResult:
    """What a finished run folder tells of its pruning."""
    record = read_json(folder / "metrics.json")
    return PruneResult(Metrics.of_record(record["result"]), tuple(StageRow(**row) for row in record["stages"]))
