//! The `tidegate` program: reads flags, loads settings, serves.

use std::process::ExitCode;

use tidegate::cli::{self, Command, Sources};
use tidegate::server::{self, logging};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Command::Serve(sources) => serve(&sources),
        Command::CheckConfig(sources) => match sources.check() {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Version => {
            println!("{}", cli::VERSION);
            ExitCode::SUCCESS
        }
    }
}

fn serve(sources: &Sources) -> ExitCode {
    let settings = match sources.load() {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    let recent_log = match logging::start(&settings.log, server::system_clock()) {
        Ok(recent_log) => recent_log,
        Err(error) => return fail(&error),
    };
    match server::serve(&settings, recent_log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("tidegate: {error}");
    ExitCode::FAILURE
}
