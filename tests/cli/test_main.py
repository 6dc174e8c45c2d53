"""The command line as a whole: help, verbs, mistakes, streams, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from teliti import __version__
from teliti.cli.main import GROUPS, VERBS, build_app

_BELOW = [
    "recipe show", "recipe list", "recipe schema", "recipe new", "weights convert", "journal verify", "journal head",
    "journal trace", "journal correct", "journal feedback", "journal export",
]  # fmt: skip
SOURCE = Path(__file__).parents[2] / "src"


def teliti(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
    return subprocess.run([sys.executable, "-m", "teliti", *words], capture_output=True, env=surroundings, check=False)


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from teliti.cli.main import main; main({words!r}); print(*sys.modules)"
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=surroundings, check=True)
    loaded = set(answer.stdout.splitlines()[-1].split())
    assert "teliti.cli.main" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "cv2", "onnxruntime", "pydantic", "PIL", "sklearn"})


def test_a_folder_that_was_removed_under_the_command_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    gone = f"os.chdir({str(folder)!r}); os.rmdir({str(folder)!r})"
    code = f"import os, runpy; {gone}; runpy.run_module('teliti', {{}}, '__main__')"
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", code, "info", "--network", "lenet"]
    answer = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: The folder that this command runs in was removed.\n")


def test_help_names_every_verb(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f" {verb} " in out for verb in [*VERBS, *GROUPS])


@pytest.mark.parametrize("verb", [*VERBS, *_BELOW])
def test_every_verb_explains_itself(verb: str, run) -> None:
    code, out, _ = run(*verb.split(), "--help")
    assert code == 0
    assert out.startswith(f"Usage: teliti {verb} ")
    assert all(option in out for option in ("--json", "--quiet", "--debug"))


def test_version(run) -> None:
    assert run("--version")[:2] == (0, f"teliti {__version__}\n")


def test_a_mistyped_verb_gets_the_nearest(run) -> None:
    code, out, err = run("predcit", "bundle")
    assert (code, out) == (2, "")
    assert err == 'error: `teliti` has no verb "predcit".\n  Did you mean "predict"?\n'


def test_a_verb_of_another_world_gets_the_list(run) -> None:
    code, _, err = run("frobnicate")
    assert code == 2
    assert f"Choose one of {', '.join([*VERBS, *GROUPS])}." in err


def test_a_mistyped_verb_below_recipe(run) -> None:
    assert run("recipe", "shwo")[2] == 'error: `teliti recipe` has no verb "shwo".\n  Did you mean "show"?\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "photos", "--jsn"], "Unknown option: --jsn. Did you mean --json?"),
        (["train", "photos", "--preset", "slow"], 'Invalid value "slow" for --preset'),
        (["predict"], "BUNDLE requires an argument"),
        (["predict", "bundle"], "PATHS requires an argument"),
        (["evaluate", "bundle", "photos", "more"], "more"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(words: list[str], said: str, run) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert f"`teliti {words[0]} --help`" in err


def test_a_wrong_command_line_under_json(run) -> None:
    code, out, err = run("predict", "--json")
    assert (code, err) == (2, "")
    record = json.loads(out)
    assert record["schema"] == 1
    assert record["error"]["type"] == "UserError"
    assert "BUNDLE" in record["error"]["message"]


def test_json_behind_the_double_dash_is_a_name(workflow, run, verdict_record) -> None:
    seen: list[list[str]] = []

    def predict(_: Path, paths: list[str], **__: object) -> dict:
        seen.append(paths)
        return verdict_record

    workflow("predict", predict=predict)
    code, out, _ = run("predict", "bundle", "--", "--json", "-x.png")
    assert code == 0
    assert seen == [["--json", "-x.png"]]
    assert "4 photos" in out


def test_escape_sequences_in_words_stay_words(run) -> None:
    _, _, err = run("\x1b[2Jtrain\n")
    assert '`teliti` has no verb "\\x1b[2Jtrain\\n".' in err


@pytest.mark.parametrize("words", [["recipe", "schema"], ["--help"], ["recipe", "show"]])
def test_a_closed_pipe_is_silent(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "teliti", *words]
    process = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=surroundings, check=False)
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_harm_nothing(closed: str, tmp_path: Path) -> None:
    """As services are started. A file that gets the number of a closed stream would hold what is printed there."""
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE)}

    def start(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "teliti", *words]
        return subprocess.run(command, capture_output=True, env=surroundings, check=False)

    done = start("recipe", "new", str(tmp_path / "recipe.toml"))
    assert (done.returncode, done.stderr) == (0, b"")
    teliti("recipe", "new", str(tmp_path / "usual.toml"))
    assert (tmp_path / "recipe.toml").read_bytes() == (tmp_path / "usual.toml").read_bytes()
    refused = start("recipe", "new", str(tmp_path / "recipe.toml"))
    assert refused.returncode == 2
    assert b"Traceback" not in refused.stderr


def test_colour_only_where_it_is_wanted() -> None:
    assert b"\x1b[" not in teliti("nothing").stderr
    assert b"\x1b[" in teliti("nothing", FORCE_COLOR="1").stderr
    assert b"\x1b[31m" not in teliti("nothing", FORCE_COLOR="1", NO_COLOR="1").stderr
    assert b"\x1b[" not in teliti("nothing", FORCE_COLOR="", TERM="dumb").stderr


def test_ascii_terminals_get_ascii() -> None:
    answer = teliti("train", "photos", "--resume", "ünï\u202e", PYTHONIOENCODING="ascii")
    assert answer.returncode == 2
    assert r"\xfcn\xef\u202e" in answer.stderr.decode("ascii")


def test_every_verb_file_exists() -> None:
    app = build_app()
    assert [name for name in app if not name.startswith("-")] == [*VERBS, *GROUPS]
    for verb in VERBS:
        assert app[verb].default_command is not None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str, run) -> None:
    code, out, _ = run("--install-completion", "--shell", shell, "--to", "-")
    assert code == 0
    assert "teliti" in out
    assert "evaluate" in out


def test_completion_is_installed_to_a_file(run, tmp_path: Path) -> None:
    script = tmp_path / "teliti.bash"
    code, out, _ = run("--install-completion", "--shell", "bash", "--to", str(script))
    assert code == 0
    assert f"Completion for bash is installed in {script}." in out
    assert "complete" in script.read_text(encoding="utf-8")


def test_an_unknown_shell_is_the_users_mistake(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclopts.completion import detect

    def fail() -> str:
        raise detect.ShellDetectionError

    monkeypatch.setattr(detect, "detect_shell", fail)
    code, _, err = run("--install-completion")
    assert code == 2
    assert err.startswith("error: The shell could not be recognised.")
