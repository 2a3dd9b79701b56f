"""Fails when a wheel is larger than the limit."""

import os
import sys

LIMIT_MB = 20

for path in sys.argv[1:]:
    mb = os.path.getsize(path) / 1e6
    print(f"{os.path.basename(path)}: {mb:.1f} MB (limit {LIMIT_MB})")
    if mb > LIMIT_MB:
        sys.exit(1)
