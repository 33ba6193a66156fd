use super::*;

const BATCH: usize = 2;

fn path(name: &str) -> StoragePath {
    StoragePath::new(name).unwrap()
}

fn files(names: &str) -> Vec<StoragePath> {
    names.split_whitespace().map(path).collect()
}

fn checkpoint(n: u64, names: &str) -> Waste {
    Waste::Checkpoint(CheckpointId::new(n).unwrap(), files(names))
}

fn text(step: &Step) -> String {
    match &step.piece {
        Piece::Metadata(n) => format!("metadata {n}"),
        Piece::Files(files) | Piece::Leftovers(files) => {
            let names: Vec<_> = files.iter().map(StoragePath::as_str).collect();
            names.join(" ")
        }
        Piece::EmptyDir(n) => format!("folder {n}"),
        Piece::Savepoint(_) | Piece::Claimed(_) => "other".to_owned(),
    }
}

fn take(clean_up: &mut CleanUp) -> Vec<Step> {
    std::iter::from_fn(|| clean_up.next(BATCH)).collect()
}

fn texts(steps: &[Step]) -> Vec<String> {
    steps.iter().map(text).collect()
}

fn done(clean_up: &mut CleanUp, step: &Step) {
    let is_metadata = matches!(step.piece, Piece::Metadata(_));
    assert_eq!(clean_up.report(Removed { left: None, is_metadata }, BATCH), None);
}

fn failed(clean_up: &mut CleanUp, step: Step) -> Option<String> {
    let is_metadata = matches!(step.piece, Piece::Metadata(_));
    let left = Some((Step { tries: step.tries + 1, ..step }, "no".to_owned()));
    clean_up.report(Removed { left, is_metadata }, BATCH)
}

#[test]
fn files_go_in_batches_several_at_a_time() {
    let mut clean_up = CleanUp::default();
    clean_up.push(Waste::Files(files("a b c d e f g h i j k")));
    let steps = take(&mut clean_up);
    assert_eq!(texts(&steps), ["a b", "c d", "e f", "g h"]);
    done(&mut clean_up, &steps[2]);
    assert_eq!(texts(&take(&mut clean_up)), ["i j"]);
    assert!(take(&mut clean_up).is_empty());
    done(&mut clean_up, &steps[0]);
    assert_eq!(texts(&take(&mut clean_up)), ["k"]);
}

#[test]
fn a_checkpoint_loses_its_metadata_before_its_files() {
    let mut clean_up = CleanUp::default();
    clean_up.push(checkpoint(4, "a b c"));
    clean_up.push(checkpoint(5, "d"));
    clean_up.push(Waste::EmptyDir(CheckpointId::FIRST));
    let steps = take(&mut clean_up);
    assert_eq!(texts(&steps), ["metadata 4"]);
    done(&mut clean_up, &steps[0]);
    // The files of 4 and the metadata of 5 have no order among them.
    let steps = take(&mut clean_up);
    assert_eq!(texts(&steps), ["a b", "c", "metadata 5"]);
    done(&mut clean_up, &steps[2]);
    assert_eq!(texts(&take(&mut clean_up)), ["d", "folder 1"]);
}

#[test]
fn a_checkpoint_that_stays_holds_back_what_came_after_it() {
    let mut clean_up = CleanUp::default();
    clean_up.push(checkpoint(4, "a"));
    clean_up.push(checkpoint(5, "b"));
    let [step] = take(&mut clean_up).try_into().unwrap();
    assert_eq!(failed(&mut clean_up, step).as_deref(), Some("no"));
    assert!(take(&mut clean_up).is_empty(), "5 has to wait");
    clean_up.push(Waste::Files(files("c")));
    let [step] = take(&mut clean_up).try_into().unwrap();
    assert_eq!(text(&step), "metadata 4", "it is tried again");
    assert_eq!(failed(&mut clean_up, step), None, "that was said");
    clean_up.push(checkpoint(6, ""));
    let [step] = take(&mut clean_up).try_into().unwrap();
    done(&mut clean_up, &step);
    let steps = take(&mut clean_up);
    assert_eq!(texts(&steps), ["a", "metadata 5"]);
    done(&mut clean_up, &steps[1]);
    assert_eq!(texts(&take(&mut clean_up)), ["b", "c", "metadata 6"]);
}

#[test]
fn files_that_stay_hold_nothing_back_and_are_tried_again() {
    let mut clean_up = CleanUp::default();
    clean_up.push(Waste::Files(files("a")));
    clean_up.push(checkpoint(5, "b"));
    let mut steps = take(&mut clean_up);
    assert_eq!(texts(&steps), ["a", "metadata 5"]);
    assert!(failed(&mut clean_up, steps.remove(0)).is_some());
    done(&mut clean_up, &steps[0]);
    let [step] = take(&mut clean_up).try_into().unwrap();
    assert_eq!(text(&step), "b");
    done(&mut clean_up, &step);
    for _ in 2..MAX_TRIES {
        clean_up.push(Waste::Files(Vec::new()));
        let [step] = take(&mut clean_up).try_into().unwrap();
        assert_eq!(text(&step), "a");
        assert_eq!(failed(&mut clean_up, step), None, "that was said");
    }
    clean_up.push(Waste::Files(Vec::new()));
    let [step] = take(&mut clean_up).try_into().unwrap();
    assert_eq!(failed(&mut clean_up, step), None);
    clean_up.push(Waste::Files(Vec::new()));
    assert!(take(&mut clean_up).is_empty(), "it is left to the next process");
}
