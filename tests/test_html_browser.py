"""The page in a real browser without network: drawn, light or dark as wished, and never wider than the window."""

import re
import shutil
import subprocess
from html import escape

import numpy as np
import pytest
from PIL import Image

from espalier.flow import cli
from small_models import write_mlp

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

SIZES = [(1366, 768), (500, 900)]  # Chromium's window is never narrower than 500
SCHEMES = {"dark": 0, "light": 1}
PHONE = 390
FRAME = """<title></title><iframe width="{width}" height="800" style="border: 0" srcdoc="{page}" onload="
  document.title = this.contentDocument.documentElement.scrollWidth"></iframe>"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs a browser: chromium, chromium-browser or google-chrome")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of two builds, so that the comparison is there."""
    folder = tmp_path_factory.mktemp("browser")
    builds = [str(folder / name) for name in ("wide", "deep")]
    for build, widths in zip(builds, ((6, 40, 3), (6, 5, 4, 5, 4, 5, 4, 3))):
        assert cli.run(["import", str(write_mlp(folder / "net.onnx", widths)), "-o", build]) == 0
        assert cli.run(["plan", build]) == 0
    assert cli.run(["report", *builds, "--html", str(folder / "page.html")]) == 0
    return folder / "page.html"


def browse(browser, page, size, scheme, *flags):
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", profile, *flags]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={size[0]},{size[1]}"]
    command += [f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def screenshot(browser, page, size, scheme):
    picture = page.parent / f"{scheme}-{size[0]}.png"
    browse(browser, page, size, scheme, f"--screenshot={picture}")
    return np.asarray(Image.open(picture).convert("RGB")).astype(int)


@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_drawn_light_and_dark(browser, page, size):
    light, dark = (screenshot(browser, page, size, scheme) for scheme in ("light", "dark"))
    assert light.shape == dark.shape == (size[1], size[0], 3)
    assert np.median(light) > 230 and np.median(dark) < 50
    for picture in (light, dark):
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("width", [PHONE, 768, 1280])
def test_nothing_is_wider_than_the_window(browser, page, width, tmp_path):
    framed = tmp_path / "framed.html"
    framed.write_text(FRAME.format(width=width, page=escape(page.read_text())))
    found = browse(browser, framed, (1366, 900), "light", "--dump-dom")
    assert re.search("<title>(.*?)</title>", found)[1] == str(width)
