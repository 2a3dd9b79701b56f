"""Programs as PyTorch's users write them print what PyTorch prints.

The programs are in `programs`, and what PyTorch printed beside them in `programs/expected`; the random streams are the
same, so losses have to agree as well. To record a program anew, with PyTorch installed:

    python tests/test_programs.py [NAME...]
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
EXPECTED = PROGRAMS / "expected"
NAMES = sorted(p.stem for p in PROGRAMS.glob("*.py"))
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?")
TOLERANCE = 2e-5


def source(name):
    return (PROGRAMS / f"{name}.py").read_text()


def run(name, text):
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 0, f"{name}:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout


def last_digit(number):
    """The worth of one unit in the last printed place."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def differences(got, want, tolerance):
    """Lines that differ in more than the last digits of their floating-point numbers."""
    got, want = got.splitlines(), want.splitlines()
    found = []
    for i in range(max(len(got), len(want))):
        g, w = (lines[i] if i < len(lines) else "(nothing)" for lines in (got, want))
        # The padding of columns follows the numbers' digits.
        same = " ".join(NUMBER.sub("#", g).split()) == " ".join(NUMBER.sub("#", w).split())
        for a, b in zip(NUMBER.findall(g), NUMBER.findall(w)):
            # A long float has more digits than it is accurate to; a short one is rounded.
            slack = max(abs(float(b)) * tolerance, 1.01 * last_digit(b), tolerance * 1e-2)
            same = same and abs(float(a) - float(b)) <= slack
        if not same:
            found.append(f"line {i + 1}:\n  PyTorch {w}\n  rtorch  {g}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_program(name):
    text = source(name)
    tolerance = re.match(r"# tolerance: (\S+)", text)
    bad = differences(
        run(name, text), (EXPECTED / f"{name}.txt").read_text(), float(tolerance[1]) if tolerance else TOLERANCE
    )
    assert not bad, "\n".join(bad[:20])


def record(names):
    EXPECTED.mkdir(exist_ok=True)
    for name in names or NAMES:
        (EXPECTED / f"{name}.txt").write_text(run(name, source(name).replace("rtorch", "torch")))
        print(f"recorded {name}")


if __name__ == "__main__":
    record(sys.argv[1:])
