//! Optimizer steps in one kernel for each parameter; the formulas and options are those of `cpu::optim`.

use smallvec::SmallVec;

use super::api::{Class, Elem, Error, Operand, Result, Scalar};
use super::device::gpu;
use super::launch::{Words, grid, groups_for, record, scalar_words};
use super::pipeline::Key;
use super::wgsl::Source;
use crate::cpu::optim::{adam, sgd};

/// SGD's step, with momentum where there is a buffer.
const SGD: &str = "    g = g + {decay} * p;
    p = p + {rate} * g;";
const SGD_MOMENTUM: &str = "    g = g + {decay} * p;
    let b = {keep} * b2[$o2 + at] + {share} * g;
    b2[$o2 + at] = b;
    p = p + {rate} * ({on_buffer} * b + {on_grad} * g);";
/// Adam's; AMSGrad keeps the greatest second moment.
const ADAM: &str = "    p = p * {shrink};
    g = g + {decay} * p;
    let m_old = b2[$o2 + at];
    let m = m_old + (g - m_old) * {weight};
    let v = b3[$o3 + at] * {beta2} + {share} * g * g;
    b2[$o2 + at] = m;
    b3[$o3 + at] = v;
    {second}
    p = p + {step_size} * m / (sqrt(second) / {scale} + {eps});";
const PLAIN: &str = "let second = v;";
const AMSGRAD: &str = "let second = max(b4[$o4 + at], v);\n    b4[$o4 + at] = second;";

fn step(
    family: &'static str,
    formula: &'static str,
    operands: &[&Operand<'_>],
    maximize: bool,
    scalars: &[(&str, f64)],
) -> Result<()> {
    let gpu = gpu()?;
    let numel = operands.first().map_or(0, |o| o.numel());
    for operand in operands {
        operand.check()?;
        if operand.elem != Elem::F32 || operand.numel() != numel {
            return Err(Error::Failed(format!(
                "{family} takes float32 tensors of one shape on gpu"
            )));
        }
    }
    if numel == 0 {
        return Ok(());
    }
    let elems: SmallVec<[Elem; 6]> = operands.iter().map(|o| o.elem).collect();
    let key = Key {
        family,
        text: formula,
        elems: &elems,
        variant: u64::from(maximize),
    };
    let kernel = gpu.kernels.get(gpu, key, || {
        let mut params = vec!["n".to_string()];
        params.extend((0..elems.len()).map(|i| format!("o{i}")));
        let second = if elems.len() == 5 { AMSGRAD } else { PLAIN };
        let mut text = formula.replace("{second}", second);
        for (name, _) in scalars {
            let (words, value) = scalar_words(name, Class::F32);
            params.extend(words);
            text = text.replace(&format!("{{{name}}}"), &value);
        }
        Ok(Source {
            template: include_str!("wgsl/optim.wgsl"),
            buffers: elems.iter().map(|e| e.storage().to_string()).collect(),
            params,
            fill: vec![
                ("sign", if maximize { "-1.0" } else { "1.0" }.into()),
                ("step", text),
            ],
        })
    })?;
    let mut words = Words::default();
    words.count(numel)?;
    for operand in operands {
        words.word(operand.base()?);
    }
    for &(_, value) in scalars {
        words.scalar(Class::F32, Scalar::F(value));
    }
    record(gpu, kernel, operands, &words, grid(gpu, groups_for(numel))?)
}

/// One step of SGD; `first` says that the buffer has no value yet.
pub fn sgd(
    o: &sgd::Options,
    param: &Operand<'_>,
    grad: &Operand<'_>,
    buffer: Option<&Operand<'_>>,
    first: bool,
) -> Result<()> {
    let (decay, rate) = (("decay", o.weight_decay), ("rate", -o.lr));
    let Some(buffer) = buffer else {
        return step("sgd", SGD, &[param, grad], o.maximize, &[decay, rate]);
    };
    if first {
        // The memory holds anything, NaN perhaps, which no factor of zero would remove.
        super::elementwise::fill(buffer, Scalar::F(0.0))?;
    }
    let scalars = [
        decay,
        rate,
        ("keep", o.momentum),
        ("share", if first { 1.0 } else { 1.0 - o.dampening }),
        ("on_buffer", if o.nesterov { o.momentum } else { 1.0 }),
        ("on_grad", if o.nesterov { 1.0 } else { 0.0 }),
    ];
    step(
        "sgd",
        SGD_MOMENTUM,
        &[param, grad, buffer],
        o.maximize,
        &scalars,
    )
}

/// One step of Adam or AdamW; `largest` is there with AMSGrad and `count` counts from 1.
pub fn adam(o: &adam::Options, operands: &[&Operand<'_>], count: f64) -> Result<()> {
    let scalars = [
        ("decay", if o.decoupled { 0.0 } else { o.weight_decay }),
        (
            "shrink",
            if o.decoupled {
                1.0 - o.lr * o.weight_decay
            } else {
                1.0
            },
        ),
        ("weight", 1.0 - o.beta1),
        ("beta2", o.beta2),
        ("share", 1.0 - o.beta2),
        ("step_size", -(o.lr / (1.0 - o.beta1.powf(count)))),
        ("scale", (1.0 - o.beta2.powf(count)).sqrt()),
        ("eps", o.eps),
    ];
    step("adam", ADAM, operands, o.maximize, &scalars)
}
