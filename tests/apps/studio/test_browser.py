"""Stories in a real browser: from a question to a report, and a server that is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from tests.apps.studio import browsing
from tests.apps.studio.browsing import Server, click, see, type_into
from tests.apps.studio.conftest import wait

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "workspace")
    yield made
    made.stop()


def test_from_a_question_to_the_report(server, driver):
    """Find, take the demo data, change a setting, run, watch, read the report; all local."""
    driver.get(server.address)
    see(driver, "Everything there is")
    search = driver.find_element("name", "q")
    search.send_keys("I have EEG and want to decode imagined movement\n")
    see(driver, "ways to do it")
    click(driver, "Try with demo data: signals.decode")
    see(driver, "Demo data are ready", 90)
    see(driver, "BIDS-like names")
    type_into(driver, "in-budget", "many epochs")
    see(driver, "budget")
    wait(lambda: driver.find_element("id", "run-button").get_attribute("disabled"))
    type_into(driver, "in-budget", "8 epochs")
    wait(lambda: not driver.find_element("id", "run-button").get_attribute("disabled"))
    see(driver, "--budget '8 epochs'")
    click(driver, "Run")
    see(driver, "Result", 180)
    see(driver, "95 % interval")
    frame = driver.find_element("css selector", "iframe.report")
    assert frame.get_attribute("sandbox") == "allow-popups"
    driver.execute_script("arguments[0].scrollIntoView()", frame)
    driver.switch_to.frame(frame)
    see(driver, "Left or right, from EEG")
    driver.switch_to.default_content()
    assert browsing.foreign_requests(driver) == []
    severe = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    assert severe == []


def test_data_are_checked_before_a_run(server, driver, test_data):
    """What the audit says and the plan, without training; then what a run would refuse."""
    data = server.folder / "hippocampus"
    shutil.copytree(test_data / "volumes/msd_hippocampus/images", data / "images", ignore=few)
    shutil.copytree(test_data / "volumes/msd_hippocampus/labels", data / "labels", ignore=few)
    driver.get(f"{server.address}/recipe/volumes.segment?data={data}")
    wait(lambda: not driver.find_element("id", "run-button").get_attribute("disabled"))
    click(driver, "Check first")
    see(driver, "Nothing stands in the way of a run.", 120)
    see(driver, "How the files were read")
    see(driver, "What a run would do")
    see(driver, "the largest of the images' shape that fits")
    browsing.picture(driver, "checked")
    next((data / "labels").iterdir()).write_bytes(b"no volume")
    click(driver, "Check first")
    see(driver, "A run would not begin", 120)
    browsing.picture(driver, "refused")
    assert server.ask("runs") == []


def few(folder: str, names: list[str]) -> list[str]:
    """Return all but the cases whose numbers begin with 00."""
    return [name for name in names if not name.startswith("hippocampus_00")]


def test_the_keyboard_alone_reaches_the_search(server, driver):
    from selenium.webdriver.common.keys import Keys

    driver.get(server.address)
    see(driver, "Everything there is")
    names = []
    for _ in range(12):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        here = driver.switch_to.active_element
        names.append(here.get_attribute("aria-label") or here.text)
    assert names[0] == "Skip to main content"
    assert "Data" in names
    assert "Your question" in names


def test_a_link_changes_the_page_and_loads_none(server, driver):
    """Links, a form and the way back leave the mark in the window; address and title follow."""
    (server.folder / "tables").mkdir()
    (server.folder / "tables" / "a b.csv").write_text("x,y\n1,2\n")
    driver.get(f"{server.address}/runs")
    see(driver, "No runs yet")
    driver.execute_script("window.mark = 1")
    click(driver, "Data")
    see(driver, "Bring files")
    driver.find_element("name", "path").send_keys("tables\n")
    see(driver, "What was recognised", 60)
    click(driver, "Look at a b.csv")
    see(driver, "Rows 1 to 1 of 1", 60)
    assert driver.current_url.endswith("/view?path=tables/a%20b.csv")
    assert driver.title == "a b.csv · neuroloom studio"
    marked = driver.find_elements("css selector", "nav.main a[aria-current]")
    assert [one.text for one in marked] == ["Data"]
    assert driver.execute_script("return document.activeElement.className") == "page"
    driver.back()
    see(driver, "What was recognised", 60)
    assert driver.current_url.endswith("/data?path=tables")
    assert driver.execute_script("return window.mark") == 1
    driver.get(f"{server.address}/nothing")
    see(driver, "There is no such page")


def test_what_is_typed_is_not_written_over(server, driver):
    """The page changes by itself every two seconds; the text in a field is the user's."""
    driver.get(f"{server.address}/recipe/signals.simulate")
    type_into(driver, "in-trials", "1")
    see(driver, "should be greater than or equal to 2, got 1")
    type_into(driver, "in-trials", "12")
    wait(lambda: "--trials 12" in driver.execute_script("return document.body.innerText"))
    time.sleep(3)
    assert driver.find_element("id", "in-trials").get_attribute("value") == "12"


def test_a_killed_server_loses_nothing_of_a_running_study(server, driver):
    """The study goes on without its server; the next one finds it, stops it, and finishes it."""
    made = server.ask("recipes/signals.decode/demo", {})
    run = {"recipe": "signals.decode", "data": made["data"]}
    run["fields"] = made["fields"] | {"budget": "90s"}
    id = server.ask("runs", run)["id"]
    wait(lambda: (server.ask(f"runs/{id}")["share"] or 0) > 0.01, 120)
    server.kill()
    server.start()
    line = server.ask(f"runs/{id}")
    assert line["state"] == "running"
    assert line["curves"]["loss"]
    driver.get(f"{server.address}/runs")
    see(driver, "running")
    click(driver, f"Stop {id}")
    wait(lambda: server.state(id) == "stopped", 60)
    see(driver, "stopped")
    click(driver, f"Resume {id}")
    wait(lambda: server.state(id) == "running", 30)
    wait(lambda: server.state(id) == "done", 300)
    see(driver, "Accuracy")


DROP_ODD = """
const [kind, zone] = arguments, held = new DataTransfer(), file = new File(["x"], "a.csv");
const folder = {webkitGetAsEntry: () => ({isDirectory: true, name: "session 1"})};
Object.defineProperty(file, "size", {value: kind === "large" ? 2 ** 50 : 1});
Object.defineProperty(held, "files", {value: [file]});
Object.defineProperty(held, "items", {value: kind === "folder" ? [folder] : []});
if (kind === "silent") window.fetch = () => Promise.reject(new TypeError("Failed to fetch"));
if (kind === "proxy") window.fetch = async () => new Response("<h1>Bad gateway", {status: 502});
zone.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: held}));
"""


def test_files_that_cannot_be_received_are_refused_in_words(server, driver):
    for kind, says in {
        "folder": "session 1 is a folder",
        "large": "a.csv is larger than an upload may be",
        "silent": "a.csv was not received",
        "proxy": "a.csv was not received",
    }.items():
        driver.get(f"{server.address}/data")
        zone = wait(lambda: next(iter(driver.find_elements("css selector", ".drop")), None), 60)
        wait(lambda: driver.execute_script("return Boolean(window.studioUpload)"))
        driver.execute_script(DROP_ODD, kind, zone)
        see(driver, says)
        assert not driver.find_elements("css selector", ".drop .loading")


def test_a_script_in_a_file_name_is_shown_as_text(server, driver):
    name = "<img src=x onerror=alert(1)>.csv"
    (server.folder / "odd").mkdir()
    (server.folder / "odd" / name).write_text("a,b\n1,2\n")
    driver.get(f"{server.address}/data?path=odd")
    see(driver, name)  # an alert would end this test with an error
    click(driver, f"Look at {name}")
    see(driver, "Rows 1 to 1 of 1")
