"""The page in a real browser: loads alone, complains about nothing, fits a phone."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(
    not BROWSER, reason="NOT TESTED IN A BROWSER: no chromium on the PATH; install chromium to run this"
)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=[["sequential"], ["baseline", "cpvae"], ["hostile", "curves"]], ids="-".join)
def url(request, page):
    return page(*request.param).as_uri()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_in_a_browser(browser, url, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 780}, color_scheme=scheme)
    page, requests, complaints = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(url, wait_until="load")
    assert complaints == []
    assert [one for one in requests if not one.startswith("data:")] == [url]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.querySelectorAll('svg').length + document.images.length") > 0
    # every wide thing scrolls inside its own container
    outside = (
        "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1"
    )
    assert page.evaluate(outside + " && !one.closest('.scroll')).map(one => one.outerHTML.slice(0, 80))") == []
    context.close()
