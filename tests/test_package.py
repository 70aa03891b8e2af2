import subprocess
import sys

import pytest

import keras_dss


def test_every_public_name_is_there():
    for name in keras_dss.__all__:
        assert getattr(keras_dss, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'tunner'"):
        keras_dss.tunner  # noqa: B018


def test_importing_the_package_imports_no_tuner_and_no_pictures():
    code = """
import sys
import keras_dss
assert "keras_tuner" not in sys.modules, "keras_tuner"
assert "keras_dss.report" not in sys.modules, "report"
assert keras_dss.report.write
"""
    subprocess.run([sys.executable, "-c", code], check=True)
