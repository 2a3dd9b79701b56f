//! What every launch does: collapse dims, lay out parameters, choose a grid, record.

use std::sync::Arc;

use smallvec::SmallVec;

use super::api::{Class, Error, Operand, Result, Scalar};
use super::device::Gpu;
use super::pipeline::{GROUP, Kernel, MAX_BUFFERS};

/// Operands of one kernel, the output included.
pub const MAX_OPERANDS: usize = 6;
/// Dims that remain after collapsing, at most.
pub const MAX_RANK: usize = 8;

/// One collapsed dim: its size and each operand's step, in elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    pub size: usize,
    pub strides: [isize; MAX_OPERANDS],
}

pub type Axes = SmallVec<[Axis; MAX_RANK]>;

/// The operands' strides along `dims`, shapes aligned at the right and broadcast. Dims of size 1 are left out.
pub fn axes(dims: &[usize], operands: &[&Operand<'_>]) -> Result<Axes> {
    if operands.len() > MAX_OPERANDS {
        return Err(Error::Failed(format!(
            "a gpu kernel takes at most {MAX_OPERANDS} operands"
        )));
    }
    let mut out = Axes::new();
    for (d, &size) in dims.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let mut strides = [0; MAX_OPERANDS];
        for (stride, operand) in strides.iter_mut().zip(operands) {
            let Some(own) = (d + operand.dims.len()).checked_sub(dims.len()) else {
                continue;
            };
            match operand.dims[own] {
                n if n == size => *stride = operand.strides[own],
                1 => {}
                n => {
                    return Err(Error::Failed(format!(
                        "The size of tensor a ({size}) must match the size of tensor b ({n}) at non-singleton \
                         dimension {d}"
                    )));
                }
            }
        }
        out.push(Axis { size, strides });
    }
    Ok(out)
}

/// Orders dims by the first operand's steps, widest first, and joins those that all operands walk as one.
pub fn collapse(mut axes: Axes) -> Result<Axes> {
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.strides[0].unsigned_abs()));
    join(axes)
}

/// Joins neighbouring dims that all operands walk as one, without reordering.
pub fn join(axes: Axes) -> Result<Axes> {
    let mut out = Axes::new();
    for inner in axes {
        if let Some(outer) = out.last_mut() {
            let size = inner.size as isize;
            if (0..MAX_OPERANDS).all(|i| outer.strides[i] == inner.strides[i] * size) {
                outer.size *= inner.size;
                outer.strides = inner.strides;
                continue;
            }
        }
        out.push(inner);
    }
    if out.len() > MAX_RANK {
        return Err(Error::Unsupported(format!(
            "gpu kernels walk at most {MAX_RANK} dims that do not collapse, but got {}; make the tensors contiguous",
            out.len()
        )));
    }
    Ok(out)
}

/// The parameter words of a launch, in the order of the template's names.
#[derive(Default)]
pub struct Words(SmallVec<[u32; 64]>);

impl Words {
    pub fn count(&mut self, value: usize) -> Result<()> {
        let word = u32::try_from(value).map_err(|_| {
            Error::Unsupported("gpu tensors hold at most 4294967295 elements".into())
        })?;
        self.0.push(word);
        Ok(())
    }

    pub fn word(&mut self, value: u32) {
        self.0.push(value);
    }

    /// Offsets wrap modulo 2^32 in shaders, so a negative step needs no sign.
    pub fn step(&mut self, value: isize) {
        self.0.push(value as u32);
    }

    pub fn scalar(&mut self, class: Class, value: Scalar) {
        match class {
            Class::F32 => self.0.push((value.as_f64() as f32).to_bits()),
            Class::I32 | Class::U32 => self.0.push(value.as_i64() as u32),
            Class::I64 => {
                let bits = value.as_i64() as u64;
                self.0.push(bits as u32);
                self.0.push((bits >> 32) as u32);
            }
        }
    }
}

/// The names of the words that hold a scalar, and the WGSL text that reads it.
pub fn scalar_words(name: &str, class: Class) -> (SmallVec<[String; 2]>, String) {
    let one = |text: String| (SmallVec::from_iter([name.to_string()]), text);
    match class {
        Class::F32 => one(format!("bitcast<f32>(${name})")),
        Class::I32 => one(format!("bitcast<i32>(${name})")),
        Class::U32 => one(format!("${name}")),
        Class::I64 => (
            SmallVec::from_iter([format!("{name}_low"), format!("{name}_high")]),
            format!("((i64(${name}_high) << 32u) | i64(${name}_low))"),
        ),
    }
}

/// A grid of workgroups: two-dimensional where one dimension cannot count them.
pub fn grid(gpu: &Gpu, groups: u64) -> Result<[u32; 3]> {
    let most = u64::from(gpu.caps.max_grid);
    if groups <= most {
        return Ok([groups as u32, 1, 1]);
    }
    let rows = groups.div_ceil(most);
    if rows > most {
        return Err(Error::Unsupported(
            "a gpu kernel of this size has too many workgroups".into(),
        ));
    }
    Ok([groups.div_ceil(rows) as u32, rows as u32, 1])
}

/// Workgroups that give each of `items` one lane.
pub fn groups_for(items: usize) -> u64 {
    (items as u64).div_ceil(u64::from(GROUP))
}

/// Records a kernel over whole blocks of the operands' memory.
pub fn record(
    gpu: &Gpu,
    kernel: Arc<Kernel>,
    operands: &[&Operand<'_>],
    words: &Words,
    grid: [u32; 3],
) -> Result<()> {
    let blocks: SmallVec<[u32; MAX_BUFFERS]> = operands.iter().map(|o| o.buffer.block()).collect();
    let bind = gpu.kernels.bind(gpu, &blocks)?;
    gpu.with_stream(|s| s.dispatch(gpu, kernel, bind, &words.0, grid))
}
