"""The examples in the docstrings, of the op table and of the Python package, give what they show."""

import doctest
import importlib
import pkgutil
import warnings

import pytest

import rtorch

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# Importing these does something, or needs what is not installed.
SKIPPED = ("rtorch._C", "rtorch.__main__")


def names():
    return {"torch": rtorch, "rtorch": rtorch, "nn": rtorch.nn, "F": rtorch.nn.functional}


def run(test):
    """What a docstring's examples print instead."""
    wrong = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    rtorch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner.run(test, out=wrong.append)
    return "".join(wrong)


def ops():
    seen = {}
    for row in rtorch._C.op_table():
        if ">>>" in row["doc"]:
            count = seen[row["name"]] = seen.get(row["name"], 0) + 1
            yield pytest.param(row, id=row["name"] if count == 1 else f"{row['name']}-{count}")


@pytest.mark.parametrize("row", list(ops()))
def test_op(row):
    found = doctest.DocTestParser().get_doctest(row["doc"], names(), row["name"], None, 0)
    assert not (wrong := run(found)), wrong


def modules():
    for info in pkgutil.walk_packages(rtorch.__path__, "rtorch."):
        if not info.name.startswith(SKIPPED) and not info.name.endswith("__main__"):
            yield info.name


@pytest.mark.parametrize("name", ["rtorch", *modules()])
def test_module(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    wrong = []
    for test in finder.find(module, name, module=module, extraglobs=names()):
        if test.examples:
            wrong.append(run(test))
    assert not any(wrong), "".join(wrong)


def test_a_wrong_example_fails():
    found = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert "Expected:\n    3\nGot:\n    2" in run(found)
