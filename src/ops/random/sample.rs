//! Samples whose parameters are tensors.

use super::law::{Law, forget, zeros_of};
use super::new::factory;
use super::{elements, with_generator};
use crate::autograd::{self, engine::grads, record_not_differentiable, record_stateless};
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::list;
use crate::ops::args::GeneratorHandle;
use crate::random::{self, Real};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// `normal` with a tensor among its parameters.
fn normal_of(
    mean: &Tensor,
    std: &Tensor,
    like: &Tensor,
    generator: Option<GeneratorHandle>,
    name: &'static str,
) -> Result<Tensor> {
    crate::check!(
        !mean.dtype().is_complex() || !autograd::needs_grad(&[mean, std]),
        Runtime,
        "normal does not support automatic differentiation for outputs with complex dtype."
    );
    crate::check!(
        !std.dtype().is_complex(),
        Runtime,
        "normal expects standard deviation to be non-complex"
    );
    let out = autograd::no_grad(|| -> Result<Tensor> {
        if std.is_wrapped() {
            let s = std.item()?.to_f64();
            crate::check!(
                s >= 0.0,
                Runtime,
                "normal expects std >= 0.0, but found std {s}"
            );
        } else {
            let low = std
                .detach()
                .lt(&Tensor::wrapped(0)?)?
                .any()?
                .item()?
                .to_bool();
            crate::check!(!low, Runtime, "normal expects all elements of std >= 0.0");
        }
        let sizes = shape::broadcast(mean.sizes(), std.sizes())?;
        let t = Tensor::empty(&sizes, like.dtype(), like.device())?;
        Law::Normal(0.0, 1.0).fill(&t, generator)?;
        let d = t.dtype();
        t.mul(&std.detach())?
            .to_dtype(d)?
            .add(&mean.detach())?
            .to_dtype(d)
    })?;
    if autograd::needs_grad(&[mean, std]) {
        let sizes: [Sizes; 2] = [
            SmallVec::from_slice(mean.sizes()),
            SmallVec::from_slice(std.sizes()),
        ];
        let dtypes = [mean.dtype(), std.dtype()];
        record_stateless(name, &[mean, std], &[&out], move |g| {
            let zeros = |i: usize| g.when(i, || Tensor::zeros(&sizes[i], dtypes[i], Device::Cpu));
            grads([zeros(0)?, zeros(1)?])
        });
    }
    Ok(out)
}

/// Records that a draw does not depend on its parameters smoothly: their gradients are zero.
fn record_zero(name: &'static str, x: &Tensor, out: &Tensor) {
    if autograd::needs_grad(&[x]) {
        record_stateless(name, &[x], &[out], |g| grads([Some(zeros_of(g)?)]));
    }
}

fn contiguous_data(x: &Tensor) -> Result<Tensor> {
    autograd::no_grad(|| x.detach().to_device(Device::Cpu)?.contiguous())
}

/// One (true) with the probability each element of `p` gives, into a contiguous tensor.
fn bernoulli_into(out: &Tensor, p: &Tensor, generator: Option<GeneratorHandle>) -> Result<()> {
    let p = contiguous_data(p)?;
    with_generator(generator, |g| {
        crate::dispatch_of!("bernoulli_tensor_cpu_p_", p.dtype(), floats, P => {
            let p = p.as_slice::<P>()?;
            let valid = p.iter().all(|&v| (0.0..=1.0).contains(&v.to_f64()));
            crate::check!(valid, Runtime, "Expected p_in >= 0 && p_in <= 1 to be true, but got false. Give probabilities between 0 and 1");
            crate::dispatch_of!("bernoulli_tensor_cpu_self_", out.dtype(), ordered, T => random::bernoulli_each::<T, P>(g, elements(out), p))
        });
        Ok(())
    })
}

fn bernoulli(p: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(p.sizes(), p.dtype(), Device::Cpu)?;
    bernoulli_into(&out, p, generator)?;
    let out = out.to_device(p.device())?;
    record_zero("BernoulliBackward0", p, &out);
    Ok(out)
}

fn bernoulli_tensor_(t: &Tensor, p: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let grad = autograd::needs_grad(&[t]);
    autograd::inplace::check(t, grad)?;
    // Axes in the order they lie in memory.
    let strides = t.dense_strides();
    let mut order: SmallVec<[i64; 6]> = (0..t.ndim() as i64).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(strides[d as usize]));
    autograd::no_grad(|| -> Result<()> {
        let target = t.detach().permute(&order)?;
        let out = Tensor::empty(target.sizes(), t.dtype(), Device::Cpu)?;
        bernoulli_into(
            &out,
            &p.detach().expand_to(t.sizes())?.permute(&order)?,
            generator,
        )?;
        target.write_from(&out)
    })?;
    t.bump();
    if grad {
        forget(t, "BernoulliBackward1")?;
    }
    Ok(t.clone())
}

fn multinomial(
    p: &Tensor,
    count: i64,
    replacement: bool,
    generator: Option<GeneratorHandle>,
) -> Result<Tensor> {
    crate::check!(
        p.ndim() == 1 || p.ndim() == 2,
        Runtime,
        "prob_dist must be 1 or 2 dim"
    );
    crate::check!(
        p.dtype().is_floating(),
        Runtime,
        "multinomial only supports floating-point dtypes for input, got: {}",
        p.dtype().scalar_name()
    );
    crate::check!(count > 0, Runtime, "cannot sample n_sample <= 0 samples");
    let n = p.sizes()[p.ndim() - 1];
    let k = count as usize;
    crate::check!(
        replacement || k <= n,
        Runtime,
        "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
    );
    crate::check!(
        n <= 1 << 24,
        Runtime,
        "number of categories cannot exceed 2^24"
    );
    let rows = if p.ndim() == 2 { p.sizes()[0] } else { 1 };
    let mut sizes: Sizes = SmallVec::from_slice(p.sizes());
    sizes[p.ndim() - 1] = k;
    let out = Tensor::empty(&sizes, DType::I64, Device::Cpu)?;
    let weights = contiguous_data(p)?;
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("multinomial", weights.dtype(), floats, T => {
            let w = weights.as_slice::<T>()?;
            let drawn = elements::<i64>(&out);
            let valid = w.iter().all(|v| v.to_f64() >= 0.0 && v.to_f64().is_finite());
            crate::check!(valid, Runtime, "probability tensor contains either `inf`, `nan` or element < 0");
            for row in w.chunks(n.max(1)).take(rows) {
                let sum: f64 = row.iter().map(|v| v.to_f64()).sum();
                crate::check!(sum > 0.0, Runtime, "invalid multinomial distribution (sum of probabilities <= 0)");
            }
            if replacement && k > 1 {
                for (row, out) in w.chunks(n.max(1)).zip(drawn.chunks_mut(k)) {
                    random::multinomial::<T>(g, out, row);
                }
            } else {
                let mut q = list::filled(w.len(), <T as random::Element>::from_f64(0.0))?;
                random::exponential::<T>(g, &mut q, 1.0);
                for ((row, q), out) in w.chunks(n.max(1)).zip(q.chunks(n.max(1))).zip(drawn.chunks_mut(k)) {
                    let score: Vec<f64> = list::collected(row.iter().zip(q)
                        .map(|(p, q)| <T as random::Element>::from_f64(p.to_f64() / q.to_f64()).to_f64()))?;
                    let mut order: Vec<usize> = list::collected(0..n)?;
                    // Positions decide ties: the stable sort takes memory.
                    order.sort_unstable_by(|&a, &b| score[b].total_cmp(&score[a]).then(a.cmp(&b)));
                    for (slot, i) in out.iter_mut().zip(order) {
                        *slot = i as i64;
                    }
                }
            }
        });
        Ok(())
    })?;
    out.to_device(p.device())
}

fn poisson(rate: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(rate.sizes(), rate.dtype(), Device::Cpu)?;
    let rates = contiguous_data(rate)?;
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("poisson_cpu", rates.dtype(), floats, T => {
            let rates = rates.as_slice::<T>()?;
            crate::check!(
                rates.iter().all(|r| r.to_f64() >= 0.0),
                Runtime,
                "invalid Poisson rate, expected rate to be non-negative"
            );
            random::poisson::<T>(g, elements(&out), rates)
        });
        Ok(())
    })?;
    let out = out.to_device(rate.device())?;
    record_zero("PoissonBackward0", rate, &out);
    Ok(out)
}

fn binomial(count: &Tensor, prob: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    for (t, what) in [(count, "count"), (prob, "prob")] {
        crate::check!(
            t.dtype().is_floating(),
            Value,
            "binomial only supports floating-point dtypes for {what}, got: {}",
            t.dtype().scalar_name()
        );
    }
    let dtype = crate::dtype::promote_types(count.dtype(), prob.dtype())?;
    let sizes = shape::broadcast(count.sizes(), prob.sizes())?;
    let out = Tensor::empty(&sizes, dtype, Device::Cpu)?;
    let fit = |t: &Tensor| -> Result<Tensor> {
        autograd::no_grad(|| contiguous_data(&t.detach().expand_to(&sizes)?.to_dtype(dtype)?))
    };
    let (n, p) = (fit(count)?, fit(prob)?);
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("binomial_cpu", dtype, floats, T => random::binomial::<T>(g, elements(&out), n.as_slice::<T>()?, p.as_slice::<T>()?));
        Ok(())
    })?;
    let out = out.to_device(count.device())?;
    if autograd::needs_grad(&[count, prob]) {
        record_not_differentiable("binomial", &[count, prob], &[&out]);
    }
    Ok(out)
}

fn standard_gamma(alpha: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(alpha.sizes(), alpha.dtype(), Device::Cpu)?;
    let shapes = contiguous_data(alpha)?;
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("gamma_cpu", alpha.dtype(), floats, T => random::standard_gamma::<T>(g, elements(&out), shapes.as_slice::<T>()?));
        Ok(())
    })?;
    if autograd::needs_grad(&[alpha]) {
        record_not_differentiable("_standard_gamma", &[alpha], &[&out]);
    }
    Ok(out)
}

fn dirichlet(alpha: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(alpha.sizes(), alpha.dtype(), Device::Cpu)?;
    let shapes = contiguous_data(alpha)?;
    let categories = alpha.sizes().last().copied().unwrap_or(1);
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("dirichlet", alpha.dtype(), floats, T => random::dirichlet::<T>(g, elements(&out), shapes.as_slice::<T>()?, categories));
        Ok(())
    })?;
    if autograd::needs_grad(&[alpha]) {
        record_not_differentiable("_sample_dirichlet", &[alpha], &[&out]);
    }
    Ok(out)
}
op! {
    /// Returns normal random numbers with a mean and a standard deviation per element, or of a given size.
    ///
    /// Args:
    ///     mean: a tensor, or a number if `std` is a tensor or a size is given.
    ///     std: a tensor or a number. Default: 1.
    ///     size: shape of the result where both are numbers.
    normal, in [TORCH]; out {
        "(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor" => |a| {
            let (m, s) = (a.tensor(0), a.tensor(1));
            normal_of(&m, &s, &m, a.generator(2), "NormalBackward3")
        },
        "(Tensor mean, float std=1, *, Generator? generator=None) -> Tensor" => |a| {
            let m = a.tensor(0);
            normal_of(&m, &Tensor::wrapped(a.float(1))?, &m, a.generator(2), "NormalBackward1")
        },
        "(float mean, Tensor std, *, Generator? generator=None) -> Tensor" => |a| {
            let s = a.tensor(1);
            normal_of(&Tensor::wrapped(a.float(0))?, &s, &s, a.generator(2), "NormalBackward2")
        },
        "(float mean, float std, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 2, Law::Normal(a.float(0), a.float(1)), default_dtype()),
    }
}
op! {
    /// Returns ones with the probabilities `input` gives, or with probability `p` in the shape of `input`; zeros elsewhere.
    bernoulli, in [TORCH, METHOD]; out {
        "(Tensor input, *, Generator? generator=None) -> Tensor" => |a| bernoulli(&a.tensor(0), a.generator(1)),
        "(Tensor input, float p, *, Generator? generator=None) -> Tensor" => |a| {
            let x = a.tensor(0);
            let t = x.empty_like(x.dtype())?;
            Law::Bernoulli(a.float(1)).fill(&t, a.generator(2))?;
            Ok(t)
        },
    }
}
op! {
    /// Fills this tensor with ones of probability `p`, a number or a tensor, and zeros.
    bernoulli_, in [METHOD] {
        "(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor" =>
            |a| bernoulli_tensor_(&a.tensor(0), &a.tensor(1), a.generator(2)),
        "(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Bernoulli(a.float(1)).fill_in_place(&a.tensor(0), a.generator(2)),
    }
}
op! {
    /// Returns indices drawn from the categories whose weights the rows of `input` give.
    ///
    /// Args:
    ///     input: weights (categories) or (rows, categories), not negative.
    ///     num_samples: draws per row.
    ///     replacement: whether a category may come more than once. Default: False.
    multinomial, in [TORCH, METHOD]; out {
        "(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor" =>
            |a| multinomial(&a.tensor(0), a.int(1), a.bool(2), a.generator(3)),
    }
}
op! {
    /// Returns Poisson numbers with the rates `input` gives.
    poisson, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| poisson(&a.tensor(0), a.generator(1)),
    }
}
op! {
    /// Returns how many of `count` trials of probability `prob` succeed.
    binomial, in [TORCH] {
        "(Tensor count, Tensor prob, Generator? generator=None) -> Tensor" =>
            |a| binomial(&a.tensor(0), &a.tensor(1), a.generator(2)),
    }
}
op! {
    /// Returns gamma numbers of scale one with the shapes `input` gives.
    _standard_gamma, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| standard_gamma(&a.tensor(0), a.generator(1)),
    }
}
op! {
    /// Returns Dirichlet vectors whose concentrations the last axis of `input` gives.
    _sample_dirichlet, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| dirichlet(&a.tensor(0), a.generator(1)),
    }
}
