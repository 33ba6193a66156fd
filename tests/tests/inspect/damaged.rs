//! Commands on checkpoints that are damaged at one place: everything else is still to be had.

use super::world::{World, two_operators};
use super::{alluvium, code, stdout};
use alluvium_tests::stderr;

/// What a command prints that finds damage and goes on.
fn partly(args: &[&str], damaged: &str) -> String {
    let output = alluvium(args);
    assert_eq!(code(&output), 3, "{args:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(damaged), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Damages one keyed stream, and one stream of operator state, of the operator `right` in checkpoint 2.
fn with_damage(world: &World) {
    // In the first block, which nobody reads who opens the stream.
    world.flip("chk-2/right-0-keyed-1", 45);
    world.flip("chk-2/right-1-operator-1", 45);
}

#[test]
fn cat_of_one_operator_reads_no_other() {
    let world = two_operators();
    let uri = world.uri(2);
    let args = ["cat", &uri, "--uid", "left", "--state", "count", "--key", "7"];
    let expected = stdout(&args);
    assert_eq!(expected.lines().count(), 1, "{expected}");
    let list = stdout(&["cat", &uri, "--uid", "left", "--state", "list"]);
    // Not even the frames of the others are whole any more.
    for name in ["keyed", "operator"] {
        for subtask in 0..2 {
            let file = world.path(&format!("chk-2/right-{subtask}-{name}-1"));
            assert!(file.exists());
            std::fs::write(file, b"x").unwrap();
        }
    }
    assert_eq!(stdout(&args), expected);
    assert_eq!(stdout(&["cat", &uri, "--uid", "left", "--state", "list"]), list);
    let output = alluvium(&["cat", &uri, "--uid", "left", "--state", "nothing"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("left/count"), "{}", stderr(&output));
}

#[test]
fn cat_stops_at_damage_or_goes_on_behind_it() {
    let world = two_operators();
    let uri = world.uri(2);
    let all = stdout(&["cat", &uri]);
    with_damage(&world);
    partly(&["cat", &uri], "right-0-keyed-1");
    let rows = partly(&["cat", &uri, "--skip-damaged"], "right-0-keyed-1");
    let errors = stderr(&alluvium(&["cat", &uri, "--skip-damaged"]));
    assert!(errors.contains("left out: ") && errors.contains("right-1-operator-1"), "{errors}");
    assert!(
        errors.ends_with("2 pieces of state could not be read and were left out\n"),
        "{errors}"
    );
    let lost: Vec<_> = all.lines().filter(|line| !rows.contains(line)).collect();
    assert!(rows.lines().all(|line| all.contains(line)));
    // One segment of one key group, and the items of one subtask.
    assert!(lost.len() > 1 && lost.len() < 40, "{lost:?}");
    assert!(lost.iter().all(|line| line.contains("\"uid\": \"right\"")), "{lost:?}");
    let items = lost.iter().filter(|line| line.contains("\"state\": \"list\"")).count();
    assert_eq!(items, 1, "{lost:?}");
    // A stream that cannot even be opened.
    std::fs::remove_file(world.path("chk-2/right-0-keyed-1")).unwrap();
    let rows = partly(&["cat", &uri, "--skip-damaged"], "right-0-keyed-1 does not exist");
    let of_the_other = |line: &&str| line.contains("right") && line.contains("\"subtask\": 1");
    assert!(rows.lines().any(|line| of_the_other(&line) && line.contains("count")), "{rows}");
    // A name may be in what cannot be read.
    let args = ["cat", &uri, "--uid", "right", "--state", "nothing"];
    partly(&args, "right-0-keyed-1");
}

#[test]
fn show_names_the_states_that_can_be_read() {
    let world = two_operators();
    std::fs::remove_file(world.path("chk-2/right-0-keyed-1")).unwrap();
    let uri = world.uri(2);
    let text = partly(&["show", &uri, "--states"], "right-0-keyed-1 does not exist");
    let row = |uid: &str| {
        let row = text.lines().find(|line| line.starts_with(uid) && line.contains("count"));
        row.unwrap().split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(row("left"), 120);
    assert!((1..120).contains(&row("right")), "{text}");
    let json = partly(&["show", &uri, "--states", "--json"], "right-0-keyed-1");
    assert!(json.contains("\"entries\": 120"), "{json}");
}

/// Added, removed, changed and unchanged of a state in a table of differences.
fn row(text: &str, uid: &str, state: &str) -> Option<[u64; 4]> {
    let line = text.lines().find(|line| {
        let mut fields = line.split_whitespace();
        fields.next() == Some(uid) && fields.next() == Some(state)
    })?;
    let numbers: Vec<u64> =
        line.split_whitespace().skip(3).take(4).map(|it| it.parse().unwrap()).collect();
    numbers.try_into().ok()
}

#[test]
fn diff_compares_what_both_sides_have() {
    let world = two_operators();
    let (first, second) = (world.uri(1), world.uri(2));
    let whole = stdout(&["diff", &first, &second]);
    assert_eq!(row(&whole, "right", "count"), Some([20, 0, 0, 100]));
    assert_eq!(row(&whole, "right", "list"), Some([0, 0, 0, 2]));
    with_damage(&world);
    let text = partly(&["diff", &first, &second], "not compared: ");
    assert_eq!(row(&text, "left", "count"), Some([20, 0, 0, 100]));
    // The key group with the damage is in no row, on neither side.
    let [added, removed, changed, unchanged] = row(&text, "right", "count").unwrap();
    assert_eq!((removed, changed), (0, 0), "{text}");
    assert!((1..=20).contains(&added) && (50..100).contains(&unchanged), "{text}");
    assert_eq!(row(&text, "right", "list"), None, "items go from one subtask to another");
    // Nor is what a stream holds that is gone taken for something that was removed.
    std::fs::remove_file(world.path("chk-2/right-0-keyed-1")).unwrap();
    for args in [[&first, &second], [&second, &first]] {
        let text = partly(&["diff", args[0], args[1]], "right-0-keyed-1 does not exist");
        let [added, removed, changed, unchanged] = row(&text, "right", "count").unwrap();
        assert_eq!(changed, 0, "{text}");
        assert_eq!(added.min(removed), 0, "{text}");
        assert!(added + removed <= 20 && unchanged < 90, "{text}");
    }
    let json = partly(&["diff", &first, &second, "--json"], "right-0-keyed-1");
    assert!(json.contains("\"unread\": [\n") && json.contains("right-1-operator-1"), "{json}");
}
