//! Several tensors broadcast, stacked by rank, or combined element by element.

use crate::autograd::{self, Grads, record_stateless};
use crate::error::Result;
use crate::list;
use crate::ops::join::{cat, stack};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// The sizes all of the tensors broadcast to.
fn common_sizes(tensors: &[Tensor]) -> Result<Sizes> {
    tensors
        .iter()
        .try_fold(Sizes::new(), |s, t| shape::broadcast(&s, t.sizes()))
}

fn meshgrid(tensors: &[Tensor], indexing: &str) -> Result<Vec<Tensor>> {
    crate::check!(
        !tensors.is_empty(),
        Runtime,
        "meshgrid expects a non-empty TensorList"
    );
    for t in tensors {
        crate::check!(
            t.dtype() == tensors[0].dtype(),
            Runtime,
            "meshgrid expects all tensors to have the same dtype"
        );
        crate::check!(
            t.device() == tensors[0].device(),
            Runtime,
            "meshgrid expects all tensors to have the same device"
        );
    }
    for t in tensors {
        crate::check!(
            t.ndim() <= 1,
            Runtime,
            "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {}D of shape {}",
            t.ndim(),
            shape::list(t.sizes())
        );
    }
    let swap = match indexing {
        "ij" => false,
        "xy" => tensors.len() >= 2,
        other => {
            crate::bail!(
                Runtime,
                "torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but received: {other}"
            )
        }
    };
    let mut order: SmallVec<[usize; 5]> = (0..tensors.len()).collect();
    if swap {
        order.swap(0, 1);
    }
    let sizes: Sizes = order.iter().map(|&i| tensors[i].numel()).collect();
    let mut grids = Vec::with_capacity(tensors.len());
    for (axis, &i) in order.iter().enumerate() {
        let mut own: SmallVec<[i64; 6]> = SmallVec::from_elem(1, sizes.len());
        own[axis] = sizes[axis] as i64;
        grids.push(tensors[i].view(&own)?.expand_to(&sizes)?);
    }
    if swap {
        // The first two grids were made in swapped order, over swapped axes.
        grids.swap(0, 1);
    }
    Ok(grids)
}

fn need_vector(t: &Tensor) -> Result<()> {
    crate::check!(
        t.ndim() == 1,
        Runtime,
        "Expect a 1D vector, but got shape {}",
        shape::list(t.sizes())
    );
    Ok(())
}

fn cartesian_prod(tensors: &[Tensor]) -> Result<Tensor> {
    for t in tensors {
        need_vector(t)?;
    }
    if let [one] = tensors {
        return Ok(one.clone());
    }
    let columns = meshgrid(tensors, "ij")?
        .iter()
        .map(|g| g.reshape(&[-1]))
        .collect::<Result<Vec<_>>>()?;
    stack(&columns, 1)
}

fn combinations(x: &Tensor, r: i64, replace: bool) -> Result<Tensor> {
    need_vector(x)?;
    crate::check!(r >= 0, Runtime, "Expect a non-negative number, but got {r}");
    if r == 0 {
        return Tensor::empty(&[0], x.dtype(), x.device());
    }
    let (n, r) = (x.numel() as i64, r as usize);
    // How many there are: C(n, r), or C(n + r - 1, r) with replacement; inexact where it is too many anyway.
    let from = if replace { n + r as i64 - 1 } else { n };
    let count = (0..r.min((from - r as i64).max(0) as usize)).fold(1.0f64, |c, k| {
        c * (from as f64 - k as f64) / (k as f64 + 1.0)
    });
    let entries = shape::numel(&[count as usize, r])?;
    let mut rows: Vec<i64> = list::with_room(entries)?;
    let mut pick: Vec<i64> = if replace {
        list::filled(r, 0)?
    } else {
        list::collected((0..r).map(|i| i as i64))?
    };
    let room = |i: usize| if replace { n - 1 } else { n - (r - i) as i64 };
    let mut more = n > 0 && (replace || r as i64 <= n);
    while more {
        rows.extend_from_slice(&pick);
        // The last position that can still advance; those after it restart behind it.
        more = match (0..r).rev().find(|&i| pick[i] < room(i)) {
            Some(i) => {
                pick[i] += 1;
                for k in i + 1..r {
                    pick[k] = pick[k - 1] + !replace as i64;
                }
                true
            }
            None => false,
        };
    }
    crate::ops::axis_index::index_select(x, 0, &Tensor::from_slice(&rows)?)?
        .reshape(&[(rows.len() / r) as i64, r as i64])
}

fn atleast(x: &Tensor, ndim: usize) -> Result<Tensor> {
    match (ndim, x.ndim()) {
        (n, have) if have >= n => Ok(x.clone()),
        (n, 0) => x.reshape(&SmallVec::<[i64; 6]>::from_elem(1, n)),
        (2, _) => x.unsqueeze(0),
        (_, 1) => x.unsqueeze(0)?.unsqueeze(2),
        _ => x.unsqueeze(2),
    }
}

fn all_atleast(tensors: &[Tensor], ndim: usize) -> Result<Vec<Tensor>> {
    tensors.iter().map(|t| atleast(t, ndim)).collect()
}

fn stacked(op: &str, tensors: &[Tensor], ndim: usize, dim: i64) -> Result<Tensor> {
    crate::check!(
        !tensors.is_empty(),
        Runtime,
        "{op} expects a non-empty TensorList"
    );
    cat(&all_atleast(tensors, ndim)?, dim)
}

fn hstack_of(op: &str, tensors: &[Tensor]) -> Result<Tensor> {
    let dim = tensors.first().is_some_and(|t| t.ndim() > 1) as i64;
    stacked(op, tensors, 1, dim)
}

fn column_stack_of(tensors: &[Tensor]) -> Result<Tensor> {
    let columns = tensors
        .iter()
        .map(|t| {
            if t.ndim() <= 1 {
                t.reshape(&[t.numel() as i64, 1])
            } else {
                Ok(t.clone())
            }
        })
        .collect::<Result<Vec<_>>>()?;
    hstack_of("column_stack", &columns)
}

fn block_diag_of(tensors: &[Tensor]) -> Result<Tensor> {
    if tensors.is_empty() {
        return Tensor::empty(
            &[1, 0],
            crate::dtype::default_dtype(),
            crate::ops::create::default_device(),
        );
    }
    let mut result = crate::dtype::ResultType::default();
    for (i, t) in tensors.iter().enumerate() {
        crate::check!(
            t.ndim() <= 2,
            Runtime,
            "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {} dimensions",
            t.ndim()
        );
        crate::check!(
            t.device() == tensors[0].device(),
            Runtime,
            "torch.block_diag: input tensors must all be on the same device. Input 0 is on device {} and input {i} is on \
             device {}.",
            tensors[0].device(),
            t.device()
        );
        // Every block counts like a matrix.
        result.add(t.dtype(), 2, false)?;
    }
    let blocks: Vec<(usize, usize)> = tensors
        .iter()
        .map(|t| match t.sizes() {
            [] => (1, 1),
            [n] => (1, *n),
            s => (s[0], s[1]),
        })
        .collect();
    let (rows, columns) = blocks.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let out = Tensor::zeros(&[rows, columns], result.get()?, tensors[0].device())?;
    let corner = move |whole: &Tensor, blocks: &[(usize, usize)], i: usize| -> Result<Tensor> {
        let (r, c) = blocks[..i]
            .iter()
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        whole
            .narrow(0, r as i64, blocks[i].0 as i64)?
            .narrow(1, c as i64, blocks[i].1 as i64)
    };
    autograd::no_grad(|| -> Result<()> {
        for (i, t) in tensors.iter().enumerate() {
            corner(&out, &blocks, i)?.write_from(&t.reshape_to(&[blocks[i].0, blocks[i].1])?)?;
        }
        Ok(())
    })?;
    let inputs: SmallVec<[&Tensor; 8]> = tensors.iter().collect();
    if autograd::needs_grad(&inputs) {
        let sizes: Vec<Sizes> = tensors
            .iter()
            .map(|t| SmallVec::from_slice(t.sizes()))
            .collect();
        record_stateless("BlockDiagBackward0", &inputs, &[&out], move |g: &Grads| {
            let whole = g.get(0)?;
            (0..sizes.len())
                .map(|i| g.when(i, || corner(&whole, &blocks, i)?.reshape_to(&sizes[i])))
                .collect()
        });
    }
    Ok(out)
}
op! {
    /// Broadcasts tensors to the sizes they have in common, without copying.
    broadcast_tensors, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor[]" => |a| {
            let sizes = common_sizes(a.tensors(0))?;
            a.tensors(0).iter().map(|t| t.expand_to(&sizes)).collect::<Result<Vec<_>>>()
        },
    }
}
op! {
    /// Returns views that hold the coordinates of every point of the grid spanned by vectors.
    ///
    /// Args:
    ///     tensors: 0-d or 1-d tensors of one dtype.
    ///     indexing: "ij" (axes in the order of the vectors) or "xy" (the first two swapped).
    meshgrid__, in [TORCH] {
        "(Tensor[*] tensors, *, str? indexing=None) -> Tensor[]" => |a| meshgrid(a.tensors(0), a.opt_str(1).unwrap_or("ij")),
    }
}
op! {
    /// Returns all tuples of elements of the vectors, one per row.
    cartesian_prod__, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor" => |a| cartesian_prod(a.tensors(0)),
    }
}
op! {
    /// Returns all combinations of `r` elements of a vector, one per row.
    combinations__, in [TORCH] {
        "(Tensor input, int r=2, bool with_replacement=False) -> Tensor" => |a| combinations(&a.tensor(0), a.int(1), a.bool(2)),
    }
}
op! {
    /// Returns a view with at least one axis.
    atleast_1d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 1),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 1),
    }
}
op! {
    /// Returns a view with at least two axes; new ones come first.
    atleast_2d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 2),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 2),
    }
}
op! {
    /// Returns a view with at least three axes: a vector becomes the middle one, a matrix the first two.
    atleast_3d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 3),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 3),
    }
}
op! {
    /// Joins tensors side by side: vectors along their axis, others along the second.
    hstack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| hstack_of("hstack", a.tensors(0)),
    }
}
op! {
    /// Joins tensors one below the other; vectors are rows.
    vstack, in [TORCH], alias ["row_stack"]; out {
        "(Tensor[] tensors) -> Tensor" => |a| stacked("vstack", a.tensors(0), 2, 0),
    }
}
op! {
    /// Joins tensors along the third axis.
    dstack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| stacked("dstack", a.tensors(0), 3, 2),
    }
}
op! {
    /// Joins tensors side by side; vectors are columns.
    column_stack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| column_stack_of(a.tensors(0)),
    }
}
op! {
    /// Returns a matrix with the given matrices along its diagonal and zeros elsewhere; vectors are rows.
    block_diag, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor" => |a| block_diag_of(a.tensors(0)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &broadcast_tensors::DEF,
    &meshgrid__::DEF,
    &cartesian_prod__::DEF,
    &combinations__::DEF,
    &atleast_1d::DEF,
    &atleast_2d::DEF,
    &atleast_3d::DEF,
    &hstack::DEF,
    &vstack::DEF,
    &dstack::DEF,
    &column_stack::DEF,
    &block_diag::DEF,
];
