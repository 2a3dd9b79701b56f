"""The sets that parameters and values of distributions must lie in."""


class Constraint:
    """A set of tensors, with a name for messages."""

    def __init__(self, name, check, event_dim=0):
        self._name = name
        self._check = check
        self.event_dim = event_dim

    def check(self, value):
        """Returns a bool tensor: which elements (for vectors: which rows) are in the set."""
        return self._check(value)

    def __repr__(self):
        return self._name


def greater_than(bound):
    """Numbers above `bound`."""
    return Constraint(f"GreaterThan(lower_bound={bound})", lambda v: v > bound)


def less_than(bound):
    """Numbers below `bound`."""
    return Constraint(f"LessThan(upper_bound={bound})", lambda v: v < bound)


def interval(low, high):
    """Numbers from `low` to `high`, both included."""
    return Constraint(f"Interval(lower_bound={low}, upper_bound={high})", lambda v: (v >= low) & (v <= high))


def integer_interval(low, high):
    """Integers from `low` to `high`, both included."""
    return Constraint(
        f"IntegerInterval(lower_bound={low}, upper_bound={high})",
        lambda v: (v % 1 == 0) & (v >= low) & (v <= high),
    )


real = Constraint("Real()", lambda v: v == v)
real_vector = Constraint("IndependentConstraint(Real(), 1)", lambda v: (v == v).all(-1), 1)
positive = greater_than(0.0)
nonnegative = Constraint("GreaterThanEq(lower_bound=0.0)", lambda v: v >= 0)
nonnegative_integer = Constraint("IntegerGreaterThan(lower_bound=0)", lambda v: (v % 1 == 0) & (v >= 0))
unit_interval = interval(0.0, 1.0)
boolean = Constraint("Boolean()", lambda v: (v == 0) | (v == 1))
positive_vector = Constraint("IndependentConstraint(GreaterThan(lower_bound=0.0), 1)", lambda v: (v > 0).all(-1), 1)
simplex = Constraint("Simplex()", lambda v: (v >= 0).all(-1) & ((v.sum(-1) - 1).abs() < 1e-6), 1)
one_hot = Constraint("OneHot()", lambda v: ((v == 0) | (v == 1)).all(-1) & (v.sum(-1) == 1), 1)
