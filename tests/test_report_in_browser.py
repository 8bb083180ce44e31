"""The page of the results, and that of `dvc plots show`, in a real browser without network."""

import shutil
import sys
from pathlib import Path

import pytest

from prunefront.common.params import load_params
from prunefront.report.page import write_report
from tests.helpers import ROOT, run
from tests.report_by_hand import write_run

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: none of {', '.join(NAMES)}")
PORTRAIT, LANDSCAPE = 794 - 2 * 53, 1123 - 2 * 53
"""Widths in pixels of A4 between margins of 14 mm."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_run(folder)
        write_report(load_params(Path("params.yaml")), Path("report.html"))
    return folder / "report.html"


@pytest.fixture
def opened(browser):
    """Opens a file at a width; at the end nothing else was asked for, and nothing was complained about."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    def open_(file, width=1200):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        return page

    yield open_
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == 1
    assert said == []
    context.close()


def points(page, method=""):
    return page.locator(f'#chart-frontier path[aria-label*="method: {method}"][aria-roledescription="point"]')


def test_every_chart_is_there_and_no_name_is_run_as_code(opened, file):
    page = opened(file)
    assert page.locator(".chart svg.marks").count() == 4
    assert points(page).count() == 10
    assert page.title() == "Accuracy against sparsity: gradual magnitude at 90.00%"
    assert page.locator("#chart-layers text", has_text="</script>").count() == 1
    boxes = [chart.bounding_box() for chart in page.locator(".chart svg.marks").all()]
    assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)


def test_hovering_tells_of_a_point(opened, file):
    page = opened(file)
    points(page, "random masks, global").first.hover(force=True)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "random masks, global" in tooltip.inner_text()
    assert "15.0% to 25.0%" in tooltip.inner_text()


def test_a_press_on_the_legend_hides_a_method_and_another_shows_it(opened, file):
    page = opened(file)
    button = page.get_by_role("button", name="global magnitude", exact=True)
    assert points(page, "global magnitude").count() == 6
    button.click()
    playwright.expect(points(page, "global magnitude")).to_have_count(0)
    assert points(page).count() == 4
    assert button.get_attribute("aria-pressed") == "false"
    page.get_by_role("radio", name="bytes").check()  # it stays hidden over another axis
    playwright.expect(page.locator("#chart-frontier text", has_text="bytes of a sparse file")).to_have_count(1)
    assert points(page).count() == 4
    button.press("Enter")
    playwright.expect(points(page)).to_have_count(10)


def test_the_wheel_zooms_and_a_double_click_goes_back(opened, file):
    page = opened(file)
    labels = page.locator("#chart-frontier .role-axis-label text")

    def ticks():
        return sorted(labels.all_text_contents())  # Vega draws those that come back last

    before = ticks()
    box = page.locator("#chart-frontier svg.marks").bounding_box()
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 3
    page.mouse.move(*place)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(300)
    assert ticks() != before
    page.mouse.dblclick(*place)
    page.wait_for_timeout(300)
    assert ticks() == before


def test_a_method_is_chosen_for_layers_and_curves(opened, file):
    page = opened(file)
    cells = page.locator('#chart-layers path[aria-roledescription="rect mark"]')
    assert cells.count() == 2 * 3  # two layers, three levels
    page.locator("#select-layers").select_option("gradual magnitude")
    playwright.expect(cells).to_have_count(2)
    legend = page.locator("#chart-curves-loss .role-legend-label text")
    assert "dense" in legend.all_text_contents()
    page.locator("#select-curves").select_option("gradual magnitude")
    playwright.expect(legend.filter(has_text="90.00%")).to_have_count(1)
    assert "dense" not in legend.all_text_contents()


def test_a_press_on_a_heading_sorts_the_table(opened, file):
    page = opened(file)
    table = page.locator("#points table")

    def column(number):
        return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()

    heading = table.locator("thead th", has_text="bytes")
    assert heading.get_attribute("aria-sort") == "none"
    heading.click()
    assert column(6) == ["400", "400", "410", "410", "420", "420", "2,000", "2,000", "4,000", "4,000"]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert column(6)[:3] == ["4,000", "4,000", "2,000"]
    assert heading.get_attribute("aria-sort") == "descending"
    table.locator("thead button", has_text="method").click()
    assert column(1) == sorted(column(1))
    assert heading.get_attribute("aria-sort") == "none"
    assert table.locator("tr.marked").count() == 1


def test_a_phone_shows_all_of_it_without_scrolling_sideways(opened, file):
    page = opened(file, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#chart-frontier svg.marks").bounding_box()["width"] <= 360
    assert points(page).count() == 10


def test_printed_nothing_is_cut(opened, file, tmp_path):
    page = opened(file)  # drawn at the width of a screen
    page.emulate_media(media="print")
    right = "parts => Math.max(...parts.map(part => part.getBoundingClientRect().right))"
    # The table of the points has landscape pages of its own.
    page.set_viewport_size({"width": LANDSCAPE, "height": 700})
    assert page.locator("#points table").evaluate_all(right) <= LANDSCAPE
    page.set_viewport_size({"width": PORTRAIT, "height": 1000})
    assert page.locator("table:not(.wide), .chart svg.marks").evaluate_all(right) <= PORTRAIT
    hidden = "parts => parts.filter(part => part.scrollHeight > part.clientHeight + 1).length"
    assert page.locator(".scroll").evaluate_all(hidden) == 0
    assert page.locator("#chart-frontier svg.marks").is_visible()
    assert not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").stat().st_size > 50_000


def test_dvc_shows_its_plots_without_network(browser, tmp_path):
    run("git", "init", "-q", folder=tmp_path)
    run(sys.executable, "-m", "dvc", "init", "-q", folder=tmp_path)
    for name in ("config", "plots.html"):
        shutil.copy(ROOT / ".dvc" / name, tmp_path / ".dvc" / name)
    (tmp_path / "points.csv").write_text("sparsity,val_accuracy\n0,0.9\n0.5,0.8\n")
    (tmp_path / "dvc.yaml").write_text(
        "plots:\n- points.csv:\n    template: scatter\n    x: sparsity\n    y: val_accuracy\n"
    )
    run(sys.executable, "-m", "dvc", "plots", "show", folder=tmp_path)
    context = browser.new_context(offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "dvc_plots" / "index.html").as_uri())
    page.wait_for_selector(".vega-embed canvas, .vega-embed svg.marks")
    context.close()
    assert len(asked) == 1
    assert errors == []
