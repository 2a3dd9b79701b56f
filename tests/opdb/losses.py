"""Rows of losses."""

import itertools
import math

import numpy as np

import rtorch as torch

from . import mathematics as m
from .row import Error, op
from .row import Sample as S


def reduced(each):
    """A loss from its value for each element."""

    def ref(*args, reduction="mean", **kw):
        values = each(*args, **kw)
        return values if reduction == "none" else values.sum() if reduction == "sum" else values.mean()

    return ref


def losses(inputs, *more):
    """Every reduction, then further keywords."""

    def draw(make):
        for kw in (dict(), dict(reduction="sum"), dict(reduction="none"), *more):
            yield S(*inputs(make), **kw)

    return draw


def pair(make):
    return make(3, 4), make(3, 4)


BAD_REDUCTION = Error(
    lambda make: S(make(3), make(3), reduction="x"), ValueError, "x is not a valid value for reduction"
)
LOSS = dict(dtypes="f", tol=(1e-5, 1e-5), space="nn.functional")
op("mse_loss", reduced(lambda x, y: (x - y) ** 2), losses(pair), **LOSS, errors=[BAD_REDUCTION])
op("l1_loss", reduced(lambda x, y: np.abs(x - y)), losses(pair), **LOSS, errors=[BAD_REDUCTION])
op(
    "smooth_l1_loss",
    reduced(lambda x, y, beta=1.0: np.where(np.abs(x - y) < beta, (x - y) ** 2 / 2 / beta, np.abs(x - y) - beta / 2)),
    losses(pair, dict(beta=0.3)),
    **LOSS,
)
op(
    "huber_loss",
    reduced(
        lambda x, y, delta=1.0: np.where(np.abs(x - y) < delta, (x - y) ** 2 / 2, delta * (np.abs(x - y) - delta / 2))
    ),
    losses(pair, dict(delta=0.3)),
    **LOSS,
)
op(
    "binary_cross_entropy",
    reduced(lambda x, y, w=1: -w * (y * np.log(x) + (1 - y) * np.log(1 - x))),
    losses(lambda make: (make(3, 4, low=0.1, high=0.9), make(3, 4, low=0, high=1))),
    **LOSS,
    errors=[
        Error(
            lambda make: S(make.tensor([2.0]), make.tensor([1.0])),
            RuntimeError,
            "all elements of input should be between 0 and 1",
        )
    ],
)
op(
    "binary_cross_entropy_with_logits",
    reduced(lambda x, y, pos_weight=1: (1 - y) * x + (1 + (pos_weight - 1) * y) * np.log1p(np.exp(-x))),
    losses(lambda make: (make(3, 4), make(3, 4, low=0, high=1))),
    **LOSS,
)
op(
    "soft_margin_loss",
    reduced(lambda x, y: np.log1p(np.exp(-y * x))),
    losses(lambda make: (make(3, 4), make(3, 4).sign())),
    **LOSS,
    constants=(1,),
)
op(
    "hinge_embedding_loss",
    reduced(lambda x, y, margin=1.0: np.where(y > 0, x, np.maximum(0, margin - x))),
    losses(lambda make: (make(3, 4), make(3, 4).sign()), dict(margin=2.0)),
    **LOSS,
    constants=(1,),
)
op(
    "margin_ranking_loss",
    reduced(lambda a, b, y, margin=0.0: np.maximum(0, -y * (a - b) + margin)),
    losses(lambda make: (make(5), make(5), make(5).sign()), dict(margin=0.5)),
    **LOSS,
    constants=(2,),
)
op(
    "kl_div",
    lambda x, y, reduction="mean", log_target=False: (
        lambda v: (
            v
            if reduction == "none"
            else v.sum()
            if reduction == "sum"
            else v.sum() / len(x)
            if reduction == "batchmean"
            else v.mean()
        )
    )(np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)),
    losses(lambda make: (make(3, 4), make(3, 4, low=0.1, high=1)), dict(reduction="batchmean"), dict(log_target=True)),
    **LOSS,
)
op(
    "poisson_nll_loss",
    reduced(lambda x, y, log_input=True, eps=1e-8: np.exp(x) - y * x if log_input else x - y * np.log(x + eps)),
    losses(lambda make: (make(3, 4, low=0.2, high=2), make(3, 4, low=0.5, high=3)), dict(log_input=False)),
    **LOSS,
)
op(
    "gaussian_nll_loss",
    reduced(
        lambda x, y, var, full=False, eps=1e-6: (
            (np.log(var) + (x - y) ** 2 / var) / 2 + (math.log(2 * math.pi) / 2 if full else 0)
        )
    ),
    losses(lambda make: (make(3, 4), make(3, 4), make(3, 4, low=0.5, high=2)), dict(full=True)),
    **LOSS,
)


def nll(x, target, weight=None, ignore_index=-100, reduction="mean", smoothing=0.0):
    """From log-probabilities: classes are dim 1 (or 0 of a single sample)."""
    if x.ndim == 1:
        x, target = x[None], np.asarray(target)[None]
    rows = np.moveaxis(x, 1, -1)
    w = np.ones(x.shape[1]) if weight is None else weight
    safe = np.where(target == ignore_index, 0, target)
    keep = target != ignore_index
    each = -np.take_along_axis(rows, safe[..., None], -1)[..., 0] * w[safe] * keep
    count = (w[safe] * keep).sum()
    smooth = -(rows * w).sum(-1) * keep
    values = (1 - smoothing) * each + smoothing / x.shape[1] * smooth
    if reduction == "none":
        return values
    return values.sum() / (count if reduction == "mean" else 1)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    logs = x - m.logsumexp(x, 0 if x.ndim == 1 else 1, True)
    if target.dtype.kind == "f":
        classes = x.shape[1]
        soft = target * (1 - label_smoothing) + label_smoothing / classes
        values = -(soft * logs).sum(1)
        return values if reduction == "none" else values.sum() if reduction == "sum" else values.mean()
    return nll(logs, target, weight, ignore_index, reduction, label_smoothing)


def classes(make, *more):
    return make(5, 3), make.index(5, high=3)


op(
    "nll_loss",
    nll,
    lambda make: iter(
        [
            *losses(classes)(make),
            S(*classes(make), make(3, low=0.5, high=2)),
            S(make(2, 3, 4), make.index(2, 4, high=3)),
            S(*classes(make), ignore_index=1),
            S(make(2, 3, 2, 2), make.index(2, 2, 2, high=3), reduction="none"),
        ]
    ),
    **LOSS,
    constants=(2,),
    errors=[
        Error(lambda make: S(make(2, 3), torch.tensor([0, 3])), IndexError, "Target 3 is out of bounds"),
        Error(
            lambda make: S(make(2, 3), torch.tensor([0])),
            ValueError,
            r"Expected input batch_size \(2\) to match target batch_size \(1\)",
        ),
    ],
)
op(
    "cross_entropy",
    cross_entropy,
    lambda make: iter(
        [
            *losses(classes)(make),
            S(*classes(make), make(3, low=0.5, high=2)),
            S(make(2, 3, 4), make.index(2, 4, high=3)),
            S(*classes(make), ignore_index=1),
            S(*classes(make), label_smoothing=0.2),
            S(make(5, 3), make(5, 3, low=0.1, high=1)),
            S(make(3), torch.tensor(1)),
            S(make(33, 131), make.index(33, high=131)),
        ]
    ),
    **LOSS,
    constants=(2,),
    errors=[
        Error(lambda make: S(make(2, 3), torch.tensor([0, 3])), IndexError, "Target 3 is out of bounds"),
        Error(
            lambda make: S(make(2, 3), torch.tensor([0])),
            ValueError,
            r"Expected input batch_size \(2\) to match target batch_size \(1\)",
        ),
    ],
)
op(
    "multi_margin_loss",
    reduced(
        lambda x, y, p=1, margin=1.0: (
            (np.maximum(0, margin - x[np.arange(len(x)), y][:, None] + x) ** p * (1 - np.eye(x.shape[1])[y])).sum(1)
            / x.shape[1]
        )
    ),
    losses(classes, dict(p=2), dict(margin=0.5)),
    **LOSS,
    gradgrad=False,
)
op(
    "multilabel_soft_margin_loss",
    reduced(lambda x, y: -(y * np.log(m.sigmoid(x)) + (1 - y) * np.log(m.sigmoid(-x))).mean(-1)),
    losses(lambda make: (make(3, 4), make.mask(3, 4).to(make.dtype))),
    **LOSS,
    constants=(1,),
)
op(
    "multilabel_margin_loss",
    reduced(
        lambda x, y: np.array(
            [
                sum(
                    max(0, 1 - (r[j] - r[i]))
                    for j in itertools.takewhile(lambda j: j >= 0, t)
                    for i in range(len(r))
                    if i not in list(itertools.takewhile(lambda j: j >= 0, t))
                )
                / len(r)
                for r, t in zip(x, y)
            ]
        )
    ),
    losses(lambda make: (make(2, 4), torch.tensor([[3, 0, -1, 1], [2, -1, 0, 0]]))),
    **LOSS,
    gradgrad=False,
)


def cosine_loss(a, b, y, margin=0.0):
    cos = (a * b).sum(-1) / np.sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))
    return np.where(y > 0, 1 - cos, np.maximum(0, cos - margin))


op(
    "cosine_embedding_loss",
    reduced(cosine_loss),
    losses(lambda make: (make(5, 3), make(5, 3), torch.tensor([1, -1, 1, -1, -1])), dict(margin=0.3)),
    **LOSS,
)
op(
    "triplet_margin_loss",
    reduced(
        lambda a, p, n, margin=1.0, swap=False: np.maximum(
            0,
            margin
            + np.linalg.norm(a - p + 1e-6, axis=-1)
            - (
                np.minimum(np.linalg.norm(a - n + 1e-6, axis=-1), np.linalg.norm(p - n + 1e-6, axis=-1))
                if swap
                else np.linalg.norm(a - n + 1e-6, axis=-1)
            ),
        )
    ),
    losses(lambda make: (make(5, 3), make(5, 3), make(5, 3)), dict(margin=2.0), dict(swap=True)),
    **LOSS,
)


def ctc(logs, targets, input_lengths, target_lengths, blank=0, reduction="mean"):
    """The sum over all alignments, by dynamic programming."""
    values = []
    for b, (time, length) in enumerate(zip(input_lengths, target_lengths)):
        labels = [blank]
        for label in targets[b][:length]:
            labels += [int(label), blank]
        alpha = np.full(len(labels), -np.inf)
        alpha[: min(2, len(labels))] = [logs[0, b, s] for s in labels[:2]]
        for t in range(1, time):
            new = np.full(len(labels), -np.inf)
            for i, s in enumerate(labels):
                ways = [alpha[i]] + ([alpha[i - 1]] if i else [])
                if i > 1 and s != blank and labels[i - 2] != s:
                    ways.append(alpha[i - 2])
                new[i] = np.logaddexp.reduce(ways) + logs[t, b, s]
            alpha = new
        values.append(-np.logaddexp.reduce(alpha[-2:]))
    values = np.array(values)
    return (
        values
        if reduction == "none"
        else values.sum()
        if reduction == "sum"
        else (values / np.maximum(target_lengths, 1)).mean()
    )


op(
    "ctc_loss",
    ctc,
    losses(lambda make: (make(7, 2, 4).log_softmax(2), make.index(2, 3, low=1, high=4), (7, 6), (3, 2))),
    **{**LOSS, "gradgrad": False},
    layouts=False,
    through=lambda x: x.log_softmax(2),
)
