//! CPU and memory of a process from /proc, and medians.

use super::Result;
use std::time::{Duration, Instant};

/// What a process used since it started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    /// CPU seconds of all its threads, its own and the kernel's for it.
    pub cpu: f64,
    /// Resident bytes now.
    pub resident: u64,
    /// The most resident bytes since the start or the last reset.
    pub peak: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is a name and may hold blanks; it ends with the last `)`.
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat is odd")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut ticks =
            || -> Result<f64> { Ok(times.next().ok_or("/proc/PID/stat is short")?.parse()?) };
        let cpu = (ticks()? + ticks()?) / ticks_per_second()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        // One that was killed and not yet waited for has no memory any more.
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            let kib: u64 = number.unwrap_or("0").parse()?;
            Ok(kib << 10)
        };
        Ok(Usage {
            cpu,
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

fn ticks_per_second() -> Result<f64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    Ok(ticks.ok_or("the system does not tell its clock tick")? as f64)
}

/// A measurement of a process under way.
pub struct Figures {
    pid: u32,
    cpu: f64,
}

impl Figures {
    pub fn begin(pid: u32) -> Result<Figures> {
        // 5 resets the peak to what is resident now.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        let cpu = Usage::of(pid)?.cpu;
        Ok(Figures { pid, cpu })
    }

    /// CPU seconds and the peak since the beginning.
    pub fn end(&self) -> Result<Usage> {
        let now = Usage::of(self.pid)?;
        Ok(Usage {
            cpu: now.cpu - self.cpu,
            ..now
        })
    }
}

/// The middle one, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which that part of them lies.
pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let place = part * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The seconds that something takes.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed().as_secs_f64(), done))
}

/// Threads of the lowest priority that keep the cores from sleeping, since waking
/// a virtual core costs more than answering a request. They end when dropped.
pub struct Awake {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Awake {
    pub fn keep() -> Result<Awake> {
        use std::sync::atomic::{AtomicBool, Ordering};
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism()?.get();
        let threads = (0..cores).map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                idle_priority();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Ok(Awake {
            threads: threads.collect(),
            stop,
        })
    }
}

/// This thread runs only where no other wants to.
fn idle_priority() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is this thread, and `parameters` lives over the call. A failure
    // leaves the priority as it is, which makes the measurement noisier, no more.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

/// How long a row's single piece of work may take at most.
pub const PATIENCE: Duration = Duration::from_secs(300);
