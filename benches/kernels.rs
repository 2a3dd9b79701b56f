//! Times kernels without Python: `cargo bench`, or `cargo bench -- add` for those whose name contains "add".

use rtorch::{DType, Device, Tensor};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long each kernel is timed.
const BUDGET: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

struct Bench {
    filter: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        // cargo passes flags of its own, such as `--bench`.
        Bench {
            filter: std::env::args()
                .skip(1)
                .filter(|a| !a.starts_with('-'))
                .collect(),
        }
    }

    /// Prints the median time of `work` over some rounds, and the rate of `units` (elements, bytes, operations) it did.
    fn run<T>(&self, name: &str, units: f64, unit: &str, mut work: impl FnMut() -> T) {
        if !self.filter.is_empty() && !self.filter.iter().any(|f| name.contains(f.as_str())) {
            return;
        }
        let start = Instant::now();
        black_box(work());
        let once = start.elapsed().max(Duration::from_nanos(20));
        let count = (BUDGET.as_secs_f64() / ROUNDS as f64 / once.as_secs_f64()).max(1.0) as usize;
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..count {
                    black_box(work());
                }
                start.elapsed().as_secs_f64() / count as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let median = times[ROUNDS / 2];
        println!(
            "{name:<32}{:>14.2} us{:>12.2} G{unit}/s",
            1e6 * median,
            units / median / 1e9
        );
    }
}

fn main() {
    let bench = Bench::new();
    // The memory bandwidth that the other figures are held against.
    let from = vec![1.0f32; 1 << 22];
    let mut to = vec![0.0f32; 1 << 22];
    bench.run("memory/copy_16MB", (from.len() * 8) as f64, "B", || {
        to.copy_from_slice(black_box(&from))
    });
    if let Err(e) = tensors(&bench) {
        eprintln!("a kernel failed: {e}");
        std::process::exit(1);
    }
}

/// Kernels through the tensor API, which is what a Python call adds its overhead to.
fn tensors(bench: &Bench) -> rtorch::Result<()> {
    let cpu = Device::Cpu;
    let small = Tensor::full(&[4], 0.5, DType::F32, cpu)?;
    bench.run("call/add_4", 4.0, "elem", || small.add(&small));
    for n in [4096usize, 1 << 20] {
        let x = Tensor::full(&[n], 0.5, DType::F32, cpu)?;
        let h = x.to_dtype(DType::BF16)?;
        bench.run(&format!("pointwise/add_{n}"), n as f64, "elem", || {
            x.add(&x)
        });
        bench.run(&format!("pointwise/mul_{n}"), n as f64, "elem", || {
            x.mul(&x)
        });
        bench.run(&format!("pointwise/exp_{n}"), n as f64, "elem", || x.exp());
        bench.run(&format!("pointwise/tanh_{n}"), n as f64, "elem", || {
            x.tanh()
        });
        bench.run(&format!("pointwise/log_{n}"), n as f64, "elem", || x.log());
        bench.run(&format!("pointwise/exp_bf16_{n}"), n as f64, "elem", || {
            h.exp()
        });
        bench.run(&format!("reduce/sum_{n}"), n as f64, "elem", || x.sum_all());
    }
    let m = Tensor::full(&[1024, 1024], 0.5, DType::F32, cpu)?;
    let row = Tensor::full(&[1024], 0.5, DType::F32, cpu)?;
    let t = m.t()?;
    let count = (1 << 20) as f64;
    bench.run("pointwise/add_row_1m", count, "elem", || m.add(&row));
    bench.run("pointwise/add_transposed_1m", count, "elem", || m.add(&t));
    bench.run("copy/transpose_1m", count, "elem", || t.contiguous());
    bench.run("copy/f32_to_bf16_1m", count, "elem", || {
        m.to_dtype(DType::BF16)
    });
    bench.run("reduce/sum_rows_1m", count, "elem", || {
        m.sum_dims(&[1], false)
    });
    bench.run("reduce/sum_columns_1m", count, "elem", || {
        m.sum_dims(&[0], false)
    });
    for n in [64usize, 256, 1024] {
        let a = vec![0.5f32; n * n];
        let mut c = vec![0.0f32; n * n];
        let flops = 2.0 * (n * n * n) as f64;
        let step = n as isize;
        bench.run(&format!("gemm/f32_{n}"), flops, "flop", || {
            // SAFETY: all three buffers hold n x n elements at these strides.
            unsafe {
                rtorch::cpu::gemm::gemm::<f32>(
                    n,
                    n,
                    n,
                    1.0,
                    a.as_ptr(),
                    (step, 1),
                    a.as_ptr(),
                    (step, 1),
                    0.0,
                    c.as_mut_ptr(),
                    (step, 1),
                )
            }
        });
    }
    Ok(())
}
