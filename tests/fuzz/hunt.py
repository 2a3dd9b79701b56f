"""Calls in a process of its own with bounded memory: whatever kills it is named, and the next one goes on after it."""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALL_SECONDS = 20
MEMORY = 4 << 30
TESTS = Path(__file__).parent.parent


class Fuzz:
    def __init__(self, seed):
        import rtorch as torch

        from .targets import all_targets
        from .values import Values

        self.torch, self.seed, self.random = torch, seed, random.Random(seed)
        self.values = Values(self.random)
        self.ops, self.targets = all_targets()

    def call(self, index):
        """The call of that number, the same for the same seed; None where it cannot be made."""
        self.random.seed(f"{self.seed} {index}")
        # Every second call is an op of the database in turn, the others are shared by the rest.
        turn, rest = divmod(index, 2)
        target = self.targets[turn % len(self.targets)] if rest else self.ops
        try:
            return target.draw(self.values, turn // len(self.targets) if rest else turn)
        except (RuntimeError, MemoryError, OverflowError, AttributeError, NotImplementedError, TypeError, ValueError):
            # A working call, or a changed argument, could not be made.
            return None

    def use(self, result):
        """What is returned can be read, and differentiated where it says so."""
        torch = self.torch
        found = result if isinstance(result, (tuple, list)) else (result,)
        for r in found[:100]:
            if isinstance(r, torch.Tensor) and r.numel() < 10_000 and r.device.type == "cpu":
                r.detach().clone()
                if r.requires_grad and self.random.random() < 0.7:
                    r.sum().backward()
                if self.random.random() < 0.1:
                    repr(r)

    def wrong(self, call):
        """Makes the call; what is wrong with how it ended, or None."""
        try:
            self.use(call.f(*call.args, **call.kwargs))
        except SystemError as e:
            return f"SYSTEM\t{call.shown}\t{str(e)[:300]}"
        except Exception as e:
            try:
                text = str(e)
            except Exception:
                return None
            if "internal error" in text:
                return f"INTERNAL\t{call.shown}\t{text[:300]}"
        except BaseException as e:
            return f"ESCAPED\t{call.shown}\t{type(e).__name__}: {str(e)[:300]}"
        return None

    def run(self, until, log, start=0, count=None):
        """Calls until the time is over; each is in the log before it is made. What is wrong is printed."""
        import faulthandler

        torch, made, index = self.torch, 0, start
        faulthandler.enable()
        while time.monotonic() < until and (count is None or index < start + count):
            faulthandler.dump_traceback_later(CALL_SECONDS, exit=True)
            os.pwrite(log, f"{index + 1}\tmaking the call of this number\n".encode().ljust(1600), 0)
            call = self.call(index)
            index += 1
            if call is not None:
                line = f"{index}\t{call.shown[:1500]}".replace("\n", " ")
                os.pwrite(log, f"{line}\n".encode(errors="replace")[:1599].ljust(1600), 0)
                wrong = self.wrong(call)
                if wrong:
                    print(f"{wrong} (call {index - 1})".replace("\n", " "), flush=True)
                made += 1
                # What a call leaves set must not change the next ones.
                torch.set_default_dtype(torch.float32)
                torch.set_grad_enabled(True)
            faulthandler.cancel_dump_traceback_later()
        print(f"CALLS\t{made}", flush=True)


def child(seed, seconds, path, start, count=None):
    import resource
    import warnings

    warnings.simplefilter("ignore")
    memory = int(os.environ.get("FUZZ_MEMORY", MEMORY))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(path, os.O_RDWR | os.O_CREAT)
    os.chdir(os.path.dirname(path))
    Fuzz(seed).run(time.monotonic() + seconds, log, start, count)


def hunt(seed, seconds, most=12, script=TESTS / "test_fuzz.py"):
    """The number of calls made, and what went wrong: `most` findings end it."""
    end, start, calls, found = time.monotonic() + seconds, 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        while (left := end - time.monotonic()) > 1 and len(found) < most:
            done = subprocess.run(
                [sys.executable, str(script), "child", str(seed), str(left), log, str(start)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + 4 * CALL_SECONDS,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
            )
            for line in done.stdout.splitlines():
                kind, _, rest = line.partition("\t")
                if kind == "CALLS":
                    calls += int(rest)
                elif kind in ("INTERNAL", "ESCAPED", "SYSTEM"):
                    found.append(f"{kind} {rest}")
            if done.returncode == 0:
                break
            if not os.path.exists(log) or ("Traceback (most recent call last)" in done.stderr and done.returncode == 1):
                if "Timeout" not in done.stderr:
                    raise RuntimeError(done.stderr[-3000:])
            index, _, shown = Path(log).read_text(errors="replace").splitlines()[0].partition("\t")
            why = "timed out" if "Timeout" in done.stderr else f"exit {done.returncode}: {done.stderr[:300]!r}"
            found.append(f"DIED {shown.strip()} ({why}) (call {int(index) - 1})")
            calls += int(index) - start
            start = int(index)
    return calls, found
