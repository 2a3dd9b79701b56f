//! Boolean masks and where they are true; membership.

use super::args::Value;
use super::scatter::zeroed;
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::dtype::{self, DType};
use crate::error::Result;
use crate::list;
use crate::ops::index::nonzero;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Copies of a tensor and a mask, broadcast together and contiguous.
fn broadcast_pair(x: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor, Sizes)> {
    let sizes = shape::broadcast(mask.sizes(), x.sizes())?;
    autograd::no_grad(|| {
        let x = x.detach().expand_to(&sizes)?.contiguous()?;
        let mask = mask.detach().expand_to(&sizes)?.contiguous()?;
        Ok((x, mask, sizes))
    })
}

/// The elements where the mask is true, as a vector.
pub fn masked_select(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    x.need_cpu("masked_select")?;
    crate::check!(
        mask.dtype() == DType::Bool,
        Runtime,
        "masked_select: expected BoolTensor for mask"
    );
    let (data, flags, sizes) = broadcast_pair(x, mask)?;
    let flags = flags.as_slice::<bool>()?;
    let count = flags.iter().filter(|&&f| f).count();
    let out = Tensor::empty(&[count], x.dtype(), x.device())?;
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (data.data_ptr() as *const T, out.data_ptr() as *mut T);
        let mut k = 0;
        for (i, &f) in flags.iter().enumerate() {
            if f {
                // SAFETY: `i` is an element of the broadcast tensor, `k` counts the true ones before it.
                unsafe { *dst.add(k) = *src.add(i) };
                k += 1;
            }
        }
    });
    if autograd::needs_grad(&[x]) {
        let saved = Saved::input(mask);
        record("MaskedSelectBackward0", &[x], &[&out], move |g: &Grads| {
            let (g0, mask) = (g.get(0)?, saved.get(g)?);
            grads([Some(masked_scatter(
                &Tensor::zeros(&sizes, g0.dtype(), g0.device())?,
                &mask,
                &g0,
            )?)])
        });
    }
    Ok(out)
}

/// A copy of `x` with the elements of `source`, in order, where the mask is true.
pub fn masked_scatter(x: &Tensor, mask: &Tensor, source: &Tensor) -> Result<Tensor> {
    x.need_cpu("masked_scatter")?;
    crate::check!(
        x.dtype() == source.dtype(),
        Runtime,
        "masked_scatter: expected self and source to have same dtypes but got{} and {}",
        x.dtype().scalar_name(),
        source.dtype().scalar_name()
    );
    crate::check!(
        mask.dtype() == DType::Bool,
        Runtime,
        "masked_scatter_ only supports boolean masks, but got mask with dtype {}",
        mask.dtype().scalar_name()
    );
    let (data, flags, _) = broadcast_pair(x, mask)?;
    let flags = flags.as_slice::<bool>()?;
    let count = flags.iter().filter(|&&f| f).count();
    crate::check!(
        source.numel() >= count,
        Runtime,
        "Number of elements of source < number of ones in mask"
    );
    let out = data.clone_data()?;
    let values = autograd::no_grad(|| source.detach().contiguous())?;
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (values.data_ptr() as *const T, out.data_ptr() as *mut T);
        let mut k = 0;
        for (i, &f) in flags.iter().enumerate() {
            if f {
                // SAFETY: `i` is an element of `out`; `source` has an element for every true flag.
                unsafe { *dst.add(i) = *src.add(k) };
                k += 1;
            }
        }
    });
    if autograd::needs_grad(&[x, source]) {
        let saved = Saved::input(mask);
        let from: Sizes = SmallVec::from_slice(source.sizes());
        record(
            "MaskedScatterBackward0",
            &[x, source],
            &[&out],
            move |g: &Grads| {
                let (g0, mask) = (g.get(0)?, saved.get(g)?);
                let to_x = g.when(0, || zeroed(&g0, &mask))?;
                let to_source = g.when(1, || {
                    let n: usize = from.iter().product();
                    let part = masked_select(&g0, &mask)?;
                    super::view::slice_backward(&part, &[n], 0, 0, 1)?.reshape_to(&from)
                })?;
                grads([to_x, to_source])
            },
        );
    }
    Ok(out)
}

/// One vector of coordinates per axis; a 0-d tensor counts as one axis.
pub fn nonzero_tuple(x: &Tensor) -> Result<Vec<Tensor>> {
    let at = autograd::no_grad(|| {
        if x.ndim() == 0 {
            nonzero(&x.detach().reshape(&[1])?)
        } else {
            nonzero(x)
        }
    })?;
    (0..at.sizes()[1]).map(|k| at.select(1, k as i64)).collect()
}

/// The first `size` rows of `nonzero`, filled up with `fill`.
fn nonzero_static(x: &Tensor, size: i64, fill: i64) -> Result<Tensor> {
    crate::check!(
        size >= 0,
        Runtime,
        "nonzero_static: 'size' must be an non-negative integer"
    );
    let at = nonzero(x)?;
    let (rows, n) = (size as usize, x.ndim());
    let mut out = list::filled(shape::numel(&[rows, n])?, fill)?;
    for (slot, at) in out.iter_mut().zip(at.to_vec::<i64>()?) {
        *slot = at;
    }
    Tensor::from_slice_shaped(&out, &[rows, n])
}

/// Whether each element is among the test elements.
fn isin(elements: &Tensor, tests: &Tensor, invert: bool) -> Result<Tensor> {
    elements.need_cpu("isin")?;
    for t in [elements, tests] {
        crate::check!(
            !t.dtype().is_complex() && t.dtype() != DType::Bool,
            Runtime,
            "Unsupported input type encountered for isin(): {}",
            t.dtype().scalar_name()
        );
    }
    let mut r = dtype::ResultType::default();
    r.add(elements.dtype(), elements.ndim(), elements.is_wrapped())?;
    r.add(tests.dtype(), tests.ndim(), tests.is_wrapped())?;
    let common = r.get()?;
    let (e, t) = autograd::no_grad(|| -> Result<_> {
        let cast = |t: &Tensor| t.detach().to_dtype(common)?.contiguous();
        Ok((cast(elements)?, cast(tests)?))
    })?;
    let found: Vec<bool> = if common == DType::U64 {
        isin_keys(e.as_slice::<u64>()?, t.as_slice::<u64>()?, Some)?
    } else if common.is_integral() {
        isin_keys(&e.to_vec::<i64>()?, &t.to_vec::<i64>()?, |v| Some(v as u64))?
    } else {
        // Zeros of both signs are equal; NaN equals nothing. The bits of float64 give a key.
        let key = |v: f64| (!v.is_nan()).then(|| if v == 0.0 { 0 } else { v.to_bits() });
        isin_keys(&e.to_vec::<f64>()?, &t.to_vec::<f64>()?, key)?
    };
    let out: Vec<bool> = list::collected(found.into_iter().map(|f| f != invert))?;
    Tensor::from_slice_shaped(&out, elements.sizes())
}

fn isin_keys<T: Copy>(
    elements: &[T],
    tests: &[T],
    key: impl Fn(T) -> Option<u64>,
) -> Result<Vec<bool>> {
    let mut keys = list::with_room(tests.len())?;
    keys.extend(tests.iter().filter_map(|&t| key(t)));
    keys.sort_unstable();
    keys.dedup();
    let found = |&e: &T| key(e).is_some_and(|k| keys.binary_search(&k).is_ok());
    list::collected(elements.iter().map(found))
}

/// int64 vectors with a one at each class.
fn one_hot(x: &Tensor, classes: i64) -> Result<Tensor> {
    crate::check!(
        x.dtype() == DType::I64,
        Runtime,
        "one_hot is only applicable to index tensor of type LongTensor."
    );
    let at = x.to_vec::<i64>()?;
    let top = at.iter().copied().max();
    if at.is_empty() {
        crate::check!(
            classes != -1,
            Runtime,
            "Can not infer total number of classes from empty tensor."
        );
    }
    if let Some(&low) = at.iter().min() {
        crate::check!(low >= 0, Runtime, "Class values must be non-negative.");
    }
    let n = match (classes, top) {
        (-1, Some(top)) => top + 1,
        (n, top) => {
            crate::check!(
                top.is_none_or(|t| t < n),
                Runtime,
                "Class values must be smaller than num_classes."
            );
            crate::check!(n >= 0, Runtime, "num_classes must be non-negative.");
            n
        }
    } as usize;
    let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
    sizes.push(n);
    let out = Tensor::zeros(&sizes, DType::I64, x.device())?;
    let p = out.data_ptr() as *mut i64;
    for (row, &c) in at.iter().enumerate() {
        // SAFETY: the class is below `n`, the row below the number of elements.
        unsafe { *p.add(row * n + c as usize) = 1 };
    }
    Ok(out)
}

op! {
    /// Returns a vector of the elements of `input` where the broadcast bool `mask` is true.
    masked_select, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor mask) -> Tensor" => |a| masked_select(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns a copy of `input` with the elements of `source`, taken in order, where the bool `mask` is true.
    masked_scatter, in [TORCH, METHOD]; in_place {
        "(Tensor input, Tensor mask, Tensor source) -> Tensor" =>
            |a| masked_scatter(&a.tensor(0), &a.tensor(1), &a.tensor(2)),
    }
}
op! {
    /// Returns the coordinates of the elements that are not zero, one row each, or a tuple of one vector per axis.
    ///
    /// Args:
    ///     as_tuple: whether to return the tuple, which can be used as an index. Default: False.
    nonzero__, in [TORCH, METHOD]; out {
        "(Tensor input, *, bool as_tuple=False) -> Tensor" => |a| {
            let x = a.tensor(0);
            Ok(if a.bool(1) { Value::Tuple(nonzero_tuple(&x)?) } else { Value::Tensor(nonzero(&x)?) })
        },
    }
}
op! {
    /// Returns the coordinates of the elements that are not zero, one row each.
    argwhere, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| nonzero(&a.tensor(0)),
    }
}
op! {
    /// Returns the first `size` rows of `nonzero(input)`, with `fill_value` in the rows that are missing.
    nonzero_static, in [TORCH, METHOD]; out {
        "(Tensor input, *, int size, int fill_value=-1) -> Tensor" =>
            |a| nonzero_static(&a.tensor(0), a.int(1), a.int(2)),
    }
}
op! {
    /// Returns whether each element of `elements` is among `test_elements`.
    ///
    /// Args:
    ///     assume_unique: accepted; the answer is the same.
    ///     invert: whether to return the opposite. Default: False.
    isin, in [TORCH]; out {
        "(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor" =>
            |a| isin(&a.tensor(0), &a.tensor(1), a.bool(3)),
        "(Scalar element, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor" =>
            |a| isin(&Tensor::wrapped(a.scalar(0))?, &a.tensor(1), a.bool(3)),
        "(Tensor elements, Scalar test_element, *, bool assume_unique=False, bool invert=False) -> Tensor" =>
            |a| isin(&a.tensor(0), &Tensor::wrapped(a.scalar(1))?, a.bool(3)),
    }
}
op! {
    /// Returns int64 vectors (*, num_classes) with a one at the class each element of `input` (*) names.
    ///
    /// Args:
    ///     num_classes: length of the vectors. Default: one more than the largest class.
    one_hot, in [NN] {
        "(Tensor input, int num_classes=-1) -> Tensor" => |a| one_hot(&a.tensor(0), a.int(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &masked_select::DEF,
    &masked_scatter::DEF,
    &nonzero__::DEF,
    &argwhere::DEF,
    &nonzero_static::DEF,
    &isin::DEF,
    &one_hot::DEF,
];
