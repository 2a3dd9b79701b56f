//! Random numbers: a Philox counter per lane, the numbers a function of seed, offset and size alone.

use super::api::{Class, Elem, Error, Operand, Result, Scalar};
use super::device::gpu;
use super::launch::{Words, grid, groups_for, record, scalar_words};
use super::pipeline::Key;
use super::wgsl::{Source, store};
use crate::random::philox::Philox;

/// Lanes of the grid that the counters are dealt to: 132 multiprocessors of 2,048 lanes, as an H100 or H200 has, so
/// that these devices' own libraries draw the same numbers.
const VIRTUAL_LANES: usize = 132 * 2048;
const LANES_A_BLOCK: usize = 256;

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// [low, high)
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// 1 with this probability, else 0.
    Bernoulli {
        p: f64,
    },
    /// Whole numbers from [low, low + count).
    Integers {
        low: i64,
        count: u32,
    },
}

fn lanes(numel: usize) -> usize {
    numel.next_multiple_of(LANES_A_BLOCK).min(VIRTUAL_LANES)
}

/// Fills a contiguous operand and moves the generator past what was drawn.
pub fn random(name: &str, out: &Operand<'_>, law: Law, generator: &mut Philox) -> Result<()> {
    let gpu = gpu()?;
    gpu.require(name, out.elem)?;
    out.check()?;
    let numel = out.numel();
    if numel == 0 {
        return Ok(());
    }
    let mut step = 1;
    for (&dim, &stride) in out.dims.iter().zip(out.strides).rev() {
        if dim != 1 && stride != step {
            return Err(Error::Failed(format!(
                "{name}: the gpu fills contiguous tensors"
            )));
        }
        step *= dim as isize;
    }
    let lanes = lanes(numel);
    let family = match law {
        Law::Uniform { .. } => "uniform",
        Law::Normal { .. } => "normal",
        Law::Bernoulli { .. } => "bernoulli",
        Law::Integers { .. } => "integers",
    };
    let print = Key {
        family,
        text: "",
        elems: &[out.elem],
        variant: 0,
    };
    let kernel = gpu.kernels.get(gpu, print, || Ok(source(law, out.elem)))?;
    let mut words = Words::default();
    words.count(lanes)?;
    words.count(numel)?;
    // Each lane draws one block for every four elements dealt to it.
    let (key, first) = generator.reserve(4 * ((numel - 1) / (lanes * 4) + 1) as u64);
    for word in [first as u32, (first >> 32) as u32, key[0], key[1]] {
        words.word(word);
    }
    words.word(out.base()?);
    let (class, p, q) = match law {
        Law::Uniform { low, high } => (Class::F32, Scalar::F(low), Scalar::F(high)),
        Law::Normal { mean, std } => (Class::F32, Scalar::F(mean), Scalar::F(std)),
        Law::Bernoulli { p } => (Class::F32, Scalar::F(p), Scalar::F(0.0)),
        Law::Integers { low, count } => (
            out.elem.class(),
            Scalar::I(low),
            Scalar::I(i64::from(count)),
        ),
    };
    words.scalar(class, p);
    words.scalar(class, q);
    record(gpu, kernel, &[out], &words, grid(gpu, groups_for(lanes))?)
}

fn source(law: Law, elem: Elem) -> Source<'static> {
    let (class, draw) = match law {
        // (0, 1] from the generator, with 1 sent to 0.
        Law::Uniform { .. } => (
            Class::F32,
            "fn draw(bits: vec4<u32>) -> vec4<f32> {
    let u = vec4<f32>(bits) * 2.3283064e-10 + 1.1641532e-10;
    return select(u, vec4<f32>(0.0), u == vec4<f32>(1.0)) * ({q} - {p}) + {p};
}",
        ),
        // Box and Muller, "A note on the generation of random normal deviates", 1958.
        Law::Normal { .. } => (
            Class::F32,
            "fn pair(a: u32, b: u32) -> vec2<f32> {
    let u = f32(a) * 2.3283064e-10 + 1.1641532e-10;
    let v = f32(b) * 1.4629180e-9 + 7.3145900e-10;
    let s = sqrt(-2.0 * rt_log(u));
    return vec2<f32>(rt_sin(v), rt_cos(v)) * s;
}

fn draw(bits: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(pair(bits.x, bits.y), pair(bits.z, bits.w)) * {q} + {p};
}",
        ),
        Law::Bernoulli { .. } => (
            Class::F32,
            "fn draw(bits: vec4<u32>) -> vec4<f32> {
    let u = vec4<f32>(bits) * 2.3283064e-10 + 1.1641532e-10;
    return select(vec4<f32>(0.0), vec4<f32>(1.0), u <= vec4<f32>({p}));
}",
        ),
        Law::Integers { .. } => (
            elem.class(),
            "fn draw(bits: vec4<u32>) -> vec4<{t}> {
    return vec4<{t}>(bits % vec4<u32>({count})) + {p};
}",
        ),
    };
    let (p_words, p) = scalar_words("p", class);
    let (q_words, q) = scalar_words("q", class);
    let mut params: Vec<String> = [
        "lanes",
        "n",
        "counter_low",
        "counter_high",
        "seed_low",
        "seed_high",
        "o0",
    ]
    .map(String::from)
    .into();
    params.extend(p_words);
    params.extend(q_words);
    let draw = draw
        .replace("{p}", &p)
        .replace("{q}", &q)
        .replace("{t}", class.wgsl())
        .replace("{count}", &format!("u32({q})"));
    Source {
        template: include_str!("wgsl/random.wgsl"),
        buffers: vec![elem.storage().into()],
        params,
        fill: vec![("draw", draw), ("store", store(elem, "x", class))],
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Array, device};
    use super::*;

    #[test]
    fn uniform_follows_the_counter() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let n = VIRTUAL_LANES * 2 + 5;
        let out = Array::empty(Elem::F32, &[n])?;
        let mut generator = Philox::new(0x1234_5678_9abc);
        generator.reserve(8);
        random(
            "rand",
            &out.view(),
            Law::Uniform {
                low: 0.0,
                high: 1.0,
            },
            &mut generator,
        )?;
        assert_eq!(generator.offset(), 12);
        let got = out.host_f32()?;
        for i in [
            0,
            1,
            777,
            VIRTUAL_LANES - 1,
            VIRTUAL_LANES,
            VIRTUAL_LANES + 9,
            n - 1,
        ] {
            let bits = generator.words(2, (i % VIRTUAL_LANES) as u64);
            let want = bits[i / VIRTUAL_LANES] as f32 * 2.328_306_4e-10 + 1.164_153_2e-10;
            assert!(
                (got[i] - want).abs() <= f32::EPSILON,
                "{i}: {} for {want}",
                got[i]
            );
        }
        assert!(got.iter().all(|v| (0.0..1.0).contains(v)));
        Ok(())
    }

    #[test]
    fn moments() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let out = Array::empty(Elem::F32, &[100, 1000])?;
        let mut generator = Philox::new(1);
        random(
            "randn",
            &out.view(),
            Law::Normal {
                mean: 3.0,
                std: 2.0,
            },
            &mut generator,
        )?;
        let got = out.host_f32()?;
        let mean = got.iter().map(|&v| f64::from(v)).sum::<f64>() / got.len() as f64;
        let var = got
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / got.len() as f64;
        assert!(
            (mean - 3.0).abs() < 0.03 && (var - 4.0).abs() < 0.1,
            "mean {mean}, variance {var}"
        );
        random(
            "bernoulli",
            &out.view(),
            Law::Bernoulli { p: 0.25 },
            &mut generator,
        )?;
        let ones: f32 = out.host_f32()?.iter().sum();
        assert!((ones / 1e5 - 0.25).abs() < 0.01);
        let ints = Array::empty(Elem::I32, &[1000])?;
        random(
            "randint",
            &ints.view(),
            Law::Integers { low: -3, count: 5 },
            &mut generator,
        )?;
        let mut seen = [0; 5];
        for word in ints.host()?.chunks_exact(4) {
            seen[(i32::from_le_bytes([word[0], word[1], word[2], word[3]]) + 3) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 130), "{seen:?}");
        Ok(())
    }
}
