import pytest

from keras_dss.cli import main
from tests.cli import support


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with `zoo/`, one model in it, and `data/`."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "data").mkdir()
    support.write_data(folder / "data")
    support.publish(folder / "zoo")
    return folder


@pytest.fixture
def run(place, monkeypatch, capfd):
    """Runs a command line; gives its exit code, standard output and standard error."""
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(place / "zoo"))
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(place / "data"))
    monkeypatch.setenv("COLUMNS", "120")

    def runner(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return runner


@pytest.fixture
def fails(run):
    """Runs a command line that must fail; gives its one line of standard error."""

    def runner(code, *arguments):
        found, out, err = run(*arguments)
        *progress, line = err.strip().splitlines()
        assert (found, out) == (code, "")
        assert line.startswith("keras-dss: ")
        assert "Traceback" not in err
        return line

    return runner
