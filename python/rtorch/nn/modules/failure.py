"""What an exception says about the module whose forward raised it."""

import rtorch

__all__ = ["explain"]


def _describe(value):
    if isinstance(value, rtorch.Tensor):
        dtype = str(value.dtype).rpartition(".")[2]
        return f"{dtype}{list(value.shape)}" + ("" if value.device.type == "cpu" else f" on {value.device}")
    if isinstance(value, (tuple, list)) and len(value) <= 4:
        return type(value).__name__ + "(" + ", ".join(map(_describe, value)) + ")"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return type(value).__name__


def _placement(module, args):
    """The fix where inputs and parameters differ in dtype or device, else None."""
    tensors = [a for a in args if isinstance(a, rtorch.Tensor)]
    own = next((p for p in module._parameters.values() if p is not None), None)
    if own is None or not tensors:
        return None
    given = tensors[0]
    if given.device != own.device:
        return (
            f"the input is on {given.device}, the parameters are on {own.device}: use module.to({str(given.device)!r})"
        )
    if given.is_floating_point() and given.dtype != own.dtype:
        return f"the input is {given.dtype}, the parameters are {own.dtype}: use input.to({own.dtype})"
    return None


def _note(root, path, record):
    module, inputs, fix = record
    head = type(module).__name__
    try:
        detail = module.extra_repr()
    except Exception:  # a broken extra_repr must not hide the error that is being explained
        detail = ""
    if "\n" not in detail:
        head = f"{head}({detail})"
    place = f"`{path}`, a {head} in {type(root).__name__}" if path else head
    return f"raised by the forward of {place}; it was given {inputs}" + (f"\nfix: {fix}" if fix else "")


def explain(error, module, args, kwargs):
    """Adds a note to `error` with the path, type and inputs of the module that failed, and extends the path outwards.

    The innermost module makes the note; each module around it, as the exception passes, puts its own name for the
    failing one in front.
    """
    try:
        trail = getattr(error, "_module_trail", None)
        if trail is None:
            inputs = (
                ", ".join([*map(_describe, args), *(f"{k}={_describe(v)}" for k, v in kwargs.items())]) or "nothing"
            )
            fix = _placement(module, args)
            hint = getattr(module, "_forward_hint", None)
            if fix is None and hint is not None:
                fix = hint(*args, **kwargs)
            path, record = "", (module, inputs, fix)
            old = None
        else:
            inner, path, record, old = trail
            if inner is module:
                return
            name = next((n for n, m in module._modules.items() if m is inner), None)
            if name is None:
                name = next((n for n, m in module.named_modules() if m is inner), None)
            if name is None:
                return
            path = f"{name}.{path}" if path else name
        note = _note(module, path, record)
        notes = getattr(error, "__notes__", None)
        if old is not None and notes and old in notes:
            notes[notes.index(old)] = note
        else:
            error.add_note(note)
        error._module_trail = (module, path, record, note)
    except Exception:
        # Nothing about explaining may replace the error itself: an exception without a dict, a module half built.
        return
