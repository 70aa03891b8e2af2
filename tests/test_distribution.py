"""The installed wheel works from any folder, with the published models inside it."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, pathlib, keras_dss
names = keras_dss.zoo.list()
models = {name: keras_dss.zoo.load(name).count_params() for name in names}
print(json.dumps({"file": keras_dss.__file__, "models": models}))
"""


def installed():
    """Whether keras-dss is installed as a wheel, not as a link to this checkout."""
    try:
        distribution = importlib.metadata.distribution("keras-dss")
    except importlib.metadata.PackageNotFoundError:
        return False
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return not origin.get("dir_info", {}).get("editable", False)


@pytest.mark.skipif(not installed(), reason="keras-dss is not installed as a wheel")
def test_installed_wheel_loads_every_published_model_from_another_folder(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_DSS")}
    result = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT],
        cwd=tmp_path,
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.strip().splitlines()[-1])
    assert "site-packages" in found["file"]
    assert "lra_listops_n64" in found["models"]
    assert all(count > 0 for count in found["models"].values())


@pytest.mark.skipif(not installed(), reason="keras-dss is not installed as a wheel")
def test_console_script_lists_the_zoo(tmp_path):
    script = os.path.join(os.path.dirname(sys.executable), "keras-dss")
    result = subprocess.run([script, "list"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "lra_listops_n64" in result.stdout
