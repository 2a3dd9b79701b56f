//! One pass over memory per optimizer step.
//!
//! The operations, their order and where they are fused into one rounding are those of the tensor code of the
//! optimizers in Python, which in turn are PyTorch's, so that the results agree to the last bit (but for its f32 square
//! root, which is not correctly rounded on x86; this one is). Everything is
//! elementwise: a caller may cut the slices into blocks and share them among threads without changing a result.

/// An element type of parameters: `f32` or `f64`.
pub trait Float: Copy + Send + Sync + 'static {
    fn of(x: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn sqrt(self) -> Self;
    /// `self * a + b` with one rounding.
    fn fma(self, a: Self, b: Self) -> Self;
    /// The larger value; NaN if one of them is.
    fn max(self, other: Self) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self / other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn neg(self) -> Self {
                -self
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if self > other || self.is_nan() {
                    self
                } else {
                    other
                }
            }
        }
    };
}
float!(f32);
float!(f64);

/// Defines `step`, which runs `body` compiled for the widest registers this machine has.
///
/// Without the FMA instruction `mul_add` is a call into the C library: right, but slow.
macro_rules! step {
    ($(#[$doc:meta])* ($($arg:ident: $ty:ty),*)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)] // One slice per tensor of the state.
        pub fn step<T: Float>(&self, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn wide<T: Float>(this: &Options, $($arg: $ty),*) {
                    this.body($($arg),*)
                }
                if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
                    // SAFETY: the features that `wide` is compiled for were just found.
                    return unsafe { wide(self, $($arg),*) };
                }
            }
            self.body($($arg),*)
        }
    };
}

/// `lerp(from, to, weight)`: from the nearer end, so that both ends are met exactly.
#[inline(always)]
fn lerp<T: Float>(from: T, to: T, weight: T, near: bool) -> T {
    let difference = to.sub(from);
    if near {
        weight.fma(difference, from)
    } else {
        difference.neg().fma(T::of(1.0).sub(weight), to)
    }
}

/// The gradient, with its sign and the L2 penalty applied.
#[inline(always)]
fn penalised<T: Float>(grad: T, param: T, maximize: bool, decay: Option<T>) -> T {
    let grad = if maximize { grad.neg() } else { grad };
    match decay {
        Some(decay) => param.fma(decay, grad),
        None => grad,
    }
}

fn decay<T: Float>(weight_decay: f64) -> Option<T> {
    (weight_decay != 0.0).then(|| T::of(weight_decay))
}

pub mod sgd {
    //! Stochastic gradient descent with momentum.
    use super::{Float, decay, penalised};

    #[derive(Clone, Copy, Debug)]
    pub struct Options {
        pub lr: f64,
        pub momentum: f64,
        pub dampening: f64,
        pub weight_decay: f64,
        pub nesterov: bool,
        pub maximize: bool,
    }

    impl Options {
        step! {
            /// Updates `param`, and `buffer` if there is momentum; `first` says that the buffer has no value yet.
            (param: &mut [T], grad: &[T], buffer: Option<&mut [T]>, first: bool)
        }

        #[inline(always)]
        fn body<T: Float>(
            &self,
            param: &mut [T],
            grad: &[T],
            buffer: Option<&mut [T]>,
            first: bool,
        ) {
            let rate = T::of(-self.lr);
            let decay = decay::<T>(self.weight_decay);
            let maximize = self.maximize;
            let Some(buffer) = buffer else {
                for (p, &g) in param.iter_mut().zip(grad) {
                    *p = penalised(g, *p, maximize, decay).fma(rate, *p);
                }
                return;
            };
            let momentum = T::of(self.momentum);
            let share = T::of(1.0 - self.dampening);
            let nesterov = self.nesterov;
            for ((p, &g), b) in param.iter_mut().zip(grad).zip(buffer) {
                let g = penalised(g, *p, maximize, decay);
                *b = if first {
                    g
                } else {
                    g.fma(share, b.mul(momentum))
                };
                let update = if nesterov { b.fma(momentum, g) } else { *b };
                *p = update.fma(rate, *p);
            }
        }
    }
}

pub mod adam {
    //! Adam and AdamW.
    use super::{Float, decay, lerp, penalised};

    #[derive(Clone, Copy, Debug)]
    pub struct Options {
        pub lr: f64,
        pub beta1: f64,
        pub beta2: f64,
        pub eps: f64,
        pub weight_decay: f64,
        /// Shrink the parameters instead of adding to the gradient.
        pub decoupled: bool,
        pub maximize: bool,
    }

    impl Options {
        step! {
            /// Updates `param` and the averages. `largest` is there with AMSGrad; `count` counts from 1.
            (param: &mut [T], grad: &[T], exp_avg: &mut [T], exp_avg_sq: &mut [T], largest: Option<&mut [T]>, count: f64)
        }

        #[inline(always)]
        fn body<T: Float>(
            &self,
            param: &mut [T],
            grad: &[T],
            exp_avg: &mut [T],
            exp_avg_sq: &mut [T],
            largest: Option<&mut [T]>,
            count: f64,
        ) {
            let terms = Terms {
                step_size: T::of(-(self.lr / (1.0 - self.beta1.powf(count)))),
                scale: T::of((1.0 - self.beta2.powf(count)).sqrt()),
                shrink: (self.decoupled && self.weight_decay != 0.0)
                    .then(|| T::of(1.0 - self.lr * self.weight_decay)),
                decay: if self.decoupled {
                    None
                } else {
                    decay::<T>(self.weight_decay)
                },
                weight: T::of(1.0 - self.beta1),
                near: 1.0 - self.beta1 < 0.5,
                beta2: T::of(self.beta2),
                share: T::of(1.0 - self.beta2),
                eps: T::of(self.eps),
                maximize: self.maximize,
            };
            let rows = param.iter_mut().zip(grad).zip(exp_avg).zip(exp_avg_sq);
            match largest {
                Some(largest) => {
                    for ((((p, &g), m), v), top) in rows.zip(largest) {
                        terms.average(p, g, m, v);
                        *top = top.max(*v);
                        terms.apply(p, *m, *top);
                    }
                }
                None => {
                    for (((p, &g), m), v) in rows {
                        terms.average(p, g, m, v);
                        terms.apply(p, *m, *v);
                    }
                }
            }
        }
    }

    /// The factors of one step, in the type of the elements.
    struct Terms<T> {
        step_size: T,
        scale: T,
        shrink: Option<T>,
        decay: Option<T>,
        weight: T,
        near: bool,
        beta2: T,
        share: T,
        eps: T,
        maximize: bool,
    }

    impl<T: Float> Terms<T> {
        #[inline(always)]
        fn average(&self, p: &mut T, g: T, m: &mut T, v: &mut T) {
            if let Some(shrink) = self.shrink {
                *p = p.mul(shrink);
            }
            let g = penalised(g, *p, self.maximize, self.decay);
            *m = lerp(*m, g, self.weight, self.near);
            *v = self.share.mul(g).fma(g, v.mul(self.beta2));
        }

        #[inline(always)]
        fn apply(&self, p: &mut T, m: T, v: T) {
            let denom = v.sqrt().div(self.scale).add(self.eps);
            *p = p.add(self.step_size.mul(m).div(denom));
        }
    }
}

pub mod rmsprop {
    //! RMSprop.
    use super::{Float, decay, lerp, penalised};

    #[derive(Clone, Copy, Debug)]
    pub struct Options {
        pub lr: f64,
        pub alpha: f64,
        pub eps: f64,
        pub weight_decay: f64,
        pub momentum: f64,
        pub maximize: bool,
    }

    impl Options {
        step! {
            /// Updates `param` and the averages. `grad_avg` is there if centered, `buffer` if there is momentum.
            (param: &mut [T], grad: &[T], square_avg: &mut [T], grad_avg: Option<&mut [T]>, buffer: Option<&mut [T]>)
        }

        #[inline(always)]
        fn body<T: Float>(
            &self,
            param: &mut [T],
            grad: &[T],
            square_avg: &mut [T],
            grad_avg: Option<&mut [T]>,
            buffer: Option<&mut [T]>,
        ) {
            let terms = Terms {
                rate: T::of(-self.lr),
                alpha: T::of(self.alpha),
                share: T::of(1.0 - self.alpha),
                near: 1.0 - self.alpha < 0.5,
                eps: T::of(self.eps),
                decay: decay::<T>(self.weight_decay),
                momentum: T::of(self.momentum),
                maximize: self.maximize,
            };
            let rows = param.iter_mut().zip(grad).zip(square_avg);
            match (grad_avg, buffer) {
                (None, None) => {
                    for ((p, &g), s) in rows {
                        let g = terms.square(*p, g, s);
                        terms.apply(p, g, *s);
                    }
                }
                (Some(mean), None) => {
                    for (((p, &g), s), m) in rows.zip(mean) {
                        let g = terms.square(*p, g, s);
                        terms.apply(p, g, terms.variance(g, *s, m));
                    }
                }
                (None, Some(buffer)) => {
                    for (((p, &g), s), b) in rows.zip(buffer) {
                        let g = terms.square(*p, g, s);
                        terms.roll(p, g, *s, b);
                    }
                }
                (Some(mean), Some(buffer)) => {
                    for ((((p, &g), s), m), b) in rows.zip(mean).zip(buffer) {
                        let g = terms.square(*p, g, s);
                        terms.roll(p, g, terms.variance(g, *s, m), b);
                    }
                }
            }
        }
    }

    /// The factors of one step, in the type of the elements.
    struct Terms<T> {
        rate: T,
        alpha: T,
        share: T,
        near: bool,
        eps: T,
        decay: Option<T>,
        momentum: T,
        maximize: bool,
    }

    impl<T: Float> Terms<T> {
        /// Averages the square of the gradient, which is returned as it counts.
        #[inline(always)]
        fn square(&self, p: T, g: T, s: &mut T) -> T {
            let g = penalised(g, p, self.maximize, self.decay);
            *s = self.share.mul(g).fma(g, s.mul(self.alpha));
            g
        }

        #[inline(always)]
        fn variance(&self, g: T, s: T, mean: &mut T) -> T {
            *mean = lerp(*mean, g, self.share, self.near);
            mean.neg().fma(*mean, s)
        }

        #[inline(always)]
        fn apply(&self, p: &mut T, g: T, variance: T) {
            *p = p.add(self.rate.mul(g).div(variance.sqrt().add(self.eps)));
        }

        #[inline(always)]
        fn roll(&self, p: &mut T, g: T, variance: T, b: &mut T) {
            *b = b
                .mul(self.momentum)
                .add(g.div(variance.sqrt().add(self.eps)));
            *p = b.fma(self.rate, *p);
        }
    }
}

pub mod adagrad {
    //! Adagrad.
    use super::{Float, decay, penalised};

    #[derive(Clone, Copy, Debug)]
    pub struct Options {
        pub lr: f64,
        pub lr_decay: f64,
        pub eps: f64,
        pub weight_decay: f64,
        pub maximize: bool,
    }

    impl Options {
        step! {
            /// Updates `param` and the sum of squares; `count` counts from 1.
            (param: &mut [T], grad: &[T], total: &mut [T], count: f64)
        }

        #[inline(always)]
        fn body<T: Float>(&self, param: &mut [T], grad: &[T], total: &mut [T], count: f64) {
            let rate = T::of(-(self.lr / (1.0 + (count - 1.0) * self.lr_decay)));
            let decay = decay::<T>(self.weight_decay);
            let (eps, maximize) = (T::of(self.eps), self.maximize);
            for ((p, &g), s) in param.iter_mut().zip(grad).zip(total) {
                let g = penalised(g, *p, maximize, decay);
                *s = g.fma(g, *s);
                *p = p.add(rate.mul(g).div(s.sqrt().add(eps)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f(x) = x^2 / 2 has the gradient x: every optimizer has to come closer to 0.
    fn descends(mut step: impl FnMut(&mut [f64], &[f64], f64)) {
        let mut x = [1.0, -2.0, 0.5];
        for count in 1..=200 {
            let grad = x;
            step(&mut x, &grad, f64::from(count));
        }
        assert!(x.iter().all(|v| v.abs() < 0.2), "{x:?}");
    }

    #[test]
    fn minimise_a_parabola() {
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        let sgd = sgd::Options {
            lr: 0.05,
            momentum: 0.5,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: true,
            maximize: false,
        };
        descends(|x, g, t| sgd.step(x, g, Some(&mut a), t == 1.0));
        a = [0.0; 3];
        let adam = adam::Options {
            lr: 0.05,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.01,
            decoupled: true,
            maximize: false,
        };
        descends(|x, g, t| adam.step(x, g, &mut a, &mut b, None, t));
        a = [0.0; 3];
        let rms = rmsprop::Options {
            lr: 0.02,
            alpha: 0.9,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            maximize: false,
        };
        descends(|x, g, _| rms.step(x, g, &mut a, None, None));
        a = [0.0; 3];
        let adagrad = adagrad::Options {
            lr: 0.5,
            lr_decay: 0.0,
            eps: 1e-10,
            weight_decay: 0.0,
            maximize: false,
        };
        descends(|x, g, t| adagrad.step(x, g, &mut a, t));
    }

    #[test]
    fn first_steps_are_those_of_the_formulas() {
        let mut p = [1.0f32];
        let adam = adam::Options {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            eps: 0.0,
            weight_decay: 0.0,
            decoupled: false,
            maximize: true,
        };
        // With m = (1 - beta1) g and v = (1 - beta2) g^2 the first step is lr * sign(g), upwards.
        adam.step(
            &mut p,
            &[3.0],
            &mut [0.0],
            &mut [0.0],
            Some(&mut [0.0]),
            1.0,
        );
        assert!((p[0] - 1.1).abs() < 1e-6, "{p:?}");
        let mut p = [1.0f64];
        let sgd = sgd::Options {
            lr: 0.5,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.5,
            nesterov: false,
            maximize: false,
        };
        sgd.step(&mut p, &[2.0], None, false);
        assert_eq!(p[0], 1.0 - 0.5 * (2.0 + 0.5));
    }
}
