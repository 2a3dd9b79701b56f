"""Calls with every kind of wrong argument end in a value or an ordinary exception.

python tests/test_fuzz.py SEED SECONDS        runs by itself and prints what it finds
python tests/test_fuzz.py SEED call NUMBER    makes one call of that run again
"""

import sys
import tempfile

from fuzz import hunt as fuzz

SEED = 20240601
SECONDS = 38


def test_no_call_kills_the_process():
    calls, found = fuzz.hunt(SEED, SECONDS)
    assert not found, "\n".join(found)
    assert calls > 1000, f"only {calls} calls were made"


def test_a_crash_is_found(tmp_path):
    """The hunt itself can fail: it names the call at which a process died."""
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys\n"
        "log = os.open(sys.argv[4], os.O_RDWR | os.O_CREAT)\n"
        "os.pwrite(log, b'1\\tboom(1)'.ljust(1600), 0)\n"
        "print('INTERNAL\\tother(2)\\tinternal error', flush=True)\n"
        "os.abort()\n"
    )
    _, found = fuzz.hunt(0, 5, most=1, script=script)
    assert any("boom(1)" in f for f in found) and any("other(2)" in f for f in found)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        fuzz.child(sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    elif sys.argv[2] == "call":
        with tempfile.NamedTemporaryFile() as log:
            fuzz.child(sys.argv[1], 60, log.name, int(sys.argv[3]), 1)
    else:
        made, wrong = fuzz.hunt(sys.argv[1], float(sys.argv[2]), most=1000)
        print("\n".join(wrong))
        print(f"{made} calls, {len(wrong)} findings")
