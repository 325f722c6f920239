"""YAML 1.2, not 1.1: what PyYAML alone would misread, with the lines of values."""

import pytest

from pipeline import yaml12


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[en, no, yes, on, off, y, n]", ["en", "no", "yes", "on", "off", "y", "n"]),
        ("[true, True, FALSE]", [True, True, False]),
        ("[010, 0o10, 0x10, -7, +7]", [10, 8, 16, -7, 7]),
        ("[1e-3, .5, 5., 1.5e3, -.inf]", [0.001, 0.5, 5.0, 1500.0, float("-inf")]),
        ("[12:30, 1_000, 2026-11-22, 0b11]", ["12:30", "1_000", "2026-11-22", "0b11"]),
        ("[~, null, Null, '', 'null']", [None, None, None, "", "null"]),
        ('["no", \'010\', "true"]', ["no", "010", "true"]),
        ("{on: 1, no: 2}", {"on": 1, "no": 2}),
        ("", None),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("a: |\n  no\n  yes\n", {"a": "no\nyes\n"}),
    ],
)
def test_values(text, value):
    assert yaml12.load(text).data == value


def test_lines():
    lines = yaml12.load("a: 1\nb:\n  c: [x,\n    y]\n").lines
    assert (lines["a",], lines["b",], lines["b", "c"], lines["b", "c", 1]) == (1, 2, 3, 4)


def test_nan():
    value = yaml12.load(".nan").data
    assert value != value


def test_duplicate_keys_are_reported():
    assert yaml12.load("a: 1\nb: 2\na: 3\n").problems == [(1, "the key 'a' stands twice; keep one")]
