//! What the device tests share: the device, or a word on why there is none, and arrays to and from it.

use super::api::{Elem, GpuBuffer, Operand, Result};
use super::device::{Gpu, gpu};

/// The device; `None`, with a message, where there is none to test on.
pub fn device() -> Option<&'static Gpu> {
    match gpu() {
        Ok(gpu) => Some(gpu),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}

/// An array on the device, with the strides of a contiguous one.
pub struct Array {
    pub buffer: GpuBuffer,
    pub elem: Elem,
    pub dims: Vec<usize>,
    pub strides: Vec<isize>,
    pub offset: usize,
}

impl Array {
    pub fn empty(elem: Elem, dims: &[usize]) -> Result<Self> {
        let numel: usize = dims.iter().product();
        Ok(Self::over(gpu()?.alloc_elems(elem, numel)?, elem, dims))
    }

    pub fn f32(dims: &[usize], values: &[f32]) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok(Self::over(
            gpu()?.upload(Elem::F32, &bytes)?,
            Elem::F32,
            dims,
        ))
    }

    pub fn bytes(elem: Elem, dims: &[usize], bytes: &[u8]) -> Result<Self> {
        Ok(Self::over(gpu()?.upload(elem, bytes)?, elem, dims))
    }

    fn over(buffer: GpuBuffer, elem: Elem, dims: &[usize]) -> Self {
        let mut strides = vec![0; dims.len()];
        let mut step = 1;
        for d in (0..dims.len()).rev() {
            strides[d] = step;
            step *= dims[d] as isize;
        }
        Self {
            buffer,
            elem,
            dims: dims.to_vec(),
            strides,
            offset: 0,
        }
    }

    pub fn view(&self) -> Operand<'_> {
        Operand {
            buffer: &self.buffer,
            offset: self.offset,
            elem: self.elem,
            dims: &self.dims,
            strides: &self.strides,
        }
    }

    pub fn transposed(&self, a: usize, b: usize) -> Self {
        let mut out = Self {
            buffer: self.buffer.clone(),
            elem: self.elem,
            dims: self.dims.clone(),
            strides: self.strides.clone(),
            offset: self.offset,
        };
        out.dims.swap(a, b);
        out.strides.swap(a, b);
        out
    }

    /// The buffer's elements in memory order.
    pub fn host(&self) -> Result<Vec<u8>> {
        let numel = self.dims.iter().product();
        gpu()?.download(self.elem, &self.buffer, self.offset, numel)
    }

    pub fn host_f32(&self) -> Result<Vec<f32>> {
        let bytes = self.host()?;
        Ok(bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect())
    }
}
