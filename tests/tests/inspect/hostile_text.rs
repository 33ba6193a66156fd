//! Names out of a file that tell a terminal what to do, or look like other lines.

use super::world::World;
use super::{alluvium, stdout};
use alluvium_tests::stderr;

const NAME: &str = "a\u{1b}[2J\u{9b}31m\nerror: none\u{202e}\u{7f}";

fn check(what: &str, text: &str) {
    let is_hidden = |c: &char| *c != '\n' && alluvium::inspect::is_hidden(*c);
    assert_eq!(text.chars().find(is_hidden), None, "{what}: {text:?}");
    assert!(text.lines().all(|line| !line.starts_with("error: none")), "{what}: {text:?}");
}

#[test]
fn no_command_prints_them_as_they_are() {
    let mut world = World::new();
    for last in [100, 120] {
        let keyed = [0, 1].map(|subtask| {
            let text = |number| format!("{NAME}{number}");
            world.keyed(("op", subtask), Some(NAME), 0..last, text)
        });
        world.operator("op", keyed);
        world.commit();
    }
    let (first, second) = (world.uri(1), world.uri(2));
    let escaped = "a\\u001b[2J\\u009b31m\\nerror: none\\u202e\\u007f";
    for args in [
        ["show", &first, "--states"].as_slice(),
        &["show", &first, "--states", "--json"],
        &["diff", &first, &second],
        &["diff", &first, &second, "--key-groups"],
        &["diff", &first, &second, "--json"],
        &["cat", &first],
        &["cat", &first, "--format", "csv"],
        &["verify", &world.root()],
    ] {
        let text = stdout(args);
        check(&format!("{args:?}"), &text);
        assert_eq!(text.contains(escaped), args[0] != "verify", "{args:?}: {text:?}");
    }
    // Errors that name what there is.
    for args in [["cat", &first, "--state", "nothing"], ["diff", &first, "nowhere", "--json"]] {
        let output = alluvium(&args);
        check(&format!("{args:?}"), &stderr(&output));
        assert_eq!(stderr(&output).contains(escaped), args[0] == "cat", "{}", stderr(&output));
    }
}
