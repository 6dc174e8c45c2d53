"""Built-in sets, from the packages that carry them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.data.samples import builtin_names
from teliti.errors import CatalogError, MissingExtraError


def test_the_names() -> None:
    assert builtin_names() == ("digits", "elpv", "elpv-regression")


def test_digits_are_scaled_to_the_full_range() -> None:
    from sklearn.datasets import load_digits

    catalog = read_catalog("digits")
    assert catalog.classes == tuple("0123456789")
    assert len(catalog.samples) == 1797
    image = decode_image(catalog.samples[5].origin.read_bytes())[..., 0]
    assert np.abs(image - load_digits().images[5] * 255 / 16).max() <= 0.5
    assert catalog.samples[5].label == str(load_digits().target[5])


def test_elpv_has_the_counts_of_its_authors() -> None:
    catalog = read_catalog("elpv")
    assert Counter(sample.label for sample in catalog.samples) == {"functional": 1803, "defective": 821}
    assert decode_image(catalog.samples[0].origin.read_bytes()).shape == (300, 300, 3)
    assert "not for commercial use" in catalog.notes[1]


def test_elpv_as_numbers() -> None:
    catalog = read_catalog("elpv-regression")
    assert (catalog.task, catalog.classes) == ("regression", ())
    counts = Counter(round(float(sample.label), 2) for sample in catalog.samples)
    assert counts == {0.0: 1508, 0.33: 295, 0.67: 106, 1.0: 715}


@pytest.mark.parametrize(("name", "extra"), [("elpv", "demo"), ("elpv-regression", "demo"), ("digits", "train")])
def test_a_missing_package_fails_with_the_install_command(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf'pip install "teliti\[{extra}\]"'):
        read_catalog(name)


def test_a_damaged_package_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("elpv_dataset", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(CatalogError, match="no readable label file"):
        read_catalog("elpv")
