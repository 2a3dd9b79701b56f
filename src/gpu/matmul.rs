//! Matrix products: batched, any strides, with an added term scaled in.

use std::fmt::Write;

use smallvec::SmallVec;

use super::api::{Class, Elem, Error, Operand, Result, Scalar};
use super::device::gpu;
use super::launch::{Words, axes, join, record, scalar_words};
use super::pipeline::Key;
use super::wgsl::{Source, cast, load, store};

/// The work of one workgroup: a block of the product, `m` by `n`, walked in steps of `k`, and the part of each lane.
#[derive(Clone, Copy, PartialEq)]
struct Tile {
    m: usize,
    n: usize,
    k: usize,
    lane_m: usize,
    lane_n: usize,
}

/// Each has 256 lanes and fits the 16 KiB of workgroup memory that every device has, also with 64-bit elements.
const TILES: [Tile; 3] = [
    Tile {
        m: 16,
        n: 16,
        k: 16,
        lane_m: 1,
        lane_n: 1,
    },
    Tile {
        m: 64,
        n: 64,
        k: 16,
        lane_m: 4,
        lane_n: 4,
    },
    Tile {
        m: 128,
        n: 128,
        k: 8,
        lane_m: 8,
        lane_n: 8,
    },
];

/// Writes `alpha * a @ b + beta * added` to `out`: [.., m, n] from [.., m, k] and [.., k, n], batch dims broadcast.
pub fn matmul(
    name: &str,
    out: &Operand<'_>,
    a: &Operand<'_>,
    b: &Operand<'_>,
    added: Option<&Operand<'_>>,
    alpha: Scalar,
    beta: Scalar,
) -> Result<()> {
    let gpu = gpu()?;
    let mut operands: SmallVec<[Operand<'_>; 4]> = SmallVec::from_slice(&[*out, *a, *b]);
    operands.extend(added.copied());
    for operand in &operands {
        gpu.require(name, operand.elem)?;
        operand.check()?;
    }
    let rank = |o: &Operand<'_>| o.dims.len();
    if operands[..3].iter().any(|o| rank(o) < 2) {
        return Err(Error::Failed(format!(
            "{name}: a gpu matrix product takes at least 2 dims"
        )));
    }
    // Sizes and steps of the last two dims; an added term may have fewer, or size 1, and is broadcast.
    let last = |o: &Operand<'_>, back: usize| match rank(o).checked_sub(back) {
        None => (1, 0),
        Some(d) if o.dims[d] == 1 => (1, 0),
        Some(d) => (o.dims[d], o.strides[d]),
    };
    let (m, n, k) = (last(out, 2).0, last(out, 1).0, last(a, 1).0);
    let added_fits =
        added.is_none_or(|d| [1, m].contains(&last(d, 2).0) && [1, n].contains(&last(d, 1).0));
    if last(a, 2).0 != m || last(b, 2).0 != k || last(b, 1).0 != n || !added_fits {
        return Err(Error::Failed(format!(
            "{name}: sizes {:?} and {:?} do not multiply to {:?}",
            a.dims, b.dims, out.dims
        )));
    }
    if out.numel() == 0 {
        return Ok(());
    }
    let heads: SmallVec<[Operand<'_>; 4]> = operands
        .iter()
        .map(|o| {
            let head = rank(o).saturating_sub(2);
            Operand {
                dims: &o.dims[..head],
                strides: &o.strides[..head],
                ..*o
            }
        })
        .collect();
    let refs: SmallVec<[&Operand<'_>; 4]> = heads.iter().collect();
    let batch = join(axes(heads[0].dims, &refs)?)?;
    let batches: usize = batch.iter().map(|axis| axis.size).product();

    let compute = match out.elem.class() {
        Class::U32 => Class::I32,
        class => class,
    };
    let tile = if compute != Class::F32 || m.min(n) < 32 {
        0
    } else if m.min(n) >= 512 && batches * m * n >= 1 << 21 {
        2
    } else {
        1
    };
    let fast_a = last(a, 1).1.unsigned_abs() <= last(a, 2).1.unsigned_abs();
    let fast_b = last(b, 1).1.unsigned_abs() <= last(b, 2).1.unsigned_abs();
    let elems: SmallVec<[Elem; 4]> = operands.iter().map(|o| o.elem).collect();
    let key = Key {
        family: "matmul",
        text: "",
        elems: &elems,
        variant: tile as u64
            | u64::from(fast_a) << 4
            | u64::from(fast_b) << 5
            | (batch.len() as u64) << 8,
    };
    let kernel = gpu.kernels.get(gpu, key, || {
        Ok(source(
            &elems,
            compute,
            TILES[tile],
            fast_a,
            fast_b,
            batch.len(),
        ))
    })?;
    let tile = TILES[tile];
    let (tiles_m, tiles_n) = (m.div_ceil(tile.m), n.div_ceil(tile.n));
    let most = gpu.caps.max_grid as usize;
    if tiles_m > most || tiles_n > most {
        return Err(Error::Unsupported(format!(
            "{name}: a gpu matrix product of {m} by {n} is too large"
        )));
    }
    let refs: SmallVec<[&Operand<'_>; 4]> = operands.iter().collect();
    for first in (0..batches).step_by(most) {
        let mut words = Words::default();
        for size in [m, n, k, first] {
            words.count(size)?;
        }
        for operand in &operands {
            words.word(operand.base()?);
            words.step(last(operand, 2).1);
            words.step(last(operand, 1).1);
        }
        for axis in &batch {
            words.count(axis.size)?;
            for &stride in &axis.strides[..operands.len()] {
                words.step(stride);
            }
        }
        words.scalar(compute, alpha);
        words.scalar(compute, beta);
        let count = (batches - first).min(most);
        record(
            gpu,
            kernel.clone(),
            &refs,
            &words,
            [tiles_n as u32, tiles_m as u32, count as u32],
        )?;
    }
    Ok(())
}

fn source(
    elems: &[Elem],
    compute: Class,
    tile: Tile,
    fast_a: bool,
    fast_b: bool,
    batch: usize,
) -> Source<'static> {
    let count = elems.len();
    let mut params: Vec<String> = ["m", "n", "k", "z0"].map(String::from).into();
    for i in 0..count {
        params.extend([format!("o{i}"), format!("row{i}"), format!("col{i}")]);
    }
    let mut walk = String::new();
    for d in 0..batch {
        params.push(format!("batch{d}"));
        params.extend((0..count).map(|i| format!("step{i}_{d}")));
    }
    for d in (0..batch).rev() {
        let index = if d == 0 {
            "batch".to_string()
        } else {
            format!("(batch % $batch{d})")
        };
        for i in 0..count {
            let _ = writeln!(walk, "    p{i} = p{i} + {index} * $step{i}_{d};");
        }
        if d > 0 {
            let _ = writeln!(walk, "    batch = batch / $batch{d};");
        }
    }
    let (alpha_words, alpha) = scalar_words("alpha", compute);
    let (beta_words, beta) = scalar_words("beta", compute);
    params.extend(alpha_words);
    params.extend(beta_words);

    let acc = compute.wgsl();
    let (mut zero, mut step, mut write) = (String::new(), String::new(), String::new());
    for i in 0..tile.lane_m {
        let _ = writeln!(step, "            let a{i} = tile_a[at_a + {i}u];");
    }
    for j in 0..tile.lane_n {
        let _ = writeln!(step, "            let v{j} = tile_b[at_b + {j}u];");
    }
    // Unrolled by name: an indexed array of sums would live in memory, not in registers.
    for i in 0..tile.lane_m {
        for j in 0..tile.lane_n {
            let _ = writeln!(zero, "    var c{i}_{j} = {acc}(0);");
            let _ = writeln!(step, "            c{i}_{j} = a{i} * v{j} + c{i}_{j};");
        }
    }
    for i in 0..tile.lane_m {
        let _ = writeln!(
            write,
            "    let y{i} = m0 + lane_m + {i}u;\n    if (y{i} < $m) {{"
        );
        for j in 0..tile.lane_n {
            let mut value = format!("{alpha} * c{i}_{j}");
            if count == 4 {
                let added = load(elems[3], &format!("b3[p3 + y{i} * $row3 + col{j} * $col3]"));
                let _ = write!(
                    value,
                    " + {beta} * {}",
                    cast(&added, elems[3].class(), compute)
                );
            }
            let _ = writeln!(
                write,
                "        let col{j} = n0 + lane_n + {j}u;\n        if (col{j} < $n) {{ b0[p0 + y{i} * $row0 + col{j} \
                 * $col0] = {}; }}",
                store(elems[0], &format!("({value})"), compute)
            );
        }
        write.push_str("    }\n");
    }
    // `row` and `col` of a tile's element, the operand's faster dim first.
    let split = |fast: bool, rows: usize, cols: usize| {
        if fast {
            format!("let row = i / {cols}u;\n            let col = i % {cols}u;")
        } else {
            format!("let row = i % {rows}u;\n            let col = i / {rows}u;")
        }
    };
    let element = |i: usize, row: &str, col: &str| {
        let text = format!("b{i}[p{i} + ({row} + row) * $row{i} + ({col} + col) * $col{i}]");
        cast(&load(elems[i], &text), elems[i].class(), compute)
    };
    let bias_base = if count == 4 { "var p3 = $o3;" } else { "" };
    Source {
        template: include_str!("wgsl/matmul.wgsl"),
        buffers: elems.iter().map(|e| e.storage().to_string()).collect(),
        params,
        fill: vec![
            ("acc", acc.into()),
            ("size_a", format!("{}", tile.m * tile.k)),
            ("size_b", format!("{}", tile.n * tile.k)),
            ("bias_base", bias_base.into()),
            ("batch", walk),
            ("bm", tile.m.to_string()),
            ("bn", tile.n.to_string()),
            ("bk", tile.k.to_string()),
            ("tm", tile.lane_m.to_string()),
            ("tn", tile.lane_n.to_string()),
            ("lanes_n", (tile.n / tile.lane_n).to_string()),
            ("zero", zero),
            ("split_a", split(fast_a, tile.m, tile.k)),
            ("split_b", split(fast_b, tile.k, tile.n)),
            ("load_a", element(1, "m0", "k0")),
            ("load_b", element(2, "k0", "n0")),
            ("step", step),
            ("write", write),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Array, device};
    use super::*;

    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 + salt) % 23) as f32 / 8.0 - 1.0)
            .collect()
    }

    fn check(
        batch: usize,
        m: usize,
        n: usize,
        k: usize,
        turn: (bool, bool),
        bias: bool,
    ) -> Result<()> {
        let (a, b, d) = (numbers(batch * m * k, 1), numbers(k * n, 5), numbers(n, 9));
        // A turned operand is stored transposed and read through swapped strides; b is shared by the batch.
        let da = if turn.0 {
            Array::f32(&[batch, k, m], &a)?.transposed(1, 2)
        } else {
            Array::f32(&[batch, m, k], &a)?
        };
        let db = if turn.1 {
            Array::f32(&[n, k], &b)?.transposed(0, 1)
        } else {
            Array::f32(&[k, n], &b)?
        };
        let dd = Array::f32(&[n], &d)?;
        let out = Array::empty(Elem::F32, &[batch, m, n])?;
        let (av, bv, dv) = (da.view(), db.view(), dd.view());
        matmul(
            "matmul",
            &out.view(),
            &av,
            &bv,
            bias.then_some(&dv),
            Scalar::F(2.0),
            Scalar::F(0.5),
        )?;
        let got = out.host_f32()?;
        for z in 0..batch {
            for i in (0..m).step_by(m.div_ceil(40)) {
                for j in (0..n).step_by(n.div_ceil(40)) {
                    let mut sum = 0.0f64;
                    for s in 0..k {
                        let x = a[z * m * k + if turn.0 { s * m + i } else { i * k + s }];
                        let y = b[if turn.1 { j * k + s } else { s * n + j }];
                        sum += f64::from(x) * f64::from(y);
                    }
                    let want = 2.0 * sum + if bias { 0.5 * f64::from(d[j]) } else { 0.0 };
                    let got = f64::from(got[(z * m + i) * n + j]);
                    assert!(
                        (got - want).abs() <= 1e-4 * k as f64,
                        "{batch}x{m}x{n}x{k} at {z},{i},{j}: {got} for {want}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn products_of_every_shape() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        for turn in [(false, false), (true, false), (false, true), (true, true)] {
            check(1, 5, 7, 3, turn, true)?;
            check(3, 70, 65, 33, turn, false)?;
        }
        check(2, 1, 100, 40, (false, false), true)?;
        check(1, 33, 40, 0, (false, false), true)?;
        check(1, 1450, 1450, 16, (false, true), true)
    }

    #[test]
    fn products_of_integers() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let words = |v: &[i32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let a = Array::bytes(Elem::I32, &[2, 2], &words(&[1, -2, 3, 4]))?;
        let out = Array::empty(Elem::I32, &[2, 2])?;
        matmul(
            "mm",
            &out.view(),
            &a.view(),
            &a.view(),
            None,
            Scalar::I(1),
            Scalar::I(0),
        )?;
        assert_eq!(out.host()?, words(&[-5, -10, 15, 10]));
        Ok(())
    }
}
