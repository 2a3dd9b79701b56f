"""Modules: which are made, of what, and what they are called with."""

import inspect

import rtorch as torch
from rtorch import nn

from .ops import Call

IMAGE, SIGNAL, CUBE, TABLE = (2, 4, 6, 6), (2, 4, 9), (1, 4, 5, 5, 5), (3, 4)
WHOLE = "whole"
# Constructor arguments and the shapes that forward takes; WHOLE is a tensor of integers.
MODULES = {
    "Linear": ((4, 3), TABLE),
    "Bilinear": ((4, 4, 2), TABLE, TABLE),
    "Conv1d": ((4, 2, 3), SIGNAL),
    "Conv2d": ((4, 2, 3), IMAGE),
    "Conv3d": ((4, 2, 2), CUBE),
    "ConvTranspose1d": ((4, 2, 3), SIGNAL),
    "ConvTranspose2d": ((4, 2, 3), IMAGE),
    "ConvTranspose3d": ((4, 2, 2), CUBE),
    "LazyConv2d": ((2, 3), IMAGE),
    "LazyLinear": ((2,), TABLE),
    "Fold": (((4, 4), (2, 2)), (1, 8, 9)),
    "Unfold": (((2, 2),), IMAGE),
    "MaxPool1d": ((2,), SIGNAL),
    "MaxPool2d": ((2,), IMAGE),
    "MaxPool3d": ((2,), CUBE),
    "AvgPool1d": ((2,), SIGNAL),
    "AvgPool2d": ((2,), IMAGE),
    "AvgPool3d": ((2,), CUBE),
    "LPPool2d": ((2, 2), IMAGE),
    "FractionalMaxPool2d": ((2, 3), IMAGE),
    "FractionalMaxPool3d": ((2, 3), CUBE),
    "AdaptiveAvgPool2d": ((3,), IMAGE),
    "AdaptiveMaxPool2d": ((3,), IMAGE),
    "AdaptiveMaxPool3d": ((3,), CUBE),
    "MaxUnpool2d": ((2,), IMAGE, WHOLE),
    "BatchNorm1d": ((4,), SIGNAL),
    "BatchNorm2d": ((4,), IMAGE),
    "BatchNorm3d": ((4,), CUBE),
    "InstanceNorm2d": ((4,), IMAGE),
    "LazyBatchNorm2d": ((), IMAGE),
    "GroupNorm": ((2, 4), IMAGE),
    "LayerNorm": ((4,), TABLE),
    "RMSNorm": ((4,), TABLE),
    "LocalResponseNorm": ((2,), IMAGE),
    "RNN": ((4, 3, 2), (5, 2, 4)),
    "LSTM": ((4, 3), (5, 2, 4)),
    "GRU": ((4, 3), (5, 2, 4)),
    "RNNCell": ((4, 3), TABLE),
    "LSTMCell": ((4, 3), TABLE),
    "GRUCell": ((4, 3), TABLE),
    "Embedding": ((5, 3), WHOLE),
    "EmbeddingBag": ((5, 3), WHOLE),
    "MultiheadAttention": ((4, 2), (5, 2, 4), (5, 2, 4), (5, 2, 4)),
    "TransformerEncoderLayer": ((4, 2, 8), (5, 2, 4)),
    "TransformerDecoderLayer": ((4, 2, 8), (5, 2, 4), (3, 2, 4)),
    "Transformer": ((4, 2, 1, 1, 8), (5, 2, 4), (3, 2, 4)),
    "Softmax": ((1,), TABLE),
    "GLU": ((), TABLE),
    "PReLU": ((4,), TABLE),
    "RReLU": ((), TABLE),
    "Threshold": ((0.1, 2.0), TABLE),
    "Hardtanh": ((), TABLE),
    "Softplus": ((), TABLE),
    "Dropout2d": ((0.5,), IMAGE),
    "AlphaDropout": ((0.5,), TABLE),
    "Upsample": (((8, 8),), IMAGE),
    "PixelShuffle": ((2,), IMAGE),
    "PixelUnshuffle": ((2,), IMAGE),
    "ChannelShuffle": ((2,), IMAGE),
    "ReflectionPad2d": ((1,), IMAGE),
    "ReplicationPad3d": ((1,), CUBE),
    "ConstantPad1d": ((1, 0.5), SIGNAL),
    "CircularPad2d": ((1,), IMAGE),
    "ZeroPad2d": ((1,), IMAGE),
    "Flatten": ((), IMAGE),
    "Unflatten": ((1, (2, 2)), TABLE),
    "CosineSimilarity": ((), TABLE, TABLE),
    "PairwiseDistance": ((), TABLE, TABLE),
    "AdaptiveLogSoftmaxWithLoss": ((4, 9, (2, 5)), TABLE, WHOLE),
    "CrossEntropyLoss": ((), TABLE, WHOLE),
    "NLLLoss": ((), TABLE, WHOLE),
    "MSELoss": ((), TABLE, TABLE),
    "L1Loss": ((), TABLE, TABLE),
    "HuberLoss": ((), TABLE, TABLE),
    "BCELoss": ((), TABLE, TABLE),
    "BCEWithLogitsLoss": ((), TABLE, TABLE),
    "KLDivLoss": ((), TABLE, TABLE),
    "PoissonNLLLoss": ((), TABLE, TABLE),
    "GaussianNLLLoss": ((), TABLE, TABLE, TABLE),
    "CTCLoss": ((), (9, 3, 4), (3, 2), WHOLE, WHOLE),
    "MultiMarginLoss": ((), TABLE, WHOLE),
    "MultiLabelMarginLoss": ((), (3,), WHOLE),
    "MultiLabelSoftMarginLoss": ((), TABLE, TABLE),
    "CosineEmbeddingLoss": ((), TABLE, TABLE, WHOLE),
    "MarginRankingLoss": ((), (3,), (3,), (3,)),
    "TripletMarginLoss": ((), TABLE, TABLE, TABLE),
    "HingeEmbeddingLoss": ((), TABLE, TABLE),
    "LinearCrossEntropyLoss": ((4, 5), TABLE, WHOLE),
}


class Modules:
    """A module is made and called; its arguments, its input, or a parameter of it are changed."""

    def __init__(self):
        self.names = [name for name in MODULES if hasattr(nn, name)]

    def draw(self, v, index):
        name = self.names[index % len(self.names)]
        args, *shapes = MODULES[name]
        args, kwargs = list(args), {}
        inputs = [torch.tensor([1, 0, 2]) if s is WHOLE else torch.ones(s) for s in shapes]
        cls, what = getattr(nn, name), v.random.randrange(3)
        if what:
            for p in inspect.signature(cls).parameters.values():
                if p.default is not p.empty and v.random.random() < 0.2:
                    kwargs[p.name] = v.value(p.default)
            if v.random.random() < 0.5:
                v.change(args, kwargs)
        if what != 1:
            v.change(inputs, {})
        odd = v.tensor() if v.random.random() < 0.2 else None

        def run(args, inputs, kwargs):
            module = cls(*args, **kwargs)
            repr(module)
            if odd is not None:
                for parameter in module.parameters():
                    parameter.data = odd
            return module(*inputs)

        return Call(run, [args, inputs, kwargs], {}, f"nn.{name}")
