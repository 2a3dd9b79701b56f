"""What `import rtorch` costs above bare Python: milliseconds and megabytes.

python benches/import_time.py [module ...]
"""

import statistics
import subprocess
import sys
import time

TURNS = 11
PEAK = (
    "import resource, sys; "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == 'darwin' else 1e3))"
)


def measure(code):
    """Milliseconds and megabytes of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    spent = 1e3 * (time.perf_counter() - start)
    memory = subprocess.run([sys.executable, "-c", f"{code}; {PEAK}"], check=True, capture_output=True, text=True)
    return spent, float(memory.stdout)


def main():
    for module in sys.argv[1:] or ["rtorch"]:
        measure(f"import {module}")
        # Turns, so that drift slows both alike.
        turns = [(measure("pass"), measure(f"import {module}")) for _ in range(TURNS)]
        ms, mb = (statistics.median(with_[i] - bare[i] for bare, with_ in turns) for i in (0, 1))
        print(f"import {module}: {ms:.0f} ms and {mb:.0f} MB above bare Python")


if __name__ == "__main__":
    main()
