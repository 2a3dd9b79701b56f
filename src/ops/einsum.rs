//! Contractions over named axes, and the products built from them: einsum, tensordot, inner, kron, bilinear.

use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// A set of labels: letters, then the axes an ellipsis stands for.
const LETTERS: usize = 52;

fn label_of(c: u8) -> Option<usize> {
    match c {
        b'A'..=b'Z' => Some((c - b'A') as usize),
        b'a'..=b'z' => Some((c - b'a') as usize + 26),
        _ => None,
    }
}

fn letter_of(label: usize) -> char {
    if label < 26 {
        (b'A' + label as u8) as char
    } else {
        (b'a' + (label - 26) as u8) as char
    }
}

/// One part of an equation: a label, or the place of an ellipsis.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Label(usize),
    Ellipsis,
}

/// Parses subscripts; `what` names them in messages and `at` is where they start in the equation.
fn parse(text: &[u8], what: &str, at: usize) -> Result<Vec<Part>> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match text[i] {
            b' ' => {}
            b'.' => {
                crate::check!(
                    !out.contains(&Part::Ellipsis),
                    Runtime,
                    "einsum(): found '.' for {what} for which an ellipsis was already found"
                );
                crate::check!(
                    text[i..].starts_with(b"..."),
                    Runtime,
                    "einsum(): found '.' for {what} that is not part of any ellipsis"
                );
                out.push(Part::Ellipsis);
                i += 2;
            }
            c => match label_of(c) {
                Some(l) => out.push(Part::Label(l)),
                None => crate::bail!(
                    Runtime,
                    "einsum(): invalid subscript given at index {} in the equation string, subscripts must be in [a-zA-Z]",
                    at + i
                ),
            },
        }
        i += 1;
    }
    Ok(out)
}

/// Multiplies `a` and `b`, which have one axis per label, and sums the axes `sums`; those stay with size one.
fn contract(a: &Tensor, b: &Tensor, sums: &[usize]) -> Result<Tensor> {
    let n = a.ndim();
    let (mut a, mut b) = (a.clone(), b.clone());
    let (mut shared, mut left, mut right, mut inner) = (vec![], vec![], vec![], vec![]);
    for d in 0..n {
        let (x, y) = (a.sizes()[d] != 1, b.sizes()[d] != 1);
        if sums.contains(&d) {
            match (x, y) {
                (true, true) => inner.push(d),
                (true, false) => a = a.sum_dims(&[d], true)?,
                (false, true) => b = b.sum_dims(&[d], true)?,
                (false, false) => {}
            }
        } else {
            match (x, y) {
                (true, true) => shared.push(d),
                (true, false) => left.push(d),
                (false, true) => right.push(d),
                (false, false) => {}
            }
        }
    }
    if inner.is_empty() {
        return a.mul(&b);
    }
    let order = |groups: [&[usize]; 4]| -> Vec<i64> {
        groups
            .iter()
            .flat_map(|g| g.iter().map(|&d| d as i64))
            .collect()
    };
    let ones: Vec<usize> = (0..n)
        .filter(|d| {
            ![&shared, &left, &right, &inner]
                .iter()
                .any(|g| g.contains(d))
        })
        .collect();
    let size = |t: &Tensor, g: &[usize]| g.iter().map(|&d| t.sizes()[d]).product::<usize>() as i64;
    let (batch, m, k, p) = (
        size(&a, &shared),
        size(&a, &left),
        size(&a, &inner),
        size(&b, &right),
    );
    // Axes of size one go last, where they change nothing.
    let mut first = order([&shared, &left, &inner, &right]);
    first.extend(ones.iter().map(|&d| d as i64));
    let mut second = order([&shared, &inner, &right, &left]);
    second.extend(ones.iter().map(|&d| d as i64));
    let x = a.permute(&first)?.reshape(&[batch, m, k])?;
    let y = b.permute(&second)?.reshape(&[batch, k, p])?;
    let product = x.bmm(&y)?;
    // Back to one axis per label: (shared, left, right, inner, ones), then their own order.
    let sizes: Vec<i64> = shared
        .iter()
        .map(|&d| a.sizes()[d])
        .chain(left.iter().map(|&d| a.sizes()[d]))
        .chain(right.iter().map(|&d| b.sizes()[d]))
        .chain(inner.iter().chain(&ones).map(|_| 1))
        .map(|s| s as i64)
        .collect();
    let mut from = order([&shared, &left, &right, &inner]);
    from.extend(ones.iter().map(|&d| d as i64));
    let mut back = vec![0i64; n];
    for (i, d) in from.iter().enumerate() {
        back[*d as usize] = i as i64;
    }
    product.view(&sizes)?.permute(&back)
}

/// `torch.einsum` of an equation, contracting from left to right or in the order `path` gives.
pub fn einsum(equation: &str, operands: &[Tensor], path: Option<&[i64]>) -> Result<Tensor> {
    crate::check!(
        !operands.is_empty(),
        Runtime,
        "einsum(): must provide at least one operand"
    );
    let arrow = equation.find("->");
    let inputs = &equation[..arrow.unwrap_or(equation.len())];
    let mut parts = Vec::new();
    let mut at = 0;
    for (i, text) in inputs.split(',').enumerate() {
        crate::check!(
            i < operands.len(),
            Runtime,
            "einsum(): more operands were provided in the equation than specified in the call"
        );
        parts.push(parse(text.as_bytes(), &format!("operand {i}"), at)?);
        at += text.len() + 1;
    }
    crate::check!(
        parts.len() >= operands.len(),
        Runtime,
        "einsum(): more operands were provided than specified in the equation"
    );
    crate::check!(
        parts.len() <= operands.len(),
        Runtime,
        "einsum(): fewer operands were provided than specified in the equation"
    );
    // The axes of the ellipsis, and how often a label occurs.
    let mut counts = [0usize; LETTERS];
    let mut dots = 0;
    for (i, (p, t)) in parts.iter().zip(operands).enumerate() {
        let labels = p.iter().filter(|p| matches!(p, Part::Label(_))).count();
        let ellipsis = p.contains(&Part::Ellipsis);
        if ellipsis {
            crate::check!(
                labels <= t.ndim(),
                Runtime,
                "einsum(): the number of subscripts in the equation ({labels}) is more than the number of dimensions ({}) \
                 for operand {i}",
                t.ndim()
            );
            dots = dots.max(t.ndim() - labels);
        } else {
            crate::check!(
                labels == t.ndim(),
                Runtime,
                "einsum(): the number of subscripts in the equation ({labels}) does not match the number of dimensions ({}) \
                 for operand {i} and no ellipsis was given",
                t.ndim()
            );
        }
        for p in p {
            if let Part::Label(l) = p {
                counts[*l] += 1;
            }
        }
    }
    // Where each label lies among the axes of the permuted operands: output labels first, then those summed.
    let mut place: [Option<usize>; LETTERS] = [None; LETTERS];
    let mut next = 0;
    let mut dots_at = 0;
    let output_rank;
    match arrow {
        None => {
            // Implicit output: the ellipsis, then the labels that occur once, in alphabetical order.
            next = dots;
            for l in 0..LETTERS {
                if counts[l] == 1 {
                    place[l] = Some(next);
                    next += 1;
                }
            }
            output_rank = next;
        }
        Some(at) => {
            let mut seen_dots = false;
            for p in parse(&equation.as_bytes()[at + 2..], "the output", at + 2)? {
                match p {
                    Part::Ellipsis => {
                        dots_at = next;
                        next += dots;
                        seen_dots = true;
                    }
                    Part::Label(l) => {
                        crate::check!(
                            place[l].is_none(),
                            Runtime,
                            "einsum(): output subscript {} appears more than once in the output",
                            letter_of(l)
                        );
                        crate::check!(
                            counts[l] > 0,
                            Runtime,
                            "einsum(): output subscript {} does not appear in the equation for any input operand",
                            letter_of(l)
                        );
                        place[l] = Some(next);
                        next += 1;
                    }
                }
            }
            output_rank = next;
            if !seen_dots {
                dots_at = next;
                next += dots;
            }
        }
    }
    for l in 0..LETTERS {
        if counts[l] > 0 && place[l].is_none() {
            place[l] = Some(next);
            next += 1;
        }
    }
    let rank = next;
    // Bring every operand to one axis per label.
    let mut sizes: Vec<usize> = vec![1; rank];
    let mut ready = Vec::new();
    for (i, (p, t)) in parts.iter().zip(operands).enumerate() {
        let mut t = t.clone();
        let mut axis_of: Vec<Option<usize>> = vec![None; rank];
        let labels = p.iter().filter(|p| matches!(p, Part::Label(_))).count();
        let covered = t.ndim() - labels;
        let mut d = 0;
        for p in p {
            match p {
                Part::Ellipsis => {
                    for k in 0..covered {
                        let place = dots_at + dots - covered + k;
                        let n = t.sizes()[d];
                        crate::check!(
                            n == sizes[place] || n == 1 || sizes[place] == 1,
                            Runtime,
                            "einsum(): dimension {d} covered by ellipsis in operand {i}has size {n} which does not broadcast \
                             with previously seen ellipsis with size {} for the respective dimension",
                            sizes[place]
                        );
                        sizes[place] = if n == 1 { sizes[place] } else { n };
                        axis_of[place] = Some(d);
                        d += 1;
                    }
                }
                Part::Label(l) => {
                    let Some(place) = place[*l] else { continue };
                    match axis_of[place] {
                        Some(first) => {
                            let (x, y) = (t.sizes()[first], t.sizes()[d]);
                            crate::check!(
                                x == y,
                                Runtime,
                                "einsum(): subscript {} is repeated for operand {i} but the sizes don't match, {y} != {x}",
                                letter_of(*l)
                            );
                            t = diagonal_at(&t, first, d)?;
                        }
                        None => {
                            let n = t.sizes()[d];
                            crate::check!(
                                n == sizes[place] || n == 1 || sizes[place] == 1,
                                Runtime,
                                "einsum(): subscript {} has size {n} for operand {i} which does not broadcast with previously \
                                 seen size {}",
                                letter_of(*l),
                                sizes[place]
                            );
                            sizes[place] = if n == 1 { sizes[place] } else { n };
                            axis_of[place] = Some(d);
                            d += 1;
                        }
                    }
                }
            }
        }
        let present: Vec<i64> = axis_of.iter().filter_map(|a| a.map(|a| a as i64)).collect();
        let mut t = t.permute(&present)?;
        for (place, axis) in axis_of.iter().enumerate() {
            if axis.is_none() {
                t = t.unsqueeze(place as i64)?;
            }
        }
        ready.push(t);
    }
    // An axis is summed when the last operand that has it meets the rest.
    let finish = |t: Tensor| -> Result<Tensor> {
        let rest: SmallVec<[usize; 5]> = (output_rank..rank).collect();
        let sums: SmallVec<[usize; 5]> = rest
            .iter()
            .copied()
            .filter(|&d| t.sizes()[d] != 1)
            .collect();
        let t = if sums.is_empty() {
            t
        } else {
            t.sum_dims(&sums, true)?
        };
        if rest.is_empty() {
            Ok(t)
        } else {
            t.squeeze_dims(&rest)
        }
    };
    let mut steps: Vec<(usize, usize)> = match path {
        Some(p) => p
            .chunks(2)
            .filter(|c| c.len() == 2)
            .map(|c| (c[0].max(0) as usize, c[1].max(0) as usize))
            .collect(),
        None => Vec::new(),
    };
    while ready.len() > 1 {
        let (i, j) = if steps.is_empty() {
            (0, 1)
        } else {
            steps.remove(0)
        };
        let (i, j) = (i.min(j), i.max(j));
        crate::check!(
            i < j && j < ready.len(),
            Runtime,
            "einsum(): invalid path given as contraction order"
        );
        let b = ready.remove(j);
        let a = ready.remove(i);
        let sums: Vec<usize> = (output_rank..rank)
            .filter(|&d| ready.iter().all(|t| t.sizes()[d] == 1))
            .collect();
        let t = contract(&a, &b, &sums)?;
        // Without a path the running product stays in front; a path puts it last.
        if path.is_some() {
            ready.push(t)
        } else {
            ready.insert(0, t)
        }
    }
    let Some(t) = ready.pop() else {
        crate::bail!(Runtime, "einsum(): must provide at least one operand")
    };
    finish(t)
}

/// A view in which axis `first` runs along the diagonal of axes `first` and `second`.
fn diagonal_at(t: &Tensor, first: usize, second: usize) -> Result<Tensor> {
    let mut sizes: shape::Sizes = SmallVec::from_slice(t.sizes());
    let mut strides: shape::Strides = SmallVec::from_slice(t.strides());
    strides[first] += strides[second];
    sizes.remove(second);
    strides.remove(second);
    t.as_strided(&sizes, &strides, t.offset())
}

/// The contraction of axes `da` of `a` with axes `db` of `b`.
pub fn tensordot(a: &Tensor, b: &Tensor, da: &[i64], db: &[i64]) -> Result<Tensor> {
    crate::check!(
        da.len() == db.len(),
        Runtime,
        "both dimension lists should have same length"
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "both inputs should have same dtype"
    );
    let (mut x, mut y) = (a.clone(), b.clone());
    for (&i, &j) in da.iter().zip(db) {
        let (s, t) = (x.size(i)?, y.size(j)?);
        if t == 1 && s != 1 {
            x = x.sum_dims(&[shape::wrap_dim(i, x.ndim())?], true)?;
        } else if s == 1 && t != 1 {
            y = y.sum_dims(&[shape::wrap_dim(j, y.ndim())?], true)?;
        } else {
            crate::check!(
                s == t,
                Runtime,
                "contracted dimensions need to match, but first has size {s} in dim {i} and second has size {t} in dim {j}"
            );
        }
    }
    let (da, db) = (
        shape::wrap_dims(da, x.ndim())?,
        shape::wrap_dims(db, y.ndim())?,
    );
    let kept = |t: &Tensor, dims: &[usize]| -> Vec<usize> {
        (0..t.ndim()).filter(|d| !dims.contains(d)).collect()
    };
    let (ka, kb) = (kept(&x, &da), kept(&y, &db));
    let ints = |v: &mut dyn Iterator<Item = &usize>| -> Vec<i64> { v.map(|&d| d as i64).collect() };
    let k: usize = da.iter().map(|&d| x.sizes()[d]).product();
    let m: usize = ka.iter().map(|&d| x.sizes()[d]).product();
    let n: usize = kb.iter().map(|&d| y.sizes()[d]).product();
    let sizes: Vec<usize> = ka
        .iter()
        .map(|&d| x.sizes()[d])
        .chain(kb.iter().map(|&d| y.sizes()[d]))
        .collect();
    let left = x
        .permute(&ints(&mut ka.iter().chain(da.iter())))?
        .reshape(&[m as i64, k as i64])?;
    let right = y
        .permute(&ints(&mut db.iter().chain(kb.iter())))?
        .reshape(&[k as i64, n as i64])?;
    left.mm(&right)?.reshape_to(&sizes)
}

/// Sums of products over the last axes.
fn inner_product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.ndim() == 0 || b.ndim() == 0 {
        return a.mul(b);
    }
    crate::check!(
        a.sizes()[a.ndim() - 1] == b.sizes()[b.ndim() - 1],
        Runtime,
        "inner() the last dimension must match on both input tensors but got shapes {} and {}",
        shape::list(a.sizes()),
        shape::list(b.sizes())
    );
    tensordot(a, b, &[-1], &[-1])
}

fn kronecker(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let n = a.ndim().max(b.ndim());
    let (mut left, mut right, mut sizes) = (vec![], vec![], vec![]);
    let size = |t: &Tensor, d: usize| {
        if d + t.ndim() >= n {
            t.sizes()[d + t.ndim() - n]
        } else {
            1
        }
    };
    for d in 0..n {
        left.extend([size(a, d) as i64, 1]);
        right.extend([1, size(b, d) as i64]);
        sizes.push(size(a, d) * size(b, d));
    }
    a.reshape(&left)?
        .mul(&b.reshape(&right)?)?
        .reshape_to(&sizes)
}

fn bilinear_form(
    x1: &Tensor,
    x2: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    crate::check!(
        x1.ndim() == x2.ndim(),
        Runtime,
        "bilinear(): input dimensions do not match: got {} and {}",
        x1.ndim(),
        x2.ndim()
    );
    crate::check!(
        x1.ndim() > 0 && weight.ndim() == 3,
        Runtime,
        "bilinear(): weight must be 3-D and inputs at least 1-D"
    );
    let last = x1.ndim() - 1;
    for d in 0..last {
        crate::check!(
            x1.sizes()[d] == x2.sizes()[d],
            Runtime,
            "bilinear(): input batch dimensions do not match at dim {d}: got {} and {}",
            x1.sizes()[d],
            x2.sizes()[d]
        );
    }
    let (o, i, j) = (weight.sizes()[0], weight.sizes()[1], weight.sizes()[2]);
    for (name, x, n) in [("input1", x1, i), ("input2", x2, j)] {
        crate::check!(
            x.sizes()[last] == n,
            Runtime,
            "bilinear(): {name} size does not match weight size: got {} but expected {n}",
            x.sizes()[last]
        );
    }
    if let Some(b) = bias {
        crate::check!(
            b.ndim() == 1 && b.numel() == o,
            Runtime,
            "bilinear(): bias size does not match weight size: got {} but expected {o}",
            b.numel()
        );
    }
    let rows: usize = x1.sizes()[..last].iter().product();
    let (a, b) = (
        x1.reshape(&[rows as i64, i as i64])?,
        x2.reshape(&[rows as i64, j as i64, 1])?,
    );
    let half = a.mm(&weight
        .permute(&[1, 0, 2])?
        .reshape(&[i as i64, (o * j) as i64])?)?;
    let mut sizes: Vec<usize> = x1.sizes()[..last].to_vec();
    sizes.push(o);
    let out = half
        .reshape(&[rows as i64, o as i64, j as i64])?
        .bmm(&b)?
        .reshape_to(&sizes)?;
    match bias {
        Some(b) => out.add(b),
        None => Ok(out),
    }
}

/// The cheapest order of a chain of matrix products, by the number of multiplications.
pub fn chain(tensors: &[Tensor]) -> Result<Tensor> {
    let n = tensors.len();
    let rows = |i: usize| tensors[i].sizes()[0] as f64;
    let cols = |i: usize| tensors[i].sizes()[1] as f64;
    let mut cost = vec![vec![0.0; n]; n];
    let mut cut = vec![vec![0usize; n]; n];
    for len in 1..n {
        for i in 0..n - len {
            let j = i + len;
            cost[i][j] = f64::INFINITY;
            for k in i..j {
                let c = cost[i][k] + cost[k + 1][j] + rows(i) * cols(k) * cols(j);
                if c < cost[i][j] {
                    (cost[i][j], cut[i][j]) = (c, k);
                }
            }
        }
    }
    fn product(t: &[Tensor], cut: &[Vec<usize>], i: usize, j: usize) -> Result<Tensor> {
        if i == j {
            return Ok(t[i].clone());
        }
        let k = cut[i][j];
        product(t, cut, i, k)?.mm(&product(t, cut, k + 1, j)?)
    }
    product(tensors, &cut, 0, n - 1)
}

op! {
    /// Contracts operands by an equation; `path` holds pairs of positions, the order of contraction.
    _einsum, in [PRIVATE] {
        "(str equation, Tensor[] operands, int[]? path=None) -> Tensor" =>
            |a| einsum(a.str(0), a.tensors(1), a.opt_ints(2)),
    }
}
op! {
    /// Contracts the axes `dims_self` of `input` with the axes `dims_other` of `other`.
    _tensordot, in [PRIVATE]; out {
        "(Tensor input, Tensor other, int[] dims_self, int[] dims_other) -> Tensor" =>
            |a| tensordot(&a.tensor(0), &a.tensor(1), a.ints(2), a.ints(3)),
    }
}
op! {
    /// Multiplies matrices in the order that needs the fewest multiplications.
    _chain_matmul, in [PRIVATE]; out {
        "(Tensor[] matrices) -> Tensor" => |a| {
            let t = a.tensors(0);
            crate::check!(!t.is_empty(), Runtime, "chain_matmul(): Expected one or more matrices");
            for t in t {
                crate::check!(t.ndim() == 2, Runtime, "Tensor dimension is {}, expected 2 instead.", t.ndim());
            }
            for (a, b) in t.iter().zip(&t[1..]) {
                let ([m, k], [l, n]) = ([a.sizes()[0], a.sizes()[1]], [b.sizes()[0], b.sizes()[1]]);
                crate::check!(
                    k == l,
                    Runtime,
                    "mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {l}x{n})"
                );
            }
            chain(t)
        },
    }
}
op! {
    /// Returns the sums of products over the last axes of `input` and `other`.
    inner, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor other) -> Tensor" => |a| inner_product(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns the Kronecker product: every element of `input` times all of `other`.
    kron, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor other) -> Tensor" => |a| kronecker(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Applies a bilinear map: `input1 @ weight[o] @ input2 + bias[o]` for every output o.
    ///
    /// Args:
    ///     input1: of size (*, in1).
    ///     input2: of size (*, in2).
    ///     weight: of size (out, in1, in2).
    ///     bias: of size (out).
    bilinear, in [NN, TORCH] {
        "(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor" =>
            |a| bilinear_form(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.opt_tensor(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &_einsum::DEF,
    &_tensordot::DEF,
    &_chain_matmul::DEF,
    &inner::DEF,
    &kron::DEF,
    &bilinear::DEF,
];
