//! Kernels that compute each element on its own: maps of up to five inputs, casts, copies, fills and ranges.

use std::fmt::Write;

use smallvec::SmallVec;

use super::api::{Class, Elem, Error, Operand, Result, Scalar};
use super::device::gpu;
use super::launch::{
    Axes, MAX_OPERANDS, Words, axes, collapse, grid, groups_for, record, scalar_words,
};
use super::pipeline::Key;
use super::wgsl::{Source, cast, exact_calls, load, store, truth};

/// One elementwise op.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// The op's name, for errors.
    pub name: &'a str,
    /// A WGSL expression over the operand and scalar names: "exp(x)", "a * b", "select(x, slope * x, x < 0.0)".
    pub expr: &'a str,
    /// Operand names, in order. An op without inputs may name `i`, the element's index (u32).
    pub names: &'a [&'a str],
    /// The type in which operands meet the expression.
    pub compute: Class,
    /// True where the expression is a condition.
    pub condition: bool,
    /// True where the first operand is a condition: the expression sees a `bool`.
    pub masked: bool,
    pub scalars: &'a [(&'a str, Scalar)],
}

/// How a kernel finds its elements.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// Every operand is one run of elements, or one element (its bit in `single`); `wide` takes four a lane.
    Run {
        wide: bool,
        single: u8,
    },
    Strided {
        rank: usize,
    },
}

impl Layout {
    fn variant(self) -> u64 {
        match self {
            Self::Run { wide, single } => 1 | u64::from(wide) << 1 | u64::from(single) << 8,
            Self::Strided { rank } => (rank as u64) << 2,
        }
    }

    fn of(axes: &Axes, operands: &[&Operand<'_>], bases: &[u32]) -> Self {
        let (rank, count) = (axes.len(), operands.len());
        let steps = match axes.first() {
            None => [0; MAX_OPERANDS],
            Some(axis) => axis.strides,
        };
        let steps = &steps[..count];
        if rank > 1 || steps.iter().any(|&s| s != 0 && s != 1) || (rank == 1 && steps[0] == 0) {
            return Self::Strided { rank };
        }
        let single = (0..count)
            .filter(|&i| steps[i] == 0)
            .fold(0, |m, i| m | 1 << i);
        let wide = rank == 1
            && (0..count).all(|i| {
                steps[i] == 0 || (bases[i].is_multiple_of(4) && operands[i].elem != Elem::I64)
            });
        Self::Run { wide, single }
    }
}

/// Computes `map` for every element of `out`. Inputs broadcast to its shape; any of them may be `out` itself.
pub fn elementwise(map: &Map<'_>, out: &Operand<'_>, inputs: &[Operand<'_>]) -> Result<()> {
    let gpu = gpu()?;
    if inputs.len() != map.names.len() || inputs.len() + 1 > MAX_OPERANDS {
        return Err(Error::Failed(format!(
            "{} takes {} operands on gpu",
            map.name,
            map.names.len()
        )));
    }
    let operands: SmallVec<[&Operand<'_>; MAX_OPERANDS]> =
        std::iter::once(out).chain(inputs).collect();
    for operand in &operands {
        gpu.require(map.name, operand.elem)?;
        operand.check()?;
    }
    if map.compute == Class::I64 {
        gpu.require(map.name, Elem::I64)?;
    }
    let numel = out.numel();
    if numel == 0 {
        return Ok(());
    }
    let axes = collapse(axes(out.dims, &operands)?)?;
    let mut bases: SmallVec<[u32; MAX_OPERANDS]> = SmallVec::new();
    for operand in &operands {
        bases.push(operand.base()?);
    }
    let layout = Layout::of(&axes, &operands, &bases);
    let elems: SmallVec<[Elem; MAX_OPERANDS]> = operands.iter().map(|o| o.elem).collect();
    let key = Key {
        family: "elementwise",
        text: map.expr,
        elems: &elems,
        variant: layout.variant()
            | (map.compute as u64) << 16
            | u64::from(map.condition) << 20
            | u64::from(map.masked) << 24
            | (map.scalars.len() as u64) << 32,
    };
    let kernel = gpu
        .kernels
        .get(gpu, key, || Ok(source(map, &elems, layout)))?;

    let mut words = Words::default();
    words.count(numel)?;
    for (i, &base) in bases.iter().enumerate() {
        let wide = matches!(layout, Layout::Run { wide: true, single } if single >> i & 1 == 0);
        words.word(if wide { base / 4 } else { base });
    }
    if let Layout::Strided { .. } = layout {
        for axis in &axes {
            words.count(axis.size)?;
            for &stride in &axis.strides[..operands.len()] {
                words.step(stride);
            }
        }
    }
    for &(_, value) in map.scalars {
        words.scalar(map.compute, value);
    }
    let lanes = match layout {
        Layout::Run { wide: true, .. } => numel.div_ceil(4),
        _ => numel,
    };
    record(
        gpu,
        kernel,
        &operands,
        &words,
        grid(gpu, groups_for(lanes))?,
    )
}

fn source(map: &Map<'_>, elems: &[Elem], layout: Layout) -> Source<'static> {
    let count = elems.len();
    let mut params = vec!["n".to_string()];
    params.extend((0..count).map(|i| format!("o{i}")));
    if let Layout::Strided { rank } = layout {
        for d in 0..rank {
            params.push(format!("size{d}"));
            params.extend((0..count).map(|i| format!("step{i}_{d}")));
        }
    }
    let mut scalars = String::new();
    for (name, _) in map.scalars {
        let (words, text) = scalar_words(&format!("scalar_{name}"), map.compute);
        params.extend(words);
        let _ = writeln!(scalars, "    let {name} = {text};");
    }

    let mask = |i: usize| map.masked && i == 1;
    let mut args: Vec<String> = (1..count)
        .map(|i| {
            let kind = if mask(i) { "bool" } else { map.compute.wgsl() };
            format!("{}: {kind}", map.names[i - 1])
        })
        .collect();
    if count == 1 {
        args.push("i: u32".into());
    }
    // The value of one output element, given the text of each input element and of the element's index.
    let value = |element: &dyn Fn(usize) -> String, index: &str| {
        let mut inputs: Vec<String> = (1..count)
            .map(|i| {
                let loaded = load(elems[i], &element(i));
                if mask(i) {
                    truth(&loaded, elems[i].class())
                } else {
                    cast(&loaded, elems[i].class(), map.compute)
                }
            })
            .collect();
        if count == 1 {
            inputs.push(index.to_string());
        }
        let result = format!("apply({})", inputs.join(", "));
        match (map.condition, elems[0]) {
            (true, Elem::Bool) => format!("u32({result})"),
            (true, elem) => store(elem, &format!("u32({result})"), Class::U32),
            (false, elem) => store(elem, &result, map.compute),
        }
    };
    let mut body = String::new();
    match layout {
        Layout::Run { wide: true, single } => {
            body.push_str("    let base = at * 4u;\n    if (base >= $n) { return; }\n");
            for i in 1..count {
                let at = if single >> i & 1 == 1 { "" } else { " + at" };
                let _ = writeln!(body, "    let v{i} = b{i}[$o{i}{at}];");
            }
            let lanes: Vec<String> = ["x", "y", "z", "w"]
                .iter()
                .enumerate()
                .map(|(k, lane)| {
                    let element = |i: usize| {
                        if single >> i & 1 == 1 {
                            format!("v{i}")
                        } else {
                            format!("v{i}.{lane}")
                        }
                    };
                    value(&element, &format!("base + {k}u"))
                })
                .collect();
            let _ = writeln!(
                body,
                "    let r = vec4<{}>({});\n    let to = $o0 + at;",
                elems[0].storage(),
                lanes.join(", ")
            );
            body.push_str(
                "    if (base + 4u <= $n) {\n        b0[to] = r;\n        return;\n    }\n    b0[to].x = r.x;\n    \
                 if (base + 1u < $n) { b0[to].y = r.y; }\n    if (base + 2u < $n) { b0[to].z = r.z; }\n",
            );
        }
        Layout::Run {
            wide: false,
            single,
        } => {
            body.push_str("    if (at >= $n) { return; }\n");
            let index = |i: usize| if single >> i & 1 == 1 { "" } else { " + at" };
            let element = |i: usize| format!("b{i}[$o{i}{}]", index(i));
            let _ = writeln!(body, "    b0[$o0{}] = {};", index(0), value(&element, "at"));
        }
        Layout::Strided { rank } => {
            body.push_str("    if (at >= $n) { return; }\n    var rest = at;\n");
            for i in 0..count {
                let _ = writeln!(body, "    var e{i} = $o{i};");
            }
            for d in (0..rank).rev() {
                if d == 0 {
                    let _ = writeln!(body, "    let c{d} = rest;");
                } else {
                    let _ = writeln!(
                        body,
                        "    let c{d} = rest % $size{d};\n    rest = rest / $size{d};"
                    );
                }
                for i in 0..count {
                    let _ = writeln!(body, "    e{i} = e{i} + c{d} * $step{i}_{d};");
                }
            }
            let element = |i: usize| format!("b{i}[e{i}]");
            let _ = writeln!(body, "    b0[e0] = {};", value(&element, "at"));
        }
    }
    let buffers = elems.iter().enumerate().map(|(i, elem)| match layout {
        Layout::Run { wide: true, single } if single >> i & 1 == 0 => {
            format!("vec4<{}>", elem.storage())
        }
        _ => elem.storage().to_string(),
    });
    let result = if map.condition {
        "bool"
    } else {
        map.compute.wgsl()
    };
    Source {
        template: include_str!("wgsl/elementwise.wgsl"),
        buffers: buffers.collect(),
        params,
        fill: vec![
            ("args", args.join(", ")),
            ("result", result.to_string()),
            ("scalars", scalars),
            ("expr", exact_calls(map.expr, map.compute)),
            ("body", body),
        ],
    }
}

/// Copies `input`, broadcast to the shape of `out`, converting between element types.
pub fn copy(out: &Operand<'_>, input: &Operand<'_>) -> Result<()> {
    // Integers go through their own class: a float cannot hold them all.
    let map = Map {
        name: "copy_",
        expr: "x",
        names: &["x"],
        compute: input.elem.class(),
        condition: false,
        masked: false,
        scalars: &[],
    };
    elementwise(&map, out, &[*input])
}

/// Sets every element to `value`.
pub fn fill(out: &Operand<'_>, value: Scalar) -> Result<()> {
    let map = Map {
        name: "fill_",
        expr: "value",
        names: &[],
        compute: out.elem.class(),
        condition: false,
        masked: false,
        scalars: &[("value", value)],
    };
    elementwise(&map, out, &[])
}

/// Writes `start + i * step` into a contiguous operand.
pub fn arange(out: &Operand<'_>, start: Scalar, step: Scalar) -> Result<()> {
    let compute = out.elem.class();
    let map = Map {
        name: "arange",
        expr: match compute {
            Class::F32 => "start + f32(i) * step",
            Class::I64 => "start + i64(i) * step",
            Class::I32 => "start + i32(i) * step",
            Class::U32 => "start + i * step",
        },
        names: &[],
        compute,
        condition: false,
        masked: false,
        scalars: &[("start", start), ("step", step)],
    };
    elementwise(&map, out, &[])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Array, device};
    use super::*;

    fn unary(expr: &str, input: &[f32]) -> Result<Vec<f32>> {
        let x = Array::f32(&[input.len()], input)?;
        let out = Array::empty(Elem::F32, &[input.len()])?;
        let map = Map {
            name: "test",
            expr,
            names: &["x"],
            compute: Class::F32,
            condition: false,
            masked: false,
            scalars: &[],
        };
        elementwise(&map, &out.view(), &[x.view()])?;
        out.host_f32()
    }

    fn binary(expr: &str, condition: bool, out: &Array, a: &Array, b: &Array) -> Result<()> {
        let map = Map {
            name: "test",
            expr,
            names: &["a", "b"],
            compute: Class::F32,
            condition,
            masked: false,
            scalars: &[],
        };
        elementwise(&map, &out.view(), &[a.view(), b.view()])
    }

    /// Distance in units in the last place; infinite where one is NaN or infinite and the other is not.
    fn ulps(got: f32, want: f32) -> f64 {
        if got == want || (got.is_nan() && want.is_nan()) {
            return 0.0;
        }
        if !got.is_finite() || !want.is_finite() {
            return f64::INFINITY;
        }
        let unit = (want.abs().next_up() - want.abs()).max(f32::MIN_POSITIVE * f32::EPSILON);
        (f64::from(got) - f64::from(want)).abs() / f64::from(unit)
    }

    type Reference = fn(f64) -> f64;

    #[test]
    fn maths_is_exact_to_a_few_units() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let mut input: Vec<f32> = vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            1e-20,
            -1e-20,
            1e-7,
            3e38,
            -3e38,
            0.999_999,
            1.000_001,
            88.0,
            -87.0,
            1e10,
        ];
        input.extend((0..4000).map(|i| (i as f32 - 2000.0) * 0.01));
        input.extend((0..2000).map(|i| 1.0 + (i as f32 - 1000.0) * 1e-4));
        let cases: [(&str, Reference, f64); 21] = [
            ("exp(x)", f64::exp, 2.0),
            ("log(x)", f64::ln, 2.0),
            ("log1p(x)", f64::ln_1p, 3.0),
            ("expm1(x)", f64::exp_m1, 3.0),
            ("tanh(x)", f64::tanh, 4.0),
            ("sinh(x)", f64::sinh, 5.0),
            ("cosh(x)", f64::cosh, 5.0),
            ("asinh(x)", f64::asinh, 5.0),
            ("acosh(x)", f64::acosh, 5.0),
            ("atanh(x)", f64::atanh, 6.0),
            ("sqrt(x)", f64::sqrt, 1.0),
            ("sigmoid(x)", |x| 1.0 / (1.0 + (-x).exp()), 4.0),
            ("log2(x)", f64::log2, 4.0),
            ("exp2(x)", f64::exp2, 4.0),
            ("sin(x)", f64::sin, 3.0),
            ("cos(x)", f64::cos, 3.0),
            ("tan(x)", f64::tan, 5.0),
            ("atan(x)", f64::atan, 3.0),
            ("asin(x)", f64::asin, 4.0),
            ("acos(x)", f64::acos, 4.0),
            ("erf(x)", libm::erf, 5.0),
        ];
        for (expr, reference, bound) in cases {
            let got = unary(expr, &input)?;
            let mut worst = (0.0, 0.0, 0.0, 0.0);
            for (&x, &y) in input.iter().zip(&got) {
                let want = reference(f64::from(x)) as f32;
                let error = ulps(y, want);
                // Subnormal results may be flushed.
                if error > worst.0 && (want == 0.0 || want.abs() >= f32::MIN_POSITIVE) {
                    worst = (error, x, y, want);
                }
            }
            assert!(
                worst.0 <= bound,
                "{expr}: {} ulp at {}: {} for {}",
                worst.0,
                worst.1,
                worst.2,
                worst.3
            );
        }
        Ok(())
    }

    #[test]
    fn layouts_agree() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let (rows, cols) = (37, 53);
        let a: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..cols).map(|i| 1000.0 * i as f32).collect();
        let (da, db) = (Array::f32(&[rows, cols], &a)?, Array::f32(&[cols], &b)?);
        let out = Array::empty(Elem::F32, &[rows, cols])?;
        binary("a - b", false, &out, &da, &db)?;
        let want: Vec<f32> = (0..rows * cols).map(|i| a[i] - b[i % cols]).collect();
        assert_eq!(out.host_f32()?, want);

        // Transposed input, and in place on the transposed output.
        let t = da.transposed(0, 1);
        let out = Array::empty(Elem::F32, &[cols, rows])?;
        binary("a + b", false, &out, &t, &t)?;
        let want: Vec<f32> = (0..rows * cols)
            .map(|i| 2.0 * a[(i % rows) * cols + i / rows])
            .collect();
        assert_eq!(out.host_f32()?, want);
        binary("a + b", false, &t, &t, &out)?;
        let want: Vec<f32> = a.iter().map(|v| 3.0 * v).collect();
        assert_eq!(da.host_f32()?, want);

        // An offset that four-wide loads cannot take, and one element broadcast to all.
        let mut tail = Array::f32(&[9], &[0., 1., 2., 3., 4., 5., 6., 7., 8.])?;
        tail.offset = 3;
        tail.dims = vec![6];
        let one = Array::f32(&[1], &[10.0])?;
        let out = Array::empty(Elem::F32, &[6])?;
        binary("a * b", false, &out, &tail, &one)?;
        assert_eq!(out.host_f32()?, [30., 40., 50., 60., 70., 80.]);
        // Negative steps.
        tail.offset = 8;
        tail.strides = vec![-1];
        binary("a * b", false, &out, &tail, &one)?;
        assert_eq!(out.host_f32()?, [80., 70., 60., 50., 40., 30.]);
        Ok(())
    }

    #[test]
    fn comparisons_see_nan() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let a = Array::f32(&[6], &[nan, 1.0, nan, inf, -inf, 0.0])?;
        let b = Array::f32(&[6], &[1.0, nan, nan, inf, inf, -0.0])?;
        let out = Array::empty(Elem::Bool, &[6])?;
        let cases = [
            ("eq(a, b)", [0, 0, 0, 1, 0, 1]),
            ("ne(a, b)", [1, 1, 1, 0, 1, 0]),
            ("a < b", [0, 0, 0, 0, 1, 0]),
            ("a <= b", [0, 0, 0, 1, 1, 1]),
            ("a > b", [0, 0, 0, 0, 0, 0]),
            ("a >= b", [0, 0, 0, 1, 0, 1]),
        ];
        for (expr, want) in cases {
            binary(expr, true, &out, &a, &b)?;
            assert_eq!(out.host()?, want, "{expr}");
        }
        let out = Array::empty(Elem::F32, &[6])?;
        binary("max(a, b)", false, &out, &a, &b)?;
        let got = out.host_f32()?;
        assert!(got[0].is_nan() && got[1].is_nan() && got[2].is_nan());
        assert_eq!(got[3..], [inf, inf, 0.0]);
        binary("a - b", false, &out, &a, &b)?;
        let got = out.host_f32()?;
        assert!(got[3].is_nan(), "inf - inf is {}", got[3]);
        assert_eq!(got[4], -inf);
        Ok(())
    }

    #[test]
    fn casts_keep_values() -> Result<()> {
        let Some(gpu) = device() else {
            return Ok(());
        };
        let f = Array::f32(&[5], &[-1.5, 0.0, 2.7, 255.0, f32::NAN])?;
        let as_bool = Array::empty(Elem::Bool, &[5])?;
        copy(&as_bool.view(), &f.view())?;
        assert_eq!(as_bool.host()?, [1, 0, 1, 1, 1]);
        let mut four = Array::f32(&[4], &[-1.5, 0.0, 2.7, 255.0])?;
        let as_u8 = Array::empty(Elem::U8, &[4])?;
        copy(&as_u8.view(), &four.view())?;
        assert_eq!(as_u8.host()?, [255, 0, 2, 255]);
        let as_i8 = Array::empty(Elem::I8, &[4])?;
        copy(&as_i8.view(), &as_u8.view())?;
        assert_eq!(as_i8.host()?, [255, 0, 2, 255]);
        copy(&four.view(), &as_i8.view())?;
        assert_eq!(four.host_f32()?, [-1.0, 0.0, 2.0, -1.0]);
        four = Array::f32(&[3], &[1.0, 1.003_906_3, 3.140_625])?;
        let as_bf16 = Array::empty(Elem::BF16, &[3])?;
        copy(&as_bf16.view(), &four.view())?;
        assert_eq!(as_bf16.host()?, [0x80, 0x3f, 0x80, 0x3f, 0x49, 0x40]);
        if gpu.caps.f16 {
            let as_f16 = Array::empty(Elem::F16, &[3])?;
            copy(&as_f16.view(), &four.view())?;
            assert_eq!(as_f16.host()?[..4], [0x00, 0x3c, 0x04, 0x3c]);
        }
        if gpu.caps.i64 {
            let long = Array::bytes(
                Elem::I64,
                &[2],
                &[(-5_000_000_000i64).to_le_bytes(), 7i64.to_le_bytes()].concat(),
            )?;
            let back = Array::empty(Elem::F32, &[2])?;
            copy(&back.view(), &long.view())?;
            assert_eq!(back.host_f32()?, [-5e9, 7.0]);
            let int = Array::empty(Elem::I32, &[2])?;
            copy(&int.view(), &long.view())?;
            assert_eq!(int.host()?[..4], (-5_000_000_000i64 as i32).to_le_bytes());
            fill(&long.view(), Scalar::I(-1 << 40))?;
            assert_eq!(long.host()?[..8], (-1i64 << 40).to_le_bytes());
            arange(&long.view(), Scalar::I(5), Scalar::I(-3))?;
            assert_eq!(
                long.host()?,
                [5i64.to_le_bytes(), 2i64.to_le_bytes()].concat()
            );
        }
        Ok(())
    }

    #[test]
    fn many_launches_keep_order_and_memory() -> Result<()> {
        let Some(gpu) = device() else {
            return Ok(());
        };
        let x = Array::f32(&[1000], &[0.0; 1000])?;
        let one = Array::f32(&[], &[1.0])?;
        for _ in 0..500 {
            let copied = Array::empty(Elem::F32, &[1000])?;
            copy(&copied.view(), &x.view())?;
            binary("a + b", false, &x, &copied, &one)?;
        }
        assert_eq!(x.host_f32()?, [500.0; 1000]);
        assert!(gpu.memory_stats().reserved <= 256 << 20);
        Ok(())
    }

    #[test]
    fn errors_name_the_op() {
        let Some(gpu) = device() else {
            return;
        };
        if !gpu.caps.i64 {
            let refused = gpu.require("exp", Elem::I64);
            assert!(refused.is_err_and(|e| {
                e.to_string()
                    .starts_with("\"exp\" not implemented for 'Long' on gpu")
            }));
        }
        assert!(unary("unheard_of(x)", &[1.0]).is_err());
    }
}
