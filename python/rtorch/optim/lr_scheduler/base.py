"""The base class of learning rate schedules."""

import functools
import types
import warnings
import weakref

import rtorch

from ..optimizer import Optimizer

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available. Please call `scheduler.step()` without it."
)
_ORDER_HINT = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"


def copied(value):
    """`value`, as a copy if it is a tensor: tensor learning rates are updated in place."""
    return value.clone() if isinstance(value, rtorch.Tensor) else value


def set_option(group, key, value):
    """Sets an option of a parameter group, in place where it is a tensor."""
    if isinstance(group[key], rtorch.Tensor):
        with rtorch.no_grad():
            group[key].fill_(value.item() if isinstance(value, rtorch.Tensor) else value)
    else:
        group[key] = value


def per_group(name, value, optimizer):
    """`value` as a list with one entry per parameter group."""
    groups = optimizer.param_groups
    if isinstance(value, (list, tuple)):
        if len(value) != len(groups):
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. "
                f"{name} has {len(value)} values, param_groups has {len(groups)}."
            )
        return list(value)
    return [value] * len(groups)


def check_optimizer(optimizer):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def saved_callable(fn):
    """What a state dict keeps of a callable: nothing of a function, the attributes of a callable object."""
    return None if isinstance(fn, types.FunctionType) or fn is None else fn.__dict__.copy()


def _count_steps(optimizer):
    """Makes `optimizer.step` note that it was called, so that calls in the wrong order can be told."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    func, ref = optimizer.step.__func__, weakref.ref(optimizer)

    @functools.wraps(func)
    def step(*args, **kwargs):
        opt = ref()
        opt._opt_called = True
        return func(opt, *args, **kwargs)

    step._wrapped_by_lr_sched = True
    optimizer.step = step


class LRScheduler:
    """Base class of learning rate schedules.

    A subclass defines `get_lr`, the rates after `last_epoch` steps, and may define `_get_closed_form_lr`.

    Args:
        optimizer: the optimizer whose groups are scheduled.
        last_epoch: the last epoch when resuming, else -1.

    Raises:
        TypeError: if `optimizer` is not an Optimizer.
        KeyError: if `last_epoch` is given and the groups have no `initial_lr`.
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    def __init__(self, optimizer, last_epoch: int = -1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0.\nLoad the optimizer's state dict before making the scheduler, or set "
                    "'initial_lr' in its parameter groups."
                )
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        _count_steps(optimizer)
        self._initial_step()

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self):
        """Returns everything but the optimizer, as a dict."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict):
        """Restores what `state_dict` returned.

        Args:
            state_dict: the result of `state_dict` of a scheduler of the same class.
        """
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """Returns the rates set last, one per parameter group."""
        return self._last_lr

    def get_lr(self):
        """Returns the rates for `last_epoch`, one per parameter group; each schedule defines its own."""
        raise NotImplementedError(f"{type(self).__name__} has to define get_lr()")

    def _current(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor):
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _warn_outside_step(self):
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def step(self, epoch=None):
        """Sets the rates of the next epoch.

        Args:
            epoch: jump to this epoch (deprecated).
        """
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(
                    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                    "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. " + _ORDER_HINT,
                    UserWarning,
                    stacklevel=2,
                )
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you "
                    "should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure "
                    "to do this will result in PyTorch skipping the first value of the learning rate schedule. "
                    + _ORDER_HINT,
                    UserWarning,
                    stacklevel=2,
                )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", None)
                values = closed() if closed is not None else self.get_lr()
        finally:
            self._get_lr_called_within_step = False
        self._set_lrs(values)

    def _set_lrs(self, values):
        groups = self.optimizer.param_groups
        for group, value in zip(groups, values):
            set_option(group, "lr", value)
        self._last_lr = [copied(group["lr"]) for group in groups]


class _LRScheduler(LRScheduler):
    """The old name of `LRScheduler`, for code that derives from it."""
