//! Files that are longer than memory, all of them holes: each takes no room on the disk.

use std::path::Path;

use super::{alluvium, cases, checkpoint_of, code, copied, name_of};
use alluvium_tests::{golden, stderr};

const LEN_BYTES: u64 = 1 << 42;

fn stretch(file: &Path) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(LEN_BYTES).unwrap();
}

/// What every command says, with its exit code.
fn said(checkpoint: &str, target: &Path) -> Vec<(i32, String)> {
    let target = target.to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["show", checkpoint, "--states"],
        &["verify", checkpoint],
        &["cat", checkpoint],
        &["diff", checkpoint, checkpoint],
        &["copy", checkpoint, target],
        &["rewrite", checkpoint, target],
    ];
    let of = |args: &&[&str]| {
        let output = alluvium(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        (code(&output), text)
    };
    commands.iter().map(of).collect()
}

/// A process that takes memory for them is ended by a signal, and has no exit code.
#[test]
fn they_are_damage_and_end_no_process() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    for (file, codes) in [
        // Whoever reads pieces of a file, or copies it, compares its length as well.
        ("chk-3/operator-0-operator-3", [3, 1, 3, 3, 3, 3]),
        ("shared/operator-0-keyed-3-3", [3, 1, 3, 3, 3, 3]),
        ("chk-3/_metadata", [3, 1, 3, 3, 3, 3]),
    ] {
        let (dir, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copied(&case, dir.path());
        let checkpoint = checkpoint_of(dir.path());
        stretch(&dir.path().join("job").join(file));
        for ((found, text), expected) in said(&checkpoint, target.path()).into_iter().zip(codes) {
            assert_eq!(found, expected, "{file}: {text}");
            assert!(text.contains(&LEN_BYTES.to_string()), "{file}: {text}");
        }
        assert_eq!(golden::files(target.path()), [""; 0].map(std::path::PathBuf::from));
    }
    let dir = tempfile::tempdir().unwrap();
    copied(&case, dir.path());
    stretch(&dir.path().join("job/chk-3/_metadata"));
    let output = alluvium(&["list", dir.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(text.contains("damaged") && text.contains(&LEN_BYTES.to_string()), "{text}");
}
