//! Element types, their names and PyTorch's promotion rules.

use crate::error::Result;
use std::cell::Cell;

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    U16,
    U32,
    U64,
    F16,
    BF16,
    F32,
    F64,
    C64,
    C128,
}

use DType::*;

/// One row per dtype: size in bytes, PyTorch's name, the name in error messages, legacy alias.
const INFO: [(usize, &str, &str, Option<&str>); 15] = [
    (1, "bool", "Bool", None),
    (1, "uint8", "Byte", None),
    (1, "int8", "Char", None),
    (2, "int16", "Short", Some("short")),
    (4, "int32", "Int", Some("int")),
    (8, "int64", "Long", Some("long")),
    (2, "uint16", "UInt16", None),
    (4, "uint32", "UInt32", None),
    (8, "uint64", "UInt64", None),
    (2, "float16", "Half", Some("half")),
    (2, "bfloat16", "BFloat16", None),
    (4, "float32", "Float", Some("float")),
    (8, "float64", "Double", Some("double")),
    (8, "complex64", "ComplexFloat", Some("cfloat")),
    (16, "complex128", "ComplexDouble", Some("cdouble")),
];

impl DType {
    pub const ALL: [DType; 15] = [
        Bool, U8, I8, I16, I32, I64, U16, U32, U64, F16, BF16, F32, F64, C64, C128,
    ];

    /// Bytes per element.
    #[inline]
    pub const fn size(self) -> usize {
        INFO[self as usize].0
    }

    /// The public name, such as `float32`.
    pub fn name(self) -> &'static str {
        INFO[self as usize].1
    }

    /// The name PyTorch's messages use, such as `Float`.
    pub fn scalar_name(self) -> &'static str {
        INFO[self as usize].2
    }

    /// The name of the C++ type, which some messages use.
    pub fn native_name(self) -> &'static str {
        match self {
            Bool => "bool",
            U8 => "unsigned char",
            I8 => "signed char",
            I16 => "short int",
            I32 => "int",
            I64 => "long int",
            U16 => "short unsigned int",
            U32 => "unsigned int",
            U64 => "long unsigned int",
            F16 => "c10::Half",
            BF16 => "c10::BFloat16",
            F32 => "float",
            F64 => "double",
            C64 => "c10::complex<float>",
            C128 => "c10::complex<double>",
        }
    }

    /// The name of the C type, which messages about numbers without room in it use.
    pub fn c_name(self) -> &'static str {
        match self {
            U8 => "uint8_t",
            I8 => "int8_t",
            I16 => "int16_t",
            I64 => "int64_t",
            U16 => "uint16_t",
            U32 => "uint32_t",
            U64 => "uint64_t",
            d => d.native_name(),
        }
    }

    /// The second public name, such as `long` for int64.
    pub fn alias(self) -> Option<&'static str> {
        INFO[self as usize].3
    }

    #[inline]
    pub fn is_floating(self) -> bool {
        matches!(self, F16 | BF16 | F32 | F64)
    }

    #[inline]
    pub fn is_complex(self) -> bool {
        matches!(self, C64 | C128)
    }

    /// Integers without bool.
    #[inline]
    pub fn is_integer(self) -> bool {
        matches!(self, U8 | I8 | I16 | I32 | I64 | U16 | U32 | U64)
    }

    /// Integers and bool.
    #[inline]
    pub fn is_integral(self) -> bool {
        self as u8 <= U64 as u8
    }

    #[inline]
    pub fn is_signed(self) -> bool {
        !matches!(self, Bool | U8 | U16 | U32 | U64)
    }

    /// Dtypes that can carry gradients.
    #[inline]
    pub fn is_differentiable(self) -> bool {
        self as u8 >= F16 as u8
    }

    /// The dtype of the real and imaginary part of a complex dtype; other dtypes are their own.
    pub fn to_real(self) -> DType {
        match self {
            C64 => F32,
            C128 => F64,
            d => d,
        }
    }

    /// The complex dtype that holds this one.
    pub fn to_complex(self) -> DType {
        match self {
            F64 | C128 => C128,
            _ => C64,
        }
    }

    /// The dtype arithmetic runs in: half precision computes in float32.
    #[inline]
    pub fn compute(self) -> DType {
        match self {
            F16 | BF16 => F32,
            d => d,
        }
    }

    /// The dtype sums run in when the result has this dtype.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL
            .into_iter()
            .find(|d| d.name() == name || d.alias() == Some(name))
    }

    /// 0 bool, 1 integer, 2 floating, 3 complex.
    pub fn category(self) -> u8 {
        match self {
            Bool => 0,
            C64 | C128 => 3,
            d if d.is_floating() => 2,
            _ => 1,
        }
    }

    /// Whether a result of this dtype may be written into a tensor of dtype `to`.
    pub fn can_cast(self, to: DType) -> bool {
        self.category() <= to.category() && !(self.is_integral() && self != Bool && to == Bool)
    }
}

thread_local! {
    static DEFAULT: Cell<DType> = const { Cell::new(F32) };
}

/// The dtype of new floating tensors.
#[inline]
pub fn default_dtype() -> DType {
    DEFAULT.with(|d| d.get())
}

pub fn set_default_dtype(d: DType) -> Result<()> {
    crate::check!(
        d.is_floating(),
        Type,
        "only floating-point types are supported as the default type"
    );
    DEFAULT.with(|c| c.set(d));
    Ok(())
}

/// The smallest dtype both can be converted to without loss of kind.
#[inline]
pub fn promote_types(a: DType, b: DType) -> Result<DType> {
    if a == b {
        return Ok(a);
    }
    let (lo, hi) = if (a as u8) < (b as u8) {
        (a, b)
    } else {
        (b, a)
    };
    let wide_unsigned = |d| matches!(d, U16 | U32 | U64);
    Ok(match (lo, hi) {
        _ if wide_unsigned(hi) || (wide_unsigned(lo) && hi.is_complex()) => crate::bail!(
            Runtime,
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {} and {}",
            a.scalar_name(),
            b.scalar_name()
        ),
        (U8, I8) => I16,
        (F16, BF16) => F32,
        (F64, C64) => C128,
        // The order of the enum is the order of the lattice in every other case.
        _ => hi,
    })
}

/// Accumulates the operands of an op into PyTorch's result type: tensors with dimensions outrank 0-d
/// tensors, which outrank Python numbers, unless the lower rank is of a higher kind.
#[derive(Clone, Copy, Default)]
pub struct ResultType {
    dims: Option<DType>,
    zero: Option<DType>,
    wrapped: Option<DType>,
}

fn promote_some(a: Option<DType>, b: Option<DType>) -> Result<Option<DType>> {
    match (a, b) {
        (Some(a), Some(b)) => promote_types(a, b).map(Some),
        _ => Ok(a.or(b)),
    }
}

fn combine(higher: Option<DType>, lower: Option<DType>) -> Result<Option<DType>> {
    let (Some(h), Some(l)) = (higher, lower) else {
        return Ok(higher.or(lower));
    };
    if h.is_complex() {
        return Ok(higher);
    }
    if h.is_floating() {
        // A complex number beside a half tensor is still complex64 here.
        return Ok(Some(if l.is_complex() { h.to_complex() } else { h }));
    }
    if matches!(h, U16 | U32 | U64) && l.is_complex() {
        return Ok(lower);
    }
    if h == Bool || l.is_floating() || l.is_complex() {
        return promote_types(h, l).map(Some);
    }
    Ok(higher)
}

impl ResultType {
    pub fn add(&mut self, dtype: DType, ndim: usize, wrapped: bool) -> Result<()> {
        let slot = if ndim > 0 {
            &mut self.dims
        } else if wrapped {
            &mut self.wrapped
        } else {
            &mut self.zero
        };
        let dtype = if wrapped && ndim == 0 {
            match dtype {
                F64 => default_dtype(),
                C128 => default_dtype().to_complex(),
                d => d,
            }
        } else {
            dtype
        };
        *slot = promote_some(*slot, Some(dtype))?;
        Ok(())
    }

    pub fn get(self) -> Result<DType> {
        Ok(combine(self.dims, combine(self.zero, self.wrapped)?)?.unwrap_or_else(default_dtype))
    }
}

/// The Rust type of a dtype's elements.
#[macro_export]
macro_rules! rust_type {
    (Bool) => { bool };
    (U8) => { u8 };
    (I8) => { i8 };
    (I16) => { i16 };
    (I32) => { i32 };
    (I64) => { i64 };
    (U16) => { u16 };
    (U32) => { u32 };
    (U64) => { u64 };
    (F16) => { half::f16 };
    (BF16) => { half::bf16 };
    (F32) => { f32 };
    (F64) => { f64 };
    (C64) => { num_complex::Complex<f32> };
    (C128) => { num_complex::Complex<f64> };
}

/// Runs a block with `$T` bound to the Rust type of a dtype.
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::dispatch!(
            @arms $dtype, $T => $body,
            [Bool U8 I8 I16 I32 I64 U16 U32 U64 F16 BF16 F32 F64 C64 C128]
        )
    };
    (@arms $dtype:expr, $T:ident => $body:expr, [$($D:ident)*] $($other:tt)*) => {
        match $dtype {
            $($crate::dtype::DType::$D => {
                type $T = $crate::rust_type!($D);
                $body
            })*
            $($other)*
        }
    };
}

/// As `dispatch!`, for the dtypes of a kernel: `[F32 F64]`, or one of the kinds below. Others get PyTorch's error in the
/// kernel's name.
#[macro_export]
macro_rules! dispatch_of {
    ($name:expr, $dtype:expr, floats, $T:ident => $body:expr) => {
        $crate::dispatch_of!($name, $dtype, [F16 BF16 F32 F64], $T => $body)
    };
    // Floating and complex.
    ($name:expr, $dtype:expr, fields, $T:ident => $body:expr) => {
        $crate::dispatch_of!($name, $dtype, [F16 BF16 F32 F64 C64 C128], $T => $body)
    };
    // All that have an order: all but the complex ones.
    ($name:expr, $dtype:expr, ordered, $T:ident => $body:expr) => {
        $crate::dispatch_of!(
            $name, $dtype, [Bool U8 I8 I16 I32 I64 U16 U32 U64 F16 BF16 F32 F64], $T => $body
        )
    };
    // PyTorch's numbers: neither bool nor the wide unsigned ones.
    ($name:expr, $dtype:expr, numbers, $T:ident => $body:expr) => {
        $crate::dispatch_of!($name, $dtype, [U8 I8 I16 I32 I64 F16 BF16 F32 F64 C64 C128], $T => $body)
    };
    ($name:expr, $dtype:expr, reals, $T:ident => $body:expr) => {
        $crate::dispatch_of!($name, $dtype, [U8 I8 I16 I32 I64 F16 BF16 F32 F64], $T => $body)
    };
    ($name:expr, $dtype:expr, [$($D:ident)*], $T:ident => $body:expr) => {
        $crate::dispatch!(
            @arms $dtype, $T => $body, [$($D)*]
            d => $crate::bail!(
                NotImplemented,
                "\"{}\" not implemented for '{}'",
                $name,
                d.scalar_name()
            )
        )
    };
}

/// As `dispatch!`, for the two dtypes floats are computed in.
#[macro_export]
macro_rules! dispatch_real {
    ($dtype:expr, $T:ident => $body:expr) => {{
        if $dtype == $crate::dtype::DType::F64 {
            type $T = f64;
            $body
        } else {
            type $T = f32;
            $body
        }
    }};
}

/// As `dispatch!`, by size alone: for code that only moves elements.
#[macro_export]
macro_rules! dispatch_size {
    ($dtype:expr, $T:ident => $body:expr) => {{
        match $dtype.size() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            8 => {
                type $T = u64;
                $body
            }
            _ => {
                type $T = u128;
                $body
            }
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_follows_the_lattice() {
        assert_eq!(promote_types(U8, I8).unwrap(), I16);
        assert_eq!(promote_types(I64, F16).unwrap(), F16);
        assert_eq!(promote_types(F16, BF16).unwrap(), F32);
        assert_eq!(promote_types(F64, C64).unwrap(), C128);
        assert_eq!(promote_types(U16, F32).unwrap(), F32);
        assert!(promote_types(U16, I32).is_err());
        assert!(promote_types(U16, C64).is_err());
    }

    #[test]
    fn numbers_do_not_widen_tensors() {
        let mut r = ResultType::default();
        r.add(F16, 1, false).unwrap();
        r.add(F64, 0, true).unwrap();
        assert_eq!(r.get().unwrap(), F16);
    }
}
