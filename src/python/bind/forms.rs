//! The forms of a row: into `out=`, over its first argument, behind an operator.

use super::Entry;
use super::parse::Parsed;
use crate::autograd;
use crate::error::Result;
use crate::ops::args::{Arg, Args, Value};
use crate::ops::schema::{Signature, Type};
use crate::ops::{self, OpDef, Overload};
use crate::python::convert;
use crate::python::object;
use crate::shape;
use crate::tensor::Tensor;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use smallvec::SmallVec;

/// The tensors given as `out=`.
pub(super) fn outputs(
    py: Python<'_>,
    entry: &Entry,
    o: &Bound<'_, PyAny>,
) -> PyResult<Vec<Tensor>> {
    let _ = py;
    if let Ok(t) = object::tensor_of(o) {
        return Ok(vec![t]);
    }
    if let Ok(items) = o.try_iter() {
        let all: PyResult<Vec<Tensor>> = items.map(|i| object::tensor_of(&i?)).collect();
        if let Some(all) = all.ok().filter(|all| !all.is_empty()) {
            return Ok(all);
        }
    }
    Err(PyTypeError::new_err(format!(
        "{}(): argument 'out' must be Tensor, not {}",
        entry.name,
        convert::type_name(o)
    )))
}

fn tensors_in(args: &[Arg]) -> Vec<&Tensor> {
    let mut out = Vec::new();
    for a in args {
        match a {
            Arg::Tensor(t) => out.push(t),
            Arg::Tensors(v) => out.extend(v),
            Arg::OptTensors(v) => out.extend(v.iter().flatten()),
            _ => {}
        }
    }
    out
}

/// Runs into the tensors of `out=`.
pub(super) fn into(
    op: &'static OpDef,
    overload: &Overload,
    s: &Signature,
    args: &mut Parsed,
    outs: &[Tensor],
) -> Result<Value> {
    if let (Some(p), [out]) = (op.pointwise, outs) {
        let (ins, params) = p.split(&Args(args))?;
        let ins: SmallVec<[&Tensor; 4]> = ins.iter().collect();
        return Ok(p.call_into(&ins, &params, out)?.into());
    }
    ops::declare::check_out(op.name, &tensors_in(args), outs)?;
    // A creation function takes the dtype of `out`.
    if let Some(i) = s
        .params
        .iter()
        .position(|p| p.name == "dtype" && p.ty == Type::DType)
        && matches!(args[i], Arg::None)
        && !args
            .iter()
            .any(|a| matches!(a, Arg::Tensor(_) | Arg::Tensors(_)))
    {
        args[i] = Arg::DType(outs[0].dtype());
    }
    let result = autograd::no_grad(|| (overload.run)(&Args(args)))?;
    let results = result.tensors();
    crate::check!(
        results.len() == outs.len(),
        Type,
        "{}(): argument 'out' must hold {} tensors, got {}",
        op.name,
        results.len(),
        outs.len()
    );
    let mut written = Vec::new();
    for (r, o) in results.iter().zip(outs) {
        crate::check!(
            r.dtype().can_cast(o.dtype()),
            Runtime,
            "result type {} can't be cast to the desired output type {}",
            r.dtype().scalar_name(),
            o.dtype().scalar_name()
        );
        // Results that belong together are not cast.
        crate::check!(
            !matches!(result, Value::Named(..)) || r.dtype() == o.dtype(),
            Runtime,
            "Expected out tensor to have dtype {}, but got {} instead",
            r.dtype().native_name(),
            o.dtype().native_name()
        );
        o.same_device(r)?;
        autograd::inplace::check_writable(o)?;
        let o = o.resized(r.sizes())?;
        let held = if o.storage().same(r.storage()) {
            r.clone_data()?
        } else {
            r.clone()
        };
        o.write_from(&held)?;
        o.bump();
        written.push(o);
    }
    Ok(match result {
        Value::Tensor(_) => Value::Tensor(written.remove(0)),
        Value::List(_) => Value::List(written),
        Value::Named(name, fields, _) => Value::Named(name, fields, written),
        _ => Value::Tuple(written),
    })
}

/// `name_`: the result over the first argument.
pub(super) fn in_place(op: &'static OpDef, overload: &Overload, mut args: Parsed) -> Result<Value> {
    if let Some(p) = op.pointwise {
        let (ins, params) = p.split(&Args(&args))?;
        let ins: SmallVec<[&Tensor; 4]> = ins.iter().collect();
        return Ok(p.call_in_place(&ins, &params)?.into());
    }
    let x = Args(&args).tensor(0);
    let grad = autograd::needs_grad(&tensors_in(&args));
    autograd::inplace::check(&x, grad)?;
    if grad {
        args[0] = Arg::Tensor(autograd::inplace::original(&x)?);
    }
    let Value::Tensor(r) = (overload.run)(&Args(&args))? else {
        crate::bail!(Runtime, "{}_ needs a tensor result", op.name)
    };
    crate::check!(
        r.dtype().can_cast(x.dtype()),
        Runtime,
        "result type {} can't be cast to the desired output type {}",
        r.dtype().scalar_name(),
        x.dtype().scalar_name()
    );
    crate::check!(
        r.sizes() == x.sizes(),
        Runtime,
        "output with shape {} doesn't match the broadcast shape {}",
        shape::list(x.sizes()),
        shape::list(r.sizes())
    );
    Ok(x.overwrite(&r.to_dtype(x.dtype())?)?.into())
}

/// Calls a row from a number slot: `a + b`.
pub fn call_row(op: &'static OpDef, ins: &[&Tensor]) -> Result<Tensor> {
    if let Some(p) = op.pointwise {
        const ONE: [crate::scalar::Scalar; 1] = [crate::scalar::Scalar::Int(1)];
        return p.call(ins, &ONE[..p.params.len().min(1)]);
    }
    let args: Parsed = ins.iter().map(|t| Arg::Tensor((*t).clone())).collect();
    match (op.overloads[0].run)(&Args(&args))? {
        Value::Tensor(t) => Ok(t),
        _ => crate::bail!(Runtime, "{} does not give one tensor", op.name),
    }
}

/// As `call_row`, over the first operand.
pub fn call_row_in_place(op: &'static OpDef, ins: &[&Tensor]) -> Result<Tensor> {
    if let Some(p) = op.pointwise {
        const ONE: [crate::scalar::Scalar; 1] = [crate::scalar::Scalar::Int(1)];
        return p.call_in_place(ins, &ONE[..p.params.len().min(1)]);
    }
    let args: Parsed = ins.iter().map(|t| Arg::Tensor((*t).clone())).collect();
    match in_place(op, &op.overloads[0], args)? {
        Value::Tensor(t) => Ok(t),
        _ => crate::bail!(Runtime, "{} does not give one tensor", op.name),
    }
}
