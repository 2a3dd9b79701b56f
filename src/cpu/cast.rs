//! Strided copies with conversion between all dtypes.

use crate::dispatch;
use crate::dtype::DType;
use crate::scalar::Element;
use half::{bf16, f16};

/// Converts `n` elements from `src` to `dst`; strides in bytes.
pub type Cast = unsafe fn(src: *const u8, ss: isize, dst: *mut u8, ds: isize, n: usize);

/// # Safety
/// `n` elements at the given strides must be readable at `src` and writable at `dst`.
unsafe fn convert<S: Element, D: Element>(
    src: *const u8,
    ss: isize,
    dst: *mut u8,
    ds: isize,
    n: usize,
) {
    let (s_item, d_item) = (size_of::<S>() as isize, size_of::<D>() as isize);
    // SAFETY: the caller's promise.
    unsafe {
        if ss == s_item && ds == d_item {
            let (src, dst) = (src as *const S, dst as *mut D);
            for i in 0..n {
                dst.add(i).write((*src.add(i)).cast_to::<D>());
            }
        } else if ss == 0 {
            let value = (src as *const S).read_unaligned().cast_to::<D>();
            for i in 0..n as isize {
                (dst.wrapping_offset(i * ds) as *mut D).write(value);
            }
        } else {
            for i in 0..n as isize {
                let x = *(src.wrapping_offset(i * ss) as *const S);
                (dst.wrapping_offset(i * ds) as *mut D).write(x.cast_to::<D>());
            }
        }
    }
}

/// # Safety
/// As `convert`.
unsafe fn copy<T: Copy>(src: *const u8, ss: isize, dst: *mut u8, ds: isize, n: usize) {
    let item = size_of::<T>() as isize;
    // SAFETY: the caller's promise; `copy` allows overlap.
    unsafe {
        if ss == item && ds == item {
            std::ptr::copy(src as *const T, dst as *mut T, n);
        } else if ss == 0 {
            let value = (src as *const T).read_unaligned();
            for i in 0..n as isize {
                (dst.wrapping_offset(i * ds) as *mut T).write(value);
            }
        } else {
            for i in 0..n as isize {
                (dst.wrapping_offset(i * ds) as *mut T)
                    .write(*(src.wrapping_offset(i * ss) as *const T));
            }
        }
    }
}

/// Contiguous conversions of half precision by whole slices, which use the machine's instructions.
macro_rules! half_slices {
    ($($name:ident: $S:ty => $D:ty, $f:path, $slow:ident::<$A:ty, $B:ty>;)*) => { $(
        /// # Safety
        /// As `convert`.
        unsafe fn $name(src: *const u8, ss: isize, dst: *mut u8, ds: isize, n: usize) {
            // SAFETY: the caller's promise; slices only where both sides are contiguous and thus disjoint or staged.
            unsafe {
                if ss == size_of::<$S>() as isize && ds == size_of::<$D>() as isize {
                    let s = std::slice::from_raw_parts(src as *const $S, n);
                    let d = std::slice::from_raw_parts_mut(dst as *mut $D, n);
                    $f(s, d);
                } else {
                    $slow::<$A, $B>(src, ss, dst, ds, n);
                }
            }
        }
    )* };
}

fn widen_f16(s: &[f16], d: &mut [f32]) {
    use half::slice::HalfFloatSliceExt;
    s.convert_to_f32_slice(d);
}
fn narrow_f16(s: &[f32], d: &mut [f16]) {
    use half::slice::HalfFloatSliceExt;
    d.convert_from_f32_slice(s);
}
fn widen_bf16(s: &[bf16], d: &mut [f32]) {
    for (d, s) in d.iter_mut().zip(s) {
        *d = f32::from_bits((s.to_bits() as u32) << 16);
    }
}
fn narrow_bf16(s: &[f32], d: &mut [bf16]) {
    for (d, s) in d.iter_mut().zip(s) {
        *d = bf16::from_f32(*s);
    }
}

half_slices! {
    f16_f32: f16 => f32, widen_f16, convert::<f16, f32>;
    f32_f16: f32 => f16, narrow_f16, convert::<f32, f16>;
    bf16_f32: bf16 => f32, widen_bf16, convert::<bf16, f32>;
    f32_bf16: f32 => bf16, narrow_bf16, convert::<f32, bf16>;
}

/// The conversion from one dtype to another.
pub fn cast(from: DType, to: DType) -> Cast {
    if from == to {
        return crate::dispatch_size!(from, T => copy::<T>);
    }
    match (from, to) {
        (DType::F16, DType::F32) => f16_f32,
        (DType::F32, DType::F16) => f32_f16,
        (DType::BF16, DType::F32) => bf16_f32,
        (DType::F32, DType::BF16) => f32_bf16,
        _ => dispatch!(from, S => dispatch!(to, D => convert::<S, D>)),
    }
}
