//! Grad modes, backward, nodes and hooks as Python sees them.

use super::bind;
use super::convert;
use super::error::{Object, to_py};
use super::gil::Gil;
use super::object::{Arg, tensor_of, tensor_type, wrap};
use crate::autograd::engine::{self, Options};
use crate::autograd::node::next_hook_id;
use crate::autograd::observe::{self, Describe};
use crate::autograd::{self, Edge, GradVec, Grads, Node, Saved};
use crate::tensor::Tensor;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyUserWarning};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;

#[pyfunction]
fn is_grad_enabled() -> bool {
    autograd::is_grad_enabled()
}
#[pyfunction]
fn _set_grad_enabled(on: bool) -> bool {
    autograd::set_grad_enabled(on)
}
#[pyfunction]
fn is_inference_mode_enabled() -> bool {
    autograd::is_inference_mode()
}
#[pyfunction]
fn _set_inference_mode(on: bool) -> bool {
    autograd::set_inference_mode(on)
}
#[pyfunction]
fn is_anomaly_enabled() -> bool {
    autograd::is_anomaly_enabled()
}
#[pyfunction]
fn is_anomaly_check_nan_enabled() -> bool {
    autograd::is_anomaly_check_nan()
}
#[pyfunction]
fn _set_anomaly_enabled(on: bool, check_nan: bool) {
    autograd::set_anomaly_enabled(on);
    autograd::set_anomaly_check_nan(check_nan);
}

/// How the core describes the running call and shows warnings.
fn describe() -> Describe {
    Describe {
        origin: || {
            let text = convert::callback(|py| {
                let lines = py.import("traceback")?.call_method0("format_stack")?;
                PyString::new(py, "")
                    .call_method1("join", (lines,))?
                    .extract()
            });
            text.unwrap_or_else(|e| e.message)
        },
        warn: |text| {
            convert::callback(|py| {
                let category = py.get_type::<PyUserWarning>();
                PyErr::warn(py, &category, &CString::new(text.replace('\0', ""))?, 1)
            })
        },
    }
}

/// Packs what nodes save with `pack(tensor)` from now on; `unpack` gives it back.
#[pyfunction]
fn _push_saved_tensors_hooks(pack: Py<PyAny>, unpack: Py<PyAny>) {
    let unpack = Rc::new(unpack);
    observe::push_packer(Rc::new(move |t: &Tensor| {
        let packed = convert::callback(|py| pack.call1(py, (wrap(py, t.clone())?,)))?;
        let unpack = unpack.clone();
        Ok(Rc::new(move || {
            convert::callback(|py| {
                let t = unpack.call1(py, (packed.clone_ref(py),))?;
                tensor_of(t.bind(py)).map_err(|_| {
                    PyTypeError::new_err(format!(
                        "Output of saved tensor unpack_hook expected to be a Tensor but got result of type {}",
                        convert::type_name(t.bind(py))
                    ))
                })
            })
        }))
    }));
}
#[pyfunction]
fn _pop_saved_tensors_hooks() {
    observe::pop_packer();
}

fn opt_tensor(o: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if o.is_none() {
        Ok(None)
    } else {
        tensor_of(o).map(Some)
    }
}

/// Runs backward. With `accumulate` gradients go into `grad`, otherwise they are returned.
#[pyfunction]
#[pyo3(signature = (tensors, grad_tensors, retain_graph, create_graph, inputs, allow_unused, accumulate))]
#[allow(clippy::too_many_arguments)]
fn _run_backward(
    py: Python<'_>,
    tensors: Vec<Arg>,
    grad_tensors: Vec<Bound<'_, PyAny>>,
    retain_graph: bool,
    create_graph: bool,
    inputs: Option<Vec<Arg>>,
    allow_unused: bool,
    accumulate: bool,
) -> PyResult<Py<PyAny>> {
    let mut roots = Vec::new();
    for (i, t) in tensors.into_iter().enumerate() {
        let g = match grad_tensors.get(i) {
            Some(g) => opt_tensor(g)?,
            None => None,
        };
        roots.push((t.0, g));
    }
    let inputs: Option<Vec<Tensor>> = inputs.map(|v| v.into_iter().map(|a| a.0).collect());
    let options = Options {
        retain_graph,
        create_graph,
        capture: !accumulate,
        allow_unused,
    };
    let out = engine::run(&roots, inputs.as_deref(), &options).map_err(|e| to_py(py, e))?;
    if accumulate {
        return Ok(py.None());
    }
    let items = out
        .into_iter()
        .map(|g| match g {
            Some(g) => wrap(py, g),
            None => Ok(py.None()),
        })
        .collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, items)?.into_any().unbind())
}

/// A node of the graph: `y.grad_fn`.
#[pyclass(name = "Node", module = "rtorch.autograd.graph", frozen, subclass)]
pub struct PyNode {
    node: Gil<Rc<Node>>,
}

thread_local! {
    /// One class per node name, so that `type(y.grad_fn).__name__` says what made `y`.
    static CLASSES: RefCell<std::collections::HashMap<String, Py<PyAny>>> = RefCell::default();
}

/// The Python object of a node, of a class named after it.
fn node_object(py: Python<'_>, node: Rc<Node>) -> PyResult<Py<PyAny>> {
    let name = match node.is_accumulator() {
        true => "AccumulateGrad".to_string(),
        false => node.display_name(),
    };
    let object = Py::new(py, PyNode { node: Gil(node) })?.into_any();
    let known = CLASSES.with(|c| c.borrow().get(&name).map(|c| c.clone_ref(py)));
    let class = match known {
        Some(class) => class,
        None => {
            let body = PyDict::new(py);
            body.set_item("__slots__", PyTuple::empty(py))?;
            body.set_item("__module__", "rtorch.autograd.graph")?;
            let bases = (py.get_type::<PyNode>(),);
            let class = py
                .get_type::<pyo3::types::PyType>()
                .call1((&name, bases, body))?
                .unbind();
            CLASSES.with(|c| c.borrow_mut().insert(name, class.clone_ref(py)));
            class
        }
    };
    object.setattr(py, "__class__", class)?;
    Ok(object)
}

impl PyNode {
    fn edges(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let items = self
            .node
            .edges()
            .into_iter()
            .map(|e| match e {
                Some(Edge { node, output }) => (node_object(py, node)?, output).into_pyobject(py),
                None => (py.None(), 0u32).into_pyobject(py),
            })
            .collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }
}

#[pymethods]
impl PyNode {
    /// The leaf that an `AccumulateGrad` node adds to.
    #[getter]
    fn variable(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.node.leaf().and_then(|meta| meta.owner()) {
            Some(t) => wrap(py, t),
            None => Err(PyAttributeError::new_err(format!(
                "'{}' object has no attribute 'variable'",
                self.node.display_name()
            ))),
        }
    }
    fn name(&self) -> String {
        match self.node.is_accumulator() {
            true => "torch::autograd::AccumulateGrad".into(),
            false => self.node.display_name(),
        }
    }
    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let name = if this.node.is_accumulator() {
            "AccumulateGrad".into()
        } else {
            this.node.display_name()
        };
        format!(
            "<{name} object at 0x{:x}>",
            Rc::as_ptr(&this.node.0) as *const u8 as usize
        )
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<PyNode>()
            .is_ok_and(|o| Rc::ptr_eq(&o.get().node.0, &self.node.0))
    }
    fn __hash__(&self) -> usize {
        Rc::as_ptr(&self.node.0) as *const u8 as usize >> 4
    }
    #[getter]
    fn _class_name(&self) -> String {
        if self.node.is_accumulator() {
            "AccumulateGrad".into()
        } else {
            self.node.display_name()
        }
    }
    #[getter]
    fn next_functions(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.edges(py)
    }
    fn _sequence_nr(&self) -> u64 {
        self.node.seq()
    }
    /// Calls `hook(grad_inputs, grad_outputs)` after the node ran.
    fn register_hook(&self, py: Python<'_>, hook: Py<PyAny>) -> PyResult<Py<PyAny>> {
        let id = next_hook_id();
        let hook: autograd::node::NodeHook = Rc::new(
            move |inputs: &[Option<Tensor>], outputs: &[Option<Tensor>]| {
                convert::callback(|py| {
                    let r = hook.call1(py, (grad_tuple(py, inputs)?, grad_tuple(py, outputs)?))?;
                    grads_from(r.bind(py))
                })
            },
        );
        self.node.hooks_mut().post.push((id, hook));
        handle(py, self.node.0.clone(), id)
    }
    /// Calls `hook(grad_outputs)` before the node runs.
    fn register_prehook(&self, py: Python<'_>, hook: Py<PyAny>) -> PyResult<Py<PyAny>> {
        let id = next_hook_id();
        let hook: autograd::node::NodePreHook = Rc::new(move |outputs: &[Option<Tensor>]| {
            convert::callback(|py| {
                let r = hook.call1(py, (grad_tuple(py, outputs)?,))?;
                grads_from(r.bind(py))
            })
        });
        self.node.hooks_mut().pre.push((id, hook));
        handle(py, self.node.0.clone(), id)
    }
}

fn grad_tuple<'py>(py: Python<'py>, g: &[Option<Tensor>]) -> PyResult<Bound<'py, PyTuple>> {
    let items = g
        .iter()
        .map(|g| match g {
            Some(g) => wrap(py, g.clone()),
            None => Ok(py.None()),
        })
        .collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, items)
}

fn grads_from(r: &Bound<'_, PyAny>) -> PyResult<Option<GradVec>> {
    if r.is_none() {
        return Ok(None);
    }
    if let Ok(t) = r.cast::<PyTuple>() {
        return t
            .iter()
            .map(|g| opt_tensor(&g))
            .collect::<PyResult<GradVec>>()
            .map(Some);
    }
    let mut out = GradVec::new();
    out.push(opt_tensor(r)?);
    Ok(Some(out))
}

/// Removes a hook.
#[pyclass(name = "_HookHandle", frozen)]
struct HookHandle {
    remove: Gil<Cell<Option<Box<dyn Fn()>>>>,
    #[pyo3(get)]
    id: u64,
}
#[pymethods]
impl HookHandle {
    fn remove(&self) {
        if let Some(f) = self.remove.take() {
            f();
        }
    }
    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }
    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) {
        self.remove();
    }
}

fn handle(py: Python<'_>, node: Rc<Node>, id: u64) -> PyResult<Py<PyAny>> {
    let remove: Box<dyn Fn()> = Box::new(move || {
        let mut h = node.hooks_mut();
        h.tensor.retain(|h| h.1 != id);
        h.pre.retain(|h| h.0 != id);
        h.post.retain(|h| h.0 != id);
    });
    Ok(Py::new(
        py,
        HookHandle {
            remove: Gil(Cell::new(Some(remove))),
            id,
        },
    )?
    .into_any())
}

/// The getter of `Tensor.grad_fn`.
pub fn grad_fn(py: Python<'_>, t: &Tensor) -> PyResult<Py<PyAny>> {
    match t.grad_fn() {
        Some((node, _)) if node.is_accumulator() => Ok(py.None()),
        Some((node, _)) => node_object(py, node),
        None => Ok(py.None()),
    }
}

/// Calls `hook(grad)` whenever the tensor's gradient is computed.
#[pyfunction]
fn _register_hook(py: Python<'_>, tensor: Arg, hook: Py<PyAny>) -> PyResult<Py<PyAny>> {
    let t = tensor.0;
    let Some(Edge { node, output }) = t.gradient_edge() else {
        return Err(PyRuntimeError::new_err(
            "cannot register a hook on a tensor that doesn't require gradient",
        ));
    };
    let id = next_hook_id();
    let hook: autograd::Hook = Rc::new(move |g: &Tensor| {
        convert::callback(|py| {
            let r = hook.call1(py, (wrap(py, g.clone())?,))?;
            opt_tensor(r.bind(py))
        })
    });
    node.hooks_mut().tensor.push((output, id, hook));
    handle(py, node, id)
}

/// Calls `hook(tensor)` after its gradient was accumulated.
#[pyfunction]
fn _register_post_accumulate_grad_hook(
    py: Python<'_>,
    tensor: Bound<'_, PyAny>,
    hook: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    let t = tensor_of(&tensor)?;
    if !t.requires_grad() {
        return Err(PyRuntimeError::new_err(
            "cannot register a hook on a tensor that doesn't require gradient",
        ));
    }
    if !t.is_leaf() {
        return Err(PyRuntimeError::new_err(
            "post accumulate grad hooks cannot be registered on non-leaf tensors",
        ));
    }
    let id = next_hook_id();
    let weak = py
        .import("weakref")?
        .getattr("ref")?
        .call1((&tensor,))?
        .unbind();
    let meta = t.meta_or_new().clone();
    meta.add_post_accumulate(
        id,
        Rc::new(move || {
            convert::callback(|py| {
                let t = weak.call0(py)?;
                if !t.is_none(py) {
                    hook.call1(py, (t,))?;
                }
                Ok(())
            })
        }),
    );
    let meta = Rc::downgrade(&meta);
    let remove: Box<dyn Fn()> = Box::new(move || {
        if let Some(m) = meta.upgrade() {
            m.remove_post_accumulate(id);
        }
    });
    Ok(Py::new(
        py,
        HookHandle {
            remove: Gil(Cell::new(Some(remove))),
            id,
        },
    )?
    .into_any())
}

/// A saved tensor with its version: `unpack()` raises if it was written to since.
#[pyclass(name = "_SavedVariable", frozen)]
struct PySaved(Gil<Saved>);
#[pymethods]
impl PySaved {
    fn unpack(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        wrap(py, self.0.unpack(None).map_err(|e| to_py(py, e))?)
    }
}

#[pyfunction]
fn _save_variable(py: Python<'_>, tensor: Arg, is_output: bool) -> PyResult<PySaved> {
    // An output is kept without its node, or the node would own itself.
    let saved = if is_output {
        Saved::output(&tensor.0, 0)
    } else {
        Saved::input(&tensor.0)
    };
    match observe::take_failure() {
        None => Ok(PySaved(Gil(saved))),
        Some(e) => Err(to_py(py, e)),
    }
}

/// Makes one node, whose backward is a Python callable, the maker of `outputs`.
#[pyfunction]
fn _attach_python_node(
    outputs: Vec<Arg>,
    inputs: Vec<Bound<'_, PyAny>>,
    backward: Py<PyAny>,
    name: String,
) -> PyResult<bool> {
    let mut tensors = Vec::new();
    for i in &inputs {
        tensors.push(opt_tensor(i)?);
    }
    let flat: Vec<&Tensor> = tensors.iter().flatten().collect();
    if !autograd::needs_grad(&flat) {
        return Ok(false);
    }
    let edges = tensors
        .iter()
        .map(|t| t.as_ref().and_then(|t| t.gradient_edge()))
        .collect();
    let run = move |g: &Grads| -> crate::error::Result<GradVec> {
        convert::callback(|py| {
            let r = backward.call1(py, (grad_tuple(py, g.grads)?,))?;
            let r = r.bind(py);
            match grads_from(r) {
                Ok(Some(v)) => Ok(v),
                Ok(None) => Ok(smallvec::smallvec![None]),
                Err(_) => Err(PyTypeError::new_err(format!(
                    "expected Variable or None (got {})",
                    convert::type_name(r)
                ))),
            }
        })
    };
    let node = Node::with_edges(name, edges, true, Rc::new(run));
    for (i, out) in outputs.iter().enumerate() {
        node.add_output(&out.0);
        if out.0.dtype().is_differentiable() {
            if out.0.view_of().is_some() && !out.0.is_leaf() {
                continue;
            }
            out.0.set_grad_fn(node.clone(), i as u32);
        }
    }
    Ok(true)
}

thread_local! {
    /// Classes seen as arguments and whether they override; each is kept alive so that its address stays its own.
    static OVERRIDES: RefCell<Vec<(usize, bool)>> = const { RefCell::new(Vec::new()) };
}
/// Classes remembered; more are looked up anew each time.
const REMEMBERED: usize = 256;

/// Whether a class overrides `__torch_function__`.
///
/// # Safety
/// `t` is a live type object and the GIL is held.
pub unsafe fn overrides_torch_function(py: Python<'_>, t: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        // Most arguments are numbers, tuples and None: built-in types have nothing to say.
        if ffi::PyType_GetFlags(t) & ffi::Py_TPFLAGS_HEAPTYPE == 0 {
            return false;
        }
        let known = OVERRIDES.with(|o| o.borrow().iter().find(|o| o.0 == t as usize).map(|o| o.1));
        if let Some(known) = known {
            return known;
        }
        let class: Bound<'_, PyAny> = Bound::from_borrowed_ptr(py, t as Object);
        let overrides = defines_override(&class).unwrap_or(false);
        OVERRIDES.with(|o| {
            let mut o = o.borrow_mut();
            if o.len() < REMEMBERED {
                ffi::Py_INCREF(t as Object);
                o.push((t as usize, overrides));
            }
        });
        overrides
    }
}

/// The first class in the resolution order that has its own `__torch_function__` decides. On tensors themselves the base
/// tensor's does nothing, nor does `_disabled_torch_function_impl`.
fn defines_override(class: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = class.py();
    for c in class.getattr("__mro__")?.try_iter()? {
        let c = c?;
        if c.as_ptr() == tensor_type() as Object {
            // A subclass inherits the base's, which keeps results in the subclass.
            return Ok(!class.is(&c));
        }
        let own = c.getattr("__dict__")?;
        if own.contains("__torch_function__")? {
            let disabled = py
                .import("rtorch._C")?
                .getattr("_disabled_torch_function_impl")?;
            return Ok(!own.get_item("__torch_function__")?.is(&disabled));
        }
    }
    Ok(false)
}

/// Set as `__torch_function__` by subclasses that want to be treated as plain tensors.
#[pyfunction]
#[pyo3(signature = (func, types, args=None, kwargs=None))]
fn _disabled_torch_function_impl(
    func: &Bound<'_, PyAny>,
    types: &Bound<'_, PyAny>,
    args: Option<&Bound<'_, PyTuple>>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let _ = types;
    let empty = PyTuple::empty(func.py());
    func.call(args.unwrap_or(&empty), kwargs).map(Bound::unbind)
}

/// Hands a call to `__torch_function__`; None where the class disabled it.
pub fn call_torch_function(
    py: Python<'_>,
    name: &str,
    method: bool,
    owner: Object,
    given: &[Object],
    keywords: &[(&str, Object)],
) -> PyResult<Option<Py<PyAny>>> {
    let torch = py.import("rtorch")?;
    let f = if method {
        torch.getattr("Tensor")?.getattr(name)?
    } else {
        match torch.getattr(name) {
            Ok(f) => f,
            Err(_) => torch.getattr("nn")?.getattr("functional")?.getattr(name)?,
        }
    };
    // SAFETY: live objects under the GIL.
    let objects: Vec<Bound<'_, PyAny>> = given
        .iter()
        .map(|o| unsafe { Bound::from_borrowed_ptr(py, *o) })
        .collect();
    let kwargs = PyDict::new(py);
    for (k, o) in keywords {
        // SAFETY: as above.
        kwargs.set_item(k, unsafe { Bound::from_borrowed_ptr(py, *o) })?;
    }
    let types = PyTuple::new(py, objects.iter().map(|o| o.get_type()).collect::<Vec<_>>())?;
    // SAFETY: as above.
    let owner: Bound<'_, PyAny> = unsafe { Bound::from_borrowed_ptr(py, owner) };
    let r = owner.get_type().getattr("__torch_function__")?.call1((
        f,
        types,
        PyTuple::new(py, objects)?,
        kwargs,
    ))?;
    if r.is(py.NotImplemented().bind(py)) {
        return Err(PyTypeError::new_err(format!(
            "no implementation found for 'torch.{name}' on types that implement __torch_function__"
        )));
    }
    Ok(Some(r.unbind()))
}

/// As `call_torch_function` for `a + b`.
pub fn operator_override(
    py: Python<'_>,
    name: &str,
    a: Object,
    b: Object,
    in_place: bool,
) -> PyResult<Object> {
    let name = if in_place {
        format!("{name}_")
    } else {
        name.to_string()
    };
    // SAFETY: live objects under the GIL.
    let owner = unsafe {
        if overrides_torch_function(py, ffi::Py_TYPE(a)) && ffi::Py_TYPE(a) != tensor_type() {
            a
        } else {
            b
        }
    };
    match call_torch_function(py, &name, true, owner, &[a, b], &[])? {
        Some(o) => Ok(o.into_ptr()),
        None => Err(PyTypeError::new_err(name)),
    }
}

/// For code that wants a row by name.
#[pyfunction]
fn _has_op(name: &str) -> bool {
    bind::find(name).is_some()
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyNode>()?;
    m.add_class::<HookHandle>()?;
    m.add_class::<PySaved>()?;
    m.add_function(wrap_pyfunction!(is_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_set_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(is_inference_mode_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_set_inference_mode, m)?)?;
    m.add_function(wrap_pyfunction!(is_anomaly_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(is_anomaly_check_nan_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_set_anomaly_enabled, m)?)?;
    observe::describe_with(describe());
    m.add_function(wrap_pyfunction!(_push_saved_tensors_hooks, m)?)?;
    m.add_function(wrap_pyfunction!(_pop_saved_tensors_hooks, m)?)?;
    m.add_function(wrap_pyfunction!(_run_backward, m)?)?;
    m.add_function(wrap_pyfunction!(_register_hook, m)?)?;
    m.add_function(wrap_pyfunction!(_register_post_accumulate_grad_hook, m)?)?;
    m.add_function(wrap_pyfunction!(_save_variable, m)?)?;
    m.add_function(wrap_pyfunction!(_attach_python_node, m)?)?;
    m.add_function(wrap_pyfunction!(_has_op, m)?)?;
    m.add_function(wrap_pyfunction!(_disabled_torch_function_impl, m)?)?;
    Ok(())
}
