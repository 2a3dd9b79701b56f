//! Kernels that move elements by index: gather, scatter, and where the extremes of rows lie.

use std::fmt::Write;

use smallvec::SmallVec;

use super::api::{Elem, Error, Operand, Result};
use super::device::gpu;
use super::launch::{
    Axes, Axis, MAX_OPERANDS, Words, axes, collapse, grid, groups_for, join, record,
};
use super::pipeline::Key;
use super::reduce::walk;
use super::wgsl::{Source, load};

/// What happens to the chosen element of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is read into the moved operand.
    Gather,
    /// The moved operand's element is written over it; of several for one place, any.
    Scatter,
    /// The moved operand's element is added to it.
    Add,
}

/// Moves elements between `moved` and `base` at `index` along `dim`. All have the same rank; `moved` and `index` have
/// the same dims.
pub fn by_index(
    op: &str,
    how: Move,
    base: &Operand<'_>,
    dim: usize,
    index: &Operand<'_>,
    moved: &Operand<'_>,
) -> Result<()> {
    let gpu = gpu()?;
    for operand in [moved, base, index] {
        gpu.require(op, operand.elem)?;
        operand.check()?;
    }
    let rank = moved.dims.len();
    let fits = base.dims.len() == rank
        && index.dims == moved.dims
        && dim < rank
        && (0..rank).all(|d| d == dim || moved.dims[d] <= base.dims[d]);
    if !fits || !matches!(index.elem, Elem::I32 | Elem::I64) || base.elem != moved.elem {
        return Err(Error::Failed(format!(
            "{op}: index of dims {:?} and type {} does not fit dims {:?} of {} and {:?} of {}",
            index.dims,
            index.elem.name(),
            base.dims,
            base.elem.name(),
            moved.dims,
            moved.elem.name()
        )));
    }
    if how == Move::Add && !matches!(base.elem, Elem::F32 | Elem::BF16 | Elem::I32) {
        return Err(base.elem.unsupported(op));
    }
    let numel = moved.numel();
    if numel == 0 {
        return Ok(());
    }
    let mut walked = Axes::new();
    for d in (0..rank).filter(|&d| moved.dims[d] != 1) {
        let mut strides = [0; MAX_OPERANDS];
        strides[0] = moved.strides[d];
        strides[1] = if d == dim { 0 } else { base.strides[d] };
        strides[2] = index.strides[d];
        walked.push(Axis {
            size: moved.dims[d],
            strides,
        });
    }
    let walked = collapse(walked)?;
    let operands = [moved, base, index];
    let elems: SmallVec<[Elem; 3]> = operands.iter().map(|o| o.elem).collect();
    let key = Key {
        family: "index",
        text: "",
        elems: &elems,
        variant: how as u64 | (walked.len() as u64) << 8,
    };
    let kernel = gpu
        .kernels
        .get(gpu, key, || Ok(source(how, &elems, walked.len())))?;
    let mut words = Words::default();
    words.count(numel)?;
    for operand in operands {
        words.word(operand.base()?);
    }
    words.count(base.dims[dim])?;
    words.step(base.strides[dim]);
    for axis in &walked {
        words.count(axis.size)?;
        for &stride in &axis.strides[..3] {
            words.step(stride);
        }
    }
    record(
        gpu,
        kernel,
        &operands,
        &words,
        grid(gpu, groups_for(numel))?,
    )
}

fn source(how: Move, elems: &[Elem], rank: usize) -> Source<'static> {
    let mut params: Vec<String> = ["n", "o0", "o1", "o2", "size", "step"]
        .map(String::from)
        .into();
    let mut steps = String::new();
    for d in 0..rank {
        params.push(format!("size{d}"));
        params.extend((0..3).map(|i| format!("step{i}_{d}")));
    }
    for d in (0..rank).rev() {
        let _ = writeln!(
            steps,
            "    let c{d} = rest % $size{d};\n    rest = rest / $size{d};"
        );
        for i in 0..3 {
            let _ = writeln!(steps, "    e{i} = e{i} + c{d} * $step{i}_{d};");
        }
    }
    let storage = elems[1].storage();
    let (base, moves) = match (how, elems[1]) {
        (Move::Gather, _) => (
            storage.to_string(),
            format!("    b0[e0] = select({storage}(0), b1[e1 + place], inside);"),
        ),
        (Move::Scatter, _) => (
            storage.to_string(),
            "    if (inside) { b1[e1 + place] = b0[e0]; }".to_string(),
        ),
        (Move::Add, Elem::I32) => (
            "atomic<i32>".to_string(),
            "    if (inside) { atomicAdd(&b1[e1 + place], b0[e0]); }".to_string(),
        ),
        // Shaders have no atomic float in general: compare and exchange the bits until nobody came between.
        (Move::Add, elem) => {
            let sum = "bitcast<f32>(old) + b0[e0]";
            let sum = if elem == Elem::BF16 {
                format!("rt_bf16({sum})")
            } else {
                sum.to_string()
            };
            (
                "atomic<u32>".to_string(),
                format!(
                    "    if (!inside) {{ return; }}\n    var old = atomicLoad(&b1[e1 + place]);\n    loop {{\n        \
                     let swap = atomicCompareExchangeWeak(&b1[e1 + place], old, bitcast<u32>({sum}));\n        \
                     if (swap.exchanged) {{ break; }}\n        old = swap.old_value;\n    }}"
                ),
            )
        }
    };
    Source {
        template: include_str!("wgsl/index.wgsl"),
        buffers: vec![elems[0].storage().into(), base, elems[2].storage().into()],
        params,
        fill: vec![
            ("walk", steps),
            ("index", elems[2].storage().into()),
            ("move", moves),
        ],
    }
}

/// Writes where the greatest (or least) of the elements along the reduced dims lies, counted in row-major order.
pub fn arg_extreme(
    op: &str,
    greatest: bool,
    out: &Operand<'_>,
    input: &Operand<'_>,
    reduced: &[bool],
) -> Result<()> {
    let gpu = gpu()?;
    for operand in [out, input] {
        gpu.require(op, operand.elem)?;
        operand.check()?;
    }
    let length: usize = (0..reduced.len())
        .filter(|&d| reduced[d])
        .map(|d| input.dims[d])
        .product();
    let outputs = out.numel();
    if outputs == 0 || length == 0 {
        return Ok(());
    }
    let (mut kept, mut folded) = (Axes::new(), Axes::new());
    let mut all = axes(input.dims, &[out, input])?.into_iter();
    for (d, &size) in input.dims.iter().enumerate() {
        if let (true, Some(axis)) = (size != 1, if size != 1 { all.next() } else { None }) {
            if reduced[d] { &mut folded } else { &mut kept }.push(axis);
        }
    }
    for axis in &mut folded {
        axis.strides[0] = 0;
    }
    let (kept, folded) = (collapse(kept)?, join(folded)?);
    let class = input.elem.class();
    let key = Key {
        family: "arg",
        text: "",
        elems: &[out.elem, input.elem],
        variant: u64::from(greatest) | (kept.len() as u64) << 8 | (folded.len() as u64) << 16,
    };
    let kernel = gpu.kernels.get(gpu, key, || {
        let mut params: Vec<String> = ["items", "length", "o0", "o1"].map(String::from).into();
        for d in 0..kept.len() {
            params.extend([
                format!("kept{d}"),
                format!("out_step{d}"),
                format!("in_step{d}"),
            ]);
        }
        for d in 0..folded.len() {
            params.extend([format!("fold{d}"), format!("fold_step{d}")]);
        }
        let mut offsets = String::new();
        walk(
            &mut offsets,
            "kept_input",
            "$o1",
            kept.len(),
            "kept",
            "in_step",
        );
        walk(
            &mut offsets,
            "kept_output",
            "$o0",
            kept.len(),
            "kept",
            "out_step",
        );
        walk(
            &mut offsets,
            "folded",
            "0u",
            folded.len(),
            "fold",
            "fold_step",
        );
        let nan = |name: &str| match class {
            super::api::Class::F32 => format!("rt_isnan({name})"),
            _ => "false".to_string(),
        };
        Ok(Source {
            template: include_str!("wgsl/arg.wgsl"),
            buffers: vec![out.elem.storage().into(), input.elem.storage().into()],
            params,
            fill: vec![
                ("acc", class.wgsl().into()),
                ("offsets", offsets),
                ("nan_a", nan("a")),
                ("nan_b", nan("b")),
                ("order", if greatest { ">" } else { "<" }.into()),
                ("load", load(input.elem, "b1[origin + folded(r)]")),
                ("out", out.elem.storage().into()),
            ],
        })
    })?;
    let mut words = Words::default();
    words.count(outputs)?;
    words.count(length)?;
    words.word(out.base()?);
    words.word(input.base()?);
    for axis in &kept {
        words.count(axis.size)?;
        words.step(axis.strides[0]);
        words.step(axis.strides[1]);
    }
    for axis in &folded {
        words.count(axis.size)?;
        words.step(axis.strides[1]);
    }
    record(
        gpu,
        kernel,
        &[out, input],
        &words,
        grid(gpu, outputs as u64)?,
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Array, device};
    use super::*;

    fn ints(dims: &[usize], values: &[i32]) -> Result<Array> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Array::bytes(Elem::I32, dims, &bytes)
    }

    #[test]
    fn gather_and_scatter() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let x = Array::f32(&[3, 4], &(0..12).map(|i| i as f32).collect::<Vec<_>>())?;
        let index = ints(&[2, 4], &[2, 0, 1, 2, 0, 0, 5, -1])?;
        let out = Array::empty(Elem::F32, &[2, 4])?;
        by_index(
            "gather",
            Move::Gather,
            &x.view(),
            0,
            &index.view(),
            &out.view(),
        )?;
        assert_eq!(out.host_f32()?, [8., 1., 6., 11., 0., 1., 0., 0.]);
        // One row of an embedding, added to from many places at once.
        let count = 5000;
        let ones = Array::f32(&[count, 1], &vec![1.0; count])?;
        let rows = ints(
            &[count, 1],
            &(0..count as i32).map(|i| i % 3).collect::<Vec<_>>(),
        )?;
        by_index(
            "scatter_add",
            Move::Add,
            &x.view(),
            0,
            &rows.view(),
            &ones.view(),
        )?;
        let got = x.host_f32()?;
        assert_eq!([got[0], got[4], got[8], got[1]], [1667., 1671., 1674., 1.]);
        Ok(())
    }

    #[test]
    fn extremes_have_places() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let nan = f32::NAN;
        let x = Array::f32(
            &[3, 4],
            &[1., 5., 5., 2., 0., nan, 9., nan, -1., -2., -3., -3.],
        )?;
        let out = Array::empty(Elem::I32, &[3, 1])?;
        arg_extreme("argmax", true, &out.view(), &x.view(), &[false, true])?;
        assert_eq!(out.host()?, [1i32, 1, 0].map(i32::to_le_bytes).concat());
        arg_extreme("argmin", false, &out.view(), &x.view(), &[false, true])?;
        assert_eq!(out.host()?, [0i32, 1, 2].map(i32::to_le_bytes).concat());
        Ok(())
    }
}
