"""Averages of weights: stochastic weight averaging and exponential moving averages."""

import itertools
import math
from copy import deepcopy

import rtorch

from .lr_scheduler.base import LRScheduler, per_group


def get_ema_avg_fn(decay=0.999):
    """Returns `fn(averaged, current, count)`, an exponential moving average of one tensor.

    Args:
        decay: the share of the old average, in [0, 1].

    Raises:
        ValueError: if `decay` is out of its range.
    """
    _check_decay(decay)

    def ema(averaged, current, count):
        with rtorch.no_grad():
            return decay * averaged + (1 - decay) * current

    return ema


def get_ema_multi_avg_fn(decay=0.999):
    """Returns `fn(averaged, current, count)`, exponential moving averages, in place, of lists of tensors.

    Args:
        decay: the share of the old average, in [0, 1].

    Raises:
        ValueError: if `decay` is out of its range.
    """
    _check_decay(decay)

    def ema_update(averaged, current, count):
        with rtorch.no_grad():
            for old, new in zip(averaged, current):
                if old.is_floating_point() or old.is_complex():
                    old.lerp_(new.to(old.dtype), 1 - decay)
                else:
                    old.copy_(old * decay + new * (1 - decay))

    return ema_update


def get_swa_avg_fn():
    """Returns `fn(averaged, current, count)`, the running mean of one tensor."""

    def swa(averaged, current, count):
        with rtorch.no_grad():
            return averaged + (current - averaged) / (count + 1)

    return swa


def get_swa_multi_avg_fn():
    """Returns `fn(averaged, current, count)`, running means, in place, of lists of tensors."""

    def swa_update(averaged, current, count):
        with rtorch.no_grad():
            for old, new in zip(averaged, current):
                if old.is_floating_point() or old.is_complex():
                    old.lerp_(new.to(old.dtype), 1 / (int(count) + 1))
                else:
                    old.add_((new - old) // (int(count) + 1))

    return swa_update


def _check_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


class AveragedModel(rtorch.nn.Module):
    """A copy of a model that holds an average of its weights.

    Args:
        model: the model to average.
        device: where to keep the average (default: where `model` is).
        avg_fn: maps `(averaged, current, count)` to the new average of one tensor.
        multi_avg_fn: updates `(averaged, current, count)`, lists of tensors, in place.
        use_buffers: average the buffers as well, instead of copying them.

    Raises:
        AssertionError: if both `avg_fn` and `multi_avg_fn` are given.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", rtorch.tensor(0, dtype=rtorch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _averaged(self, model):
        parameters = model.parameters()
        return list(itertools.chain(parameters, model.buffers()) if self.use_buffers else parameters)

    def update_parameters(self, model):
        """Takes the weights of `model` into the average.

        Args:
            model: a model with the parameters of the one this was made from.
        """
        own = [p.detach() for p in self._averaged(self.module)]
        new = [p.detach().to(o.device) for o, p in zip(own, self._averaged(model))]
        with rtorch.no_grad():
            if int(self.n_averaged) == 0:
                for o, n in zip(own, new):
                    o.copy_(n)
            elif self.avg_fn is not None:
                for o, n in zip(own, new):
                    o.copy_(self.avg_fn(o, n, self.n_averaged.to(o.device)))
            else:
                update = self.multi_avg_fn or get_swa_multi_avg_fn()
                update(own, new, self.n_averaged)
            if not self.use_buffers:
                for o, n in zip(self.module.buffers(), model.buffers()):
                    o.detach().copy_(n.detach())
            self.n_averaged += 1


def update_bn(loader, model, device=None):
    """Computes the running statistics of the batch norm layers anew, in one pass over the data.

    Args:
        loader: an iterable of batches; of a list or tuple the first entry is the input.
        model: the model.
        device: where to move the inputs.
    """
    layers = [m for m in model.modules() if isinstance(m, rtorch.nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        # Without a momentum the statistics are plain means over all batches.
        layer.momentum = None
    try:
        with rtorch.no_grad():
            for batch in loader:
                if isinstance(batch, (list, tuple)):
                    batch = batch[0]
                model(batch if device is None else batch.to(device))
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Anneals the learning rate to a fixed value for stochastic weight averaging.

    Args:
        optimizer: the optimizer to schedule.
        swa_lr: the rate to go to, or one per parameter group.
        anneal_epochs: the number of epochs it takes.
        anneal_strategy: "cos" or "linear".
        last_epoch: the last epoch when resuming, else -1.

    Raises:
        ValueError: if a value is out of its range.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for value, group in zip(per_group("swa_lr", swa_lr, optimizer), optimizer.param_groups):
            group["swa_lr"] = value
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, t):
        """How far the annealing is at `t` of 1."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        self._warn_outside_step()
        # The initial step of the constructor is not one of the annealing.
        step = self._step_count - 1
        length = max(1, self.anneal_epochs) if self.anneal_epochs == 0 else self.anneal_epochs
        before = self._share(max(0, min(1, (step - 1) / length)))
        now = self._share(max(0, min(1, step / length)))
        rates = []
        for group in self.optimizer.param_groups:
            target = group["swa_lr"]
            # What the rate was at the start, from what it is now.
            start = target if before == 1 else (group["lr"] - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
