use std::io::Write;

use super::*;

fn zeros(len_bytes: u64) -> impl Read {
    std::io::repeat(b'0').take(len_bytes)
}

/// A few kilobytes that unfold to ten thousand times as many behind a first line.
fn bomb(dir: &tempfile::TempDir, first: &str) -> std::path::PathBuf {
    const LEN_BYTES: u64 = 512 * 1024 * 1024;
    let path = dir.path().join("bomb.zst");
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(first.as_bytes()).unwrap();
    io::copy(&mut zeros(LEN_BYTES), &mut encoder).unwrap();
    encoder.finish().unwrap();
    let stored = std::fs::metadata(&path).unwrap().len();
    assert!(stored * 10_000 < LEN_BYTES, "{stored} bytes");
    path
}

/// Whoever reads a line to its end has all of it in memory.
#[test]
fn a_bomb_is_refused_at_the_longest_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = bomb(&dir, "first\n");
    let mut reader = open(&path, 0).unwrap();
    let (line, taken) = read_line(&mut reader, &path, 0).unwrap().unwrap();
    assert_eq!((line.as_str(), taken), ("first", 6));
    let error = read_line(&mut reader, &path, taken).unwrap_err();
    assert!(matches!(error, CliError::BadInput { .. }), "{error}");
    assert!(error.to_string().ends_with("in the line at byte 6"), "{error}");
}

#[test]
fn a_bomb_is_refused_at_the_longest_record() {
    let dir = tempfile::tempdir().unwrap();
    let columns = "year,month,day,sched_dep_time,tailnum,dest,distance,dep_delay\n";
    let row = "2013,1,1,515,N14228,IAH,1400,2\n";
    let path = bomb(&dir, &format!("{columns}{row}"));
    let error = crate::jobs::flights::Departures::read(&[path]).unwrap_err();
    assert!(matches!(error, CliError::Input { .. }), "{error}");
    assert!(error.to_string().contains("a record has more than"), "{error}");
    // Many short records are no long one.
    let path = dir.path().join("rows.csv");
    std::fs::write(&path, format!("{columns}{}", row.repeat(600_000))).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > MAX_LINE_LEN_BYTES);
    assert_eq!(crate::jobs::flights::Departures::read(&[path]).unwrap().flights.len(), 600_000);
}

#[test]
fn the_longest_line_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (len_bytes, is_read) in [(MAX_LINE_LEN_BYTES, true), (MAX_LINE_LEN_BYTES + 1, false)] {
        let path = dir.path().join("line");
        let mut file = File::create(&path).unwrap();
        io::copy(&mut zeros(len_bytes - 1), &mut file).unwrap();
        file.write_all(b"\nnext\n").unwrap();
        let mut reader = open(&path, 0).unwrap();
        let first = read_line(&mut reader, &path, 0).map(|line| line.map(|(_, taken)| taken));
        assert_eq!(first.is_ok(), is_read, "{len_bytes}");
        if let Ok(taken) = first {
            assert_eq!(taken, Some(len_bytes));
            assert_eq!(read_line(&mut reader, &path, 0).unwrap().unwrap().0, "next");
        }
    }
}
