//! nvidia-smi's two answers, understood. Pure.

use super::report::{Gpu, GpuProcess};
use crate::text::printable;

/// What is asked about GPUs.
pub(super) const GPUS: [&str; 2] = [
    "--query-gpu=index,uuid,name,memory.used,memory.total,utilization.gpu,temperature.gpu",
    "--format=csv,noheader,nounits",
];
/// What is asked about processes. The name comes last, because it may have commas in it.
pub(super) const PROCESSES: [&str; 2] =
    ["--query-compute-apps=gpu_uuid,pid,used_gpu_memory,process_name", "--format=csv,noheader,nounits"];

/// More than any machine has.
pub(super) const MOST_GPUS: usize = 64;
/// Further ones are not told.
pub(super) const MOST_PROCESSES: usize = 64;
/// Characters of a name.
const LONGEST: usize = 80;
const MEBIBYTE: u64 = 1 << 20;

/// The GPUs, or the line that makes no sense.
pub(super) fn gpus(answer: &str) -> Result<Vec<Gpu>, String> {
    let lines = answer.lines().filter(|line| !line.trim().is_empty()).take(MOST_GPUS);
    lines.map(|line| gpu(line).ok_or_else(|| short(line))).collect()
}

fn gpu(line: &str) -> Option<Gpu> {
    // From both ends: a name may have commas in it.
    let mut front = line.splitn(3, ',').map(str::trim);
    let (index, uuid, rest) = (front.next()?, front.next()?, front.next()?);
    let mut back = rest.rsplitn(5, ',').map(str::trim);
    let (celsius, busy, total, used, name) =
        (back.next()?, back.next()?, back.next()?, back.next()?, back.next()?);
    Some(Gpu {
        index: index.parse().ok()?,
        uuid: short(uuid),
        name: short(name),
        memory_used: mebibytes(used),
        memory_total: mebibytes(total),
        busy_percent: busy.parse().ok(),
        celsius: celsius.parse().ok(),
    })
}

/// Without a value it says `[N/A]`, `[Not Supported]`, …
fn mebibytes(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(MEBIBYTE)
}

/// Processes. What makes no sense is left out: some drivers write a sentence where there is none.
pub(super) fn processes(answer: &str) -> Vec<GpuProcess> {
    answer.lines().filter_map(process).take(MOST_PROCESSES).collect()
}

fn process(line: &str) -> Option<GpuProcess> {
    let mut fields = line.splitn(4, ',').map(str::trim);
    let (gpu, pid, memory, command) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let command = command.rsplit('/').next().unwrap_or(command);
    Some(GpuProcess {
        pid: pid.parse().ok().filter(|pid| *pid > 0)?,
        command: short(command),
        gpu: short(gpu),
        memory: mebibytes(memory),
    })
}

pub(super) fn short(text: &str) -> String {
    printable(text.trim()).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_as_drivers_list_them() {
        let answer = "0, GPU-5fa1, NVIDIA H100 80GB HBM3, 1234, 81559, 45, 61\n\
                      1, GPU-77b2, Odd, with commas, [N/A], [N/A], [Not Supported], 33\n";
        let found = gpus(answer).unwrap();
        assert_eq!((found[0].index, found[0].name.as_str()), (0, "NVIDIA H100 80GB HBM3"));
        assert_eq!(found[0].memory_used, Some(1234 << 20));
        assert_eq!((found[0].busy_percent, found[0].celsius), (Some(45), Some(61)));
        assert_eq!((found[1].name.as_str(), found[1].memory_total), ("Odd, with commas", None));
        assert_eq!(gpus("").unwrap(), []);
        assert_eq!(gpus("No devices were found\n").unwrap_err(), "No devices were found");
        assert_eq!(gpus("\x1b[2J,a,b").unwrap_err(), "\u{fffd}[2J,a,b");
    }

    #[test]
    fn processes_as_drivers_list_them() {
        let answer = "GPU-5fa1, 4321, 11776, /opt/venv/bin/python3\nGPU-5fa1, 9, [N/A], a, b\nno process\n";
        let found = processes(answer);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].pid, found[0].command.as_str()), (4321, "python3"));
        assert_eq!(found[0].memory, Some(11776 << 20));
        assert_eq!((found[1].command.as_str(), found[1].memory), ("a, b", None));
    }
}
