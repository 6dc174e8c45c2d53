"""The content policy allows exactly the style sheet that the page carries."""

import base64
import hashlib
import re

from teliti.report.style import content_policy, style_head, style_sheet


def test_policy_names_the_hash_of_the_style_on_the_page():
    style = re.search(r"<style>(.*)</style>", style_head(), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in content_policy()


def test_policy_allows_nothing_else():
    assert "default-src 'none'" in content_policy()
    assert "unsafe" not in content_policy()
    assert "script-src" not in content_policy()


def test_style_loads_nothing_and_knows_light_dark_phone_and_print():
    sheet = style_sheet()
    assert not re.search(r"url\(|@import|https?:|@font-face", sheet)
    for need in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert need in sheet
