"""``python -m tests.by_hand.kill``: kill -9 at random moments of training, exports and session writes.

After each kill every visible file has to be whole, and be either what was there before or what was being written. A
killed training run is started again, killed again, and so on until it comes to its end: its model then has to be that
of a run that nothing disturbed. Prints a table; its status is 1 if a file was lost or damaged. For POSIX systems.

The warm start that training starts with is made with less patience than usual, so that more kills fall on all else. A
killed process is forked from one that has imported everything and computed nothing: its death is as sudden as any,
and it starts in no time.
"""

import argparse
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import model_files
import soundfile
import torch

import timbrekit.training.warm_start
from timbrekit.cli import main as run_command
from timbrekit.export.check import check_model, open_model, read_metadata
from timbrekit.export.flucoma import write_flucoma
from timbrekit.export.live_page import build_page
from timbrekit.export.nn_tilde.write import write_nn_tilde
from timbrekit.export.torchdrum import write_model
from timbrekit.files import STALE_SECONDS, sweep_stale
from timbrekit.recording import read_recording, write_wav
from timbrekit.session import Session
from timbrekit.workflow import FILES

SAMPLE = Path(__file__).resolve().parents[2] / "sample_audio" / "snare_minute.flac"
SECONDS, EPOCHS, RATE = 5, 20, 48_000
WENT_ON = (
    "went on",
    "goes on",
    "going on",
    "carries on",
    "continu",
    "resum",
    "picks up",
)  # any of these will do


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    for name, few in (("FIRST_RENDERS", 32), ("ROUNDS", 1), ("MAPPING_STEPS", 20), ("SURROGATE_STEPS", 20)):
        getattr(timbrekit.training.warm_start, name)  # fails if it is called something else by now
        setattr(timbrekit.training.warm_start, name, few)
    print("| kind | kills | old version found | new version found | hidden files swept | faults | time |")
    print("|" + "---|" * 7)
    faults = 0
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(kind, Path(folder), options.kills, random.Random(f"{options.seed} {kind}"))
            began = time.perf_counter()
            KINDS[kind](trial)
            trial.sweep()
            found = trial.found
            print(
                f"| {kind} | {trial.kills} | {found['old']} | {found['new']} | {found['swept']} | "
                f"{len(trial.faults)} | {(time.perf_counter() - began) / 60:.1f} min |",
                flush=True,
            )
            for note, count in trial.notes.items():
                print(f"  {kind}: {note}: {count}", file=sys.stderr)
            for fault in trial.faults:
                print(f"  {kind}: {fault}", file=sys.stderr)
            faults += len(trial.faults)
    return 1 if faults else 0


class Trial:
    """Kills of one kind in one folder, and what was found after them."""

    def __init__(self, kind: str, folder: Path, wanted: int, moments: random.Random):
        self.kind, self.folder, self.wanted, self.moments = kind, folder, wanted, moments
        self.kills = 0
        self.found: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.faults: list[str] = []

    def fault(self, words: str) -> None:
        self.faults.append(f"after kill {self.kills}: {words}")

    def compare(self, path: Path, old: str | None, new: set[str], digest: str) -> None:
        """Count the file as what it was before or as new."""
        if digest == old:
            self.found["old"] += 1
        elif digest in new:
            self.found["new"] += 1
        else:
            self.fault(f"{path.name} is neither the old nor the new version")

    def sweep(self) -> None:
        """What kills left under hidden names goes once it is old enough."""
        for folder in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
            if not folder.exists() or folder.name.startswith("."):
                continue
            hidden = [path for path in folder.iterdir() if path.name.startswith(".")]
            for path in hidden:
                os.utime(path, times=(0, time.time() - STALE_SECONDS - 60))
            sweep_stale(folder)
            left = [path.name for path in hidden if path.exists()]
            self.found["swept"] += len(hidden) - len(left)
            if left:
                self.fault(f"not swept: {left}")


# --- processes to kill -------------------------------------------------------------------------------------


class Doomed:
    """A forked process that does ``act()``, and says so first and last. What it prints goes to ``said``."""

    def __init__(self, act: Callable[[], object], said: Path):
        self.said = said
        said.unlink(missing_ok=True)
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            words = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(words, 1)
            os.dup2(words, 2)
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def wait_for(self, words: str, seconds: float = 120) -> bool:
        """Until it says so. False if it ended first."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            if words in self.words():
                return True
            if self.ended() is not None:
                return words in self.words()
            time.sleep(0.002)
        raise TimeoutError(f"{words!r} was not said in {seconds} s:\n{self.words()}")

    def words(self) -> str:
        return self.said.read_text(encoding="utf-8") if self.said.exists() else ""

    def ended(self) -> int | None:
        """Its status if it has ended, by itself or killed."""
        if not hasattr(self, "status"):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                return None
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def end(self) -> int:
        while self.ended() is None:
            time.sleep(0.005)
        return self.status

    def kill_after(self, seconds: float) -> bool:
        """Whether it was killed; False if it had ended by itself."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and self.ended() is None:
            time.sleep(0.001)
        if self.ended() is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        return self.end() == -signal.SIGKILL


def in_child(act: Callable[[], object], folder: Path) -> float:
    """Do it in a forked process that lives; the seconds it took."""
    began = time.perf_counter()
    process = Doomed(act, folder / "child.txt")
    if process.end() != 0:
        raise RuntimeError(process.words())
    process.said.unlink()
    return time.perf_counter() - began


def digest_of(path: Path) -> str:
    """Of what counts in a file: of a model all but the date it carries."""
    content = path.read_bytes()
    if path.name != "model.pt":
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            part = archive.read(name)
            if name.endswith("timbrekit.json"):
                part = json.dumps({**json.loads(part), "date": ""}).encode()
            digest.update(name.encode() + part)
    return digest.hexdigest()


def problem_of(path: Path) -> str:
    """Why a visible file is not whole; empty if it is."""
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".wav":
            with soundfile.SoundFile(path) as file:
                if len(file.read()) != file.frames or not file.frames:
                    return "it is cut short"
        elif path.suffix == ".png":
            content = path.read_bytes()
            if not (content.startswith(b"\x89PNG") and content.endswith(b"IEND\xaeB`\x82")):
                return "it is cut short"
        elif path.name == "unfinished.pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".pt":
            return " ".join(check_model(path).problems)
        elif path.suffix in (".ts", ".html", ".txt") and not path.stat().st_size:
            return "it is empty"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


# --- training ----------------------------------------------------------------------------------------------


def kill_training(trial: Trial) -> None:
    folder, out, said = trial.folder, trial.folder / "out", trial.folder / "said.txt"
    take = folder / "take.wav"
    recording = read_recording(SAMPLE, RATE)
    write_wav(take, recording.samples[: SECONDS * RATE], RATE)

    def train(into: Path, seed: int) -> Callable[[], None]:
        def act() -> None:
            arguments = ["train", take, "--out", into, "--epochs", EPOCHS, "--seed", seed, "--device", "cpu"]
            if run_command([str(argument) for argument in arguments]):
                raise RuntimeError("training failed")

        return act

    in_child(train(folder / "before", 1), folder)  # the first one also compiles
    seconds = in_child(train(folder / "undisturbed", 0), folder)
    before, undisturbed = (
        {name: digest_of(folder / run / name) for name in FILES} for run in ("before", "undisturbed")
    )

    def start_over() -> None:
        out.mkdir(exist_ok=True)
        for name in FILES:
            (out / name).write_bytes((folder / "before" / name).read_bytes())

    start_over()
    in_a_row = 0
    while trial.kills < trial.wanted:
        goes_on = (out / "unfinished.pt").exists()
        process = Doomed(train(out, 0), said)
        # A resumed run is shorter, and each one lives a little longer than the last, so that it comes to its end.
        killed = process.kill_after(trial.moments.uniform(0, seconds * (1 + 0.1 * in_a_row)))
        if goes_on and "Training" in process.words():
            told = any(words in process.words() for words in WENT_ON)
            trial.notes["went on, and said so" if told else "went on without saying so"] += 1
        if killed:
            trial.kills += 1
            in_a_row += 1
            said_last = (process.words().strip().splitlines() or ["before the first word"])[-1]
            trial.notes[f"killed after {said_last[:40]!r}"] += 1
            _check_training(trial, out, before, undisturbed)
            continue
        in_a_row = 0
        trial.notes["runs that came to their end"] += 1
        if process.status != 0:
            trial.fault(f"training failed: {process.words()[-500:]}")
        for name in ("model.pt", "primer.wav", "rehearsal.wav", "card.txt"):
            if digest_of(out / name) != undisturbed[name]:
                trial.fault(f"{name} is not that of an undisturbed run")
        if (out / "unfinished.pt").exists():
            trial.fault("unfinished.pt is still there at the end")
        start_over()


def _check_training(trial: Trial, out: Path, before: dict[str, str], undisturbed: dict[str, str]) -> None:
    for path in out.iterdir():
        if path.name.startswith("."):
            continue
        if path.name not in (*FILES, "unfinished.pt"):
            trial.fault(f"{path.name} should not be there")
        if problem := problem_of(path):
            trial.fault(f"{path.name}: {problem}")
        if path.name in ("model.pt", "primer.wav", "rehearsal.wav", "card.txt"):
            trial.compare(path, before[path.name], {undisturbed[path.name]}, digest_of(path))
    missing = set(FILES) - set(os.listdir(out))
    if missing:
        trial.fault(f"gone: {missing}")


# --- exports -----------------------------------------------------------------------------------------------


def kill_exports(kind: str, write: Callable[[Path, Path], object], name: str) -> Callable[[Trial], None]:
    """Kills while the versions of two models are written in turn under one name."""

    def trial_of(trial: Trial) -> None:
        folder, out = trial.folder, trial.folder / "out"
        models = [folder / "first.pt", folder / "second.pt"]

        def prepare() -> None:
            for seed, path in enumerate(models):
                mapping = model_files.trained_mapping("mlp-plain" if kind == "flucoma" else "mlp", seed)
                write_model(mapping, model_files.metadata_of(mapping), path)
                write(path, folder / path.stem / name)

        in_child(prepare, folder)
        versions = [
            {path.name: digest_of(path) for path in (folder / model.stem).iterdir()} for model in models
        ]
        out.mkdir()
        for path in (folder / "first").iterdir():
            (out / path.name).write_bytes(path.read_bytes())
        seconds = in_child(lambda: write(models[1], folder / "timed" / name), folder)

        def act() -> None:
            print("ready", flush=True)
            while True:
                for model in reversed(models):
                    write(model, out / name)

        while trial.kills < trial.wanted:
            process = Doomed(act, folder / "said.txt")
            process.wait_for("ready")
            if not process.kill_after(trial.moments.uniform(0, 2 * seconds)):
                trial.fault(process.words()[-500:])
                return
            trial.kills += 1
            visible = {path for path in out.iterdir() if not path.name.startswith(".")}
            if {path.name for path in visible} != set(versions[0]):
                trial.fault(f"there are {sorted(path.name for path in visible)}")
            for path in visible:
                if problem := problem_of(path):
                    trial.fault(f"{path.name}: {problem}")
                trial.compare(
                    path, versions[0].get(path.name), {versions[1].get(path.name, "")}, digest_of(path)
                )

    return trial_of


# --- sessions ----------------------------------------------------------------------------------------------


def kill_sessions(trial: Trial) -> None:
    folder, said = trial.folder / "session", trial.folder / "said.txt"
    Session.open(folder)

    def act() -> None:
        session = Session.open(folder)
        print("ready", flush=True)
        for number in range(10**6):
            session.keep_recording("take.wav", bytes([number % 7]) * 300_000)
            session.keep_detector({"on_threshold": number, "hold": number}, number)
            session.keep_preset({"name": f"preset-{number}", "values": {str(i): number for i in range(200)}})

    while trial.kills < trial.wanted:
        process = Doomed(act, said)
        process.wait_for("ready")
        if not process.kill_after(trial.moments.uniform(0, 0.2)):
            trial.fault(process.words()[-500:])
            return
        trial.kills += 1
        session = Session.open(folder)
        if not session.resumed or list(folder.glob("state.damaged*")):
            trial.fault("the session was damaged")
        for path in (folder / "recording").glob("[!.]*"):
            content = path.read_bytes()
            if len(content) != 300_000 or len(set(content)) != 1:
                trial.fault(f"{path.name} is not whole")
        if session.state.recording and not session.recording_path.is_file():
            trial.fault("the session names a recording that is not there")
        if session.state.preset and len(set(session.state.preset["values"].values())) != 1:
            trial.fault("the preset is a mixture")
        trial.found["new"] += 1


KINDS: dict[str, Callable[[Trial], None]] = {
    "training": kill_training,
    "plug-in model": kill_exports(
        "model", lambda model, out: write_model(_mapping_of(model), read_metadata(model), out), "model.pt"
    ),
    "page": kill_exports("page", lambda model, out: build_page(read_metadata(model), out), "play.html"),
    "nn~": kill_exports("nn~", lambda model, out: write_nn_tilde(open_model(model), out), "drum.ts"),
    "FluCoMa": kill_exports("flucoma", lambda model, out: write_flucoma(open_model(model), out), "drum.json"),
    "session": kill_sessions,
}


def _mapping_of(model: Path):
    return model_files.trained_mapping("mlp", int(model.stem == "second"))


if __name__ == "__main__":
    raise SystemExit(main())
