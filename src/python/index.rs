//! `x[...]`: what the key says, step by step.

use super::convert;
use super::error::to_py;
use super::object::{is_tensor, peek, tensor_of};
use crate::autograd;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::index as advanced;
use crate::ops::scatter::number_of;
use crate::shape::{Sizes, Strides};
use crate::tensor::{Tensor, ViewKind};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyEllipsis, PyList, PySlice, PyString, PyTuple};
use smallvec::SmallVec;

/// One element of a key.
enum Key {
    None,
    Ellipsis,
    Int(i64),
    Bool(bool),
    /// Start, stop, step as Python's slices clip them.
    Slice(i64, i64, i64),
    Tensor(Tensor),
}

type Keys = SmallVec<[Key; 4]>;

/// Whether a tensor used as an index is a mask.
fn is_mask(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::Bool | DType::U8)
}

fn key(o: &Bound<'_, PyAny>) -> PyResult<Key> {
    let py = o.py();
    // SAFETY: a live object under the GIL.
    unsafe {
        if ffi::PyLong_CheckExact(o.as_ptr()) != 0 {
            return int(o);
        }
        if ffi::PySlice_Check(o.as_ptr()) != 0 {
            return slice(o);
        }
        if is_tensor(o.as_ptr()) {
            let Some(t) = peek(o.as_ptr()) else {
                return Ok(Key::None);
            };
            if t.ndim() == 0 && t.dtype().is_integral() && !t.requires_grad() {
                let v = t.item().map_err(|e| to_py(py, e))?;
                return Ok(if is_mask(t) {
                    Key::Bool(v.to_bool())
                } else {
                    Key::Int(v.to_i64())
                });
            }
            return Ok(Key::Tensor(t.clone()));
        }
    }
    if o.is_none() {
        return Ok(Key::None);
    }
    if o.is_instance_of::<PyEllipsis>() {
        return Ok(Key::Ellipsis);
    }
    if let Ok(b) = o.cast::<PyBool>() {
        return Ok(Key::Bool(b.is_true()));
    }
    if o.is_instance_of::<PyString>() || o.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err(format!(
            "new(): invalid data type '{}'",
            convert::type_name(o)
        )));
    }
    let array = o.hasattr("__array__")?;
    // SAFETY: a live object under the GIL.
    let sequence = unsafe { ffi::PySequence_Check(o.as_ptr()) } != 0 && !array;
    let many = array
        && o.getattr("ndim")
            .and_then(|n| n.extract::<usize>())
            .unwrap_or(0)
            > 0;
    if sequence || many {
        let t = tensor_of(&py.import("rtorch")?.getattr("as_tensor")?.call1((o,))?)?;
        // An empty list selects nothing.
        let t = if t.numel() == 0 && !t.dtype().is_integral() {
            t.to_dtype(DType::I64).map_err(|e| to_py(py, e))?
        } else {
            t
        };
        return Ok(Key::Tensor(t));
    }
    // SAFETY: a live object under the GIL.
    if unsafe { ffi::PyIndex_Check(o.as_ptr()) } != 0 {
        return int(&o.call_method0("__index__")?);
    }
    Err(PyIndexError::new_err(format!(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})",
        full_type_name(o)
    )))
}

/// `list`, `numpy.ndarray`: the type with its module.
fn full_type_name(o: &Bound<'_, PyAny>) -> String {
    let t = o.get_type();
    let name = t.qualname().map(|n| n.to_string()).unwrap_or_default();
    match t.module().map(|m| m.to_string()) {
        Ok(m) if m != "builtins" => format!("{m}.{name}"),
        _ => name,
    }
}

fn int(o: &Bound<'_, PyAny>) -> PyResult<Key> {
    o.extract::<i64>()
        .map(Key::Int)
        .map_err(|_| PyValueError::new_err("Overflow when unpacking long long"))
}

fn slice(o: &Bound<'_, PyAny>) -> PyResult<Key> {
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: a slice object under the GIL and three places to write to.
    if unsafe { ffi::PySlice_Unpack(o.as_ptr(), &mut start, &mut stop, &mut step) } < 0 {
        return Err(PyErr::fetch(o.py()));
    }
    if step <= 0 {
        return Err(PyValueError::new_err("step must be greater than zero"));
    }
    Ok(Key::Slice(start as i64, stop as i64, step as i64))
}

/// Whether a list stands for a tuple of keys: it is short and holds something that is no number.
fn is_tuple_in_disguise(o: &Bound<'_, PyList>) -> bool {
    o.len() < 32
        && o.iter().any(|item| {
            // SAFETY: a live object under the GIL.
            let tensor = unsafe { is_tensor(item.as_ptr()) };
            tensor
                || item.is_none()
                || item.is_instance_of::<PyEllipsis>()
                || item.is_instance_of::<PySlice>()
                || item.is_instance_of::<PyList>()
                || item.is_instance_of::<PyTuple>()
        })
}

fn keys_of(o: &Bound<'_, PyAny>) -> PyResult<Keys> {
    let mut keys = Keys::new();
    if let Ok(t) = o.cast::<PyTuple>() {
        for item in t.iter_borrowed() {
            keys.push(key(&item)?);
        }
        return Ok(keys);
    }
    if let Ok(l) = o.cast::<PyList>()
        && is_tuple_in_disguise(l)
    {
        for item in l.iter() {
            keys.push(key(&item)?);
        }
        return Ok(keys);
    }
    keys.push(key(o)?);
    Ok(keys)
}

/// A view being narrowed step by step. Without gradients the steps only change numbers and one view is made at the end.
struct Walk<'a> {
    x: &'a Tensor,
    /// The view so far where every step is recorded.
    recorded: Option<Tensor>,
    offset: isize,
    sizes: Sizes,
    strides: Strides,
    moved: bool,
}

impl<'a> Walk<'a> {
    fn new(x: &'a Tensor) -> Walk<'a> {
        Walk {
            x,
            recorded: autograd::needs_grad(&[x]).then(|| x.clone()),
            offset: x.offset() as isize,
            sizes: SmallVec::from_slice(x.sizes()),
            strides: SmallVec::from_slice(x.strides()),
            moved: false,
        }
    }

    fn select(&mut self, d: usize, i: i64) -> Result<()> {
        self.moved = true;
        if let Some(t) = &mut self.recorded {
            *t = t.select(d as i64, i)?;
        }
        self.sizes.remove(d);
        self.offset += self.strides.remove(d) * i as isize;
        Ok(())
    }

    fn slice(&mut self, d: usize, start: i64, stop: i64, step: i64, lone: bool) -> Result<()> {
        let n = self.sizes[d] as i64;
        let clamp = |i: i64| {
            if i < 0 {
                (i.saturating_add(n)).max(0)
            } else {
                i.min(n)
            }
        };
        let start = clamp(start);
        let span = clamp(stop).max(start) - start;
        let len = span / step + (span % step != 0) as i64;
        if start == 0 && len == n && step == 1 && !lone {
            return Ok(());
        }
        self.moved = true;
        if let Some(t) = &mut self.recorded {
            *t = t.strided_slice(d, start, len, step)?;
        }
        self.sizes[d] = len as usize;
        if len > 0 {
            self.offset += self.strides[d] * start as isize;
        }
        self.strides[d] = self.strides[d].wrapping_mul(step as isize);
        Ok(())
    }

    fn unsqueeze(&mut self, d: usize) -> Result<()> {
        self.moved = true;
        if let Some(t) = &mut self.recorded {
            *t = t.unsqueeze(d as i64)?;
        }
        let stride = if d < self.sizes.len() {
            (self.sizes[d] as isize).wrapping_mul(self.strides[d])
        } else {
            1
        };
        self.sizes.insert(d, 1);
        self.strides.insert(d, stride);
        Ok(())
    }

    /// The view; the tensor itself if no step was taken.
    fn finish(self) -> Tensor {
        if !self.moved {
            return self.x.clone();
        }
        match self.recorded {
            Some(t) => t,
            // SAFETY: every step stayed inside the sizes of the step before.
            None => unsafe {
                self.x.view_parts(
                    self.offset as usize,
                    self.sizes,
                    self.strides,
                    ViewKind::Plain,
                )
            },
        }
    }
}

/// What is left after the steps that are views: a tensor, and index tensors with the first axis each applies to.
struct Resolved {
    view: Tensor,
    indices: SmallVec<[(usize, Tensor); 4]>,
}

#[cold]
fn too_many(x: &Tensor) -> PyErr {
    PyIndexError::new_err(format!(
        "too many indices for tensor of dimension {}",
        x.ndim()
    ))
}

fn resolve(py: Python<'_>, x: &Tensor, o: &Bound<'_, PyAny>) -> PyResult<Resolved> {
    let keys = keys_of(o)?;
    let consumed: usize = keys
        .iter()
        .map(|k| match k {
            Key::Int(_) | Key::Slice(..) => 1,
            Key::Tensor(t) if is_mask(t) => t.ndim(),
            Key::Tensor(_) => 1,
            _ => 0,
        })
        .sum();
    if consumed > x.ndim() {
        return Err(match keys[..] {
            [Key::Int(_)] => PyIndexError::new_err(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert \
                 a 0-dim tensor to a number",
            ),
            [Key::Slice(..)] => {
                PyIndexError::new_err("slice() cannot be applied to a 0-dim tensor.")
            }
            _ => too_many(x),
        });
    }
    let e = |e| to_py(py, e);
    let lone = keys.len() == 1;
    let mut walk = Walk::new(x);
    let mut indices: SmallVec<[(usize, Tensor); 4]> = SmallVec::new();
    let mut dim = 0usize;
    let mut seen_ellipsis = false;
    for k in keys {
        match k {
            Key::Ellipsis => {
                if !seen_ellipsis {
                    seen_ellipsis = true;
                    dim += x.ndim() - consumed;
                }
            }
            Key::None => {
                walk.unsqueeze(dim).map_err(e)?;
                dim += 1;
            }
            Key::Int(i) => {
                let n = walk.sizes.get(dim).copied().unwrap_or(0) as i64;
                if i < -n || i >= n {
                    return Err(PyIndexError::new_err(format!(
                        "index {i} is out of bounds for dimension {dim} with size {n}"
                    )));
                }
                walk.select(dim, if i < 0 { i + n } else { i }).map_err(e)?;
            }
            Key::Slice(start, stop, step) => {
                walk.slice(dim, start, stop, step, lone).map_err(e)?;
                dim += 1;
            }
            Key::Bool(b) => {
                // A bool adds an axis of size one, kept or emptied.
                walk.unsqueeze(dim).map_err(e)?;
                indices.push((
                    dim,
                    Tensor::full(&[1], b, DType::Bool, x.device()).map_err(e)?,
                ));
                dim += 1;
            }
            Key::Tensor(t) => {
                let takes = if is_mask(&t) { t.ndim() } else { 1 };
                indices.push((dim, t));
                dim += takes;
            }
        }
    }
    Ok(Resolved {
        view: walk.finish(),
        indices,
    })
}

pub fn get(py: Python<'_>, x: &Tensor, o: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let r = resolve(py, x, o)?;
    let out: Result<Tensor> = if r.indices.is_empty() {
        if r.view.same(x) {
            x.alias()
        } else {
            Ok(r.view)
        }
    } else {
        advanced::index(&r.view, &r.indices)
    };
    out.map_err(|e| to_py(py, e))
}

/// `x` broadcast to the sizes of what it is assigned to; leading axes of size one may be dropped.
fn fit(v: &Tensor, sizes: &[usize]) -> Result<Tensor> {
    if v.sizes() == sizes {
        return Ok(v.clone());
    }
    let lead = v.ndim().saturating_sub(sizes.len());
    if lead > 0 && v.sizes()[..lead].iter().all(|&n| n == 1) {
        return v.reshape_to(&v.sizes()[lead..])?.expand_to(sizes);
    }
    v.expand_to(sizes)
}

pub fn set(
    py: Python<'_>,
    x: &Tensor,
    o: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let r = resolve(py, x, o)?;
    let number = convert::number(value)?;
    let given = match number {
        Some(_) => None,
        None => Some(tensor_of(value).map_err(|_| {
            PyTypeError::new_err(format!(
                "can't assign a {} to a torch.{}Tensor",
                full_type_name(value),
                x.dtype().scalar_name()
            ))
        })?),
    };
    let done: Result<()> = (|| {
        let v = match (number, given) {
            (Some(s), _) => number_of(s, x.dtype())?,
            (None, Some(v)) => v,
            (None, None) => return Ok(()),
        };
        if r.indices.is_empty() {
            return match number {
                Some(s) => r.view.fill_(s),
                None => {
                    crate::check!(
                        v.ndim() <= r.view.ndim() || v.sizes()[..v.ndim() - r.view.ndim()].iter().all(|&n| n == 1),
                        Runtime,
                        "shape mismatch: value tensor of shape {} cannot be broadcast to indexing result of shape {}",
                        crate::shape::list(v.sizes()),
                        crate::shape::list(r.view.sizes())
                    );
                    r.view.copy_(&fit(&v, r.view.sizes())?)
                }
            }
            .map(|_| ());
        }
        let v = if v.device() != x.device() && v.ndim() == 0 {
            v.to_device(x.device())?
        } else {
            v
        };
        advanced::index_put_(&r.view, &r.indices, &v, false)?;
        Ok(())
    })();
    done.map_err(|e| to_py(py, e))
}
