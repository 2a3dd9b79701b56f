//! A Python number, and conversion between element types.

use crate::dtype::DType;
use half::{bf16, f16};
use num_complex::Complex;

/// A number without a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    UInt(u64),
    Float(f64),
    Complex(f64, f64),
}

impl Scalar {
    #[inline]
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => b as u8 as f64,
            Scalar::Int(i) => i as f64,
            Scalar::UInt(i) => i as f64,
            Scalar::Float(f) => f,
            Scalar::Complex(re, _) => re,
        }
    }

    #[inline]
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(b) => b as i64,
            Scalar::Int(i) => i,
            Scalar::UInt(i) => i as i64,
            Scalar::Float(f) => f as i64,
            Scalar::Complex(re, _) => re as i64,
        }
    }

    pub fn to_bool(self) -> bool {
        match self {
            Scalar::Bool(b) => b,
            Scalar::Int(i) => i != 0,
            Scalar::UInt(i) => i != 0,
            Scalar::Float(f) => f != 0.0,
            Scalar::Complex(re, im) => re != 0.0 || im != 0.0,
        }
    }

    pub fn to_complex(self) -> Complex<f64> {
        match self {
            Scalar::Complex(re, im) => Complex::new(re, im),
            s => Complex::new(s.to_f64(), 0.0),
        }
    }

    /// The dtype a 0-d tensor of this number has before the default dtype is applied.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(_) => DType::I64,
            Scalar::UInt(_) => DType::U64,
            Scalar::Float(_) => DType::F64,
            Scalar::Complex(..) => DType::C128,
        }
    }

    pub fn is_complex(self) -> bool {
        matches!(self, Scalar::Complex(..))
    }

    pub fn is_integral(self) -> bool {
        matches!(self, Scalar::Bool(_) | Scalar::Int(_) | Scalar::UInt(_))
    }

    /// Refuses a number that elements of `dtype` cannot hold; negative integers may wrap into unsigned ones.
    pub fn check_fits(self, dtype: DType) -> crate::error::Result<()> {
        let bits = dtype.size() as u32 * 8;
        let limit = |top: f64, x: f64| x.is_nan() || x.is_infinite() || x.abs() <= top;
        let real = |x: f64| match dtype {
            DType::F16 => limit(65504.0, x),
            DType::BF16 => limit(bf16::MAX.to_f64(), x),
            DType::F32 | DType::C64 => limit(f32::MAX as f64, x),
            DType::F64 | DType::C128 | DType::Bool => true,
            d if d.is_signed() => {
                x >= -(2f64.powi(bits as i32 - 1)) && x < 2f64.powi(bits as i32 - 1)
            }
            _ => x >= 0.0 && x < 2f64.powi(bits as i32),
        };
        let fits = match self {
            Scalar::Bool(_) => true,
            Scalar::Int(i) if dtype.is_integer() => {
                let (i, top) = (i as i128, 1i128 << (bits - dtype.is_signed() as u32));
                i < top && i >= -(top - !dtype.is_signed() as i128)
            }
            Scalar::UInt(u) if dtype.is_integer() => {
                (u as i128) < 1i128 << (bits - dtype.is_signed() as u32)
            }
            Scalar::Int(_) | Scalar::UInt(_) => real(self.to_f64()),
            Scalar::Float(x) => real(x),
            Scalar::Complex(re, im) => {
                real(re)
                    && if dtype.is_complex() {
                        real(im)
                    } else {
                        im == 0.0
                    }
            }
        };
        crate::check!(
            fits,
            Runtime,
            "value cannot be converted to type {} without overflow",
            dtype.c_name()
        );
        Ok(())
    }

    pub fn conj(self) -> Scalar {
        match self {
            Scalar::Complex(re, im) => Scalar::Complex(re, -im),
            s => s,
        }
    }

    /// Writes the number as an element of type `T`.
    #[inline]
    pub fn to<T: Element>(self) -> T {
        T::from_scalar(self)
    }

    /// # Safety
    /// `p` must be readable for `dtype.size()` bytes.
    pub unsafe fn read(p: *const u8, dtype: DType) -> Scalar {
        // SAFETY: the caller vouches for the bytes; reads are unaligned.
        crate::dispatch!(dtype, T => unsafe { (p as *const T).read_unaligned().to_scalar() })
    }

    /// # Safety
    /// `p` must be writable for `dtype.size()` bytes.
    pub unsafe fn write(self, p: *mut u8, dtype: DType) {
        // SAFETY: the caller vouches for the bytes; writes are unaligned.
        crate::dispatch!(dtype, T => unsafe { (p as *mut T).write_unaligned(self.to::<T>()) })
    }
}

impl From<f64> for Scalar {
    fn from(x: f64) -> Scalar {
        Scalar::Float(x)
    }
}
impl From<i64> for Scalar {
    fn from(x: i64) -> Scalar {
        Scalar::Int(x)
    }
}
impl From<i32> for Scalar {
    fn from(x: i32) -> Scalar {
        Scalar::Int(x as i64)
    }
}
impl From<bool> for Scalar {
    fn from(x: bool) -> Scalar {
        Scalar::Bool(x)
    }
}

/// A Rust type that a tensor can hold.
pub trait Element: Copy + Default + PartialEq + Send + Sync + 'static {
    const DTYPE: DType;
    fn from_scalar(s: Scalar) -> Self;
    fn to_scalar(self) -> Scalar;
    /// The real part as f64; every dtype but 64-bit integers survives it.
    fn to_f64(self) -> f64;
    fn from_f64(x: f64) -> Self;
    /// Conversion by C's rules, as PyTorch casts (complex to real drops the imaginary part).
    fn cast_to<T: Element>(self) -> T;
}

/// C's float-to-integer conversion as x86 does it: what does not fit goes through the widest signed type.
#[inline]
fn int_of(x: f64) -> i64 {
    if (-9.223372036854775808e18..9.223372036854775808e18).contains(&x) {
        x as i64
    } else {
        i64::MIN
    }
}

/// As `int_of` for what C converts through 32 bits.
#[inline]
fn narrow_int_of(x: f64) -> i32 {
    if x > -2147483649.0 && x < 2147483648.0 {
        x as i32
    } else {
        i32::MIN
    }
}

macro_rules! int_element {
    ($($T:ty => $D:ident),*) => { $(impl Element for $T {
        const DTYPE: DType = DType::$D;
        #[inline(always)]
        fn from_scalar(s: Scalar) -> $T {
            match s { Scalar::Bool(b) => b as $T, Scalar::Int(i) => i as $T, Scalar::UInt(i) => i as $T,
                      Scalar::Float(f) => Self::from_f64(f), Scalar::Complex(re, _) => Self::from_f64(re) }
        }
        #[inline(always)]
        fn to_scalar(self) -> Scalar {
            if (self as i128) > i64::MAX as i128 { Scalar::UInt(self as u64) } else { Scalar::Int(self as i64) }
        }
        #[inline(always)]
        fn to_f64(self) -> f64 { self as f64 }
        #[inline(always)]
        fn from_f64(x: f64) -> $T {
            if size_of::<$T>() < 4 || stringify!($T) == "i32" { return narrow_int_of(x) as $T; }
            if stringify!($T) == "u64" && x >= 9.223372036854775808e18 { x as $T } else { int_of(x) as $T }
        }
        #[inline(always)]
        fn cast_to<T: Element>(self) -> T {
            match T::DTYPE {
                DType::F32 => T::from_f64(self as f32 as f64),
                _ => T::from_scalar(self.to_scalar()),
            }
        }
    })* };
}
int_element!(u8 => U8, i8 => I8, i16 => I16, i32 => I32, i64 => I64, u16 => U16, u32 => U32, u64 => U64);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    #[inline(always)]
    fn from_scalar(s: Scalar) -> bool {
        s.to_bool()
    }
    #[inline(always)]
    fn to_scalar(self) -> Scalar {
        Scalar::Bool(self)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self as u8 as f64
    }
    #[inline(always)]
    fn from_f64(x: f64) -> bool {
        x != 0.0
    }
    #[inline(always)]
    fn cast_to<T: Element>(self) -> T {
        T::from_f64(self as u8 as f64)
    }
}

macro_rules! float_element {
    ($($T:ty => $D:ident, $to:expr, $from:expr);*) => { $(impl Element for $T {
        const DTYPE: DType = DType::$D;
        #[inline(always)]
        fn from_scalar(s: Scalar) -> $T { Self::from_f64(s.to_f64()) }
        #[inline(always)]
        fn to_scalar(self) -> Scalar { Scalar::Float(self.to_f64()) }
        #[inline(always)]
        fn to_f64(self) -> f64 { let to: fn($T) -> f64 = $to; to(self) }
        #[inline(always)]
        fn from_f64(x: f64) -> $T { let from: fn(f64) -> $T = $from; from(x) }
        #[inline(always)]
        fn cast_to<T: Element>(self) -> T { T::from_f64(self.to_f64()) }
    })* };
}
// Half types are rounded once from float32 where the source is a float32 value, which f64 holds exactly.
float_element!(f32 => F32, |x| x as f64, |x| x as f32; f64 => F64, |x| x, |x| x;
    f16 => F16, |x| x.to_f32() as f64, |x| f16::from_f32(x as f32);
    bf16 => BF16, |x| x.to_f32() as f64, |x| bf16::from_f32(x as f32));

macro_rules! complex_element {
    ($($T:ty => $D:ident),*) => { $(impl Element for Complex<$T> {
        const DTYPE: DType = DType::$D;
        #[inline(always)]
        fn from_scalar(s: Scalar) -> Self { let c = s.to_complex(); Complex::new(c.re as $T, c.im as $T) }
        #[inline(always)]
        fn to_scalar(self) -> Scalar { Scalar::Complex(self.re as f64, self.im as f64) }
        #[inline(always)]
        fn to_f64(self) -> f64 { self.re as f64 }
        #[inline(always)]
        fn from_f64(x: f64) -> Self { Complex::new(x as $T, 0.0) }
        #[inline(always)]
        fn cast_to<T: Element>(self) -> T { T::from_scalar(self.to_scalar()) }
    })* };
}
complex_element!(f32 => C64, f64 => C128);
