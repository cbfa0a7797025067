"""The HTML page in a real browser: sorted, filtered, opened, at two widths, without a network."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.reporting.files import write_leaderboard
from tests.support import grids

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "NO BROWSER: the page was NOT tested; install Debian's packages chromium and chromium-driver"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE, NARROW = (1280, 1000), (390, 844)

pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason=MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 36 experiments and one that failed, whose texts would run if they were markup."""
    grid = grids.MadeGrid(tmp_path_factory.mktemp("grid"))
    grid.fail(f"{grids.HOSTILE}/seed0", grids.config("big", 0, {"dataset": {"shots": 32}}), grids.HOSTILE)
    grid.write_grid()
    write_leaderboard([grid.results], grid.results.path)
    return grid.results.leaderboard("html")


@pytest.fixture
def opened(browser: Any, page: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, freshly opened at the width the test asks for; afterwards: no error, no request, nothing run."""
    width, height = getattr(request, "param", WIDE)
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    yield browser
    assert browser.title == "Leaderboard"
    assert browser.get_log("browser") == []
    assert requests_of(browser) <= {page.as_uri()}


def requests_of(browser: Any) -> set[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    return {url.partition("#")[0] for url in sent if not url.startswith("data:")}


def column(browser: Any, title: str, table: int = 0) -> list[str]:
    """The texts below a header, in the order they are shown."""
    script = """
    const table = document.querySelectorAll(".sorted table")[arguments[0]];
    const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === arguments[1]);
    return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);"""
    found: list[str] = browser.execute_script(script, table, title)
    return found


def click(browser: Any, selector: str, place: int = 0) -> None:
    from selenium.webdriver.common.by import By

    browser.find_elements(By.CSS_SELECTOR, selector)[place].click()


def write(browser: Any, selector: str, *keys: str) -> None:
    from selenium.webdriver.common.by import By

    browser.find_element(By.CSS_SELECTOR, selector).send_keys(*keys)


def is_open(browser: Any) -> bool:
    return bool(browser.execute_script("return document.getElementById('details').open"))


def wait_for_charts(browser: Any, selector: str) -> int:
    from selenium.webdriver.support.ui import WebDriverWait

    script = f"""
    const places = [...document.querySelectorAll("{selector} .chart")];
    const missing = places.find((place) => !place.querySelector("svg"));
    missing?.scrollIntoView();
    return places.length > 0 && !missing;"""
    WebDriverWait(browser, 20).until(lambda one: one.execute_script(script))
    count: int = browser.execute_script(f"return document.querySelectorAll('{selector} .chart svg').length")
    return count


TOUCHING = """
return [...document.querySelectorAll(arguments[0] + " .role-axis-label")].flatMap((axis) => {
  const boxes = [...axis.querySelectorAll("text")].filter((one) => Number(one.getAttribute("opacity") ?? 1) > 0)
    .map((one) => [one.textContent, one.getBoundingClientRect()]);
  return boxes.slice(1).filter(([, box], place) => {
    const before = boxes[place][1];
    const beside = box.left < before.right + 3 && before.left < box.right + 3;
    return beside && box.top < before.bottom && before.top < box.bottom;
  }).map(([text]) => text);
});"""


def touching(browser: Any, selector: str) -> list[str]:
    """The labels of axes that cannot be told from the one before them."""
    found: list[str] = browser.execute_script(TOUCHING, selector)
    return found


def labels_of(browser: Any, selector: str) -> list[str]:
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' .role-axis-label text')].map((one) => one.textContent)"
    )
    found: list[str] = browser.execute_script(script, selector)
    return found


@pytest.mark.parametrize("opened", [WIDE, NARROW], indirect=True, ids=["wide", "narrow"])
def test_no_two_labels_of_an_axis_touch_and_long_ones_have_a_title(opened: Any) -> None:
    wait_for_charts(opened, ".board")
    assert len(labels_of(opened, ".board")) > 10
    assert touching(opened, ".board") == []
    titles = opened.execute_script(
        "return [...document.querySelectorAll('.chart title')].map((one) => one.textContent)"
    )
    assert any("lora.init_lora_weights" in title for title in titles)


def test_headers_sort_and_turn_round(opened: Any) -> None:
    ranked = column(opened, "log_loss ↓")
    click(opened, "button[aria-label='sort by log_loss ↓']")
    assert column(opened, "log_loss ↓") == sorted(ranked, key=float)
    assert opened.execute_script("return document.querySelectorAll('th[aria-sort=ascending]').length") == 1
    click(opened, "button[aria-label='sort by log_loss ↓']")
    assert column(opened, "log_loss ↓") == sorted(ranked, key=float, reverse=True)
    click(opened, "button[aria-label='sort by set-up']")
    assert column(opened, "set-up") == sorted(
        column(opened, "set-up"),
        key=lambda name: [int(x) if x.isdigit() else x for x in name.replace("-", "/").split("/")],
    )


def test_words_and_settings_filter(opened: Any) -> None:
    write(opened, "input[type=search]", "big lora")
    assert sorted(column(opened, "set-up")) == ["big/lora-16", "big/lora-4", "big/lora-8"]
    opened.execute_script("""
    const labels = [...document.querySelectorAll(".choices label")];
    const label = labels.find((one) => one.textContent.startsWith("dataset.shots"));
    const select = label.querySelector("select"); select.value = "=16"; select.dispatchEvent(new Event("change"));""")
    assert column(opened, "set-up") == ["big/lora-16"]
    assert opened.execute_script("return document.querySelector('[role=status]').textContent") == "1 of 12 rows"


def test_the_details_of_an_experiment_by_mouse(opened: Any) -> None:
    click(opened, "button.link")
    assert is_open(opened)
    assert wait_for_charts(opened, "dialog") == 2 + 4, "reliability, confusions; loss, rate, speed and memory by step"
    assert labels_of(opened, "dialog") != []
    assert touching(opened, "dialog") == []
    text = opened.execute_script("return document.getElementById('details').textContent")
    assert grids.HOSTILE in text
    assert "run 2 of 3" in text
    click(opened, "button[aria-label='next experiment']")
    assert "in the best" in opened.execute_script("return document.getElementById('details').textContent")
    click(opened, "button[aria-label='close']")
    assert not is_open(opened)


def test_the_details_of_an_experiment_by_keyboard(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("document.querySelector('button.link').focus()")
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert is_open(opened)
    first = opened.execute_script("return document.getElementById('details-title').textContent")
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert opened.execute_script("return document.getElementById('details-title').textContent") != first
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not is_open(opened)


def test_a_link_opens_an_experiment(opened: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    click(opened, "button.link", 2)
    address = opened.current_url
    name = opened.execute_script("return document.getElementById('details-title').textContent")
    opened.get("about:blank")
    opened.get(address)
    WebDriverWait(opened, 20).until(is_open)  # a busy machine draws after it has loaded
    assert opened.execute_script("return document.getElementById('details-title').textContent") == name


@pytest.mark.parametrize("opened", [WIDE, NARROW], indirect=True, ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_the_screen(opened: Any, dark: bool, tmp_path: Path) -> None:
    if dark:
        click(opened, "#ground")
    fits = "return document.documentElement.scrollWidth <= innerWidth"
    assert opened.execute_script(fits)
    ground = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark
    click(opened, "button.link")
    wait_for_charts(opened, "dialog")
    assert opened.execute_script(fits)
    folder = Path(os.environ.get("SFT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    width = opened.execute_script("return innerWidth")
    assert opened.save_screenshot(str(folder / f"page-{width}-{'dark' if dark else 'light'}.png"))


@pytest.mark.parametrize("opened", [NARROW], indirect=True, ids=["narrow"])
def test_a_phone_shows_cards_with_names_before_numbers(opened: Any) -> None:
    assert opened.execute_script("return getComputedStyle(document.querySelector('.sorted tr td')).display") == "none"
    shown = "return getComputedStyle(document.querySelector('.sorted td.number'), '::before').content"
    assert opened.execute_script(shown) == '"n"'
    assert opened.execute_script("return getComputedStyle(document.querySelector('.narrow')).display") != "none"


def test_a_page_of_10000_experiments_opens(browser: Any, tmp_path: Path) -> None:
    """Built from its data alone: it is the page that is looked at here, not the reading of results."""
    from sft.reporting.page.rendering import data_text, filled

    names = [f"set-up {number}" for number in range(10_000)]
    columns = [{"title": "set-up", "kind": "name", "digits": 4, "hint": "", "is_main": True}]
    table = {"columns": columns, "rows": [[name] for name in names], "opens": names}
    board = {
        "title": "many", "metric": "accuracy", "verdict": [], "marks": [], "labels": None, "warnings": [], "notes": [],
        "constants": [], "groups": table, "runs": None, "charts": [], "numbers": [], "baselines": [], "left_out": [],
    }  # fmt: skip
    data = {"done": 10_000, "states": {}, "boards": [board], "experiments": {}, "unfinished": [], "others": 0,
            "templates": {}, "themes": {"light": {}, "dark": {}}, "texts": True}  # fmt: skip
    path = tmp_path / "many.html"
    path.write_text(filled(data_text(data)))
    browser.get(path.as_uri())
    assert len(column(browser, "set-up")) == 200
    click(browser, ".sorted > button")
    assert len(column(browser, "set-up")) == 10_000
