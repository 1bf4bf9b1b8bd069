"""Options and fixtures that every test may use: the folders of data and models, and the slow tests on request."""

from pathlib import Path

import pytest
from hypothesis import settings

# Shared cores are no place for deadlines, and a failure must come again in the next run.
settings.register_profile("espalier", deadline=None, derandomize=True, database=None)
settings.load_profile("espalier")
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("espalier")
    group.addoption("--data", type=Path, default=SHARED / "data", help="folder of data sets, default ../shared/data")
    group.addoption("--models", type=Path, default=SHARED / "models", help="folder of models, default ../shared/models")
    group.addoption("--slow", action="store_true", help="also run the tests marked slow (minutes to hours)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)


@pytest.fixture(scope="session")
def data_folder(request: pytest.FixtureRequest) -> Path:
    """Data sets such as mnist.npz; the test is skipped where the folder is absent."""
    return existing_folder(request, "--data")


@pytest.fixture(scope="session")
def models_folder(request: pytest.FixtureRequest) -> Path:
    """Third-party ONNX models; the test is skipped where the folder is absent."""
    return existing_folder(request, "--models")


def existing_folder(request: pytest.FixtureRequest, option: str) -> Path:
    folder: Path = request.config.getoption(option)
    if not folder.is_dir():
        pytest.skip(f"needs the folder that {option} names (default ../shared/{option[2:]}), which is absent")
    return folder.resolve()
