//! `alluvium cat`: the same as the reader in another language, and as the backend that wrote it.

use std::process::Command;

use super::{alluvium, cases, checkpoint_of, code, name_of, stdout};
use alluvium::inspect::quote;
use alluvium_tests::golden::content;
use alluvium_tests::{stderr, top};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

fn is_of_ssts(name: &str) -> bool {
    name.starts_with("rocksdb") && !name.contains("canonical")
}

/// The rows of JSON lines in one order and one form, without those of other types.
fn rows(text: &[u8], dir: &std::path::Path) -> String {
    let path = dir.join("rows");
    std::fs::write(&path, text).unwrap();
    let script = "import json, sys\n\
        rows = [json.loads(line) for line in open(sys.argv[1], encoding='utf-8')]\n\
        rows = [row for row in rows if row['type'] in ('keyed', 'operator_state')]\n\
        print('\\n'.join(sorted(json.dumps(row, sort_keys=True) for row in rows)))";
    let output = Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn by_python(checkpoint: &str) -> Vec<u8> {
    let script = top().join("tests/spec_reader/read_checkpoint.py");
    let python = Command::new("python3").arg(script).arg(checkpoint).output().unwrap();
    assert!(python.status.success(), "{}", stderr(&python));
    python.stdout
}

/// All cases but the two of SST files, whose rows the reader in Python does not read.
#[test]
fn it_prints_what_the_reader_in_python_prints() {
    let dir = tempfile::tempdir().unwrap();
    for case in cases().iter().filter(|case| !is_of_ssts(name_of(case))) {
        let checkpoint = checkpoint_of(case);
        let expected = rows(&by_python(&checkpoint), dir.path());
        assert!(expected.lines().count() > 60, "{expected}");
        let found = rows(stdout(&["cat", &checkpoint]).as_bytes(), dir.path());
        assert_eq!(found, expected, "{}", name_of(case));
    }
}

/// The rows of a Parquet file as the lines that `--format json` prints.
fn lines_of_parquet(bytes: Vec<u8>) -> Vec<String> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let text = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::Int(number) => number.to_string(),
        Field::Null => String::new(),
        other => panic!("{other:?}"),
    };
    let mut lines = Vec::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let fields: Vec<String> = row.get_column_iter().map(|(_, field)| text(field)).collect();
        let [kind_of_row, uid, subtask, group, name, kind, key, namespace, value] =
            <[String; 9]>::try_from(fields).unwrap();
        let mut state = String::new();
        quote(&name, &mut state);
        let begin =
            format!("{{\"type\": \"{kind_of_row}\", \"uid\": \"{uid}\", \"subtask\": {subtask}, ");
        let rest = if kind_of_row == "keyed" {
            format!(
                "\"key_group\": {group}, \"state\": {state}, \"kind\": \"{kind}\", \
                 \"key\": {key}, \"namespace\": {namespace}, \"value\": {value}}}"
            )
        } else {
            assert_eq!([group, key, namespace], ["", "", ""]);
            format!("\"state\": {state}, \"mode\": \"{kind}\", \"item\": {value}}}")
        };
        lines.push(begin + &rest);
    }
    lines
}

#[test]
fn parquet_has_the_same_rows() {
    for case in cases().iter().filter(|case| !is_of_ssts(name_of(case))) {
        let checkpoint = checkpoint_of(case);
        let output = alluvium(&["cat", &checkpoint, "--format", "parquet"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let expected = stdout(&["cat", &checkpoint]);
        let expected: Vec<_> = expected.lines().collect();
        assert!(expected.len() > 60, "{expected:?}");
        assert_eq!(lines_of_parquet(output.stdout), expected, "{}", name_of(case));
    }
}

fn expected_content(case: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(case.join("content.txt")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// With RocksDB also those whose keyed state is in SST files.
#[test]
fn it_prints_what_the_backend_has() {
    let is_readable =
        |case: &&std::path::PathBuf| cfg!(feature = "rocksdb") || !is_of_ssts(name_of(case));
    for case in cases().iter().filter(is_readable) {
        let found = content::of_json(&stdout(&["cat", &checkpoint_of(case)]));
        assert_eq!(found, expected_content(case), "{}", name_of(case));
    }
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn sst_files_are_refused_by_name() {
    let case = cases().into_iter().find(|case| name_of(case) == "rocksdb-incremental").unwrap();
    let output = alluvium(&["cat", &checkpoint_of(&case)]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    for part in ["operator-0-keyed-3", "SST files", "feature rocksdb"] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    // What needs no row works on them as well.
    let text = stdout(&["verify", &checkpoint_of(&case)]);
    assert!(text.contains("sound"), "{text}");
}

#[test]
fn one_state_one_key_group_one_key() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let checkpoint = checkpoint_of(&case);
    let of = |args: &[&str]| stdout(&[&["cat", &checkpoint], args].concat());
    let all = of(&[]);
    let values = of(&["--uid", "operator", "--state", "value"]);
    let expected = all.lines().filter(|line| line.contains("\"state\": \"value\""));
    assert_eq!(values.lines().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let groups: usize = (0..4)
        .map(|group| of(&["--state", "value", "--key-group", &group.to_string()]).lines().count())
        .sum();
    assert_eq!(groups, values.lines().count());
    let line = values.lines().next().unwrap();
    let key = line.split_once("\"key\": \"").unwrap().1.split_once('"').unwrap().0;
    for wanted in [key.to_owned(), format!("\"{key}\"")] {
        assert_eq!(of(&["--state", "value", "--key", &wanted]).trim_end(), line, "{wanted}");
    }
    assert_eq!(of(&["--key", "nobody"]), "");
    let csv = of(&["--state", "value", "--format", "csv"]);
    assert_eq!(csv.lines().count(), values.lines().count() + 1);
    assert!(
        csv.starts_with("type,uid,subtask,key_group,state,kind,key,namespace,value\n"),
        "{csv}"
    );
    let items = of(&["--state", "broadcast"]);
    assert!(items.lines().all(|line| line.contains("operator_state")), "{items}");
    assert_eq!(items.lines().count(), 4, "{items}");
}

#[test]
fn names_that_are_not_there_are_errors() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-inlined").unwrap();
    let checkpoint = checkpoint_of(&case);
    for (args, known) in [
        (["--uid", "nobody"], "there is operator"),
        (["--state", "nothing"], "operator/sorted map"),
        (["--key-group", "4"], "4"),
    ] {
        let output = alluvium(&[&["cat", checkpoint.as_str()], args.as_slice()].concat());
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(known), "{}", stderr(&output));
    }
}

/// Rows of SST files are RocksDB's, and the reader in Python does not read them. So they are written as blocks,
/// and of these it reads what `cat` prints of the SST files.
#[cfg(feature = "rocksdb")]
#[test]
fn it_prints_of_sst_files_what_the_reader_in_python_prints_of_their_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for case in cases().iter().filter(|case| is_of_ssts(name_of(case))) {
        let checkpoint = checkpoint_of(case);
        let target = dir.path().join(name_of(case));
        let json = stdout(&["rewrite", &checkpoint, target.to_str().unwrap(), "--json"]);
        let (_, rest) = json.split_once("\"location\": \"file:").unwrap();
        let python = by_python(rest.split_once('"').unwrap().0);
        let expected = rows(&python, dir.path());
        assert!(expected.lines().count() > 60, "{expected}");
        let found = rows(stdout(&["cat", &checkpoint]).as_bytes(), dir.path());
        assert_eq!(found, expected, "{}", name_of(case));
        compared += 1;
    }
    assert_eq!(compared, 4, "two golden cases of SST files in each of two sets");
}
