//! Parses, hands over.

fn main() -> std::process::ExitCode {
    fichierfs::cli::run()
}
