"""The mel scale: guess, hear, convert, and follow a sound until it is an MFCC."""

from genrekit.app.kit.widgets import choice, plain_errors
from genrekit.app.mel.calculator import calculator
from genrekit.app.mel.ear_test import ear_test
from genrekit.app.mel.filter_bank import filter_bank
from genrekit.app.mel.sound import sound_to_mfcc

SECTIONS = {
    "ear": ("Ear test", ear_test),
    "calculator": ("Two rulers", calculator),
    "bank": ("Filter bank", filter_bank),
    "sound": ("Sound to MFCC", sound_to_mfcc),
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
