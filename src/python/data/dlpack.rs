//! DLPack capsules, both ways.

use super::over;
use crate::dtype::DType;
use crate::python::convert;
use crate::python::error::Object;
use crate::python::object::{Arg, wrap};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use smallvec::SmallVec;
use std::ffi::c_void;

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    dl: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

struct DlExport {
    _tensor: Tensor,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

fn dl_type(d: DType) -> (u8, u8) {
    let bits = d.size() as u8 * 8;
    match d {
        DType::Bool => (6, 8),
        DType::BF16 => (4, 16),
        d if d.is_complex() => (5, bits),
        d if d.is_floating() => (2, bits),
        d if d.is_signed() => (0, bits),
        _ => (1, bits),
    }
}

unsafe extern "C" fn dl_delete(m: *mut Managed) {
    // SAFETY: made by `_to_dlpack`, deleted once by its consumer, which may be on a thread without the GIL.
    unsafe {
        let gil = ffi::PyGILState_Ensure();
        let m = Box::from_raw(m);
        drop(Box::from_raw(m.context as *mut DlExport));
        ffi::PyGILState_Release(gil);
    }
}

unsafe extern "C" fn dl_capsule_gone(capsule: Object) {
    // SAFETY: called by the interpreter on the capsule; a consumed one has another name.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, c"dltensor".as_ptr()) != 0 {
            let m = ffi::PyCapsule_GetPointer(capsule, c"dltensor".as_ptr()) as *mut Managed;
            if let (false, Some(delete)) = (m.is_null(), (*m).deleter) {
                delete(m);
            }
        }
    }
}

/// A DLPack capsule that shares memory with a CPU tensor.
#[pyfunction]
pub(super) fn _to_dlpack(py: Python<'_>, tensor: Arg) -> PyResult<Py<PyAny>> {
    let t = tensor.0;
    if t.requires_grad() {
        return Err(PyBufferError::new_err(
            "Can't export tensors that require gradient, use tensor.detach()",
        ));
    }
    if !t.device().is_cpu() {
        return Err(PyBufferError::new_err(
            "only CPU tensors can be exported through DLPack; use tensor.cpu()",
        ));
    }
    let (code, bits) = dl_type(t.dtype());
    let data = t.data_ptr() as *mut c_void;
    let mut e = Box::new(DlExport {
        shape: t.sizes().iter().map(|&n| n as i64).collect(),
        strides: t.strides().iter().map(|&s| s as i64).collect(),
        _tensor: t,
    });
    let (shape, strides, ndim) = (
        e.shape.as_mut_ptr(),
        e.strides.as_mut_ptr(),
        e.shape.len() as i32,
    );
    let m = Box::into_raw(Box::new(Managed {
        dl: DlTensor {
            data,
            device_type: 1,
            device_id: 0,
            ndim,
            code,
            bits,
            lanes: 1,
            shape,
            strides,
            byte_offset: 0,
        },
        context: Box::into_raw(e) as *mut c_void,
        deleter: Some(dl_delete),
    }));
    // SAFETY: the capsule owns the managed tensor until a consumer renames it.
    unsafe {
        let c = ffi::PyCapsule_New(
            m as *mut c_void,
            c"dltensor".as_ptr(),
            Some(dl_capsule_gone),
        );
        if c.is_null() {
            dl_delete(m);
            return Err(PyErr::fetch(py));
        }
        Ok(Bound::from_owned_ptr(py, c).unbind())
    }
}

struct DlImport(*mut Managed);

impl Drop for DlImport {
    fn drop(&mut self) {
        // SAFETY: taken over from a capsule; the producer's deleter runs once.
        unsafe {
            if let Some(delete) = (*self.0).deleter {
                delete(self.0);
            }
        }
    }
}

/// A tensor that shares memory with a DLPack capsule.
#[pyfunction]
pub(super) fn _from_dlpack_capsule(
    py: Python<'_>,
    capsule: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    if capsule.cast::<PyCapsule>().is_err() {
        return Err(PyTypeError::new_err(format!(
            "expected a DLPack capsule, got {}",
            convert::type_name(capsule)
        )));
    }
    // SAFETY: the capsule is checked to be a fresh DLPack one and then marked as used.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule.as_ptr(), c"dltensor".as_ptr()) == 0 {
            return Err(PyRuntimeError::new_err(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might have already constructed a tensor from it once.",
            ));
        }
        let m = ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"dltensor".as_ptr()) as *mut Managed;
        let dl = &(*m).dl;
        if dl.device_type != 1 {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack: device type {} is not the CPU",
                dl.device_type
            )));
        }
        let Some(dtype) = DType::ALL
            .into_iter()
            .find(|&d| dl.lanes == 1 && dl_type(d) == (dl.code, dl.bits))
        else {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack: unsupported type code {} of {} bits",
                dl.code, dl.bits
            )));
        };
        let n = dl.ndim.max(0) as usize;
        let sizes: Sizes = if n == 0 {
            SmallVec::new()
        } else {
            std::slice::from_raw_parts(dl.shape, n)
                .iter()
                .map(|&s| s as usize)
                .collect()
        };
        let item = dtype.size() as isize;
        let strides: Vec<isize> = if n == 0 {
            Vec::new()
        } else if dl.strides.is_null() {
            shape::contiguous_strides(&sizes)
                .iter()
                .map(|s| s * item)
                .collect()
        } else {
            std::slice::from_raw_parts(dl.strides, n)
                .iter()
                .map(|&s| s as isize * item)
                .collect()
        };
        let data = (dl.data as *mut u8).wrapping_add(dl.byte_offset as usize);
        ffi::PyCapsule_SetName(capsule.as_ptr(), c"used_dltensor".as_ptr());
        wrap(
            py,
            over(
                py,
                data,
                sizes,
                &strides,
                dtype,
                false,
                Box::new(DlImport(m)),
            )?,
        )
    }
}
