use super::*;

const RANGES: &str = include_str!("../../../../tests/vectors/flink-key-group-ranges.tsv");

fn p(parallelism: u32, max: u32) -> Parallelism {
    Parallelism::new(parallelism, MaxParallelism::new(max).unwrap()).unwrap()
}

fn range(index: u16, parallelism: Parallelism) -> (u16, u16) {
    let range = KeyGroupRange::of_subtask(SubtaskIndex::new(index), parallelism).unwrap();
    (range.first().get(), range.last().get())
}

#[test]
fn ranges_and_defaults_are_those_of_flink() {
    let (mut ranges, mut defaults) = (0, 0);
    for line in RANGES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let Some(rest) = line.strip_prefix("# default\t") {
            let (parallelism, max) = rest.split_once('\t').unwrap();
            let (parallelism, max): (u32, u32) =
                (parallelism.parse().unwrap(), max.parse().unwrap());
            let found = MaxParallelism::default_for(parallelism).unwrap();
            assert_eq!(u32::from(found.get()), max, "parallelism {parallelism}");
            defaults += 1;
        } else if let Ok(max) = fields[0].parse::<u32>() {
            let parallelism = p(fields[1].parse().unwrap(), max);
            let expected = (fields[3].parse().unwrap(), fields[4].parse().unwrap());
            assert_eq!(range(fields[2].parse().unwrap(), parallelism), expected, "{line}");
            ranges += 1;
        }
    }
    assert_eq!((ranges, defaults), (286, 9), "lines of the vector file");
}

#[test]
fn the_ranges_of_the_reference_table() {
    assert_eq!([0, 1, 2].map(|i| range(i, p(3, 128))), [(0, 42), (43, 85), (86, 127)]);
    assert_eq!([0, 1, 2].map(|i| range(i, p(3, 10))), [(0, 3), (4, 6), (7, 9)]);
    assert_eq!([0, 1, 2, 3].map(|i| range(i, p(4, 10))), [(0, 2), (3, 4), (5, 7), (8, 9)]);
    let sevenths = [0, 1, 2, 3, 4, 5, 6].map(|i| range(i, p(7, 720)));
    let expected =
        [(0, 102), (103, 205), (206, 308), (309, 411), (412, 514), (515, 617), (618, 719)];
    assert_eq!(sevenths, expected);
    assert_eq!(range(6, p(7, 32768)), (28087, 32767));
}

#[test]
fn ranges_tile_all_groups_and_agree_with_the_owner() {
    for max in [1, 2, 3, 7, 10, 127, 128, 129, 720, 4096, 32768] {
        for parallelism in [1, 2, 3, 5, 7, 64, 127, 128].into_iter().filter(|&n| n <= max) {
            let parallelism = p(parallelism, max);
            let mut next = 0;
            for subtask in parallelism.subtasks() {
                let range = KeyGroupRange::of_subtask(subtask, parallelism).unwrap();
                assert_eq!(u32::from(range.first().get()), next);
                assert!(range.iter().all(|group| parallelism.owner_of(group) == subtask));
                next = u32::from(range.last().get()) + 1;
            }
            assert_eq!(next, max);
        }
    }
}

#[test]
fn values_outside_their_domain_are_refused_by_name() {
    for bad in [0, 32769, u32::MAX] {
        let expected = KeyGroupError::MaxParallelism { found: u64::from(bad) };
        assert_eq!(MaxParallelism::new(bad), Err(expected));
        assert!(MaxParallelism::default_for(bad).is_err());
    }
    let max = MaxParallelism::new(128).unwrap();
    for bad in [0, 129, 70_000] {
        let expected = KeyGroupError::Parallelism { found: u64::from(bad), max: 128 };
        assert_eq!(Parallelism::new(bad, max), Err(expected));
    }
    assert!(matches!(KeyGroup::new(128, max), Err(KeyGroupError::KeyGroup { .. })));
    assert!(matches!(KeyGroupRange::new(3, 2, max), Err(KeyGroupError::EmptyRange { .. })));
    assert!(matches!(KeyGroupRange::new(3, 128, max), Err(KeyGroupError::KeyGroup { .. })));
    let beyond = KeyGroupRange::of_subtask(SubtaskIndex::new(2), p(2, 128));
    assert!(matches!(beyond, Err(KeyGroupError::SubtaskIndex { found: 2, parallelism: 2 })));
}

#[test]
fn intersections() {
    let max = MaxParallelism::new(128).unwrap();
    let range = |first, last| KeyGroupRange::new(first, last, max).unwrap();
    assert_eq!(range(0, 42).intersection(range(40, 90)), Some(range(40, 42)));
    assert_eq!(range(0, 42).intersection(range(43, 90)), None);
    assert_eq!(max.all_key_groups(), range(0, 127));
    assert_eq!(range(5, 7).index_of(KeyGroup(7)), Some(2));
    assert_eq!(range(5, 7).index_of(KeyGroup(8)), None);
}
