//! The Python type `Tensor`, made from a type spec so that a small call costs little.
//!
//! An object is untracked by the garbage collector until it owns a dict. A tensor knows the Python object that stands
//! for it (`Tensor::py_object`), so `p.grad is p.grad`.

use super::error::{Object, to_py, token};
use super::{properties, slots};
use crate::tensor::Tensor;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

#[repr(C)]
pub struct PyTensor {
    head: ffi::PyObject,
    /// `None` only between allocation and construction.
    tensor: Option<Tensor>,
    dict: Object,
    weakrefs: Object,
}

static TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(ptr::null_mut());

#[inline(always)]
pub fn tensor_type() -> *mut ffi::PyTypeObject {
    TYPE.load(Ordering::Relaxed)
}

/// Whether the object is a tensor or an instance of a subclass.
///
/// # Safety
/// `o` is a live object and the GIL is held.
#[inline(always)]
pub unsafe fn is_tensor(o: Object) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let t = ffi::Py_TYPE(o);
        t == tensor_type() || ffi::PyType_IsSubtype(t, tensor_type()) != 0
    }
}

/// The tensor inside a tensor object.
///
/// # Safety
/// `is_tensor(o)` holds.
#[inline(always)]
pub unsafe fn peek<'a>(o: Object) -> Option<&'a Tensor> {
    // SAFETY: instances of the type and of its subclasses begin with a PyTensor.
    unsafe { (*(o as *mut PyTensor)).tensor.as_ref() }
}

/// Puts another tensor into an object (`x.data = y`, `resize_`).
///
/// # Safety
/// `is_tensor(o)` holds.
pub unsafe fn replace(o: Object, t: Tensor) {
    t.py_object().set(o as *mut u8);
    // SAFETY: as `peek`; the old tensor is dropped after the field was replaced.
    let old = unsafe { (*(o as *mut PyTensor)).tensor.replace(t) };
    if let Some(old) = &old
        && old.py_object().get() == o as *mut u8
        && !unsafe { peek(o) }.is_some_and(|t| t.same(old))
    {
        old.py_object().set(ptr::null_mut());
    }
}

/// The tensor of an argument.
pub fn tensor_of(o: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    // SAFETY: a live object under the GIL.
    unsafe {
        if is_tensor(o.as_ptr())
            && let Some(t) = peek(o.as_ptr())
        {
            return Ok(t.clone());
        }
    }
    Err(PyTypeError::new_err(format!(
        "expected a Tensor, but got {}",
        o.get_type().name()?
    )))
}

/// A tensor as an argument or result of ordinary pyo3 functions.
pub struct Arg(pub Tensor);

impl<'py> FromPyObject<'_, 'py> for Arg {
    type Error = PyErr;
    fn extract(o: Borrowed<'_, 'py, PyAny>) -> PyResult<Arg> {
        tensor_of(&o).map(Arg)
    }
}

impl<'py> IntoPyObject<'py> for Arg {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;
    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        wrap(py, self.0).map(|o| o.into_bound(py))
    }
}

/// A new reference to the object that stands for a tensor.
#[inline]
pub fn wrap_raw(t: Tensor) -> Object {
    let known = t.py_object().get() as Object;
    // SAFETY: the GIL is held wherever tensors become objects; `known` is alive, since an object clears the pointer
    // when it dies.
    unsafe {
        if !known.is_null() {
            ffi::Py_INCREF(known);
            if !peek(known).is_some_and(|inside| inside.same(&t)) {
                replace(known, t);
            }
            return known;
        }
        new_object(tensor_type(), t)
    }
}

pub fn wrap(py: Python<'_>, t: Tensor) -> PyResult<Py<PyAny>> {
    let o = wrap_raw(t);
    if o.is_null() {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference, not null.
    Ok(unsafe { Bound::from_owned_ptr(py, o) }.unbind())
}

/// A fresh object of the type or a subclass.
///
/// # Safety
/// `class` is the tensor type or a subclass; the GIL is held.
pub unsafe fn new_object(class: *mut ffi::PyTypeObject, t: Tensor) -> Object {
    // SAFETY: the caller's promise. `PyObject_GC_New` leaves the fields unset, so all of them are written here; generic
    // allocation zeroes them.
    unsafe {
        let o = if class == tensor_type() {
            let o = ffi::PyObject_GC_New::<PyTensor>(class);
            if o.is_null() {
                return ptr::null_mut();
            }
            ptr::write(&mut (*o).tensor, None);
            (*o).dict = ptr::null_mut();
            (*o).weakrefs = ptr::null_mut();
            o
        } else {
            let o = ffi::PyType_GenericAlloc(class, 0) as *mut PyTensor;
            if o.is_null() {
                return ptr::null_mut();
            }
            o
        };
        t.py_object().set(o as *mut u8);
        (*o).tensor = Some(t);
        o as Object
    }
}

unsafe extern "C" fn dealloc(o: Object) {
    // SAFETY: called once by the interpreter when the last reference goes.
    unsafe {
        let class = ffi::Py_TYPE(o);
        ffi::PyObject_GC_UnTrack(o as *mut c_void);
        let this = o as *mut PyTensor;
        if !(*this).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(o);
        }
        let dict = std::mem::replace(&mut (*this).dict, ptr::null_mut());
        if let Some(t) = (*this).tensor.take() {
            if t.py_object().get() == o as *mut u8 {
                t.py_object().set(ptr::null_mut());
            }
            drop(t);
        }
        ffi::Py_XDECREF(dict);
        ffi::PyObject_GC_Del(o as *mut c_void);
        ffi::Py_DECREF(class as Object);
    }
}

unsafe extern "C" fn traverse(o: Object, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector on a live object.
    unsafe {
        let class = ffi::Py_TYPE(o) as Object;
        let r = visit(class, arg);
        if r != 0 {
            return r;
        }
        let dict = (*(o as *mut PyTensor)).dict;
        if dict.is_null() { 0 } else { visit(dict, arg) }
    }
}

unsafe extern "C" fn clear(o: Object) -> c_int {
    // SAFETY: called by the collector on a live object.
    unsafe {
        let dict = std::mem::replace(&mut (*(o as *mut PyTensor)).dict, ptr::null_mut());
        ffi::Py_XDECREF(dict);
    }
    0
}

/// Tracks the object once it can be part of a cycle.
unsafe fn track(o: Object) {
    // SAFETY: a live object of a GC type; tracking twice is guarded.
    unsafe {
        if ffi::PyObject_GC_IsTracked(o) == 0 {
            ffi::PyObject_GC_Track(o as *mut c_void);
        }
    }
}

unsafe extern "C" fn setattro(o: Object, name: Object, value: Object) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let r = ffi::PyObject_GenericSetAttr(o, name, value);
        if !(*(o as *mut PyTensor)).dict.is_null() {
            track(o);
        }
        r
    }
}

unsafe extern "C" fn get_dict(o: Object, closure: *mut c_void) -> Object {
    // SAFETY: called by the interpreter as a getter.
    unsafe {
        let d = ffi::PyObject_GenericGetDict(o, closure);
        track(o);
        d
    }
}

unsafe extern "C" fn new(class: *mut ffi::PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: called by the interpreter with a live class and argument tuple.
    unsafe {
        let py = token();
        super::error::guard(py, ptr::null_mut(), || {
            let args = Bound::from_borrowed_ptr(py, args);
            let made = py.import("rtorch._tensor")?.getattr("_legacy_new")?;
            let kwargs = if kwargs.is_null() {
                None
            } else {
                Some(Bound::from_borrowed_ptr(py, kwargs))
            };
            let kwargs = match &kwargs {
                Some(k) => Some(k.cast::<pyo3::types::PyDict>()?),
                None => None,
            };
            let result = made.call(args.cast::<pyo3::types::PyTuple>()?, kwargs)?;
            if class == tensor_type() {
                return Ok(result.into_ptr());
            }
            let t = tensor_of(&result)?.detach();
            Ok(new_object(class, t))
        })
    }
}

fn member(name: &'static CStr, offset: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: offset as ffi::Py_ssize_t,
        flags: ffi::Py_READONLY,
        doc: ptr::null(),
    }
}

fn make_type(py: Python<'_>) -> PyResult<*mut ffi::PyTypeObject> {
    // The interpreter keeps pointers into these for the life of the process.
    let members: &'static mut [ffi::PyMemberDef] = Box::leak(Box::new([
        member(c"__dictoffset__", std::mem::offset_of!(PyTensor, dict)),
        member(
            c"__weaklistoffset__",
            std::mem::offset_of!(PyTensor, weakrefs),
        ),
        ffi::PyMemberDef::default(),
    ]));
    let mut getset = properties::getset();
    getset.push(ffi::PyGetSetDef {
        name: c"__dict__".as_ptr(),
        get: Some(get_dict),
        set: Some(ffi::PyObject_GenericSetDict),
        doc: ptr::null(),
        closure: ptr::null_mut(),
    });
    getset.push(ffi::PyGetSetDef {
        name: ptr::null(),
        get: None,
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    });
    let getset = Box::leak(getset.into_boxed_slice());
    let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    let mut all = vec![
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_setattro, setattro as *mut c_void),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr() as *mut c_void),
        slot(ffi::Py_tp_getset, getset.as_mut_ptr() as *mut c_void),
        slot(
            ffi::Py_tp_doc,
            c"A multi-dimensional array of one dtype, with gradients.".as_ptr() as *mut c_void,
        ),
    ];
    all.extend(slots::slots());
    all.push(slot(0, ptr::null_mut()));
    let mut spec = ffi::PyType_Spec {
        name: c"rtorch.Tensor".as_ptr(),
        basicsize: size_of::<PyTensor>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC) as _,
        slots: all.as_mut_ptr(),
    };
    // SAFETY: the spec and what it points to are valid; the interpreter copies the slots.
    let t = unsafe { ffi::PyType_FromSpec(&mut spec) };
    if t.is_null() {
        Err(PyErr::fetch(py))
    } else {
        Ok(t as *mut ffi::PyTypeObject)
    }
}

/// `Tensor._make_subclass(cls, data, require_grad=False)`.
#[pyfunction]
#[pyo3(signature = (class, data, require_grad=false))]
fn _make_subclass(
    class: &Bound<'_, pyo3::types::PyType>,
    data: Arg,
    require_grad: bool,
) -> PyResult<Py<PyAny>> {
    let py = class.py();
    let t = data.0.detach().data_alias();
    if require_grad {
        t.set_requires_grad(true).map_err(|e| to_py(py, e))?;
    }
    // SAFETY: the GIL is held; the class is checked to derive from the tensor type.
    unsafe {
        let c = class.as_ptr() as *mut ffi::PyTypeObject;
        if c != tensor_type() && ffi::PyType_IsSubtype(c, tensor_type()) == 0 {
            return Err(PyTypeError::new_err(
                "_make_subclass: cls must be a subclass of Tensor",
            ));
        }
        let o = new_object(c, t);
        if o.is_null() {
            Err(PyErr::fetch(py))
        } else {
            Ok(Bound::from_owned_ptr(py, o).unbind())
        }
    }
}

/// The data and history of a tensor as an instance of another class.
#[pyfunction]
fn _as_subclass(
    py: Python<'_>,
    tensor: Arg,
    class: &Bound<'_, pyo3::types::PyType>,
) -> PyResult<Py<PyAny>> {
    let t = tensor.0.alias().map_err(|e| to_py(py, e))?;
    // SAFETY: the GIL is held; the class is checked to derive from the tensor type.
    unsafe {
        let c = class.as_ptr() as *mut ffi::PyTypeObject;
        if c != tensor_type() && ffi::PyType_IsSubtype(c, tensor_type()) == 0 {
            return Err(PyTypeError::new_err(
                "cls must be a type (must be a subclass of Tensor)",
            ));
        }
        let o = new_object(c, t);
        if o.is_null() {
            Err(PyErr::fetch(py))
        } else {
            Ok(Bound::from_owned_ptr(py, o).unbind())
        }
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let t = make_type(py)?;
    TYPE.store(t, Ordering::Relaxed);
    // SAFETY: a new reference, owned by this module from here on.
    m.add("Tensor", unsafe {
        Bound::from_borrowed_ptr(py, t as Object)
    })?;
    m.add_function(wrap_pyfunction!(_make_subclass, m)?)?;
    m.add_function(wrap_pyfunction!(_as_subclass, m)?)?;
    Ok(())
}
