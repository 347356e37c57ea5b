//! The comparison: fichierfs and rclone, each mounted on the same simulated service, in
//! one run and interleaved.
//!
//! ```text
//! cargo bench --bench mounts -- [ROW...] [--quick] [--write] [--list]
//! ```
//!
//! A row is a piece of work, done by each program in turn, several times; what comes out
//! is the median, beside it the calls that the service saw, the CPU and the peak memory
//! of the program, and what the row must reach as a ratio of figures of this run. Nothing
//! is asserted: a row says `met` or `not met`.
//!
//! - [`service`]: the simulator, a process of its own with both listeners.
//! - [`peer`]: a mounting program behind one trait; [`fichierfs`] and [`rclone`] are two.
//! - [`measure`]: CPU and memory from /proc, medians. [`work`]: what is done to files.
//! - [`read`], [`write`], [`tree`]: the rows. [`null`]: mounts that do nothing, the ceiling.
//! - [`outcome`], [`table`], [`docs`]: what came out, and where it is written.
//!
//! rclone has the service's names built in, so everything runs in a mount and network
//! namespace of its own, where they are ours.

mod bench;
mod docs;
mod fichierfs;
mod measure;
mod namespace;
mod null;
mod outcome;
mod peer;
mod peers;
mod rclone;
mod read;
mod row;
mod rows;
mod service;
mod shell;
mod table;
mod tree;
mod work;
mod write;

use bench::Bench;
use clap::Parser;
use std::process::ExitCode;

/// Whatever goes wrong ends a row, and is printed in its place.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// fichierfs and rclone, side by side
#[derive(Parser)]
#[command(name = "mounts")]
struct Arguments {
    /// Rows to run; all of them if none is named
    rows: Vec<String>,
    /// Small sizes and few repetitions: shows that everything runs, its figures mean little
    #[arg(long)]
    quick: bool,
    /// Put the results into docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// List the rows
    #[arg(long)]
    list: bool,
    /// Repetitions of each measurement, instead of each row's own number
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if let Some(mount) = null::requested() {
        return finish(mount.serve());
    }
    let arguments = Arguments::parse();
    if arguments.list {
        rows::list();
        return ExitCode::SUCCESS;
    }
    if !arguments.bench {
        println!("measures nothing unless run by `cargo bench --bench mounts`");
        return ExitCode::SUCCESS;
    }
    finish(namespace::enter().and_then(|entered| match entered {
        namespace::Entered::Outside(status) if status.success() => Ok(()),
        namespace::Entered::Outside(status) => Err(format!("ended with {status}").into()),
        namespace::Entered::Inside => run(&arguments),
    }))
}

fn run(arguments: &Arguments) -> Result<()> {
    let rows = rows::chosen(&arguments.rows)?;
    let bench = Bench::new(arguments.quick, arguments.runs)?;
    for row in rows {
        println!("\n{}", table::heading(row));
        match (row.run)(&bench) {
            Ok(outcome) => {
                println!("{}", table::outcome(&outcome));
                if arguments.write {
                    docs::record(row, outcome)?;
                }
            }
            Err(error) => println!("could not be measured: {error}"),
        }
    }
    Ok(())
}

fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
