"""What bars people from a page, as axe-core finds it in the browser."""

from functools import cache
from pathlib import Path
from typing import Any

# Rule, selector, and why it cannot be mended here. Nothing else is let pass.
STREAMLITS_OWN = (
    # Streamlit 1.67 puts each section of the navigation into a div of its own inside the list.
    ("list", "[data-testid=stSidebarNavItems]"),
    ("listitem", "[data-testid=stSidebarNavItems] > div > li"),
)
# Hidden from screen readers, or one picture with a name for them; neither can be measured in
# parts, and both have thousands.
_DRAWN = (".katex-html", ".js-plotly-plot > *")
_SCHEME = "getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme"
# The app's style sheet is among the last that Streamlit fetches.
_STYLED = """() => document.fonts.status === "loaded"
  && [...document.querySelectorAll("style")].some((one) => /st-key-way_on/.test(one.textContent))"""
# While a script runs, Streamlit makes what it is about to replace pale.
_AT_REST = """() => {
  const rests = document.querySelector("[data-test-script-state=notRunning]")
    && !document.querySelector("[data-stale=true]");
  window.axeRests = rests ? window.axeRests ?? performance.now() : undefined;
  return rests && performance.now() - window.axeRests > 500;
}"""
_FIND = """async ({ ignored, drawn, rules }) => {
  const found = await axe.run({ exclude: drawn }, { resultTypes: ["violations"], ...rules });
  const owed = (rule, node) => ignored.some(([id, selector]) => id === rule
    && node.target.length === 1 && document.querySelector(node.target[0])?.matches(selector));
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact) || one.id === "heading-order")
    .flatMap((one) => one.nodes.filter((node) => !owed(one.id, node)).map((node) =>
      `${one.id} at ${node.target.join(" ")}: ${node.failureSummary} ${node.html.slice(0, 200)}`));
}"""


@cache
def _axe() -> str:
    import axe_playwright_python

    folder = Path(axe_playwright_python.__file__).parent
    return (folder / "axe.min.js").read_text(encoding="utf-8")


def barriers(page: Any, ignored: tuple[tuple[str, str], ...] = STREAMLITS_OWN) -> list[str]:
    """Violations of serious or critical impact, and headings out of order, in light and dark."""
    page.wait_for_function(_STYLED)
    page.add_style_tag(content="* { transition: none !important; }")  # colours would fade over
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    nameless = page.locator("[data-testid=stPlotlyChart]:not([aria-label])").count()
    found = ["a chart without words"] * nameless
    now = page.evaluate(_SCHEME)
    other = "dark" if now == "light" else "light"
    for scheme, rules in ((now, {}), (other, {"runOnly": ["color-contrast"]})):
        if scheme != now:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"scheme => {_SCHEME} === scheme", arg=scheme)
        how = {"ignored": ignored, "drawn": _DRAWN, "rules": rules}
        if page.evaluate(_FIND, how):  # what is left when nothing moves is a barrier
            page.evaluate("delete window.axeRests")
            page.wait_for_function(_AT_REST)
            found += [f"{scheme}: {one}" for one in page.evaluate(_FIND, how)]
    return found
