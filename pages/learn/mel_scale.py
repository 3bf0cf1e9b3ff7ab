"""The mel scale: convert, see, hear, and follow a sound until it is an MFCC."""

from genrekit.app.kit.widgets import choice, plain_errors
from genrekit.app.mel.calculator import calculator
from genrekit.app.mel.ear_test import ear_test
from genrekit.app.mel.filter_bank import filter_bank
from genrekit.app.mel.number_list import number_list
from genrekit.app.mel.sound import sound_to_mfcc, trace

SECTIONS = {
    "calculator": ("Calculator", calculator),
    "list": ("List", number_list),
    "ear": ("Ear test", ear_test),
    "bank": ("Filter bank", filter_bank),
    "sound": ("Sound to MFCC", sound_to_mfcc),
    "trace": ("Trace a number", trace),
}

with plain_errors():
    section = choice(
        "Section of this page",
        {name: title for name, (title, _) in SECTIONS.items()},
        "mel_view",
        wrap=True,
        label_visibility="collapsed",
    )
    SECTIONS[section][1]()
