//! Where a tensor lives.

use crate::error::Result;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    Cpu,
    /// A graphics adapter by index.
    Gpu(u8),
}

impl Device {
    #[inline]
    pub fn is_cpu(self) -> bool {
        self == Device::Cpu
    }

    /// Parses `cpu`, `gpu` or `gpu:1`.
    pub fn parse(text: &str) -> Result<Device> {
        let (kind, index) = match text.split_once(':') {
            Some((k, i)) => {
                let index: u8 = i
                    .parse()
                    .map_err(|_| crate::err!(Runtime, "Invalid device string: '{text}'"))?;
                (k, index)
            }
            None => (text, 0),
        };
        match kind {
            "cpu" => {
                crate::check!(
                    index == 0,
                    Runtime,
                    "CPU device index must be -1 or zero, got {index}"
                );
                Ok(Device::Cpu)
            }
            "gpu" => Ok(Device::Gpu(index)),
            "cuda" if std::env::var_os("RTORCH_CUDA_ALIAS").is_some_and(|v| v == "1") => {
                Ok(Device::Gpu(index))
            }
            "cuda" => crate::bail!(
                Assertion,
                "Torch not compiled with CUDA enabled: rtorch drives every vendor's GPU as device 'gpu'. Write \"gpu\", or set \
                 RTORCH_CUDA_ALIAS=1 to let \"cuda\" mean it"
            ),
            "mps" | "xpu" | "meta" | "mkldnn" | "hip" | "vulkan" | "xla" | "hpu" | "mtia" => {
                crate::bail!(
                    Runtime,
                    "device '{kind}' is not supported by rtorch; the devices are 'cpu' and 'gpu'"
                )
            }
            _ => crate::bail!(
                Runtime,
                "Expected one of cpu, gpu device type at start of device string: {text}"
            ),
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Gpu(_) => "gpu",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Gpu(i) => write!(f, "gpu:{i}"),
        }
    }
}
