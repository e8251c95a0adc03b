"""What a person does on the page, through a browser."""

import json

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput

from tests.report.browser import DESK, wait_until

ACROSS = [(0.3, 0.5), (0.45, 0.5), (0.6, 0.55)]  # lines on a photo, from 0 to 1
ABOVE = [(0.1, 0.1), (0.5, 0.08), (0.9, 0.1)]
BELOW = [(0.2, 0.9), (0.8, 0.9)]


class Page:
    """The page in a browser."""

    def __init__(self, browser, url, size=DESK):
        self.browser = browser
        metrics = {"deviceScaleFactor": 1, "mobile": False}
        metrics |= dict(zip(("width", "height"), size, strict=True))
        run = browser.execute_cdp_cmd
        run("Emulation.setScriptExecutionDisabled", {"value": False})
        run("Emulation.setDeviceMetricsOverride", metrics)
        browser.get_log("browser")
        self.open(url)

    def open(self, url):
        self.browser.get(url)
        self.until("document.querySelectorAll('.tile').length > 0")
        self.until("document.querySelector('#name').textContent !== ''")

    def until(self, expression):
        wait_until(self.browser, f"return {expression}")

    def one(self, selector):
        return self.browser.find_element("css selector", selector)

    def text(self, selector):
        return self.one(selector).get_attribute("textContent")

    def click(self, selector):
        self.one(selector).click()

    def keys(self, *keys):
        ActionChains(self.browser, duration=0).send_keys(*keys).perform()

    def chord(self, held, key):
        chain = ActionChains(self.browser, duration=0)
        chain.key_down(held).send_keys(key).key_up(held).perform()

    def ask(self, path):
        """The JSON that the server gives the page."""
        script = """
            const done = arguments[1], token = new URLSearchParams(location.search);
            fetch(arguments[0] + "?" + token).then((r) => r.text()).then(done);
        """
        return json.loads(self.browser.execute_async_script(script, path))

    def photo(self, name):
        """What the server says of a photo."""
        (found,) = (p for p in self.ask("api/state")["photos"] if p["name"] == name)
        return found

    def marks(self, number):
        return self.ask(f"marks/{number}")["items"]

    def add_class(self, name):
        self.one("#new-class").send_keys(name + "\n")
        names = "[...document.querySelectorAll('#classes .name')]"
        self.until(f"{names}.some((e) => e.textContent === {name!r})")

    def choose(self, number):
        self.click(f"#classes tr[data-class='{number}'] button")

    def show(self, name):
        """Goes to a photo by its thumbnail."""
        self.click(f".tile[title^='{name}']")
        self.until(f"document.querySelector('#name').textContent === {name!r}")
        self.settle()

    def settle(self):
        """Waits until the photo in view is drawn: its middle has a colour."""
        self.until(
            "((c) => c.width > 1 && c.getContext('2d').getImageData(c.width / 2,"
            " c.height / 2, 1, 1).data[3])(document.querySelector('#canvas')) > 0"
        )

    def on_screen(self, points):
        """Places in the window of points of the photo in view, both from 0 to 1."""
        left, top, width, height = self.browser.execute_script(
            "const r = document.querySelector('#canvas').getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height];"
        )
        about = self.text("#about")
        w, h = (int(n) for n in about.split(" · ")[1].split(" × "))
        scale = min((width - 16) / w, (height - 16) / h)
        x0, y0 = left + (width - w * scale) / 2, top + (height - h * scale) / 2
        return [
            (round(x0 + x * w * scale), round(y0 + y * h * scale)) for x, y in points
        ]

    def pixel(self, point):
        """Colour that the photo has at a point, from 0 to 1, as it is drawn."""
        script = """
            const [x, y, done] = arguments, c = document.querySelector("#canvas");
            const r = c.getBoundingClientRect(), pen = c.getContext("2d");
            const read = () => pen.getImageData(x - r.left, y - r.top, 1, 1).data;
            requestAnimationFrame(() => requestAnimationFrame(() => done([...read()])));
        """
        (place,) = self.on_screen([point])
        return self.browser.execute_async_script(script, *place)

    def drag(self, *fingers, kind=interaction.POINTER_MOUSE):
        """Draws lines through points of the photo at once, one a finger."""
        pointers = [PointerInput(kind, f"{kind}{i}") for i in range(len(fingers))]
        builder = ActionBuilder(self.browser, mouse=pointers[0])
        builder.devices += pointers[1:]
        for pointer, points in zip(pointers, fingers, strict=True):
            first, *rest = self.on_screen(points)
            pointer.create_pointer_move(20, first[0], first[1], origin="viewport")
            pointer.create_pointer_down(button=0)
            for place in rest:
                pointer.create_pointer_move(20, place[0], place[1], origin="viewport")
            pointer.create_pointer_up(button=0)
        builder.perform()

    def marked(self, count):
        """Waits until the server knows so many marks of the photo in view."""
        words = f"{count} mark" + ("" if count == 1 else "s")
        about = "document.querySelector('#about').textContent"
        self.until(f"{about}.split(' · ').includes({words!r})")

    def status(self, word):
        """Waits until the photo in view has a status."""
        about = "document.querySelector('#about').textContent"
        self.until(f"{about}.startsWith({word + ' '!r})")
