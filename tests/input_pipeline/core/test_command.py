"""Manners of the commands, and what importing the package costs.

Modules tried here without being imported:
input_pipeline.core.data_flags, input_pipeline.core.store_flags.
"""

import errno
import os
import subprocess
import sys
import time

import pretend_maps
import pytest
from command_runner import ROOT, assert_mistake, run_command

from input_pipeline.core import command
from input_pipeline.core.errors import InputError

COMMANDS = ("input_pipeline.import_maps", "input_pipeline.export")
PACKAGE = ROOT / "input_pipeline"


@pytest.mark.parametrize("module", COMMANDS)
def test_help_lists_every_flag_and_exits_0(module):
    finished = run_command(module, "--help")
    assert (finished.status, finished.err) == (0, "")
    for flag in ("--dataset", "--data_dir", "--layout"):
        assert f"  {flag}: " in finished.out
    assert "--run_with_pdb" not in finished.out


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["stray"], ("unexpected argument 'stray'",)),
        (["--dataset=c-s", "--source=x", "--output=x.npz"], ("c-s", "casme3, megc2019")),
        (["--layout=six"], ("--layout=six", "five|quad|quad_htnet|whole")),
        (["--colour=red"], ("colour",)),
        (["--data_dir=", "--source=x", "--dataset=samm", "--output=x.npz"], ("data_dir",)),
    ],
)
def test_mistakes_on_the_command_line(module, arguments, parts):
    if module.endswith("export"):
        arguments = [word for word in arguments if not word.startswith("--source")]
    else:
        arguments = [word for word in arguments if not word.startswith("--output")]
    assert_mistake(run_command(module, *arguments), *parts)


@pytest.mark.parametrize("given", [["--dataset=samm"], ["--source=x"]])
def test_import_needs_source_and_dataset(given):
    assert_mistake(run_command("input_pipeline.import_maps", *given), "--source=DIR")


def leave(monkeypatch, capsys, main) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["prog"])
    with pytest.raises(SystemExit) as left:
        command.run(main, name="input_pipeline.tried", purpose="Nothing.")
    return left.value.code, capsys.readouterr().err


def raising(error: BaseException):
    def main() -> int:
        raise error

    return main


def test_exit_status_of_main_is_passed_on(monkeypatch, capsys):
    assert leave(monkeypatch, capsys, lambda: 3) == (3, "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("two\nlines of\ttext."), 2, "input_pipeline.tried: error: two lines of text."),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "'/x': No space left"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "permission is missing"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_user_faults_take_one_line(monkeypatch, capsys, error, status, line):
    code, err = leave(monkeypatch, capsys, raising(error))
    assert code == status
    assert line in err
    assert err.count("\n") == 1


def test_our_own_faults_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prog"])
    with pytest.raises(KeyError, match="ours"):
        command.run(raising(KeyError("ours")), name="input_pipeline.tried", purpose="Nothing.")


def test_libraries_keep_their_progress_notes_to_themselves(monkeypatch, capsys):
    from absl import logging

    def main() -> int:
        logging.info("a note")
        return 0

    assert leave(monkeypatch, capsys, main) == (0, "")


def test_output_to_a_full_disk_is_one_line(tmp_path):
    pretend_maps.write_table(tmp_path / "source")
    done = [f"--source={tmp_path / 'source'}", "--dataset=megc2019", f"--data_dir={tmp_path}"]
    for words in (["--help"], done):
        with open("/dev/full", "w") as full:
            finished = subprocess.run(
                [sys.executable, "-m", "input_pipeline.import_maps", *words],
                cwd=ROOT,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert finished.returncode == 2, finished.stderr
        assert "the disk is full" in finished.stderr
        assert finished.stderr.count("\n") == 1, finished.stderr


def test_a_flagfile_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "flags").write_bytes(bytes(range(256)))
    finished = run_command("input_pipeline.import_maps", f"--flagfile={tmp_path / 'flags'}")
    assert_mistake(finished, "--flagfile is no text")


def test_flagfiles_that_name_each_other_are_one_line(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).write_text(f"--flagfile={tmp_path / other}\n")
    finished = run_command("input_pipeline.export", f"--flagfile={tmp_path / 'a'}")
    assert_mistake(finished, f"--flagfile={tmp_path / 'a'} names itself")


def test_a_flagfile_that_never_ends_or_is_empty_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for given in ("/dev/zero", tmp_path / "pipe"):
        finished = run_command("input_pipeline.export", f"--flagfile={given}")
        assert_mistake(finished, "is no regular file")
    assert_mistake(run_command("input_pipeline.export", "--flagfile="), "--flagfile is empty")
    (tmp_path / "flags").write_text("--output=a\0b.npz\n")
    finished = run_command("input_pipeline.export", f"--flagfile={tmp_path / 'flags'}")
    assert_mistake(finished, "--output holds a NUL character")


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("flag", ["--arrays=", "--workdir="])
def test_a_path_that_is_no_text_is_one_line(tmp_path, flag, locale):
    word = flag.encode() + os.fsencode(tmp_path) + b"/\xff"
    done = subprocess.run(
        [sys.executable, "-m", "experiments.loso", word],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": locale},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert b"is no text in UTF-8" in done.stderr
    assert os.listdir(tmp_path) == []


def test_memory_that_is_used_up_is_one_line(monkeypatch, capsys):
    status, line = leave(monkeypatch, capsys, raising(MemoryError("std::bad_alloc")))
    assert status == 2
    assert "the memory allowed is used up (std::bad_alloc)" in line
    unmapped = ImportError("libx.so: failed to map segment from shared object")
    assert "failed to map segment" in leave(monkeypatch, capsys, raising(unmapped))[1]
    with pytest.raises(ImportError, match="no module of ours"):
        leave(monkeypatch, capsys, raising(ImportError("no module of ours")))


def test_a_report_needs_no_jax_until_it_is_asked_for():
    assert not loaded_after("import experiments.report") & {"jax", "matplotlib"}


HEAVY = {"array_record", "cv2", "jax", "matplotlib", "PIL", "tensorflow", "tensorflow_datasets"}


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_or_a_command_loads_nothing_heavy():
    modules = "import input_pipeline, input_pipeline.import_maps, input_pipeline.storage.loader"
    assert not loaded_after(modules) & HEAVY


def test_help_is_quick():
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "input_pipeline.import_maps", "--help"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert b"usage" in done.stdout
    # About 0.3 s on an idle machine; a heavy import would add one or more.
    assert time.monotonic() - begin < 5
