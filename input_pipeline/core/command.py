"""Runs a command of this project under absl, with its manners: help exits 0, a mistake exits 2.

absl alone exits 1 on --help, lists only one module's flags, lets stray arguments pass and
takes two lines for a bad value; users of `python -m ...` expect none of that.
"""

import contextlib
import errno
import functools
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from absl import app, flags, logging

from input_pipeline.core.errors import InputError

# A signal that came inside garbage collection comes again after so long.
_AGAIN_SECONDS = 0.05
_PACKAGES = ("__main__", "input_pipeline", "experiments")


def values() -> flags.FlagValues:
    """The flags as parsed."""
    return flags.FLAGS


class StoppedError(Exception):
    """A signal ended the command: one sentence; `status` is 128 plus the signal's number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + number


def run(
    main: Callable[[], int],
    *,
    name: str,
    purpose: str | None,
    mistakes: tuple[type[Exception], ...] = (InputError,),
) -> None:
    """Parse the flags, call `main` and leave with its exit status; never returns.

    `name` is the module after `python -m`; the first line of `purpose` stands in the help (-OO
    takes docstrings away). Exceptions in `mistakes`, and operating-system errors, become one line
    on stderr and exit status 2; StoppedError becomes one line and its own status. Anything else is
    a fault of ours and keeps its traceback.
    """

    def guarded(_: Sequence[str]) -> int:
        try:
            status = main()
            # A full disk is reported here, not when the interpreter ends.
            sys.stdout.flush()
            return status
        except mistakes as error:
            _leave(name, str(error))
        except StoppedError as stop:
            print(f"{name}: {stop}", file=sys.stderr)
            return stop.status
        except RuntimeError as error:
            # pathlib's word for ~somebody whom the system does not know.
            if "home directory" not in str(error):
                raise
            _leave(name, f"a folder beginning with ~ cannot be found: {error}")
        except KeyboardInterrupt:
            print(f"{name}: interrupted.", file=sys.stderr)
            return 130
        except BrokenPipeError:
            return _reader_left()
        except (MemoryError, ImportError) as error:
            text = str(error)
            if isinstance(error, ImportError) and "map segment" not in text:
                raise
            _leave(
                name,
                f"the memory allowed is used up ({text or 'by Python itself'}); allow "
                "more (ulimit -v) or ask for less.",
            )
        except OSError as error:
            if error.errno is None:
                raise
            _leave(name, _unwritable(error))

    sys.unraisablehook = _raise_again
    # Pictures go to files alone; a notebook's shell names a backend that may not be installed.
    os.environ["MPLBACKEND"] = "agg"
    # Closed by the shell (>&-), a stream is None.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows a code instead of ending a run with its last line.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app.run(guarded, flags_parser=functools.partial(_parse, name, purpose or ""))


def _parse(name: str, purpose: str, argv: Sequence[str]) -> list[str]:
    """Read the flags; leaves where they ask for help, or with a line on what is wrong with them."""
    if any(word in ("--help", "-help", "-h", "-?") for word in argv[1:]):
        sys.exit(_print_help(name, purpose.partition("\n")[0]))
    for word in argv[1:]:
        if not word.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in word):
            _leave(
                name,
                f"the argument {word!a} is no text in UTF-8; rename the file or folder, or "
                "set a locale that knows its letters (such as LC_ALL=C.UTF-8).",
            )
        if word.startswith(("--flagfile=", "-flagfile=")):
            _check_flagfile(name, word.partition("=")[2])
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            stray = flags.FLAGS(list(argv))[1:]
    except flags.Error as error:
        _leave(name, str(error))
    except UnicodeDecodeError as error:
        _leave(name, f"the file of --flagfile is no text in UTF-8: {error}.")
    if "circular flagfile" in messages.getvalue():
        file = messages.getvalue().strip().rpartition(" ")[2]
        _leave(name, f"--flagfile={file} names itself, by way of others or at once.")
    sys.stderr.write(messages.getvalue())
    if stray:
        _leave(name, f"unexpected argument '{stray[0]}'; every setting is a --flag=value.")
    for flag in flags.FLAGS.flag_values_dict():
        if "\0" in str(flags.FLAGS[flag].value):
            _leave(name, f"--{flag} holds a NUL character, which no name may have.")
        if str(flags.FLAGS[flag].value).startswith("--"):
            _leave(name, f"--{flag} has no value: '{flags.FLAGS[flag].value}' follows it.")
    # Left at its default, absl would raise it and print the libraries' progress notes.
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)
    return list(argv[:1])


def required(**examples: str) -> list[str]:
    """The values of the flags named; `examples` say what to give. Raises InputError without one."""
    missing = [name for name in examples if not flags.FLAGS[name].value]
    if missing:
        wanted = " and ".join(f"--{name}={example}" for name, example in examples.items())
        raise InputError(f"--{missing[0]} is missing; give {wanted}.")
    return [str(flags.FLAGS[name].value) for name in examples]


def _check_flagfile(name: str, given: str) -> None:
    if not given:
        _leave(name, "--flagfile is empty; name a file with one flag a line.")
    path = os.path.expanduser(given)
    # A pipe would be waited for, a device read without end.
    if os.path.exists(path) and not os.path.isfile(path):
        _leave(name, f"--flagfile={given} is no regular file; name one with one flag a line.")


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again whose exception met a place that cannot pass it on.

    Python prints and forgets what is raised inside garbage collection.
    """
    error = lost.exc_value
    if isinstance(error, StoppedError):
        number = error.status - 128
    elif isinstance(error, KeyboardInterrupt):
        number = signal.SIGINT
    else:
        sys.__unraisablehook__(lost)
        return
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _print_help(name: str, purpose: str) -> int:
    lines = [f"usage: python -m {name} [--flag=value ...]", "", purpose, "", "flags:"]
    for module, owned in sorted(flags.FLAGS.flags_by_module_dict().items()):
        if module.split(".")[0] not in _PACKAGES and module != sys.argv[0]:
            continue
        for flag in sorted(owned, key=lambda flag: flag.name):
            lines.append(f"  --{flag.name}: {' '.join((flag.help or '').split())}")
            lines.append(f"      (default: {flag.default_as_str or 'none'})")
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        _leave(name, _unwritable(error))
    return 0


def _reader_left() -> int:
    """The reader of our output (head, less) has closed the pipe; exit quietly."""
    _drop_output()
    return 141


def _unwritable(error: OSError) -> str:
    """What to say of the error; where it is our own output that failed, nothing more is sent."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    where = f" '{error.filename}'" if error.filename else ""
    advice = {
        errno.ENOSPC: "the disk is full; free some space and run the same command again",
        errno.EFBIG: "the file-size limit is reached; raise it or choose another folder",
        errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EACCES: "permission is missing; choose a folder that you may use",
        errno.EPERM: "permission is missing; choose a folder that you may use",
        errno.ENOENT: "no such file or folder",
    }.get(error.errno or 0)
    return f"cannot use{where}: {error.strerror}" + (f" ({advice})." if advice else ".")


def _drop_output() -> None:
    # Else the interpreter tries once more to write what is left, and complains a second time.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(name: str, message: str) -> NoReturn:
    one_line = " ".join(message.split())
    print(f"{name}: error: {one_line}", file=sys.stderr)
    sys.exit(2)
