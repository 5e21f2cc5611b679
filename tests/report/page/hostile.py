"""Texts that a page must show and never obey."""

from __future__ import annotations

MARKUP = '</script><img src=x onerror="window.hacked=1"><svg onload=window.hacked=1></svg>-->'
LINK = "[x](javascript:window.hacked=1) <a href='javascript:window.hacked=1'>x</a>"
TURNED = "abc\u202edef\u2066ghi\u2028jkl\u0007"
TEXTS = f"{MARKUP} {LINK} {TURNED}"
NAME = '<img src=x onerror="window.hacked=1">&"\'`;{}\u202e'
"""Could be the name of a folder, a learner or a stream."""

NAMES = (
    NAME,
    "cost_$5_$10",
    r"fst $\frac{$ x",
    "a\x1b[31m\x00\x0bb\ufffe",
    "学習者 \U0001f9ea \u0e01",
    "_hidden",
    "long " * 60,
)
"""Learners, domains and streams may be called any of these."""
