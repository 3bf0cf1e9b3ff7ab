"""Who a visitor is, as far as quotas need to know."""

from genrekit.app.visit import _browser

# The same secret behind two masks, as one browser's cookie shows it before and after a reload.
FIRST = "2|7f9314b7|c1db664bfd08703fc68136a6d7e0f070|1795351070"
AGAIN = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7d|1795351070"
OTHER = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7e|1795351070"


def test_a_browser_keeps_its_name_over_reloads():
    assert _browser(FIRST) == _browser(AGAIN) is not None
    assert _browser(FIRST) != _browser(OTHER)
    assert _browser(FIRST) not in FIRST


def test_what_is_no_token_names_nobody():
    for token in ("", "x", "1|a|b|c", "2|zz|zz|1", "2||00|1", "2|7f9314b7||1", "2|7f|c1|d|e"):
        assert _browser(token) is None
