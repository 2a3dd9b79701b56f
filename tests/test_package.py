"""The package as a whole: what importing it does, and that each op is complete."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rtorch

ROOT = Path(rtorch.__file__).parent
TABLE = rtorch._C.op_table()


def python(*args):
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_importing_imports_no_numpy():
    code = "import sys, rtorch.nn, rtorch.optim, rtorch.utils.data; print([m for m in sys.modules if 'numpy' in m])"
    assert python("-c", code).strip() == "[]"


def test_init_binds_names_and_defines_nothing():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    # PEP 562's __getattr__ is how a name can be bound when it is first used.
    defined = [n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))]
    assert set(defined) <= {"__getattr__", "__dir__"}


def test_version():
    assert re.match(r"\d+\.\d+\.\d+", rtorch.__version__)
    assert str(rtorch.__version__).startswith(rtorch._C.__version__)


def test_collect_env():
    text = python("-m", "rtorch.utils.collect_env")
    assert rtorch._C.__version__ in text
    assert "Python" in text


def test_typed():
    assert (ROOT / "py.typed").exists()


def test_stubs_are_fresh():
    python("-m", "rtorch._stubgen", "--check")


def test_stubs_parse():
    ast.parse((ROOT / "_C.pyi").read_text())


def test_digits_come_with_their_attribution():
    notice = (ROOT / "vision" / "data" / "NOTICE").read_text()
    assert "Alpaydin" in notice and "CC BY 4.0" in notice


@pytest.fixture(scope="module")
def opdb_names():
    """The ops with a row in opdb.py."""
    opdb = importlib.import_module("opdb")
    return {row.name for row in opdb.ROWS} | set(getattr(opdb, "COVERED_ELSEWHERE", ()))


@pytest.fixture(scope="module")
def stub_names():
    tree = ast.parse((ROOT / "_C.pyi").read_text())
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
def test_op_has_a_docstring(row):
    first = row["doc"].strip().splitlines()[0] if row["doc"].strip() else ""
    assert len(first) > 10 and (first[0].isupper() or first[0] == "`"), f"a summary line is wanted, got {first!r}"


def test_every_op_has_a_stub(stub_names):
    missing = [row["name"] for row in TABLE if row["name"] not in stub_names]
    assert not missing, f"run `make stubs`: {missing}"


def test_every_op_has_a_row_in_opdb(opdb_names):
    missing = [row["name"] for row in TABLE if row["name"] not in opdb_names]
    assert not missing, f"add rows to tests/opdb.py for {missing}"


def test_op_names_are_found_where_the_row_says():
    places = {"torch": "rtorch", "nn.functional": "rtorch.nn.functional"}
    places |= {s: f"rtorch.{s}" for s in ("linalg", "special", "fft")}
    missing = []
    for row in TABLE:
        for space in row["spaces"]:
            if space == "_private" or (space != "Tensor" and row["name"].startswith("_")):
                # `from rtorch._C import *` takes the public names.
                home = getattr(rtorch._C, "_nn", None) if space == "nn.functional" else rtorch._C
            elif space == "Tensor":
                home = rtorch.Tensor
            else:
                home = importlib.import_module(places[space])
            if not hasattr(home, row["name"]):
                missing.append(f"{space}.{row['name']}")
    assert not missing


def test_names_imported_late_exist():
    """A name that is promised and not there would fail as an import error in the user's program."""
    from rtorch import _lazy

    for name in [*sorted(_lazy._MODULES), *_lazy._HOMES]:
        assert getattr(rtorch, name) is not None, name
