//! The macros that declare rows, and how an elementwise row runs.
//!
//! `pointwise!` states an elementwise op: its loops as expressions over lanes, its WGSL and its gradient formulas.
//! `op!` states any other op: schema lines and the functions they call.

use super::args::{Arg, Args, Value};
use crate::autograd::{self, GradVec, Grads, Node, Saved, Term};
use crate::dtype::{DType, ResultType, default_dtype};
use crate::error::Result;
use crate::iter::{self, Kernel};
use crate::scalar::Scalar;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::rc::Rc;

/// How an elementwise op's dtype follows from its operands'.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yields {
    /// The promoted dtype.
    Promote,
    /// The promoted dtype, the default dtype for integers.
    Float,
    /// bool, computed in the promoted dtype.
    Bool,
    /// The promoted dtype, its real counterpart for complex operands.
    Real,
    /// As `Real`, the default dtype for integers.
    RealFloat,
}

/// Refuses operands before anything is computed: the operands, the parameters, the promoted dtype.
pub type Check = fn(ins: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()>;

/// The gradient of one operand: what it reads and how it is computed.
pub struct Rule {
    /// The operand it belongs to.
    pub arg: usize,
    /// Operands it reads; `OUT` is the result.
    pub saves: &'static [usize],
    pub formula: fn(g: &Term, saved: &[Term], params: &[Scalar]) -> Term,
}

/// Stands for the result in `Rule::saves`.
pub const OUT: usize = usize::MAX;

/// An elementwise op.
pub struct Pointwise {
    pub name: &'static str,
    pub inputs: &'static [&'static str],
    pub params: &'static [&'static str],
    pub yields: Yields,
    /// The first operand is a mask: it does not take part in promotion.
    pub masked: bool,
    pub check: Option<Check>,
    /// The loop for a compute dtype.
    pub kernel: fn(DType) -> Option<Kernel>,
    pub rules: &'static [Rule],
    /// Whether a derivative exists (or is zero by nature).
    pub differentiable: bool,
    pub wgsl: Option<&'static str>,
    /// The expression for integers, where it differs.
    pub wgsl_int: Option<&'static str>,
    /// The expression for bool, which a device holds as 0 or 1, where it differs from the one for integers.
    pub wgsl_bool: Option<&'static str>,
}

/// Finds a name at compile time.
pub const fn index_of(names: &[&str], name: &str) -> usize {
    let mut i = 0;
    while i < names.len() {
        let (a, b) = (names[i].as_bytes(), name.as_bytes());
        if a.len() == b.len() {
            let mut k = 0;
            while k < a.len() && a[k] == b[k] {
                k += 1;
            }
            if k == a.len() {
                return i;
            }
        }
        i += 1;
    }
    OUT
}

/// A wrapped number has the promoted dtype's value without a cast of its own.
fn common_of(ins: &[&Tensor]) -> Result<DType> {
    if let [a, rest @ ..] = ins
        && !a.is_wrapped()
        && rest
            .iter()
            .all(|b| b.dtype() == a.dtype() && !b.is_wrapped())
    {
        return Ok(a.dtype());
    }
    let mut r = ResultType::default();
    for t in ins {
        r.add(t.dtype(), t.ndim(), t.is_wrapped())?;
    }
    r.get()
}

fn common_sizes(ins: &[&Tensor]) -> Result<Sizes> {
    let mut sizes = Sizes::from_slice(ins[0].sizes());
    for t in &ins[1..] {
        if t.sizes() != sizes.as_slice() {
            sizes = shape::broadcast(&sizes, t.sizes())?;
        }
    }
    Ok(sizes)
}

/// The strides of a new result: those of the operands where they agree, else contiguous.
fn result_strides(ins: &[&Tensor], sizes: &[usize]) -> Option<shape::Strides> {
    let mut found: Option<&&Tensor> = None;
    for t in ins.iter().filter(|t| t.sizes() == sizes && t.ndim() > 1) {
        if t.is_contiguous() {
            return None;
        }
        found = found.or(Some(t));
    }
    found.map(|t| t.dense_strides())
}

impl Pointwise {
    fn common(&self, ins: &[&Tensor], params: &[Scalar]) -> Result<DType> {
        let promoted = common_of(if self.masked { &ins[1..] } else { ins })?;
        if let Some(check) = self.check {
            check(ins, params, promoted)?;
        }
        Ok(promoted)
    }

    fn compute_dtype(&self, promoted: DType) -> DType {
        let float = matches!(self.yields, Yields::Float | Yields::RealFloat);
        if float && promoted.is_integral() {
            default_dtype()
        } else {
            promoted
        }
    }

    fn result_dtype(&self, computed: DType) -> DType {
        match self.yields {
            Yields::Bool => DType::Bool,
            Yields::Real | Yields::RealFloat => computed.to_real(),
            _ => computed,
        }
    }

    #[cold]
    fn no_kernel(&self, dtype: DType) -> crate::error::Error {
        crate::err!(
            NotImplemented,
            "\"{}_cpu\" not implemented for '{}'",
            self.name,
            dtype.scalar_name()
        )
    }

    fn device(&self, ins: &[&Tensor], out: Option<&Tensor>) -> Result<crate::device::Device> {
        // 0-d CPU tensors may join operands of a device; 0-d tensors of a device may not join those of the CPU.
        let mut device = out.map(|t| t.device());
        for t in ins.iter().filter(|t| t.ndim() > 0 || !t.device().is_cpu()) {
            match device {
                None => device = Some(t.device()),
                Some(d) => crate::check!(
                    d == t.device(),
                    Runtime,
                    "Expected all tensors to be on the same device, but found at least two devices, {} and {}!",
                    d,
                    t.device()
                ),
            }
        }
        let any = ins.iter().map(|t| t.device()).find(|d| !d.is_cpu());
        Ok(device.or(any).unwrap_or(ins[0].device()))
    }

    fn run(&self, ins: &[&Tensor], promoted: DType, out: &Tensor, params: &[Scalar]) -> Result<()> {
        let dtype = self.compute_dtype(promoted);
        if !out.device().is_cpu() {
            #[cfg(feature = "gpu")]
            return crate::gpu::pointwise(self, ins, dtype, out, params);
            #[cfg(not(feature = "gpu"))]
            crate::bail!(Runtime, "this build of rtorch has no GPU backend");
        }
        let compute = dtype.compute();
        let Some(kernel) = (self.kernel)(compute) else {
            return Err(self.no_kernel(dtype));
        };
        let yields = if self.yields == Yields::Bool {
            DType::Bool
        } else {
            compute
        };
        // SAFETY: all operands are on the CPU and broadcast to `out`; the kernel is the one for `compute`.
        unsafe { iter::pointwise(kernel, compute, yields, ins, out, params) };
        crate::check!(
            !crate::cpu::int::take_division_by_zero(),
            Runtime,
            "ZeroDivisionError"
        );
        Ok(())
    }

    /// A new result.
    pub fn call(&'static self, ins: &[&Tensor], params: &[Scalar]) -> Result<Tensor> {
        let promoted = self.common(ins, params)?;
        let computed = self.compute_dtype(promoted);
        let device = if ins.iter().all(|t| t.device().is_cpu()) {
            crate::device::Device::Cpu
        } else {
            self.device(ins, None)?
        };
        let sizes = common_sizes(ins)?;
        let dtype = self.result_dtype(computed);
        let out = match result_strides(ins, &sizes) {
            None => Tensor::empty(&sizes, dtype, device)?,
            Some(strides) => Tensor::empty_strided(&sizes, &strides, dtype, device)?,
        };
        self.run(ins, promoted, &out, params)?;
        if dtype != DType::Bool && autograd::needs_grad(ins) {
            let node = self.node(ins, ins[0], &out, params);
            autograd::attach(node, &[&out]);
        }
        Ok(out)
    }

    fn node(
        &'static self,
        ins: &[&Tensor],
        first: &Tensor,
        out: &Tensor,
        params: &[Scalar],
    ) -> Rc<Node> {
        let edges: SmallVec<[Option<autograd::Edge>; 3]> =
            ins.iter().map(|t| t.gradient_edge()).collect();
        if !self.differentiable {
            let name = self.name;
            return Node::with_edges(
                "NotImplemented",
                edges,
                false,
                Rc::new(move |_: &Grads| {
                    crate::bail!(Runtime, "derivative for {name} is not implemented")
                }),
            );
        }
        let mut saved: SmallVec<[Option<Saved>; 4]> = (0..ins.len() + 1).map(|_| None).collect();
        let mut stateful = false;
        for rule in self.rules.iter().filter(|r| edges[r.arg].is_some()) {
            for &s in rule.saves {
                stateful = true;
                if s == OUT {
                    saved[ins.len()] = Some(Saved::output(out, 0));
                } else if saved[s].is_none() {
                    saved[s] = Some(Saved::input(if s == 0 { first } else { ins[s] }));
                }
            }
        }
        let params: SmallVec<[Scalar; 2]> = SmallVec::from_slice(params);
        let count = ins.len();
        Node::with_edges(
            self.name,
            edges,
            stateful,
            Rc::new(move |g: &Grads| -> Result<GradVec> {
                let mut out: GradVec = (0..count).map(|_| None).collect();
                let Some(grad) = g.opt(0) else { return Ok(out) };
                let grad = Term::from(grad);
                for rule in self.rules.iter().filter(|r| g.needs(r.arg)) {
                    let mut terms: SmallVec<[Term; 4]> = SmallVec::new();
                    for &s in rule.saves {
                        let slot = if s == OUT { count } else { s };
                        if let Some(s) = &saved[slot] {
                            terms.push(Term(Ok(s.get(g)?)));
                        }
                    }
                    out[rule.arg] = Some((rule.formula)(&grad, &terms, &params).0?);
                }
                Ok(out)
            }),
        )
    }

    /// Checks that a result of these operands may be written into `out`.
    fn check_into(&self, promoted: DType, sizes: &[usize], out: &Tensor) -> Result<()> {
        let dtype = self.result_dtype(self.compute_dtype(promoted));
        crate::check!(
            dtype.can_cast(out.dtype()),
            Runtime,
            "result type {} can't be cast to the desired output type {}",
            dtype.scalar_name(),
            out.dtype().scalar_name()
        );
        crate::check!(
            out.sizes() == sizes,
            Runtime,
            "output with shape {} doesn't match the broadcast shape {}",
            shape::list(out.sizes()),
            shape::list(sizes)
        );
        Ok(())
    }

    /// Over the first operand.
    pub fn call_in_place(&'static self, ins: &[&Tensor], params: &[Scalar]) -> Result<Tensor> {
        let out = ins[0];
        let grad = autograd::needs_grad(ins);
        autograd::inplace::check(out, grad)?;
        let promoted = self.common(ins, params)?;
        let sizes = common_sizes(ins)?;
        self.check_into(promoted, &sizes, out)?;
        self.device(ins, None)?;
        if grad
            && self
                .result_dtype(self.compute_dtype(promoted))
                .is_differentiable()
            && out.dtype().is_differentiable()
        {
            // Formulas that read the first operand, and views, need its value and history from before.
            let reads_self = self.rules.iter().any(|r| r.saves.contains(&0));
            if out.view_of().is_some() || out.dtype() != promoted {
                let before = autograd::inplace::original(out)?;
                let mut fresh: SmallVec<[&Tensor; 4]> = SmallVec::from_slice(ins);
                fresh[0] = &before;
                let result = self.call(&fresh, params)?.to_dtype(out.dtype())?;
                return out.overwrite(&result);
            }
            let before = if reads_self {
                autograd::inplace::original(out)?
            } else {
                out.clone()
            };
            self.run(ins, promoted, out, params)?;
            out.bump();
            let node = self.node(ins, &before, out, params);
            node.add_output(out);
            out.set_grad_fn(node, 0);
            return Ok(out.clone());
        }
        self.run(ins, promoted, out, params)?;
        out.bump();
        Ok(out.clone())
    }

    /// Into a tensor the caller gave, which is resized if it has another shape; returns it.
    pub fn call_into(
        &'static self,
        ins: &[&Tensor],
        params: &[Scalar],
        out: &Tensor,
    ) -> Result<Tensor> {
        check_out(self.name, ins, std::slice::from_ref(out))?;
        let promoted = self.common(ins, params)?;
        let sizes = common_sizes(ins)?;
        let out = if out.sizes() == sizes.as_slice() {
            out.clone()
        } else {
            out.resized(&sizes)?
        };
        self.check_into(promoted, &sizes, &out)?;
        self.device(ins, Some(&out))?;
        autograd::inplace::check_writable(&out)?;
        self.run(ins, promoted, &out, params)?;
        out.bump();
        Ok(out)
    }

    /// The parsed arguments of a row: operands, numbers among them wrapped, then parameters.
    pub fn split(&self, args: &Args) -> Result<(SmallVec<[Tensor; 4]>, SmallVec<[Scalar; 2]>)> {
        let n = self.inputs.len();
        let mut ins = SmallVec::new();
        for i in 0..n {
            ins.push(match args.get(i) {
                Arg::Tensor(t) => t.clone(),
                _ => Tensor::wrapped(args.scalar(i))?,
            });
        }
        Ok((
            ins,
            (n..n + self.params.len()).map(|i| args.scalar(i)).collect(),
        ))
    }
}

/// What `out=` asks of the arguments.
pub fn check_out(op: &str, ins: &[&Tensor], outs: &[Tensor]) -> Result<()> {
    if autograd::is_grad_enabled() {
        crate::check!(
            !ins.iter().any(|t| t.requires_grad()) && !outs.iter().any(|t| t.requires_grad()),
            Runtime,
            "{op}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments \
             requires grad."
        );
    }
    Ok(())
}

/// The Rust return type of a lane expression.
#[macro_export]
macro_rules! lane_type {
    (Bool, $T:ty) => {
        bool
    };
    ($yields:ident, $T:ty) => {
        $T
    };
}

/// The function `body`: one loop over contiguous buffers.
#[macro_export]
macro_rules! lane_body {
    ($T:ty, $O:ty, $f:ident, [$($arg:ident),+], [$($p:ident),*]) => {
        #[inline(always)]
        #[allow(unused_mut, unused_variables, unused_assignments)]
        unsafe fn body(ins: *const *const u8, out: *mut u8, n: usize, params: &[$crate::scalar::Scalar]) {
            // SAFETY: `Kernel`'s contract: as many inputs as the row has, contiguous for `n` elements.
            unsafe {
                let mut k = 0;
                $( let $arg = *ins.add(k) as *const $T; k += 1; )+
                let mut q = 0;
                $( let $p = <$T as $crate::scalar::Element>::from_scalar(params[q]); q += 1; )*
                let out = out as *mut $O;
                for i in 0..n {
                    *out.add(i) = $f::<$T>($(*$arg.add(i),)+ $($p),*);
                }
            }
        }
    };
}

/// The loop of a row, compiled once.
#[macro_export]
macro_rules! lane_loop {
    ($T:ty, $O:ty, $f:ident, $args:tt, $params:tt) => {{
        $crate::lane_body!($T, $O, $f, $args, $params);
        body
    }};
}

/// The float loops of a row for every instruction set, chosen by the machine.
#[macro_export]
macro_rules! float_loops {
    ($T:ty, $O:ty, $f:ident, $args:tt, $params:tt) => {{
        $crate::lane_body!($T, $O, $f, $args, $params);
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,avx2,bmi2")]
        unsafe fn avx512(
            ins: *const *const u8,
            out: *mut u8,
            n: usize,
            params: &[$crate::scalar::Scalar],
        ) {
            // SAFETY: as `body`.
            unsafe { body(ins, out, n, params) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,bmi2")]
        unsafe fn avx2(
            ins: *const *const u8,
            out: *mut u8,
            n: usize,
            params: &[$crate::scalar::Scalar],
        ) {
            // SAFETY: as `body`.
            unsafe { body(ins, out, n, params) }
        }
        #[cfg(target_arch = "x86_64")]
        let chosen: $crate::iter::Kernel = match $crate::cpu::isa::isa() {
            $crate::cpu::isa::Isa::Avx512 => avx512,
            $crate::cpu::isa::Isa::Avx2 => avx2,
            _ => body,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let chosen: $crate::iter::Kernel = body;
        chosen
    }};
}

/// The float loops of a row.
#[macro_export]
macro_rules! float_arm {
    ($dtype:ident, $yields:ident, ($first:ident $(, $arg:ident)* $(; $($p:ident),+)?), $e:expr) => {{
        #[inline(always)]
        fn f<R: Real>($first: R $(, $arg: R)* $($(, $p: R)+)?) -> $crate::lane_type!($yields, R) {
            $e
        }
        if $dtype == $crate::dtype::DType::F32 {
            $crate::float_loops!(f32, $crate::lane_type!($yields, f32), f, [$first $(, $arg)*], [$($($p),+)?])
        } else {
            $crate::float_loops!(f64, $crate::lane_type!($yields, f64), f, [$first $(, $arg)*], [$($($p),+)?])
        }
    }};
}

/// The integer loops of a row.
#[macro_export]
macro_rules! int_arm {
    ($dtype:ident, $yields:ident, ($first:ident $(, $arg:ident)* $(; $($p:ident),+)?), $e:expr) => {{
        #[inline(always)]
        fn f<I: Int>($first: I $(, $arg: I)* $($(, $p: I)+)?) -> $crate::lane_type!($yields, I) {
            $e
        }
        macro_rules! of {
            ($T:ty) => { $crate::lane_loop!($T, $crate::lane_type!($yields, $T), f, [$first $(, $arg)*], [$($($p),+)?]) };
        }
        use $crate::dtype::DType as D;
        let chosen: $crate::iter::Kernel = match $dtype {
            D::U8 => of!(u8), D::I8 => of!(i8), D::I16 => of!(i16), D::I32 => of!(i32),
            D::I64 => of!(i64), D::U16 => of!(u16), D::U32 => of!(u32), _ => of!(u64),
        };
        chosen
    }};
}

/// The loop of a row over bool.
#[macro_export]
macro_rules! bool_arm {
    (($first:ident $(, $arg:ident)* $(; $($p:ident),+)?), $e:expr) => {{
        #[inline(always)]
        fn f<B>($first: bool $(, $arg: bool)* $($(, $p: bool)+)?) -> bool {
            $e
        }
        $crate::lane_loop!(bool, bool, f, [$first $(, $arg)*], [$($($p),+)?])
    }};
}

/// The complex loops of a row.
#[macro_export]
macro_rules! complex_arm {
    ($dtype:ident, $yields:ident, ($first:ident $(, $arg:ident)* $(; $($p:ident),+)?), $e:expr) => {{
        #[inline(always)]
        fn f<C: $crate::cpu::lanes::ComplexLane>($first: C $(, $arg: C)* $($(, $p: C)+)?) -> $crate::lane_type!($yields, C) {
            $e
        }
        type C64 = num_complex::Complex<f32>;
        type C128 = num_complex::Complex<f64>;
        let chosen: $crate::iter::Kernel = if $dtype == $crate::dtype::DType::C64 {
            $crate::lane_loop!(C64, $crate::lane_type!($yields, C64), f, [$first $(, $arg)*], [$($($p),+)?])
        } else {
            $crate::lane_loop!(C128, $crate::lane_type!($yields, C128), f, [$first $(, $arg)*], [$($($p),+)?])
        };
        chosen
    }};
}

/// Declares an elementwise op. See `ops/unary.rs` for rows and CONTRIBUTING.md for a walk through one.
#[macro_export]
macro_rules! pointwise {
    (
        $(#[doc = $doc:literal])+
        $name:ident $args:tt -> $yields:ident
        $(, numbers $numbers:ident)?
        $(, schema [$($schema:literal),+ $(,)?])?
        $(, in [$($space:ident),+])?
        $(, alias [$($alias:literal),+])?
        $(, in_place $in_place:ident)?
        $(, masked $masked:literal)?
        $(, check $check:path)?
        $(, rust $rust:ident)?
        {
            $(float = $float:expr,)?
            $(int = $int:expr,)?
            $(bool = $bool:expr,)?
            $(complex = $complex:expr,)?
            $(wgsl = $wgsl:literal,)?
            $(wgsl_int = $wgsl_int:literal,)?
            $(wgsl_bool = $wgsl_bool:literal,)?
            $(grad $ga:ident ($g:ident $(; $($s:ident),+)?) = $formula:expr,)*
            $(no_grad = $no_grad:literal,)?
        }
    ) => {
        #[allow(non_snake_case, unused_imports, unused_variables, clippy::all)]
        pub mod $name {
            use super::*;
            use $crate::autograd::Term;
            use $crate::cpu::int::Int;
            use $crate::cpu::lanes::ComplexLane;
            use $crate::cpu::math::Real;
            use $crate::ops::declare::{OUT, Pointwise, Rule, Yields, index_of};
            use $crate::scalar::{Element, Scalar};

            const INPUTS: &[&str] = $crate::pointwise!(@inputs $args);
            const PARAMS: &[&str] = $crate::pointwise!(@params $args);

            fn kernel(dtype: $crate::dtype::DType) -> Option<$crate::iter::Kernel> {
                use $crate::dtype::DType as D;
                match dtype {
                    $(D::F32 | D::F64 => Some($crate::float_arm!(dtype, $yields, $args, $float)),)?
                    $(
                        D::U8 | D::I8 | D::I16 | D::I32 | D::I64 | D::U16 | D::U32 | D::U64 =>
                            Some($crate::int_arm!(dtype, $yields, $args, $int)),
                    )?
                    $(D::Bool => Some($crate::bool_arm!($args, $bool)),)?
                    $(D::C64 | D::C128 => Some($crate::complex_arm!(dtype, $yields, $args, $complex)),)?
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }

            pub static POINTWISE: Pointwise = Pointwise {
                name: $crate::ops::declare::row_name(stringify!($name)),
                inputs: INPUTS,
                params: PARAMS,
                yields: Yields::$yields,
                masked: false $(|| $masked)?,
                check: $crate::pointwise!(@some $($check)?),
                kernel,
                rules: &[$(Rule {
                    arg: index_of(INPUTS, stringify!($ga)),
                    saves: &[$($(index_of(INPUTS, stringify!($s))),+)?],
                    formula: $crate::formula!($args, $g, [$($($s),+)?], $formula),
                }),*],
                differentiable: $crate::pointwise!(@differentiable $yields [$($ga)*] [$($no_grad)?]),
                wgsl: $crate::pointwise!(@some $($wgsl)?),
                wgsl_int: $crate::pointwise!(@some $($wgsl_int)?),
                wgsl_bool: $crate::pointwise!(@some $($wgsl_bool)?),
            };

            fn run(args: &$crate::ops::args::Args) -> $crate::error::Result<$crate::ops::args::Value> {
                let (ins, params) = POINTWISE.split(args)?;
                let ins: smallvec::SmallVec<[&$crate::tensor::Tensor; 4]> = ins.iter().collect();
                Ok(POINTWISE.call(&ins, &params)?.into())
            }

            pub static DEF: $crate::ops::OpDef = $crate::ops::OpDef {
                name: $crate::ops::declare::row_name(stringify!($name)),
                doc: concat!($($doc, "\n"),+),
                spaces: $crate::pointwise!(@spaces $($($space),+)?),
                aliases: &[$($($alias),+)?],
                overloads: $crate::pointwise!(@overloads $($numbers)? [$($($schema),+)?] $args),
                in_place: $crate::pointwise!(@in_place $yields $($in_place)?),
                out: true,
                pointwise: Some(&POINTWISE),
            };

            $crate::pointwise!(@methods [$($rust)?] $name $args [$($doc)+]);
        }
    };
    (@inputs ($($arg:ident),+ $(; $($p:ident),+)?)) => { &[$(stringify!($arg)),+] };
    (@params ($($arg:ident),+ $(; $($p:ident),+)?)) => { &[$($(stringify!($p)),+)?] };
    // The typed methods: named after the row unless it names another.
    (@methods [$rust:ident] $name:ident $args:tt $docs:tt) => {
        $crate::pointwise!(@methods [] $rust $args $docs);
    };
    (@methods [] $name:ident ($first:ident $(, $arg:ident)* $(; $($p:ident),+)?) [$($doc:literal)+]) => {
        impl $crate::tensor::Tensor {
            $(#[doc = $doc])+
            pub fn $name(&self $(, $arg: &$crate::tensor::Tensor)* $($(, $p: impl Into<Scalar>)+)?) -> $crate::error::Result<$crate::tensor::Tensor> {
                POINTWISE.call(&[self $(, $arg)*], &[$($($p.into()),+)?])
            }
        }
        impl Term {
            pub fn $name(&self $(, $arg: &Term)* $($(, $p: impl Into<Scalar>)+)?) -> Term {
                let Ok($first) = &self.0 else { return self.clone() };
                $(let Ok($arg) = &$arg.0 else { return $arg.clone() };)*
                Term(POINTWISE.call(&[$first $(, $arg)*], &[$($($p.into()),+)?]))
            }
        }
    };
    (@some) => { None };
    (@some $e:expr) => { Some($e) };
    (@differentiable Bool [] []) => { true };
    (@differentiable $y:ident [] []) => { false };
    (@differentiable $y:ident [$($a:ident)+] []) => { true };
    (@differentiable $y:ident [] [$t:tt]) => { true };
    (@in_place $y:ident no) => { $crate::ops::InPlace::No };
    (@in_place $y:ident) => { $crate::ops::InPlace::Yes };
    (@spaces) => { $crate::ops::space::TORCH | $crate::ops::space::METHOD };
    (@spaces $($space:ident),+) => { 0 $(| $crate::ops::space::$space)+ };
    (@overloads [$($schema:literal),+] $args:tt) => {
        &[$($crate::ops::Overload { schema: $schema, run }),+]
    };
    // `numbers right`: the second operand may be a number; `numbers both`: either.
    (@overloads right [] $args:tt) => {
        $crate::pointwise!(@overloads ["(Tensor input, Tensor other) -> Tensor", "(Tensor input, Scalar other) -> Tensor"] $args)
    };
    (@overloads both [] $args:tt) => {
        $crate::pointwise!(@overloads [
            "(Tensor input, Tensor other) -> Tensor",
            "(Tensor input, Scalar other) -> Tensor",
            "(Scalar input, Tensor other) -> Tensor"
        ] $args)
    };
    (@overloads [] ($a:ident)) => {
        &[$crate::ops::Overload { schema: "(Tensor input) -> Tensor", run }]
    };
    (@overloads [] ($a:ident, $b:ident)) => {
        &[$crate::ops::Overload { schema: "(Tensor input, Tensor other) -> Tensor", run }]
    };
}

/// A gradient formula with its names bound: what it saves as terms, the row's parameters as numbers.
#[macro_export]
macro_rules! formula {
    (($($arg:ident),+ $(; $($p:ident),+)?), $g:ident, [$($s:ident),*], $formula:expr) => {
        |$g: &Term, saved: &[Term], params: &[Scalar]| {
            #[allow(unused_mut, unused_assignments)]
            {
                let mut i = 0;
                $(let $s = &saved[i]; i += 1;)*
                let mut q = 0;
                $($(let $p = params[q]; q += 1;)+)?
                Term::from($formula)
            }
        }
    };
}

/// Declares an op that is not elementwise: schema lines, each with the function it calls.
///
/// ```ignore
/// op! {
///     /// Docstring.
///     softmax, in [TORCH, METHOD], alias ["special.softmax"]; out {
///         "(Tensor input, int dim, ScalarType? dtype=None) -> Tensor" => |a| softmax(&a.tensor(0), a.int(1), a.dtype(2)),
///     }
/// }
/// ```
#[macro_export]
macro_rules! op {
    (
        $(#[doc = $doc:literal])+
        $name:ident, in [$($space:ident),+]
        $(, alias [$($alias:literal),+])?
        $(; $($flag:ident),+)?
        { $($schema:literal => $run:expr),+ $(,)? }
    ) => {
        // A module, so that a row and the function it calls may share a name.
        #[allow(non_snake_case, unused_imports)]
        pub mod $name {
        use super::*;
        pub static DEF: $crate::ops::OpDef = $crate::ops::OpDef {
            name: $crate::op!(@name $name),
            doc: concat!($($doc, "\n"),+),
            spaces: 0 $(| $crate::ops::space::$space)+,
            aliases: &[$($($alias),+)?],
            overloads: &[$($crate::ops::Overload {
                schema: $schema,
                run: |args: &$crate::ops::args::Args| {
                    #[allow(clippy::redundant_closure_call)]
                    let run: fn(&$crate::ops::args::Args) -> $crate::error::Result<_> = $run;
                    Ok($crate::ops::args::Value::from(run(args)?))
                },
            }),+],
            in_place: if $crate::op!(@flag in_place $($($flag)+)?) { $crate::ops::InPlace::Yes } else { $crate::ops::InPlace::No },
            out: $crate::op!(@flag out $($($flag)+)?),
            pointwise: None,
        };
        }
    };
    (@name $name:ident) => {{
        // Names that are Rust keywords are written `r#where` or, where that is not allowed, `name__`.
        const NAME: &str = stringify!($name);
        $crate::ops::declare::row_name(NAME)
    }};
    (@flag in_place) => { false };
    (@flag in_place in_place $($rest:ident)*) => { true };
    (@flag in_place $other:ident $($rest:ident)*) => { $crate::op!(@flag in_place $($rest)*) };
    (@flag out) => { false };
    (@flag out out $($rest:ident)*) => { true };
    (@flag out $other:ident $($rest:ident)*) => { $crate::op!(@flag out $($rest)*) };
}

/// A row's public name: without the two trailing underscores or `r#` that keep it apart from Rust's own names.
pub const fn row_name(name: &'static str) -> &'static str {
    let b = name.as_bytes();
    let n = b.len();
    if n > 2 && b[0] == b'r' && b[1] == b'#' {
        return tail(name, 2);
    }
    if n > 2 && b[n - 1] == b'_' && b[n - 2] == b'_' && !(b[0] == b'_' && b[1] == b'_') {
        return head(name, n - 2);
    }
    name
}

const fn head(s: &'static str, n: usize) -> &'static str {
    match std::str::from_utf8(s.as_bytes().split_at(n).0) {
        Ok(s) => s,
        Err(_) => s,
    }
}

const fn tail(s: &'static str, n: usize) -> &'static str {
    match std::str::from_utf8(s.as_bytes().split_at(n).1) {
        Ok(s) => s,
        Err(_) => s,
    }
}

/// A tensor result as a value; lets rows return `Result<Tensor>` directly.
pub fn value(t: Result<Tensor>) -> Result<Value> {
    t.map(Value::Tensor)
}
