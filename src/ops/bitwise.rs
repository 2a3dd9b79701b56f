//! Logic, bits and divisibility.

pointwise! {
    /// Returns whether each element of `input` is zero.
    logical_not(x) -> Bool {
        float = x == R::ZERO,
        int = x == I::ZERO,
        bool = !x,
        complex = x.is_zero(),
        wgsl = "x == 0",
    }
}

pointwise! {
    /// Returns whether both `input` and `other` are nonzero, elementwise.
    logical_and(a, b) -> Bool {
        float = (a != R::ZERO) & (b != R::ZERO),
        int = (a != I::ZERO) & (b != I::ZERO),
        bool = a & b,
        complex = !a.is_zero() && !b.is_zero(),
        wgsl = "a != 0 && b != 0",
    }
}

pointwise! {
    /// Returns whether `input` or `other` is nonzero, elementwise.
    logical_or(a, b) -> Bool {
        float = (a != R::ZERO) | (b != R::ZERO),
        int = (a != I::ZERO) | (b != I::ZERO),
        bool = a | b,
        complex = !a.is_zero() || !b.is_zero(),
        wgsl = "a != 0 || b != 0",
    }
}

pointwise! {
    /// Returns whether exactly one of `input` and `other` is nonzero, elementwise.
    logical_xor(a, b) -> Bool {
        float = (a != R::ZERO) != (b != R::ZERO),
        int = (a != I::ZERO) != (b != I::ZERO),
        bool = a != b,
        complex = a.is_zero() != b.is_zero(),
        wgsl = "(a != 0) != (b != 0)",
    }
}

pointwise! {
    /// Returns the elements of `input` with every bit inverted; of bool the opposite.
    bitwise_not(x) -> Promote {
        int = !x,
        bool = !x,
        wgsl_int = "~x",
        wgsl_bool = "1 - x",
        no_grad = "integer",
    }
}

pointwise! {
    /// Returns the bits set in both `input` and `other`; of bool the logical and.
    bitwise_and(a, b) -> Promote, numbers both {
        int = a & b,
        bool = a & b,
        wgsl_int = "a & b",
        no_grad = "integer",
    }
}

pointwise! {
    /// Returns the bits set in `input` or `other`; of bool the logical or.
    bitwise_or(a, b) -> Promote, numbers both {
        int = a | b,
        bool = a | b,
        wgsl_int = "a | b",
        no_grad = "integer",
    }
}

pointwise! {
    /// Returns the bits set in exactly one of `input` and `other`; of bool the logical exclusive or.
    bitwise_xor(a, b) -> Promote, numbers both {
        int = a ^ b,
        bool = a != b,
        wgsl_int = "a ^ b",
        no_grad = "integer",
    }
}

pointwise! {
    /// Shifts the bits of `input` left by `other`; shifts beyond the width give 0.
    bitwise_left_shift(a, b) -> Promote, numbers both {
        int = a.shl(b),
        wgsl_int = "a << u32(b)",
        no_grad = "integer",
    }
}

pointwise! {
    /// Shifts the bits of `input` right by `other`, keeping the sign of signed integers.
    bitwise_right_shift(a, b) -> Promote, numbers both {
        int = a.shr(b),
        wgsl_int = "a >> u32(b)",
        no_grad = "integer",
    }
}

pointwise! {
    /// Returns the greatest common divisor of `input` and `other`, elementwise; 0 where both are 0.
    gcd(a, b) -> Promote {
        int = a.gcd(b),
        no_grad = "integer",
    }
}

pointwise! {
    /// Returns the least common multiple of `input` and `other`, elementwise.
    lcm(a, b) -> Promote {
        int = a.lcm(b),
        no_grad = "integer",
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &logical_not::DEF,
    &logical_and::DEF,
    &logical_or::DEF,
    &logical_xor::DEF,
    &bitwise_not::DEF,
    &bitwise_and::DEF,
    &bitwise_or::DEF,
    &bitwise_xor::DEF,
    &bitwise_left_shift::DEF,
    &bitwise_right_shift::DEF,
    &gcd::DEF,
    &lcm::DEF,
];
