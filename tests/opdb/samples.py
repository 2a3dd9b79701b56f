"""Generators of sample inputs that many rows share."""

from .row import Sample as S

# 0-d, one vector lane and its tail, more than one block, rows, no elements.
SHAPES = ((), (3,), (131,), (2, 3), (4, 1, 5), (0,), (2, 0, 3))


def unary(low=None, high=None, shapes=SHAPES, **kwargs):
    """One tensor, in a domain."""

    def draw(make):
        for shape in shapes:
            yield S(make(*shape, low=low, high=high), **kwargs)

    return draw


def calls(*more, shapes=((2, 3), (7,)), low=None, high=None, distinct=False):
    """One tensor and each of the further arguments: a tuple, or a dict of keywords."""

    def draw(make):
        for shape in shapes:
            for extra in more:
                x = make.distinct(*shape) if distinct else make(*shape, low=low, high=high)
                yield S(x, **extra) if isinstance(extra, dict) else S(x, *extra)

    return draw


def binary(low=None, high=None, low2=None, high2=None, numbers=(), broadcast=True, **kwargs):
    """Two tensors: equal shapes, broadcast shapes, and a tensor with each of `numbers`."""

    def draw(make):
        pairs = [((), ()), ((67,), (67,)), ((2, 3), (2, 3)), ((0,), (0,))]
        if broadcast:
            pairs += [((2, 3), ()), ((), (4,)), ((4, 1, 3), (2, 1)), ((2, 0), (1, 1)), ((3, 1), (1, 5))]
        first, second = (low, high), (low if low2 is None else low2, high if high2 is None else high2)
        for a, b in pairs:
            yield S(make(*a, low=first[0], high=first[1]), make(*b, low=second[0], high=second[1]), **kwargs)
        for number in numbers:
            yield S(make(2, 3, low=first[0], high=first[1]), number, **kwargs)

    return draw


def reduction(
    shapes=((), (5,), (3, 4), (2, 3, 4)), many=True, none=True, empty=True, distinct=False, low=None, high=None, **kw
):
    """One tensor with no dim, each kind of dim, and several dims, keeping them or not."""

    def draw(make):
        def x(*shape):
            return make.distinct(*shape) if distinct else make(*shape, low=low, high=high)

        for shape in shapes:
            if none:
                yield S(x(*shape), **kw)
            for dim in sorted({0, -1} if len(shape) else {0}):
                yield S(x(*shape), dim, **kw)
                yield S(x(*shape), dim=dim, keepdim=True, **kw)
        yield S(x(33, 70), 1, **kw)
        yield S(x(70, 33), 0, **kw)
        if many:
            yield S(x(2, 3, 4), (0, 2), **kw)
            yield S(x(2, 3, 4), dim=(1, -1), keepdim=True, **kw)
        if empty:
            yield S(x(2, 0, 3), 0, **kw)
            yield S(x(2, 0, 3), 1, **kw)

    return draw


def given(*make_samples):
    """Each sample is what a function of the maker returns: a `Sample`, or a tuple of arguments."""

    def draw(make):
        for f in make_samples:
            made = f(make)
            yield made if isinstance(made, S) else S(*made) if isinstance(made, tuple) else S(made)

    return draw
