"""What the tests of pages read from them."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest

# The parts of the mel page, with their headings.
SECTIONS = {
    "Ear test": "The mel scale",
    "Two rulers": "Two rulers",
    "Filter bank": "The filter bank",
    "Sound to MFCC": "From sound to MFCC",
}


def texts(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.info, at.success, at.warning, at.error)
    # As people see it: the backslashes only keep Markdown from obeying what it shows.
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def button(at: AppTest, label: str):
    return next(b for b in at.button if b.label == label)


def exhibit(at: AppTest, key: str = "") -> dict[str, Any]:
    """What a component of the page was given: its only one, unless a key says which."""
    (component,) = (one for one in at.get("bidi_component") if one.proto.id.endswith(key))
    data: dict[str, Any] = json.loads(component.proto.json)
    return data
