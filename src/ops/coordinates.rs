//! Positions in flattened tensors as coordinates.

use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

fn unravel_index(indices: &Tensor, sizes: &[i64]) -> Result<Vec<Tensor>> {
    crate::check!(
        indices.dtype().is_integer(),
        Type,
        "expected 'indices' to be integer dtype, but got torch.{}",
        indices.dtype().name()
    );
    let shown: Vec<String> = sizes.iter().map(|n| n.to_string()).collect();
    crate::check!(
        sizes.iter().all(|&n| n >= 0),
        Value,
        "'shape' cannot have negative values, but got ({})",
        shown.join(", ")
    );
    let index = indices.to_dtype(DType::I64)?;
    if index.numel() == 0 {
        return (0..sizes.len()).map(|_| index.clone_data()).collect();
    }
    crate::check!(
        !sizes.contains(&0),
        Runtime,
        "ZeroDivisionError: a tensor of size {} has no elements to index",
        shape::list(sizes)
    );
    let number = |n: i64| Tensor::wrapped(Scalar::Int(n));
    let mut step = 1i64;
    let mut out = Vec::with_capacity(sizes.len());
    for &n in sizes.iter().rev() {
        out.push(index.floor_divide(&number(step)?)?.remainder(&number(n)?)?);
        step = step.saturating_mul(n);
    }
    out.reverse();
    Ok(out)
}

op! {
    /// Returns the coordinates, one tensor for each axis, of positions in a flattened tensor of size `shape`.
    ///
    /// Args:
    ///     indices: integers, any shape; negative ones and those beyond the end wrap around.
    ///     shape: the sizes.
    ///
    /// Example:
    ///     >>> torch.unravel_index(torch.tensor([0, 5]), (3, 4))
    ///     (tensor([0, 1]), tensor([0, 1]))
    unravel_index, in [TORCH] {
        "(Tensor indices, int[1] shape) -> Tensor[]" => |a| super::unravel_index(&a.tensor(0), a.ints(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&unravel_index::DEF];
