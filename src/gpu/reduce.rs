//! Kernels that fold dims away: sums, products, extremes, tests.

use std::fmt::Write;

use super::api::{Class, Elem, Error, Operand, Result, Scalar};
use super::device::{Gpu, gpu};
use super::launch::{Axes, Words, axes, collapse, grid, groups_for, join, record, scalar_words};
use super::pipeline::{GROUP, Key};
use super::wgsl::{Source, cast, exact_calls, load, store, truth};

/// How two partial results become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Prod,
    Max,
    Min,
    /// Logical or, of elements that differ from zero.
    Any,
    /// Logical and.
    All,
}

impl Fold {
    fn combine(self) -> &'static str {
        match self {
            Self::Sum => "a + b",
            Self::Prod => "a * b",
            Self::Max | Self::Any => "max(a, b)",
            Self::Min | Self::All => "min(a, b)",
        }
    }

    /// The result of folding nothing.
    fn init(self, class: Class) -> String {
        let kind = class.wgsl();
        match (self, class) {
            (Self::Sum | Self::Any, _) => format!("{kind}(0)"),
            (Self::Prod | Self::All, _) => format!("{kind}(1)"),
            (Self::Max, Class::F32) => "-rt_inf()".into(),
            (Self::Min, Class::F32) => "rt_inf()".into(),
            (Self::Max, Class::U32) => "0u".into(),
            (Self::Min, Class::U32) => "0xffffffffu".into(),
            (Self::Max, Class::I32) => "bitcast<i32>(0x80000000u)".into(),
            (Self::Min, Class::I32) => "0x7fffffffi".into(),
            (Self::Max, Class::I64) => "(1li << 63u)".into(),
            (Self::Min, Class::I64) => "0x7fffffffffffffffli".into(),
        }
    }

    fn tests(self) -> bool {
        matches!(self, Self::Any | Self::All)
    }
}

/// One reduction.
#[derive(Clone, Copy, Debug)]
pub struct Reduction<'a> {
    pub name: &'a str,
    pub fold: Fold,
    /// The type in which partial results are held.
    pub compute: Class,
    /// Applied to each element first, over `x`: "x", "x * x", "abs(x)".
    pub pre: &'a str,
    /// Applied to each result, over `x` and `scale`: "x", "x / scale", "sqrt(x)".
    pub finish: &'a str,
    pub scale: f64,
}

impl<'a> Reduction<'a> {
    pub fn new(name: &'a str, fold: Fold, compute: Class) -> Self {
        Self {
            name,
            fold,
            compute,
            pre: "x",
            finish: "x",
            scale: 1.0,
        }
    }
}

/// Elements one lane folds at least before a reduction is split into shares.
const LANE_CHUNK: usize = 64;
/// The same for a workgroup.
const GROUP_CHUNK: usize = 4096;
/// Lanes that fill a large device.
const ENOUGH_LANES: usize = 1 << 16;

/// Folds `input` into `out`, which has the input's dims with size 1 where `reduced` is true.
pub fn reduce(
    op: &Reduction<'_>,
    out: &Operand<'_>,
    input: &Operand<'_>,
    reduced: &[bool],
) -> Result<()> {
    let gpu = gpu()?;
    for operand in [out, input] {
        gpu.require(op.name, operand.elem)?;
        operand.check()?;
    }
    if op.compute == Class::I64 {
        gpu.require(op.name, Elem::I64)?;
    }
    let matches = out.dims.len() == input.dims.len()
        && reduced.len() == input.dims.len()
        && (0..reduced.len()).all(|d| out.dims[d] == if reduced[d] { 1 } else { input.dims[d] });
    if !matches {
        return Err(Error::Failed(format!(
            "{}: dims {:?} do not reduce to {:?}",
            op.name, input.dims, out.dims
        )));
    }
    let outputs = out.numel();
    if outputs == 0 {
        return Ok(());
    }
    let (mut kept, mut folded) = (Axes::new(), Axes::new());
    // Strides of the output are zero along folded dims: its own there mean nothing.
    let length: usize = (0..reduced.len())
        .filter(|&d| reduced[d])
        .map(|d| input.dims[d])
        .product();
    if length > 0 {
        let mut at = 0;
        let all = axes(input.dims, &[out, input])?;
        for (d, &size) in input.dims.iter().enumerate() {
            if size != 1 {
                if reduced[d] { &mut folded } else { &mut kept }.push(all[at]);
                at += 1;
            }
        }
    } else {
        kept = axes(out.dims, &[out])?;
    }
    let kept = collapse(kept)?;
    for axis in &mut folded {
        axis.strides[0] = 0;
    }
    folded.sort_by_key(|axis| std::cmp::Reverse(axis.strides[1].unsigned_abs()));
    let folded = join(folded)?;

    // The fastest dim decides which lanes read neighbours.
    let step = |axes: &Axes| {
        axes.last()
            .map_or(usize::MAX, |a| a.strides[1].unsigned_abs())
    };
    let by_lane = length <= 32 || (outputs >= 16 && step(&kept) < step(&folded));
    let shares = if by_lane {
        (length / LANE_CHUNK)
            .min(ENOUGH_LANES / outputs)
            .min(GROUP as usize)
    } else {
        (length / GROUP_CHUNK).min(ENOUGH_LANES / GROUP as usize * 4 / outputs)
    };
    let pass = Pass {
        op,
        by_lane,
        kept: &kept,
        folded: &folded,
        outputs,
        length,
    };
    if shares < 2 {
        return pass.run(gpu, out, input, 1, false);
    }
    let elem = match op.compute {
        Class::F32 => Elem::F32,
        Class::I64 => Elem::I64,
        Class::I32 => Elem::I32,
        // Sums are never held in this class, so a result is as small as an element.
        Class::U32 => Elem::U8,
    };
    let buffer = gpu.alloc_elems(elem, outputs * shares)?;
    let dims = [shares, outputs];
    let partial = Operand {
        buffer: &buffer,
        offset: 0,
        elem,
        dims: &dims,
        strides: &[outputs as isize, 1],
    };
    pass.run(gpu, &partial, input, shares, true)?;
    // The second stage: the shares of each output, whose place in `out` is as before.
    let mut kept = kept;
    let mut step = 1;
    for axis in kept.iter_mut().rev() {
        axis.strides[1] = step;
        step *= axis.size as isize;
    }
    let mut share = axes(&[shares], &[])?;
    for axis in &mut share {
        axis.strides[1] = outputs as isize;
    }
    let finish = Reduction { pre: "x", ..*op };
    let second = Pass {
        op: &finish,
        by_lane: outputs >= 64 || shares <= 32,
        kept: &kept,
        folded: &share,
        outputs,
        length: shares,
    };
    second.run(gpu, out, &partial, 1, false)
}

struct Pass<'a> {
    op: &'a Reduction<'a>,
    by_lane: bool,
    kept: &'a Axes,
    folded: &'a Axes,
    outputs: usize,
    length: usize,
}

impl Pass<'_> {
    fn run(
        &self,
        gpu: &Gpu,
        out: &Operand<'_>,
        input: &Operand<'_>,
        shares: usize,
        partial: bool,
    ) -> Result<()> {
        let op = self.op;
        let items = self.outputs * shares;
        let text = format!("{}|{}", op.pre, op.finish);
        let key = Key {
            family: if self.by_lane {
                "reduce_lane"
            } else {
                "reduce_group"
            },
            text: &text,
            elems: &[out.elem, input.elem],
            variant: op.fold as u64
                | (op.compute as u64) << 4
                | (self.kept.len() as u64) << 8
                | (self.folded.len() as u64) << 16
                | u64::from(partial) << 24,
        };
        let kernel =
            gpu.kernels
                .get(gpu, key, || Ok(self.source(out.elem, input.elem, partial)))?;
        let mut words = Words::default();
        words.count(items)?;
        words.count(self.outputs)?;
        words.count(self.length)?;
        words.count(self.length.div_ceil(shares))?;
        words.word(out.base()?);
        words.word(input.base()?);
        for axis in self.kept {
            words.count(axis.size)?;
            words.step(axis.strides[0]);
            words.step(axis.strides[1]);
        }
        for axis in self.folded {
            words.count(axis.size)?;
            words.step(axis.strides[1]);
        }
        words.scalar(Class::F32, Scalar::F(op.scale));
        let groups = if self.by_lane {
            groups_for(items)
        } else {
            items as u64
        };
        record(gpu, kernel, &[out, input], &words, grid(gpu, groups)?)
    }

    fn source(&self, out: Elem, input: Elem, partial: bool) -> Source<'static> {
        let op = self.op;
        let mut params: Vec<String> = ["items", "outputs", "length", "chunk", "o0", "o1"]
            .map(String::from)
            .into();
        for d in 0..self.kept.len() {
            params.extend([
                format!("kept{d}"),
                format!("out_step{d}"),
                format!("in_step{d}"),
            ]);
        }
        for d in 0..self.folded.len() {
            params.extend([format!("fold{d}"), format!("fold_step{d}")]);
        }
        let (scale_words, scale) = scalar_words("scale", Class::F32);
        params.extend(scale_words);

        let mut offsets = String::new();
        walk(
            &mut offsets,
            "kept_input",
            "$o1",
            self.kept.len(),
            "kept",
            "in_step",
        );
        walk(
            &mut offsets,
            "kept_output",
            "$o0",
            self.kept.len(),
            "kept",
            "out_step",
        );
        walk(
            &mut offsets,
            "folded",
            "0u",
            self.folded.len(),
            "fold",
            "fold_step",
        );

        let mut element = cast(
            &load(input, "b1[origin + folded(r)]"),
            input.class(),
            op.compute,
        );
        if op.fold.tests() && input != Elem::Bool && op.pre == "x" {
            let raw = load(input, "b1[origin + folded(r)]");
            element = format!("{}({})", op.compute.wgsl(), truth(&raw, input.class()));
        }
        let finish = if partial {
            store(out, "x", op.compute)
        } else {
            let text = exact_calls(op.finish, op.compute).replace("scale", &scale);
            store(out, &format!("({text})"), op.compute)
        };
        Source {
            template: if self.by_lane {
                include_str!("wgsl/reduce_lane.wgsl")
            } else {
                include_str!("wgsl/reduce_group.wgsl")
            },
            buffers: vec![out.storage().into(), input.storage().into()],
            params,
            fill: vec![
                ("offsets", offsets),
                ("acc", op.compute.wgsl().into()),
                ("init", op.fold.init(op.compute)),
                ("load", element),
                ("pre", exact_calls(op.pre, op.compute)),
                ("combine", exact_calls(op.fold.combine(), op.compute)),
                (
                    "to",
                    if partial {
                        "$o0 + item"
                    } else {
                        "kept_output(kept)"
                    }
                    .into(),
                ),
                ("finish", finish),
            ],
        }
    }
}

/// A WGSL function from a linear index over `rank` dims to an offset.
pub(super) fn walk(out: &mut String, name: &str, from: &str, rank: usize, size: &str, step: &str) {
    let _ = writeln!(
        out,
        "fn {name}(index: u32) -> u32 {{\n    var rest = index;\n    var at = {from};"
    );
    for d in (0..rank).rev() {
        if d == 0 {
            let _ = writeln!(out, "    at = at + rest * ${step}0;");
        } else {
            let _ = writeln!(
                out,
                "    at = at + (rest % ${size}{d}) * ${step}{d};\n    rest = rest / ${size}{d};"
            );
        }
    }
    out.push_str("    return at;\n}\n");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Array, device};
    use super::*;

    fn check(dims: &[usize], reduced: &[bool], permute: Option<(usize, usize)>) -> Result<()> {
        let numel: usize = dims.iter().product();
        let values: Vec<f32> = (0..numel)
            .map(|i| ((i * 7919) % 1013) as f32 - 500.0)
            .collect();
        let mut x = Array::f32(dims, &values)?;
        if let Some((a, b)) = permute {
            x = x.transposed(a, b);
        }
        let out_dims: Vec<usize> = (0..dims.len())
            .map(|d| if reduced[d] { 1 } else { x.dims[d] })
            .collect();
        let out = Array::empty(Elem::F32, &out_dims)?;
        let top = Array::empty(Elem::F32, &out_dims)?;
        let sum = Reduction {
            finish: "x / scale",
            scale: 2.0,
            ..Reduction::new("sum", Fold::Sum, Class::F32)
        };
        reduce(&sum, &out.view(), &x.view(), reduced)?;
        reduce(
            &Reduction::new("amax", Fold::Max, Class::F32),
            &top.view(),
            &x.view(),
            reduced,
        )?;
        let outputs: usize = out_dims.iter().product();
        let (mut sums, mut tops) = (vec![0.0f64; outputs], vec![f32::NEG_INFINITY; outputs]);
        for flat in 0..numel {
            let (mut rest, mut from, mut to) = (flat, 0, 0);
            for d in (0..dims.len()).rev() {
                let at = rest % x.dims[d];
                rest /= x.dims[d];
                from += at * x.strides[d] as usize;
                if !reduced[d] {
                    to += at * out.strides[d] as usize;
                }
            }
            sums[to] += f64::from(values[from]) / 2.0;
            tops[to] = tops[to].max(values[from]);
        }
        let got = out.host_f32()?;
        for (got, want) in got.iter().zip(&sums) {
            assert!(
                (f64::from(*got) - want).abs() <= 1e-3 + want.abs() * 1e-6,
                "{dims:?}: {got} for {want}"
            );
        }
        assert_eq!(top.host_f32()?, tops, "{dims:?}");
        Ok(())
    }

    #[test]
    fn any_set_of_dims() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        check(&[1000], &[true], None)?;
        check(&[100_000], &[true], None)?;
        check(&[70, 300], &[true, false], None)?;
        check(&[70, 300], &[false, true], None)?;
        check(&[3, 20_000], &[false, true], None)?;
        check(&[20_000, 17], &[true, false], None)?;
        check(&[5, 6, 7, 8], &[true, false, true, false], None)?;
        check(&[5, 6, 7, 8], &[false, true, false, true], None)?;
        check(&[50, 60, 70], &[true, false, true], Some((0, 2)))?;
        check(&[4, 1, 9], &[false, true, false], None)?;
        check(&[], &[], None)
    }

    #[test]
    fn nan_and_nothing() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let x = Array::f32(&[3], &[1.0, f32::NAN, 2.0])?;
        let out = Array::empty(Elem::F32, &[1])?;
        for fold in [Fold::Max, Fold::Min, Fold::Sum] {
            reduce(
                &Reduction::new("test", fold, Class::F32),
                &out.view(),
                &x.view(),
                &[true],
            )?;
            assert!(out.host_f32()?[0].is_nan());
        }
        let any = Array::empty(Elem::Bool, &[1])?;
        reduce(
            &Reduction::new("any", Fold::Any, Class::U32),
            &any.view(),
            &x.view(),
            &[true],
        )?;
        assert_eq!(any.host()?, [1]);
        let none = Array::empty(Elem::F32, &[0])?;
        reduce(
            &Reduction::new("sum", Fold::Sum, Class::F32),
            &out.view(),
            &none.view(),
            &[true],
        )?;
        assert_eq!(out.host_f32()?, [0.0]);
        Ok(())
    }
}
