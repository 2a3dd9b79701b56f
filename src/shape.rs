//! Sizes and strides: inline for the ranks people use, and the rules of broadcasting and views.

use crate::error::Result;
use smallvec::SmallVec;

pub type Sizes = SmallVec<[usize; 5]>;
/// In elements, signed: negative steps are views here.
pub type Strides = SmallVec<[isize; 5]>;

/// The number of elements, or an error where it does not fit.
pub fn numel(sizes: &[usize]) -> Result<usize> {
    if sizes.contains(&0) {
        return Ok(0);
    }
    let mut n: usize = 1;
    for &s in sizes {
        n = match n.checked_mul(s) {
            Some(v) if v <= isize::MAX as usize => v,
            _ => crate::bail!(
                Runtime,
                "Storage size calculation overflowed with sizes={}",
                list(sizes)
            ),
        };
    }
    Ok(n)
}

pub fn contiguous_strides(sizes: &[usize]) -> Strides {
    let mut strides: Strides = SmallVec::from_elem(1, sizes.len());
    let mut step = 1isize;
    for i in (0..sizes.len()).rev() {
        strides[i] = step;
        step = step.wrapping_mul(sizes[i].max(1) as isize);
    }
    strides
}

/// PyTorch's `is_contiguous`: axes of size 1 may have any stride.
pub fn is_contiguous(sizes: &[usize], strides: &[isize]) -> bool {
    let mut step = 1isize;
    for i in (0..sizes.len()).rev() {
        if sizes[i] == 0 {
            return true;
        }
        if sizes[i] != 1 {
            if strides[i] != step {
                return false;
            }
            step = step.wrapping_mul(sizes[i] as isize);
        }
    }
    // A zero anywhere makes the tensor empty, which is contiguous.
    true
}

/// `[2, 3]`, as PyTorch prints sizes.
pub fn list<T: std::fmt::Display>(v: &[T]) -> String {
    let mut s = String::from("[");
    for (i, x) in v.iter().enumerate() {
        if i > 0 {
            s.push_str(", ");
        }
        s.push_str(&x.to_string());
    }
    s.push(']');
    s
}

/// The shape two shapes broadcast to.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Sizes> {
    if a == b {
        return Ok(SmallVec::from_slice(a));
    }
    let n = a.len().max(b.len());
    let mut out: Sizes = SmallVec::from_elem(1, n);
    for i in 0..n {
        let x = if i + a.len() >= n {
            a[i + a.len() - n]
        } else {
            1
        };
        let y = if i + b.len() >= n {
            b[i + b.len() - n]
        } else {
            1
        };
        out[i] = match (x, y) {
            _ if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => crate::bail!(
                Runtime,
                "The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {i}"
            ),
        };
    }
    Ok(out)
}

/// Wraps a possibly negative dimension; a 0-d tensor has one virtual dimension.
pub fn wrap_dim(dim: i64, ndim: usize) -> Result<usize> {
    let n = ndim.max(1) as i64;
    crate::check!(
        dim >= -n && dim < n,
        Index,
        "Dimension out of range (expected to be in range of [{}, {}], but got {dim})",
        -n,
        n - 1
    );
    Ok(if dim < 0 { dim + n } else { dim } as usize)
}

/// Wraps a list of dimensions into a mask; repeats are an error. An empty list means none.
pub fn wrap_dims(dims: &[i64], ndim: usize) -> Result<SmallVec<[usize; 5]>> {
    let mut out = SmallVec::new();
    for &d in dims {
        let d = wrap_dim(d, ndim)?;
        crate::check!(
            !out.contains(&d),
            Runtime,
            "dim {d} appears multiple times in the list of dims"
        );
        out.push(d);
    }
    Ok(out)
}

/// Sizes given by a user: none may be negative.
pub fn sizes_of(op: &str, sizes: &[i64]) -> Result<Sizes> {
    let mut out = Sizes::new();
    for &s in sizes {
        crate::check!(
            s >= 0 || op != "zeros",
            Runtime,
            "zeros: Dimension size must be non-negative. Got {s} in size {}",
            list(sizes)
        );
        crate::check!(
            s >= 0,
            Runtime,
            "Trying to create tensor with negative dimension {s}: {}",
            list(sizes)
        );
        out.push(s as usize);
    }
    Ok(out)
}

/// Resolves one `-1` in a requested shape for `numel` elements.
pub fn infer_size(shape: &[i64], numel: usize) -> Result<Sizes> {
    let mut known: usize = 1;
    let mut inferred = None;
    for (i, &s) in shape.iter().enumerate() {
        if s == -1 {
            crate::check!(
                inferred.is_none(),
                Runtime,
                "only one dimension can be inferred"
            );
            inferred = Some(i);
        } else {
            crate::check!(
                s >= 0,
                Runtime,
                "invalid shape dimension {s} at index {i} of shape {}",
                list(shape)
            );
            known = known.saturating_mul(s as usize);
        }
    }
    let mut out: Sizes = shape.iter().map(|&s| s.max(0) as usize).collect();
    if let Some(i) = inferred {
        crate::check!(
            known != 0,
            Runtime,
            "cannot reshape tensor of 0 elements into shape {} because the unspecified dimension size -1 can be any \
             value and is ambiguous",
            list(shape)
        );
        crate::check!(
            numel.is_multiple_of(known),
            Runtime,
            "shape '{}' is invalid for input of size {numel}",
            list(shape)
        );
        out[i] = numel / known;
    } else {
        crate::check!(
            known == numel,
            Runtime,
            "shape '{}' is invalid for input of size {numel}",
            list(shape)
        );
    }
    Ok(out)
}

/// The strides with which a tensor can be seen in a new shape without copying, if there are any.
pub fn view_strides(sizes: &[usize], strides: &[isize], shape: &[usize]) -> Option<Strides> {
    if numel(sizes).ok()? == 0 {
        return Some(if sizes == shape {
            SmallVec::from_slice(strides)
        } else {
            contiguous_strides(shape)
        });
    }
    let mut out: Strides = SmallVec::from_elem(1, shape.len());
    if sizes.is_empty() {
        return Some(out);
    }
    // Walk both shapes from the right; a chunk is a maximal run of old axes that are contiguous with one another.
    let mut view = shape.len();
    let mut base = strides[sizes.len() - 1];
    let mut old_numel = 1usize;
    let mut new_numel = 1usize;
    for d in (0..sizes.len()).rev() {
        old_numel *= sizes[d];
        let ends = d == 0
            || (sizes[d - 1] != 1 && strides[d - 1] != (old_numel as isize).wrapping_mul(base));
        if ends {
            while view > 0 && (new_numel < old_numel || shape[view - 1] == 1) {
                out[view - 1] = (new_numel as isize).wrapping_mul(base);
                new_numel *= shape[view - 1];
                view -= 1;
            }
            if new_numel != old_numel {
                return None;
            }
            if d > 0 {
                base = strides[d - 1];
                old_numel = 1;
                new_numel = 1;
            }
        }
    }
    (view == 0).then_some(out)
}

/// Offsets of the first and one past the last element touched, relative to the start, in elements.
pub fn extent(sizes: &[usize], strides: &[isize]) -> (isize, isize) {
    let (mut lo, mut hi) = (0isize, 0isize);
    for (&n, &s) in sizes.iter().zip(strides) {
        if n == 0 {
            return (0, 0);
        }
        let step = s.saturating_mul(n as isize - 1);
        if step < 0 {
            lo = lo.saturating_add(step);
        } else {
            hi = hi.saturating_add(step);
        }
    }
    (lo, hi.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_from_the_right() {
        assert_eq!(
            broadcast(&[2, 1, 3], &[4, 1]).unwrap().as_slice(),
            &[2, 4, 3]
        );
        assert_eq!(broadcast(&[0, 1], &[3]).unwrap().as_slice(), &[0, 3]);
        assert!(broadcast(&[2], &[3]).is_err());
    }

    #[test]
    fn one_size_is_inferred() {
        assert_eq!(infer_size(&[-1, 3], 12).unwrap().as_slice(), &[4, 3]);
        assert!(infer_size(&[-1, 5], 12).is_err());
        assert!(infer_size(&[-1, 0], 0).is_err());
        assert!(infer_size(&[-1, -1], 4).is_err());
        assert!(infer_size(&[-2], 4).is_err());
    }

    #[test]
    fn views_exist_where_chunks_are_contiguous() {
        assert_eq!(
            view_strides(&[4, 6], &[6, 1], &[2, 2, 6])
                .unwrap()
                .as_slice(),
            &[12, 6, 1]
        );
        // A transposed matrix cannot be flattened without a copy, but its axes can be split.
        assert!(view_strides(&[6, 4], &[1, 6], &[24]).is_none());
        assert_eq!(
            view_strides(&[6, 4], &[1, 6], &[2, 3, 4])
                .unwrap()
                .as_slice(),
            &[3, 1, 6]
        );
        assert_eq!(view_strides(&[], &[], &[1, 1]).unwrap().as_slice(), &[1, 1]);
    }

    #[test]
    fn huge_sizes_are_errors() {
        assert!(numel(&[usize::MAX, 2]).is_err());
        assert_eq!(numel(&[usize::MAX, 0]).unwrap(), 0);
    }
}
