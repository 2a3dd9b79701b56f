"""Loss functions as modules."""

from dataclasses import dataclass

from .. import functional as F
from .distance import PairwiseDistance
from .linear import Linear
from .module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


def _reduction(size_average, reduce, reduction):
    """The reduction that the deprecated pair of flags stands for, or the one given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


class _Loss(Module):
    reduction: str

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        self.reduction = _reduction(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class _PairLoss(_Loss):
    """A loss of an input and a target without other settings; `_function` computes it."""

    __constants__ = ["reduction"]

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return self._function(input, target, reduction=self.reduction)


class L1Loss(_PairLoss):
    """Mean absolute error, `|x - y|`.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    _function = staticmethod(F.l1_loss)


class MSELoss(_PairLoss):
    """Mean squared error, `(x - y)^2`.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".

    Example:
        >>> import rtorch as torch
        >>> torch.nn.MSELoss()(torch.ones(2), torch.zeros(2))
        tensor(1.)
    """

    _function = staticmethod(F.mse_loss)


class SoftMarginLoss(_PairLoss):
    """Two-class logistic loss `log(1 + exp(-y x))` with targets 1 and -1.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    _function = staticmethod(F.soft_margin_loss)


class MultiLabelMarginLoss(_PairLoss):
    """Margin loss for several labels: targets (N, C) list class indices, ended by -1.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    _function = staticmethod(F.multilabel_margin_loss)


class NLLLoss(_WeightedLoss):
    """Negative log likelihood of classes.

    Args:
        weight: factors per class (C). Default: 1.
        size_average: deprecated, use `reduction`.
        ignore_index: target that does not count. Default: -100.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["ignore_index", "reduction"]

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        """Returns the loss of log probabilities `input` (N, C, ...) against class indices `target` (N, ...)."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """`NLLLoss` under an older name.

    Args:
        weight: factors per class (C). Default: 1.
        size_average: deprecated, use `reduction`.
        ignore_index: target that does not count. Default: -100.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """


class PoissonNLLLoss(_Loss):
    """Negative log likelihood of Poisson counts.

    Args:
        log_input: whether the input is the logarithm of the rate. Default: True.
        full: whether the Stirling term is added. Default: False.
        size_average: deprecated, use `reduction`.
        eps: added to the rate when `log_input` is False. Default: 1e-8.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["log_input", "full", "eps", "reduction"]

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        """Returns the loss of the rates against the counts `target`."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """Negative log likelihood of normal distributions.

    Args:
        full: whether the constant term is added. Default: False.
        eps: lower bound of the variance. Default: 1e-6.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["full", "eps", "reduction"]

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        """Returns the loss of means `input` and variances `var` against `target`."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence; the input is in log space.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean", "batchmean" or "sum". Default: "mean".
        log_target: whether the target is in log space. Default: False.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_WeightedLoss):
    """Binary cross entropy of probabilities.

    Args:
        weight: factors of the elements. Default: 1.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["reduction"]

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of the sigmoid of the input.

    Args:
        weight: factors of the elements. Default: 1.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
        pos_weight: factors of positive targets, per class. Default: 1.
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class HingeEmbeddingLoss(_Loss):
    """Loss of distances `x` with targets 1 (x) and -1 (max(0, margin - x)).

    Args:
        margin: the margin. Default: 1.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared error below `beta`, absolute error above.

    Args:
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
        beta: where the two meet. Default: 1.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squared error below `delta`, `delta` times absolute error above (Huber, 1964).

    Args:
        reduction: "none", "mean" or "sum". Default: "mean".
        delta: where the two meet. Default: 1.
    """

    __constants__ = ["reduction", "delta"]

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class CrossEntropyLoss(_WeightedLoss):
    """Cross entropy of the softmax of the input.

    Args:
        weight: factors per class (C). Default: 1.
        size_average: deprecated, use `reduction`.
        ignore_index: target that does not count. Default: -100.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
        label_smoothing: share of the uniform distribution in the target. Default: 0.
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self,
        weight=None,
        size_average=None,
        ignore_index=-100,
        reduce=None,
        reduction="mean",
        label_smoothing=0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        """Returns the loss of logits `input` (N, C, ...) against indices (N, ...) or probabilities (N, C, ...)."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """One logistic loss per class, averaged.

    Args:
        weight: factors per class (C). Default: 1.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["reduction"]

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """`1 - cos` for targets 1 and `max(0, cos - margin)` for targets -1.

    Args:
        margin: the margin. Default: 0.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """Returns the loss of the pairs (N, D)."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """`max(0, -y (x1 - x2) + margin)` with targets 1 and -1.

    Args:
        margin: the margin. Default: 0.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """Returns the loss of the pairs."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """Hinge loss of classes.

    Args:
        p: exponent, 1 or 2. Default: 1.
        margin: the margin. Default: 1.
        weight: factors per class (C). Default: 1.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["p", "margin", "reduction"]

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        if p != 1 and p != 2:
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D instead")
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        """Returns the loss of `input` against `target`."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)` with a p-norm distance.

    Args:
        margin: the margin. Default: 1.
        p: exponent of the norm. Default: 2.
        eps: added to the differences. Default: 1e-6.
        swap: whether the nearer of anchor and positive is used against the negative. Default: False.
        size_average: deprecated, use `reduction`.
        reduce: deprecated, use `reduction`.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["margin", "p", "eps", "swap", "reduction"]

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        """Returns the loss of the triplets (N, D) or (D)."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)` with any distance.

    Args:
        distance_function: distance of two tensors. Default: the Euclidean distance.
        margin: the margin. Default: 1.
        swap: whether the nearer of anchor and positive is used against the negative. Default: False.
        reduction: "none", "mean" or "sum". Default: "mean".
    """

    __constants__ = ["margin", "swap", "reduction"]

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = distance_function if distance_function is not None else PairwiseDistance()
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        """Returns the loss of the triplets."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """Loss of label sequences without alignment (Graves et al., 2006).

    Args:
        blank: index of the blank label. Default: 0.
        reduction: "none", "mean" or "sum". Default: "mean".
        zero_infinity: whether infinite losses count as zero. Default: False.
    """

    __constants__ = ["blank", "reduction"]

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        """Returns the loss of `log_probs` (T, N, C) against `targets` (N, S) or concatenated."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


@dataclass
class LinearCrossEntropyOptions:
    """Wishes about how `LinearCrossEntropyLoss` is computed; the result is the same for all of them.

    Args:
        allow_retain_graph: whether the graph may be kept after backward. Default: False.
        batch_chunk_size: rows per chunk.
        chunking_method: name of a way to cut the batch. Default: "auto".
        acc_policy: "accurate", "balanced", "compact" or "auto". Default: "auto".
        acc_dtype: dtype of sums.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: object = None
    chunking_method: object = "auto"
    acc_policy: str = "auto"
    acc_dtype: object = None


class LinearCrossEntropyLoss(_WeightedLoss):
    """Cross entropy of a linear map of the input.

    Args:
        in_features: size of the last dimension of the input.
        num_classes: number of classes C.
        out_features: sizes of further dimensions of the output, after the classes. Default: none.
        bias: whether the linear map has a bias. Default: False.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
        reduction: "none", "mean" or "sum". Default: "mean".
        weight: factors per class (C). Default: 1.
        ignore_index: class index that does not count. Default: -100.
        label_smoothing: share of the uniform distribution in the target. Default: 0.
        options: `LinearCrossEntropyOptions`.
    """

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self,
        in_features,
        num_classes,
        *,
        out_features=(),
        bias=False,
        device=None,
        dtype=None,
        reduction="mean",
        weight=None,
        ignore_index=None,
        label_smoothing=0.0,
        options=None,
    ):
        super().__init__(weight, reduction=reduction)
        self.in_features = in_features
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        count = num_classes
        for size in self.out_features:
            count *= size
        self.linear = Linear(in_features, count, bias=bias, device=device, dtype=dtype)

    def forward(self, input, target):
        """Returns the loss of `input` (N, in_features) against indices (N, ...) or probabilities (N, C, ...)."""
        logits = self.linear(input)
        if self.out_features:
            logits = logits.unflatten(-1, (self.num_classes, *self.out_features))
        return F.cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=-100 if self.ignore_index is None else self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self):
        """Returns the settings."""
        return (
            f"in_features={self.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
