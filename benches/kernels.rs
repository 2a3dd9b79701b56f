//! Times kernels without Python: `cargo bench`, or `cargo bench -- add` for those whose name contains "add".

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
}
