"""TorchScript's entry points: functions and modules run eagerly as they are."""


def script(obj=None, *args, **kwargs):
    """Returns `obj` unchanged: there is nothing to compile."""
    return obj


def trace(func, example_inputs=None, *args, **kwargs):
    """Returns `func` unchanged, after running it once on the example as a check."""
    if example_inputs is not None:
        func(*example_inputs) if isinstance(example_inputs, (tuple, list)) else func(example_inputs)
    return func


def ignore(fn=None, **kwargs):
    """Returns `fn` unchanged."""
    return fn if fn is not None else (lambda f: f)


export = unused = ignore


def is_scripting() -> bool:
    """Returns False."""
    return False


def is_tracing() -> bool:
    """Returns False."""
    return False
