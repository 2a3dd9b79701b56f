//! Checkpoints as Python objects: `rtorch._C._save_archive`, `_load_archive` and the safetensors pair.
//!
//! Both directions go through `io::graph`. Neither recurses: objects are numbered when they are first seen and filled
//! in afterwards, so nesting costs no stack and cycles need no care.

use super::error::to_py;
use super::object::{tensor_of, wrap};
use super::types::{PyDType, PyDevice, PyLayout, dtype_object};
use crate::device::Device;
use crate::dtype::DType;
use crate::io::archive::{self, Archive};
use crate::io::graph::{Construct, DictKind, Graph, Id, Node, StorageInfo, TensorNode};
use crate::io::{legacy, safetensors};
use crate::tensor::Tensor;
use pyo3::exceptions::{PyEOFError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::*;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, Write};

/// An exception of the pickle module.
fn pickle_error(py: Python<'_>, name: &str, message: String) -> PyErr {
    match py
        .import("pickle")
        .and_then(|m| m.getattr(name))
        .and_then(|c| c.call1((message,)))
    {
        Ok(e) => PyErr::from_value(e),
        Err(e) => e,
    }
}

/// The bytes of a CPU tensor's whole storage.
fn storage_bytes(t: &Tensor) -> &[u8] {
    let s = t.storage();
    if s.bytes() == 0 {
        return &[];
    }
    // SAFETY: a CPU storage owns `bytes` initialised or plain bytes at `data`, alive as long as the tensor.
    unsafe { std::slice::from_raw_parts(s.data(), s.bytes()) }
}

/// The whole storage of a tensor as a flat tensor of bytes.
fn flat(t: &Tensor) -> Tensor {
    let storage = t.storage().clone();
    let bytes = storage.bytes();
    // SAFETY: the view spans exactly the storage.
    unsafe {
        Tensor::from_parts(
            storage,
            0,
            SmallVec::from_slice(&[bytes]),
            SmallVec::from_slice(&[1]),
            DType::U8,
        )
    }
}

/// The tensor that a node describes, over the storage of another tensor.
fn view(storage: &Tensor, node: &TensorNode) -> crate::error::Result<Tensor> {
    let storage = storage.storage();
    let (_, need) = node.extent()?;
    crate::check!(
        need <= storage.bytes() as u64,
        Runtime,
        "setStorage: sizes {:?}, strides {:?}, storage offset {} require a storage size of {need} bytes, got {}",
        node.size,
        node.stride,
        node.offset,
        storage.bytes()
    );
    let sizes = node.size.iter().map(|&n| n as usize).collect();
    let strides = node.stride.iter().map(|&n| n as isize).collect();
    // SAFETY: `extent` says how far the elements reach, and the storage holds that many bytes.
    Ok(unsafe {
        Tensor::from_parts(
            storage.clone(),
            node.offset as usize,
            sizes,
            strides,
            node.dtype,
        )
    })
}

// ---- saving

struct Classes<'py> {
    size: Bound<'py, PyAny>,
    tensor: Bound<'py, PyAny>,
    parameter: Bound<'py, PyAny>,
    buffer: Bound<'py, PyAny>,
    ordered: Bound<'py, PyAny>,
    counter: Bound<'py, PyAny>,
    module: Bound<'py, PyAny>,
}

struct Saver<'py> {
    py: Python<'py>,
    graph: Graph,
    /// By address; `objects` keeps them alive.
    ids: HashMap<usize, Id>,
    objects: Vec<(Id, Bound<'py, PyAny>)>,
    storage_of: HashMap<usize, u32>,
    storages: Vec<Tensor>,
    classes: Classes<'py>,
}

impl<'py> Saver<'py> {
    fn new(py: Python<'py>) -> PyResult<Saver<'py>> {
        let root = py.import("rtorch")?;
        let nn = py.import("rtorch.nn")?;
        let parameter = py.import("rtorch.nn.parameter")?;
        let collections = py.import("collections")?;
        let classes = Classes {
            size: root.getattr("Size")?,
            tensor: root.getattr("Tensor")?,
            parameter: parameter.getattr("Parameter")?,
            buffer: parameter
                .getattr("Buffer")
                .unwrap_or_else(|_| py.None().into_bound(py)),
            ordered: collections.getattr("OrderedDict")?,
            counter: collections.getattr("Counter")?,
            module: nn.getattr("Module")?,
        };
        Ok(Saver {
            py,
            graph: Graph::default(),
            ids: HashMap::new(),
            objects: Vec::new(),
            storage_of: HashMap::new(),
            storages: Vec::new(),
            classes,
        })
    }

    /// The number of an object, which is filled in later where it is new.
    fn id(&mut self, object: Bound<'py, PyAny>) -> PyResult<Id> {
        let key = object.as_ptr() as usize;
        if let Some(&id) = self.ids.get(&key) {
            return Ok(id);
        }
        let id = self.graph.push(Node::None).map_err(|e| to_py(self.py, e))?;
        self.ids.insert(key, id);
        self.objects.push((id, object));
        Ok(id)
    }

    fn all(
        &mut self,
        items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> PyResult<Vec<Id>> {
        items.map(|i| self.id(i?)).collect()
    }

    fn run(&mut self, root: Bound<'py, PyAny>) -> PyResult<()> {
        self.graph.root = self.id(root)?;
        let mut next = 0;
        while next < self.objects.len() {
            let (id, object) = self.objects[next].clone();
            let node = self.node(&object)?;
            self.graph.nodes[id as usize] = node;
            next += 1;
        }
        Ok(())
    }

    fn node(&mut self, o: &Bound<'py, PyAny>) -> PyResult<Node> {
        let class = o.get_type();
        let class = class.as_any();
        Ok(if o.is_none() {
            Node::None
        } else if let Ok(b) = o.cast_exact::<PyBool>() {
            Node::Bool(b.is_true())
        } else if o.cast_exact::<PyInt>().is_ok() {
            match o.extract::<i64>() {
                Ok(i) => Node::Int(i),
                Err(_) => {
                    let bits: usize = o.call_method0("bit_length")?.extract()?;
                    let options = PyDict::new(self.py);
                    options.set_item("signed", true)?;
                    let raw =
                        o.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&options))?;
                    Node::BigInt(raw.extract()?)
                }
            }
        } else if let Ok(f) = o.cast_exact::<PyFloat>() {
            Node::Float(f.value())
        } else if let Ok(s) = o.cast_exact::<PyString>() {
            Node::Str(s.to_cow()?.into_owned())
        } else if let Ok(v) = o.cast_exact::<PyList>() {
            Node::List(self.all(v.iter().map(Ok))?)
        } else if let Ok(v) = o.cast_exact::<PyTuple>() {
            Node::Tuple(self.all(v.iter().map(Ok))?)
        } else if let Ok(d) = o.cast_exact::<PyDict>() {
            Node::Dict {
                kind: DictKind::Plain,
                items: self.items(d)?,
                attributes: None,
            }
        } else if class.is(&self.classes.tensor)
            || class.is(&self.classes.parameter)
            || class.is(&self.classes.buffer)
        {
            self.tensor(o)?
        } else if class.is(&self.classes.ordered) || class.is(&self.classes.counter) {
            let kind = if class.is(&self.classes.ordered) {
                DictKind::Ordered
            } else {
                DictKind::Counter
            };
            Node::Dict {
                kind,
                items: self.items(o.cast::<PyDict>()?)?,
                attributes: self.attributes(o)?,
            }
        } else if let Ok(b) = o.cast_exact::<PyBytes>() {
            Node::Bytes(b.as_bytes().to_vec())
        } else if let Ok(b) = o.cast_exact::<PyByteArray>() {
            Node::ByteArray(b.to_vec())
        } else if let Ok(c) = o.cast_exact::<PyComplex>() {
            Node::Complex(c.getattr("real")?.extract()?, c.getattr("imag")?.extract()?)
        } else if let Ok(s) = o.cast_exact::<PySet>() {
            Node::Set(self.all(s.try_iter()?)?)
        } else if let Ok(s) = o.cast_exact::<PyFrozenSet>() {
            Node::FrozenSet(self.all(s.try_iter()?)?)
        } else if class.is(&self.classes.size) {
            Node::Size(o.extract()?)
        } else if let Ok(d) = o.cast::<PyDType>() {
            Node::DType(d.get().value)
        } else if o.cast::<PyDevice>().is_ok() {
            Node::Device(o.str()?.to_cow()?.into_owned())
        } else if o.cast::<PyLayout>().is_ok() {
            Node::Layout(o.repr()?.to_cow()?.into_owned())
        } else {
            return Err(self.refused(o)?);
        })
    }

    /// The error for an object that is no data.
    fn refused(&self, o: &Bound<'py, PyAny>) -> PyResult<PyErr> {
        let class = o.get_type().fully_qualified_name()?.to_cow()?.into_owned();
        let fix = if o.is_instance(&self.classes.module)? {
            "Save `module.state_dict()` and load it with `module.load_state_dict(torch.load(path))`"
        } else if o.is_instance(&self.classes.tensor)? {
            "Save `tensor.detach().as_subclass(torch.Tensor)`"
        } else if class.starts_with("numpy.") {
            "Save `torch.as_tensor(array)`, or `value.item()` for a scalar"
        } else {
            "Save its data instead: `obj.state_dict()` of a module or optimizer, or `vars(obj)` of another object"
        };
        Ok(pickle_error(
            self.py,
            "PicklingError",
            format!(
                "Can't save an object of type {class}: checkpoints hold data only (tensors, numbers, strings, and \
                 lists, tuples, sets and dictionaries of them), so that loading one never runs code. {fix}."
            ),
        ))
    }

    fn items(&mut self, d: &Bound<'py, PyDict>) -> PyResult<Vec<(Id, Id)>> {
        d.iter()
            .map(|(k, v)| Ok((self.id(k)?, self.id(v)?)))
            .collect()
    }

    /// What an object carries in its `__dict__`, without the marks of this library.
    fn attributes(&mut self, o: &Bound<'py, PyAny>) -> PyResult<Option<Id>> {
        let Ok(all) = o.getattr("__dict__") else {
            return Ok(None);
        };
        let Ok(all) = all.cast_into::<PyDict>() else {
            return Ok(None);
        };
        let kept = PyDict::new(self.py);
        for (name, value) in all.iter() {
            let text = name.str()?;
            if !matches!(text.to_cow()?.as_ref(), "_backward_hooks" | "_is_param") {
                kept.set_item(name, value)?;
            }
        }
        if kept.is_empty() {
            Ok(None)
        } else {
            Ok(Some(self.id(kept.into_any())?))
        }
    }

    fn tensor(&mut self, o: &Bound<'py, PyAny>) -> PyResult<Node> {
        let parameter = o.get_type().is(&self.classes.parameter);
        let attributes = self.attributes(o)?;
        let mut t = tensor_of(o)?;
        let requires_grad = t.requires_grad();
        if t.strides().iter().any(|&s| s < 0) {
            // PyTorch has no negative steps.
            t = tensor_of(&o.call_method0("detach")?.call_method0("contiguous")?)?;
        }
        let storage = self.storage(&t)?;
        let ints = |v: &[usize]| v.iter().map(|&n| n as i64).collect();
        Ok(Node::Tensor(TensorNode {
            storage,
            dtype: t.dtype(),
            offset: t.offset() as i64,
            size: ints(t.sizes()),
            stride: t.strides().iter().map(|&n| n as i64).collect(),
            requires_grad,
            conj: false,
            neg: false,
            parameter,
            attributes,
        }))
    }

    fn storage(&mut self, t: &Tensor) -> PyResult<u32> {
        let key = t.storage().id();
        if let Some(&known) = self.storage_of.get(&key) {
            return Ok(known);
        }
        let location = match t.device() {
            Device::Cpu => "cpu".to_owned(),
            Device::Gpu(i) => format!("gpu:{i}"),
        };
        let bytes = t.storage().bytes() as u64;
        let here = if t.device().is_cpu() {
            t.clone()
        } else {
            let there = wrap(self.py, flat(t))?;
            tensor_of(&there.bind(self.py).call_method0("cpu")?)?
        };
        let info = StorageInfo {
            key: self.storages.len().to_string(),
            dtype: Some(t.dtype()),
            location,
            bytes,
        };
        let index = self.graph.storage(info).map_err(|e| to_py(self.py, e))?;
        self.storage_of.insert(key, index);
        self.storages.push(here);
        Ok(index)
    }
}

/// Writes a checkpoint to a file, or returns its bytes where `path` is None.
#[pyfunction]
fn _save_archive<'py>(
    py: Python<'py>,
    path: Option<std::path::PathBuf>,
    folder: &str,
    object: Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let mut saver = Saver::new(py)?;
    saver.run(object)?;
    let storages: Vec<&[u8]> = saver.storages.iter().map(storage_bytes).collect();
    match path {
        Some(path) => {
            let file = BufWriter::new(std::fs::File::create(path)?);
            let mut file =
                archive::write(file, folder, &saver.graph, &storages).map_err(|e| to_py(py, e))?;
            file.flush()?;
            Ok(None)
        }
        None => {
            let out = archive::write(Cursor::new(Vec::new()), folder, &saver.graph, &storages);
            Ok(Some(PyBytes::new(
                py,
                out.map_err(|e| to_py(py, e))?.get_ref(),
            )))
        }
    }
}

// ---- loading

trait Input: Read + Seek {}
impl<T: Read + Seek> Input for T {}

/// An open checkpoint of either container.
enum Source<'a> {
    Zip(Archive<Box<dyn Input + 'a>>),
    Legacy(legacy::Legacy, std::borrow::Cow<'a, [u8]>),
}

impl<'a> Source<'a> {
    fn open(py: Python<'_>, mut input: Box<dyn Input + 'a>) -> PyResult<(Source<'a>, Graph)> {
        let mut start = [0; 64];
        let mut n = 0;
        while n < start.len() {
            match input.read(&mut start[n..])? {
                0 => break,
                k => n += k,
            }
        }
        if n == 0 {
            return Err(PyEOFError::new_err(
                "Ran out of input: the checkpoint is empty",
            ));
        }
        input.rewind()?;
        if archive::is_zip(&start[..n]) {
            let mut archive = Archive::open(input).map_err(|e| to_py(py, e))?;
            let graph = archive.graph().map_err(|e| to_py(py, e))?;
            return Ok((Source::Zip(archive), graph));
        }
        if legacy::is_legacy(&start[..n]) {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes)?;
            let mut legacy = legacy::read(&bytes).map_err(|e| to_py(py, e))?;
            let graph = std::mem::take(&mut legacy.graph);
            return Ok((Source::Legacy(legacy, bytes.into()), graph));
        }
        Err(pickle_error(
            py,
            "UnpicklingError",
            "Invalid magic number; corrupt file? The file is no checkpoint written by torch.save"
                .to_owned(),
        ))
    }

    /// The bytes of a storage in new CPU memory, as a flat tensor.
    fn storage(&mut self, info: &StorageInfo) -> crate::error::Result<Tensor> {
        let wrong = |size: usize| {
            crate::err!(
                Runtime,
                "PytorchStreamReader failed reading zip archive: record data/{} has {size} bytes, expected {}",
                info.key,
                info.bytes
            )
        };
        // The size in the container is checked before memory is taken.
        let size = match self {
            Source::Zip(a) => a.storage_size(&info.key)?,
            Source::Legacy(l, _) => l.storages.get(&info.key).map_or(0, |r| r.len()),
        };
        if size as u64 != info.bytes {
            return Err(wrong(size));
        }
        let t = Tensor::empty(&[size], DType::U8, Device::Cpu)?;
        if size > 0 {
            // SAFETY: freshly allocated with `size` bytes, and nobody else has it yet.
            let to = unsafe { std::slice::from_raw_parts_mut(t.data_ptr(), size) };
            match self {
                Source::Zip(a) => {
                    // A complex number is two numbers in the file's byte order.
                    let width = info.dtype.map_or(1, |d| d.to_real().size());
                    a.read_storage(&info.key, to, width)?;
                }
                Source::Legacy(l, bytes) => {
                    let range = l.storages.get(&info.key).cloned().ok_or_else(|| wrong(0))?;
                    to.copy_from_slice(&bytes[range]);
                }
            }
        }
        Ok(t)
    }
}

struct Loader<'py, 'g> {
    py: Python<'py>,
    graph: &'g Graph,
    storages: Vec<Tensor>,
    /// The allowed classes by dotted name.
    safe: Bound<'py, PyDict>,
    objects: Vec<Bound<'py, PyAny>>,
    filled: Vec<bool>,
    rtorch: Bound<'py, PyModule>,
}

impl<'py> Loader<'py, '_> {
    fn run(mut self) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.graph;
        self.objects.reserve(graph.nodes.len());
        for id in 0..graph.nodes.len() {
            let object = self.make(id as Id)?;
            self.objects.push(object);
        }
        for id in 0..graph.nodes.len() {
            self.fill(id as Id)?;
        }
        for (id, node) in graph.nodes.iter().enumerate() {
            self.state(id, node)?;
        }
        Ok(self.objects[graph.root as usize].clone())
    }

    fn get(&self, id: Id) -> PyResult<&Bound<'py, PyAny>> {
        self.objects.get(id as usize).ok_or_else(|| {
            pickle_error(
                self.py,
                "UnpicklingError",
                "Weights only load failed. An object contains itself".to_owned(),
            )
        })
    }

    fn tuple(&self, items: &[Id]) -> PyResult<Bound<'py, PyTuple>> {
        let items: Vec<_> = items
            .iter()
            .map(|&i| self.get(i))
            .collect::<PyResult<_>>()?;
        PyTuple::new(self.py, items)
    }

    /// The object of a node; lists, dictionaries and sets are still empty.
    fn make(&mut self, id: Id) -> PyResult<Bound<'py, PyAny>> {
        let (py, graph) = (self.py, self.graph);
        Ok(match graph.node(id) {
            Node::None => py.None().into_bound(py),
            Node::Bool(b) => PyBool::new(py, *b).to_owned().into_any(),
            Node::Int(i) => i.into_pyobject(py)?.into_any(),
            Node::BigInt(raw) => {
                let options = PyDict::new(py);
                options.set_item("signed", true)?;
                py.get_type::<PyInt>().call_method(
                    "from_bytes",
                    (PyBytes::new(py, raw), "little"),
                    Some(&options),
                )?
            }
            Node::Float(x) => PyFloat::new(py, *x).into_any(),
            Node::Complex(re, im) => PyComplex::from_doubles(py, *re, *im).into_any(),
            Node::Str(s) => PyString::new(py, s).into_any(),
            Node::Bytes(b) => PyBytes::new(py, b).into_any(),
            Node::ByteArray(b) => PyByteArray::new(py, b).into_any(),
            Node::List(_) => PyList::empty(py).into_any(),
            Node::Tuple(items) => self.tuple(items)?.into_any(),
            Node::Dict { kind, .. } => match kind {
                DictKind::Plain => PyDict::new(py).into_any(),
                DictKind::Ordered => py.import("collections")?.getattr("OrderedDict")?.call0()?,
                DictKind::Counter => py.import("collections")?.getattr("Counter")?.call0()?,
            },
            Node::Set(_) => PySet::empty(py)?.into_any(),
            Node::FrozenSet(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|&i| self.get(i).cloned())
                    .collect::<PyResult<_>>()?;
                PyFrozenSet::new(py, items)?.into_any()
            }
            Node::Size(v) => self.rtorch.getattr("Size")?.call1((v.clone(),))?,
            Node::DType(d) => dtype_object(py, *d)?.into_bound(py).into_any(),
            Node::Device(s) => self.rtorch.getattr("device")?.call1((s,))?,
            Node::Layout(s) => self.rtorch.getattr(s.rsplit('.').next().unwrap_or(s))?,
            Node::Tensor(t) => self.tensor(t)?,
            Node::Storage(_) => py.None().into_bound(py),
            Node::Global { module, name } => self.global(module, name)?,
            Node::Object {
                class, how, args, ..
            } => {
                self.fill_below(*args)?;
                let class = self.get(*class)?;
                let args = self.get(*args)?.cast::<PyTuple>()?;
                match how {
                    Construct::Call => class.call1(args)?,
                    Construct::New => {
                        let mut all = vec![class.clone()];
                        all.extend(args.iter());
                        class.call_method1("__new__", PyTuple::new(py, all)?)?
                    }
                }
            }
        })
    }

    /// What a name stands for: an allowed class, or a plain container class.
    fn global(&self, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(class) = self.safe.get_item(format!("{module}.{name}"))? {
            return Ok(class);
        }
        match module {
            "builtins" | "__builtin__" => self.py.import("builtins")?.getattr(name),
            "collections" => self.py.import("collections")?.getattr(name),
            // Names of the format itself, which no object keeps.
            _ => Ok(self.py.None().into_bound(self.py)),
        }
    }

    fn tensor(&self, node: &TensorNode) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let t = view(&self.storages[node.storage as usize], node).map_err(|e| to_py(py, e))?;
        let mut o = wrap(py, t)?.into_bound(py);
        for (flag, method) in [(node.conj, "conj"), (node.neg, "neg")] {
            if flag {
                o = o.call_method0(method)?;
            }
        }
        if node.parameter {
            let class = py.import("rtorch.nn.parameter")?.getattr("Parameter")?;
            return class.call1((o, node.requires_grad));
        }
        if node.requires_grad {
            o.call_method1("requires_grad_", (true,))?;
        }
        Ok(o)
    }

    /// Fills the containers that an object's arguments reach.
    fn fill_below(&mut self, root: Id) -> PyResult<()> {
        let mut todo = vec![root];
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = todo.pop() {
            if id as usize >= self.objects.len() || !seen.insert(id) {
                continue;
            }
            self.fill(id)?;
            match self.graph.node(id) {
                Node::List(v) | Node::Tuple(v) | Node::Set(v) => todo.extend(v),
                Node::Dict { items, .. } => todo.extend(items.iter().flat_map(|&(k, v)| [k, v])),
                _ => {}
            }
        }
        Ok(())
    }

    fn fill(&mut self, id: Id) -> PyResult<()> {
        self.filled.resize(self.graph.nodes.len(), false);
        if std::mem::replace(&mut self.filled[id as usize], true) {
            return Ok(());
        }
        let object = self.get(id)?;
        match self.graph.node(id) {
            Node::List(items) => {
                let list = object.cast::<PyList>()?;
                for &i in items {
                    list.append(self.get(i)?)?;
                }
            }
            Node::Set(items) => {
                let set = object.cast::<PySet>()?;
                for &i in items {
                    set.add(self.get(i)?)?;
                }
            }
            Node::Dict { items, .. } => {
                for &(k, v) in items {
                    object.set_item(self.get(k)?, self.get(v)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Attributes of tensors and dictionaries, and the state of allowed classes.
    fn state(&self, id: usize, node: &Node) -> PyResult<()> {
        let object = &self.objects[id];
        match node {
            Node::Dict {
                attributes: Some(a),
                ..
            }
            | Node::Tensor(TensorNode {
                attributes: Some(a),
                ..
            }) => {
                // Straight into `__dict__`: no setter of a class runs.
                let state = self.get(*a)?;
                match state.cast::<PyDict>() {
                    Ok(state) => object
                        .getattr("__dict__")?
                        .cast::<PyDict>()?
                        .update(state.as_mapping()),
                    Err(_) => Err(PyTypeError::new_err(
                        "the attributes of an object in the checkpoint are no dictionary",
                    )),
                }
            }
            Node::Object {
                state: Some(state), ..
            } => {
                let state = self.get(*state)?;
                if object.hasattr("__setstate__")? {
                    object.call_method1("__setstate__", (state,))?;
                    return Ok(());
                }
                object
                    .getattr("__dict__")?
                    .cast::<PyDict>()?
                    .update(state.cast::<PyDict>()?.as_mapping())
            }
            _ => Ok(()),
        }
    }
}

/// Reads a checkpoint from a path or bytes.
///
/// `place` is called with the location tag of each storage and returns a device; `safe` maps dotted names to the
/// classes that the user allowed.
#[pyfunction]
fn _load_archive<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    place: &Bound<'py, PyAny>,
    safe: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let input: Box<dyn Input + '_> = match source.cast::<PyBytes>() {
        Ok(bytes) => Box::new(Cursor::new(bytes.as_bytes())),
        Err(_) => Box::new(BufReader::new(std::fs::File::open(
            source.extract::<std::path::PathBuf>()?,
        )?)),
    };
    let (mut source, graph) = Source::open(py, input)?;
    for (module, name) in &graph.foreign {
        let full = format!("{module}.{name}");
        if !safe.contains(&full)? {
            return Err(pickle_error(
                py,
                "UnpicklingError",
                format!(
                    "Weights only load failed. WeightsUnpickler error: Unsupported global: GLOBAL {full} was not an \
                     allowed global by default. Loading never runs code from a checkpoint. If you trust this class or \
                     function, use `torch.serialization.add_safe_globals([{name}])` or the \
                     `torch.serialization.safe_globals([{name}])` context manager to allow it; otherwise save a \
                     `state_dict()` instead of the object."
                ),
            ));
        }
    }
    let mut storages = Vec::with_capacity(graph.storages.len());
    for info in &graph.storages {
        let device = place.call1((&info.location,))?;
        let mut t = source.storage(info).map_err(|e| to_py(py, e))?;
        if !device.cast::<PyDevice>()?.get().value.is_cpu() {
            let moved = wrap(py, t)?.into_bound(py).call_method1("to", (&device,))?;
            t = tensor_of(&moved)?;
        }
        storages.push(t);
    }
    let rtorch = py.import("rtorch")?;
    Loader {
        py,
        graph: &graph,
        storages,
        safe,
        objects: Vec::new(),
        filled: Vec::new(),
        rtorch,
    }
    .run()
}

// ---- ordinary pickles

/// The whole storage of a tensor as a flat uint8 tensor over the same memory.
#[pyfunction]
fn _storage_view(py: Python<'_>, tensor: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    wrap(py, flat(&tensor_of(tensor)?))
}

/// A number that is the same for all tensors over one storage, while it lives.
#[pyfunction]
fn _storage_id(tensor: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(tensor_of(tensor)?.storage().id())
}

/// The bytes of a CPU tensor's storage.
#[pyfunction]
fn _storage_bytes<'py>(
    py: Python<'py>,
    tensor: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let t = tensor_of(tensor)?;
    t.need_cpu("_storage_bytes").map_err(|e| to_py(py, e))?;
    Ok(PyBytes::new(py, storage_bytes(&t)))
}

/// A flat uint8 tensor with a copy of these bytes.
#[pyfunction]
fn _storage_from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    wrap(py, Tensor::from_slice(bytes).map_err(|e| to_py(py, e))?)
}

/// A view of a storage, given as a flat uint8 tensor.
#[pyfunction]
fn _storage_as_tensor(
    py: Python<'_>,
    storage: &Bound<'_, PyAny>,
    dtype: &Bound<'_, PyDType>,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
) -> PyResult<Py<PyAny>> {
    let storage = tensor_of(storage)?;
    let node = TensorNode {
        storage: 0,
        dtype: dtype.get().value,
        offset,
        size,
        stride,
        requires_grad: false,
        conj: false,
        neg: false,
        parameter: false,
        attributes: None,
    };
    wrap(py, view(&storage, &node).map_err(|e| to_py(py, e))?)
}

// ---- safetensors

/// Reads a safetensors file from a path or bytes: `(tensors, metadata)`.
#[pyfunction]
fn _load_safetensors<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let bytes: std::borrow::Cow<'_, [u8]> = match source.cast::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes().into(),
        Err(_) => std::fs::read(source.extract::<std::path::PathBuf>()?)?.into(),
    };
    let header = safetensors::read(&bytes, bytes.len()).map_err(|e| to_py(py, e))?;
    let tensors = PyDict::new(py);
    for e in &header.entries {
        let t = Tensor::empty(&e.shape, e.dtype, Device::Cpu).map_err(|e| to_py(py, e))?;
        let from = &bytes[e.range.clone()];
        // SAFETY: the header's check made sure that the range has exactly the bytes of this shape and dtype.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), t.data_ptr(), from.len()) };
        tensors.set_item(&e.name, wrap(py, t)?)?;
    }
    let metadata = PyDict::new(py);
    for (key, value) in &header.metadata {
        metadata.set_item(key, value)?;
    }
    Ok((tensors, metadata))
}

/// The bytes of a safetensors file with these contiguous CPU tensors.
#[pyfunction]
fn _save_safetensors<'py>(
    py: Python<'py>,
    tensors: &Bound<'py, PyDict>,
    metadata: Vec<(String, String)>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut held: Vec<(String, Tensor)> = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors.iter() {
        held.push((name.extract()?, tensor_of(&tensor)?));
    }
    let sources: Vec<safetensors::Source<'_>> = held
        .iter()
        .map(|(name, t)| {
            let (from, n) = (t.offset() * t.dtype().size(), t.numel() * t.dtype().size());
            let bytes = storage_bytes(t).get(from..from + n).unwrap_or(&[]);
            (name.as_str(), t.dtype(), t.sizes(), bytes)
        })
        .collect();
    let (mut out, order) = safetensors::layout(&sources, &metadata).map_err(|e| to_py(py, e))?;
    for i in order {
        out.extend_from_slice(sources[i].3);
    }
    Ok(PyBytes::new(py, &out))
}

/// The functions of this file.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_save_archive, m)?)?;
    m.add_function(wrap_pyfunction!(_load_archive, m)?)?;
    m.add_function(wrap_pyfunction!(_load_safetensors, m)?)?;
    m.add_function(wrap_pyfunction!(_save_safetensors, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_view, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_id, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_from_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_as_tensor, m)?)?;
    Ok(())
}
