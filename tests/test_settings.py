"""Settings refuse what no training can use."""

import subprocess
import sys

import pytest

from unbraid.settings import Training

WRONG = {
    "no steps": ({"steps": 0}, "expected steps of at least 1, got 0"),
    "no batch": ({"batch_size": 0}, "expected batch_size of at least 1, got 0"),
    "never logging": ({"log_every": -1}, "expected log_every of at least 1, got -1"),
    "never validating": ({"validate_every": 0}, "expected validate_every of at least 1, got 0"),
    "no learning": ({"learning_rate": 0.0}, "expected a learning_rate above 0, got 0.0; the papers use"),
    "NaN": ({"learning_rate": float("nan")}, "expected a learning_rate above 0, got nan; the papers use"),
    "negative seed": ({"seed": -1}, "expected a seed of at least 0, got -1"),
    "no patience": ({"patience": 0}, "expected patience of at least 1 or None, got 0"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Training(**arguments)


def test_settings_need_nothing_heavy():
    code = "import sys, unbraid.settings; print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
