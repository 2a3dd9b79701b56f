//! Small value types: dtype, device, layout, memory_format, Generator.

use super::error::to_py;
use crate::device::Device;
use crate::dtype::DType;
use crate::ops::args::{GeneratorHandle, MemoryFormat};
use crate::random::Generator;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::{Arc, Mutex, PoisonError};

/// An element type, such as `rtorch.float32`.
#[pyclass(name = "dtype", module = "rtorch", frozen)]
pub struct PyDType {
    pub value: DType,
}

static DTYPES: PyOnceLock<Vec<Py<PyDType>>> = PyOnceLock::new();

/// The one Python object of a dtype.
pub fn dtype_object(py: Python<'_>, d: DType) -> PyResult<Py<PyDType>> {
    let all = DTYPES.get_or_try_init(py, || {
        DType::ALL
            .iter()
            .map(|&value| Py::new(py, PyDType { value }))
            .collect::<PyResult<Vec<_>>>()
    })?;
    Ok(all[d as usize].clone_ref(py))
}

#[pymethods]
impl PyDType {
    fn __repr__(&self) -> String {
        format!("torch.{}", self.value.name())
    }
    fn __reduce__(&self) -> &'static str {
        self.value.name()
    }
    #[getter]
    fn is_floating_point(&self) -> bool {
        self.value.is_floating()
    }
    #[getter]
    fn is_complex(&self) -> bool {
        self.value.is_complex()
    }
    #[getter]
    fn is_signed(&self) -> bool {
        self.value.is_signed()
    }
    #[getter]
    fn itemsize(&self) -> usize {
        self.value.size()
    }
    fn to_complex(&self, py: Python<'_>) -> PyResult<Py<PyDType>> {
        dtype_object(py, self.value.to_complex())
    }
    fn to_real(&self, py: Python<'_>) -> PyResult<Py<PyDType>> {
        dtype_object(py, self.value.to_real())
    }
}

/// Where a tensor lives: `rtorch.device("cpu")`, `rtorch.device("gpu", 0)`.
#[pyclass(name = "device", module = "rtorch", frozen)]
pub struct PyDevice {
    pub value: Device,
    pub index: Option<u8>,
}

impl PyDevice {
    pub fn of(value: Device) -> PyDevice {
        PyDevice {
            value,
            index: match value {
                Device::Cpu => None,
                Device::Gpu(i) => Some(i),
            },
        }
    }
}

#[pymethods]
impl PyDevice {
    #[new]
    #[pyo3(signature = (r#type, index=None))]
    fn new(py: Python<'_>, r#type: &Bound<'_, PyAny>, index: Option<i64>) -> PyResult<PyDevice> {
        if let Ok(d) = r#type.cast::<PyDevice>() {
            return Ok(PyDevice {
                value: d.get().value,
                index: d.get().index,
            });
        }
        let Ok(text) = r#type.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!(
                "device(): argument 'type' (position 1) must be str, not {}",
                r#type.get_type().name()?
            )));
        };
        let text = text.to_cow()?;
        let full = match index {
            Some(i) if text.contains(':') => {
                return Err(pyo3::exceptions::PyRuntimeError::new_err(format!(
                    "type (string) must not include an index because index was passed explicitly: {text}; {i}"
                )));
            }
            Some(i) => format!("{text}:{i}"),
            None => text.to_string(),
        };
        let value = Device::parse(&full).map_err(|e| to_py(py, e))?;
        let index = full.split_once(':').and_then(|(_, i)| i.parse().ok());
        Ok(PyDevice { value, index })
    }
    #[getter]
    fn r#type(&self) -> &'static str {
        self.value.kind()
    }
    #[getter]
    fn index(&self) -> Option<u8> {
        self.index
    }
    fn __repr__(&self) -> String {
        match self.index {
            Some(i) => format!("device(type='{}', index={i})", self.value.kind()),
            None => format!("device(type='{}')", self.value.kind()),
        }
    }
    fn __str__(&self) -> String {
        match self.index {
            Some(i) => format!("{}:{i}", self.value.kind()),
            None => self.value.kind().to_string(),
        }
    }
    fn __hash__(&self) -> u64 {
        self.value.kind().len() as u64 * 256 + self.index.map_or(255, u64::from)
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<PyDevice>()
            .is_ok_and(|o| o.get().value == self.value && o.get().index == self.index)
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        (
            slf.get_type(),
            (this.value.kind(), this.index.map(i64::from)),
        )
            .into_pyobject(py)
    }
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let old = crate::ops::create::default_device();
        DEVICES.with(|d| d.borrow_mut().push(old));
        crate::ops::create::set_default_device(slf.get().value);
        Ok(slf)
    }
    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) {
        if let Some(old) = DEVICES.with(|d| d.borrow_mut().pop()) {
            crate::ops::create::set_default_device(old);
        }
    }
}

thread_local! {
    /// Default devices outside the `with` blocks now open.
    static DEVICES: std::cell::RefCell<Vec<Device>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// How elements are stored; only `rtorch.strided`.
#[pyclass(name = "layout", module = "rtorch", frozen)]
pub struct PyLayout {
    name: &'static str,
}
#[pymethods]
impl PyLayout {
    fn __repr__(&self) -> String {
        format!("torch.{}", self.name)
    }
    fn __reduce__(&self) -> &'static str {
        self.name
    }
}

/// The order of axes in memory, such as `rtorch.channels_last`.
#[pyclass(name = "memory_format", module = "rtorch", frozen)]
pub struct PyMemoryFormat {
    pub value: MemoryFormat,
    name: &'static str,
}
#[pymethods]
impl PyMemoryFormat {
    fn __repr__(&self) -> String {
        format!("torch.{}", self.name)
    }
    fn __reduce__(&self) -> &'static str {
        self.name
    }
}

/// A source of random numbers, seeded as PyTorch seeds its CPU generator.
#[pyclass(name = "Generator", module = "rtorch", frozen, subclass)]
pub struct PyGenerator {
    pub handle: GeneratorHandle,
}

/// Reads a seed: any int, as its low 64 bits.
fn seed_of(seed: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(v) = seed.extract::<i64>() {
        return Ok(v as u64);
    }
    match seed.extract::<u64>() {
        Ok(v) => Ok(v),
        Err(_) if seed.is_instance_of::<pyo3::types::PyInt>() => Err(
            pyo3::exceptions::PyRuntimeError::new_err("Overflow when unpacking long long"),
        ),
        Err(_) => {
            let i = seed
                .call_method0("__index__")
                .or_else(|_| seed.call_method0("__int__"))?;
            i.extract::<i64>().map(|v| v as u64)
        }
    }
}

#[pymethods]
impl PyGenerator {
    #[new]
    #[pyo3(signature = (device=None))]
    fn new(device: Option<&Bound<'_, PyAny>>) -> PyGenerator {
        let _ = device;
        PyGenerator {
            handle: Arc::new(Mutex::new(Generator::default())),
        }
    }
    fn manual_seed<'py>(
        slf: Bound<'py, Self>,
        seed: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let seed = seed_of(seed)?;
        slf.get()
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .manual_seed(seed);
        Ok(slf)
    }
    fn seed(&self) -> u64 {
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seed()
    }
    fn initial_seed(&self) -> u64 {
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .initial_seed()
    }
    fn get_state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let state = self
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_state();
        let t = crate::tensor::Tensor::from_slice(&state[..]).map_err(|e| to_py(py, e))?;
        super::object::wrap(py, t)
    }
    fn set_state(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = super::object::tensor_of(state)?;
        let bytes = t.to_vec::<u8>().map_err(|e| to_py(py, e))?;
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set_state(&bytes)
            .map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))
    }
    #[getter]
    fn device(&self) -> PyDevice {
        PyDevice::of(Device::Cpu)
    }
    fn clone_state(&self) -> PyResult<PyGenerator> {
        let state = self
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_state();
        let mut g = Generator::default();
        g.set_state(&state[..])
            .map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))?;
        Ok(PyGenerator {
            handle: Arc::new(Mutex::new(g)),
        })
    }
}

/// The classes the table's parser looks for.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add_class::<PyDType>()?;
    m.add_class::<PyDevice>()?;
    m.add_class::<PyLayout>()?;
    m.add_class::<PyMemoryFormat>()?;
    m.add_class::<PyGenerator>()?;
    let names = PyDict::new(py);
    for d in DType::ALL {
        let o = dtype_object(py, d)?;
        names.set_item(d.name(), &o)?;
        if let Some(alias) = d.alias() {
            names.set_item(alias, &o)?;
        }
    }
    m.add("_dtypes", &names)?;
    for (name, value) in names.iter() {
        m.add(name.cast::<PyString>()?, value)?;
    }
    for name in ["strided", "sparse_coo"] {
        m.add(name, Py::new(py, PyLayout { name })?)?;
    }
    for (name, value) in [
        ("contiguous_format", MemoryFormat::Contiguous),
        ("preserve_format", MemoryFormat::Preserve),
        ("channels_last", MemoryFormat::ChannelsLast),
        ("channels_last_3d", MemoryFormat::ChannelsLast3d),
    ] {
        m.add(name, Py::new(py, PyMemoryFormat { value, name })?)?;
    }
    m.add(
        "default_generator",
        Py::new(
            py,
            PyGenerator {
                handle: crate::ops::random::default_generator(),
            },
        )?,
    )?;
    Ok(())
}
