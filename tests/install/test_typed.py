"""Messages name commands and configs as they can be typed here."""

import sys

import pytest

from ppcjax import checkout, program
from ppcjax.cli import config_args
from ppcjax.errors import UserError
from ppcjax.evaluate import declared
from ppcjax.program import train
from tests.install.building import ROOT

# How a process may have been started, and what its messages then say.
WAYS = {
    "/opt/env/bin/ppcjax": "ppcjax eval",
    "C:/env/Scripts/ppcjax.exe": "ppcjax eval",
    "/opt/env/lib/ppcjax/__main__.py": "python -m ppcjax eval",
}


@pytest.mark.parametrize("installed", [False, True])
def test_commands_are_those_with_which_the_process_was_started(installed, monkeypatch):
    monkeypatch.setattr(checkout, "INSTALLED", installed)
    for script, command in WAYS.items():
        monkeypatch.setattr(sys, "argv", [script, "eval"])
        assert checkout.program("eval") == command
    # A file of the checkout, or a program of a user's own, or an interpreter.
    for script in ("eval.py", "/home/ann/mine.py", "", "-c"):
        monkeypatch.setattr(sys, "argv", [script])
        assert checkout.program("eval") == (
            "ppcjax eval" if installed else "python eval.py"
        )
        said = checkout.as_typed("ppcjax eval and ppcjax score of ppcjax.evaluate")
        assert said == (
            "ppcjax eval and ppcjax score of ppcjax.evaluate"
            if installed
            else "python eval.py and python -m ppcjax score of ppcjax.evaluate"
        )


def test_as_typed_knows_every_command():
    for word in program.COMMANDS:
        assert checkout.as_typed(f"ppcjax {word} RUN") == (
            f"{checkout.program(word)} RUN"
        )


def test_every_shipped_config_is_found_by_its_name():
    files = (ROOT / "configs").glob("*.py")
    names = {f.stem for f in files if "def get_config(" in f.read_text()} - {"base"}
    assert set(checkout.shipped()) == names
    for name, line in checkout.shipped().items():
        assert line.endswith((".", "!")) and '"' not in line
        assert checkout.config_file(name) == str(ROOT / "configs" / f"{name}.py")
        assert checkout.config_file(f"{name}:a:b").endswith(f"/{name}.py:a:b")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("configs/{}.py", "no such file; the shipped one is --config {}"),
        ("{}.py", "no such file; the shipped one is --config {}"),
        ("somewhere/{}", "no such file; the shipped one is --config {}"),
        ("configs/{}.py:cam", "no such file; the shipped one is --config {}:cam"),
        ("{}s", "no config of that name is shipped; did you mean --config {}?"),
        ("x/{}s.py:cam", "no such file; did you mean --config {}:cam?"),
    ],
)
def test_a_shipped_config_named_otherwise_is_named(given, words, tmp_path, monkeypatch):
    """Outside of the checkout, where no folder `configs` lies."""
    monkeypatch.chdir(tmp_path)
    for name in checkout.shipped():
        named = given.format(name)
        with pytest.raises(UserError) as caught:
            checkout.config_file(named)
        assert str(caught.value) == f"--config={named}: {words.format(name)}"


@pytest.mark.parametrize("given", ["1", "", "base", "nothing_like_it", "~/x.py", "a:b"])
def test_what_is_no_config_says_where_they_are_listed(given):
    with pytest.raises(UserError, match="`python train.py --help` lists those"):
        checkout.config_file(given)


def test_a_folder_is_no_config(tmp_path):
    with pytest.raises(UserError, match="a folder is no config"):
        checkout.config_file(str(tmp_path))


def test_training_without_a_config_lists_them(capsys):
    with pytest.raises(SystemExit) as caught:
        program.main("train", "--config.steps=3")
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: --config=CONFIG is missing")
    assert said.err.count("\n") == 1
    rows = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert dict(rows) == checkout.shipped()
    program.main("train", "--help")
    assert said.out.strip() in capsys.readouterr().out


def test_training_without_its_libraries_reads_nothing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for words in ([], ["--config=nope"], ["--config=ppc_shapes", "--nope"]):
        with pytest.raises(SystemExit):
            program.main("train", *words)
        said = capsys.readouterr()
        assert said.err == (
            "error: training needs tensorflow, which is not installed: "
            "pip install -r requirements.txt\n"
        )
    program.main("train", "--help")
    assert train.listing() in capsys.readouterr().out


MISTAKES = {
    "import nowhere_at_all\n": "No module named 'nowhere_at_all' ({file}, line 1)",
    "def get_config(:\n": "SyntaxError: invalid syntax (own.py, line 1)",
    "x = 1\n": "there is no function get_config in it",
    "def get_config():\n    pass\n": "returns no ml_collections.ConfigDict",
    "def get_config():\n    return 3\n": "returns no ml_collections.ConfigDict",
    "def get_config():\n    return 1 / 0\n": "division by zero ({file}, line 2)",
    "def get_config():\n    return {}['x']\n": "'x' ({file}, line 2)",
    "def get_config():\n    raise ValueError('so')\n": "so",
    "def get_config():\n    open('/no/where')\n": "directory: '/no/where'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_config_with_a_mistake_is_one_line(text, tmp_path, capsys):
    file = tmp_path / "own.py"
    file.write_text(text)
    # One that is read before in the same process lends nothing to it.
    before = config_args.with_config_first(["--config=ppc_shapes"])
    config_args.parse(config_args.define(before), declared.hints)
    with pytest.raises(SystemExit) as caught:
        program.main("train", f"--config={file}", "--config.steps=3")
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: --config={file}: ") and said.count("\n") == 1
    assert said.endswith(MISTAKES[text].format(file=file) + "\n")


def test_a_config_stands_anywhere_but_only_once(capsys):
    for words, message in {
        (
            "--config.steps=-3",
            "--config",
            "ppc_shapes",
        ): "config.steps=-3: give a whole",
        ("--config=ppc_shapes", "--config=ppc_voc"): "more than once: ppc_shapes, ppc_",
        ("-config=ppc_shapes", "photo"): "unexpected argument 'photo'",
    }.items():
        with pytest.raises(SystemExit):
            program.main("train", *words)
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
