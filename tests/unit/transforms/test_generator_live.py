"""The recording beside this file is what Keras answers now.

Keras is no part of the development environment, so there is a test here only where Keras can be imported: with it
installed, `pytest tests/unit/transforms/test_generator_live.py` asks it everything again. Elsewhere this file is empty
on purpose, and `test_generator_recorded.py` compares with the recorded answers.
"""

from __future__ import annotations

import importlib.util
import json

import numpy as np

from unit.transforms.record_keras import FOLDER, record_keras

if importlib.util.find_spec("keras") is not None:

    def test_the_recording_is_what_keras_answers() -> None:
        fresh = record_keras()
        kept = json.loads((FOLDER / "keras.json").read_text(encoding="utf-8"))
        kept.pop("versions")
        assert json.loads(json.dumps(fresh.asked)) == kept
        with np.load(FOLDER / "keras.npz") as answers:
            assert sorted(answers) == sorted(fresh.arrays)
            for name, array in fresh.arrays.items():
                np.testing.assert_allclose(array, answers[name], rtol=1e-5, atol=1e-3, err_msg=name)
