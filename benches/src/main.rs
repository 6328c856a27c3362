//! Measures Hayloft against baselines of the same run: `cargo xtask bench [row...]`.
//!
//! Every row is a contest. Its contenders do the same work in turn, round after round, each round
//! in another order, so that a disk or a machine in another mood meets all of them alike. The
//! table shows medians and, of the ratios of single rounds, median, lowest and highest.

#[cfg(target_os = "linux")]
mod before;
mod clients;
mod commits;
mod download;
mod engine;
mod hash;
mod lists;
mod measure;
mod raw;
mod reopen;
#[cfg(target_os = "linux")]
mod serve;
mod server;
mod stores;
mod table;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
use anyhow::Context;
use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::measure::Contest;
use crate::stores::Stores;

/// Measures Hayloft against baselines of the same run.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows to measure; all without one.
    rows: Vec<Row>,
    /// Fewer rounds and smaller work: shows that all of it runs, not how fast.
    #[arg(long)]
    quick: bool,
    /// Also measure a store of 650,000 versions; filling it takes minutes of processor time and
    /// 4 GB of disk.
    #[arg(long)]
    million: bool,
    /// Rounds of each contest.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the stores are made; decides which disk is measured.
    #[arg(long, default_value = "target")]
    directory: PathBuf,
    /// The command whose server is measured; the one beside this program unless told.
    #[arg(long)]
    program: Option<PathBuf>,
    /// For `before`: the command built from commit acf9236, as the baseline.
    #[arg(long)]
    old: Option<PathBuf>,
    /// Own use: hold the store in this directory until killed.
    #[arg(long, hide = true)]
    hold: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Row {
    Hash,
    Upload,
    Download,
    Lists,
    Reopen,
    Commits,
    Serve,
    Before,
    Engine,
}

/// How much of everything is done.
#[derive(Debug, Clone, Copy)]
struct Scale {
    rounds: u32,
    quick: bool,
    million: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hayloft-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(directory) = &arguments.hold {
        return reopen::hold(directory);
    }
    let scale = Scale {
        rounds: if arguments.quick { 3 } else { arguments.rounds.max(1) },
        quick: arguments.quick,
        million: arguments.million,
    };
    let mut stores = Stores::new(&arguments.directory)?;
    let mut contests = Vec::new();
    for row in Row::value_variants() {
        // There is nothing to go by without the old program.
        let is_meant =
            arguments.rows.is_empty() && (*row != Row::Before || arguments.old.is_some());
        if is_meant || arguments.rows.contains(row) {
            contests.extend(measure(*row, scale, &mut stores, arguments)?);
        }
    }
    table::print(&contests, arguments.json);
    Ok(())
}

fn measure(
    row: Row,
    scale: Scale,
    stores: &mut Stores,
    arguments: &Arguments,
) -> Result<Vec<Contest>> {
    match row {
        Row::Hash => hash::contests(scale),
        Row::Upload => upload::contests(scale, stores),
        Row::Download => download::contests(scale, stores),
        Row::Lists => lists::contests(scale, stores),
        Row::Reopen => reopen::contests(scale, stores),
        Row::Commits => commits::contests(scale, stores),
        #[cfg(target_os = "linux")]
        Row::Serve => {
            let program = arguments.program.clone().unwrap_or_else(serve::default_program);
            serve::contests(scale, stores, &program)
        }
        #[cfg(target_os = "linux")]
        Row::Before => {
            let program = arguments.program.clone().unwrap_or_else(serve::default_program);
            let old = arguments.old.as_deref().with_context(|| {
                format!("name the program built from commit {} with --old", before::COMMIT)
            })?;
            before::contests(scale, stores, old, &program)
        }
        #[cfg(not(target_os = "linux"))]
        Row::Serve | Row::Before => {
            eprintln!("servers are measured on Linux only, not for {:?}", arguments.program);
            Ok(Vec::new())
        }
        Row::Engine => engine::contests(scale, stores),
    }
}
