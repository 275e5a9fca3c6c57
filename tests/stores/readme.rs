//! What the README says about MinIO works as it is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::minio::program;

const README: &str = include_str!("../../README.md");
/// Ends what a script that failed left behind.
const TIDY: &str = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";

/// The first block of commands below a heading.
fn commands_below(heading: &str) -> &str {
    let below = README.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let block = below.split_once("\n```sh\n").unwrap().1;
    block.split_once("\n```\n").unwrap().0
}

/// The block's ports are fixed ones, so it has a network of its own where that is allowed.
fn shell() -> Command {
    let own_network = ["--map-root-user", "--net", "bash", "-c", "ip link set lo up && exec \"$@\"", "bash"];
    let try_it = Command::new("unshare").args(own_network).arg("true").stderr(Stdio::null()).status();
    let mut command = Command::new("timeout");
    command.arg("100");
    if try_it.is_ok_and(|status| status.success()) {
        command.arg("unshare").args(own_network);
    }
    command.args(["bash", "-euo", "pipefail", "-c"]);
    command
}

#[test]
fn the_quick_start_on_minio_works_as_it_is_written() {
    let folder = TempDir::new().unwrap();
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(program("minio"), programs.join("minio")).unwrap();
    symlink(Path::new(env!("CARGO_BIN_EXE_tidegate")), programs.join("tidegate")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = shell()
        .arg(format!("{TIDY}{}", commands_below("On MinIO")))
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", folder.path().to_str().unwrap())])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let said = || format!("{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}", output.status, said());
    assert!(shown.contains(r#""host":"a""#) && shown.contains(r#""usage":0.5"#), "{}", said());
    assert!(
        shown.contains("<Key>tidegate/data/cnosdb/demo/autogen/cpu/") && shown.contains(".parquet</Key>"),
        "{}",
        said()
    );
}
