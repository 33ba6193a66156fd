use alluvium_core::StoragePath;
use alluvium_format::envelope::Block;

use super::*;

fn file(name: &str, len_bytes: u64) -> SharedFile {
    let path = StoragePath::new(&format!("shared/{name}")).unwrap();
    SharedFile { path, len_bytes, seal: 0 }
}

fn block(file: u16, len_bytes: u32) -> BlockRef {
    let block = Block { offset: 40, len_bytes, checksum: 0 };
    BlockRef { file, is_delta: false, records: 1, block }
}

const MIB: u32 = 1024 * 1024;

fn base(files: Vec<Option<SharedFile>>) -> Base {
    Base { epoch: 0, files, states: BTreeMap::new() }
}

#[test]
fn the_least_used_files_are_given_up_until_the_waste_is_bounded() {
    let len = 100 * u64::from(MIB);
    let base = base(vec![Some(file("a", len)), Some(file("b", len)), Some(file("c", len))]);
    let mut usage = FileUsage::new(&base);
    usage.add(&[block(1, 90 * MIB), block(2, 10 * MIB), block(3, 40 * MIB)]);
    usage.evict(IncrementalOptions::default());
    assert!(usage.may_refer(&[block(1, 1), block(3, 1)]));
    assert!(!usage.may_refer(&[block(1, 1), block(2, 1)]));
    assert!(usage.refers());
}

#[test]
fn no_more_files_are_referred_to_than_allowed() {
    let base = base((0..5).map(|number| Some(file(&number.to_string(), u64::from(MIB)))).collect());
    let mut usage = FileUsage::new(&base);
    usage
        .add(&(1..=5).map(|number| block(number, MIB / 8 * u32::from(number))).collect::<Vec<_>>());
    usage.evict(IncrementalOptions { max_files: 2, ..IncrementalOptions::DEFAULT });
    let kept: Vec<u16> = (1..=5).filter(|number| usage.may_refer(&[block(*number, 1)])).collect();
    assert_eq!(kept, [4, 5]);
}

#[test]
fn what_lies_in_no_file_that_outlives_its_checkpoint_is_not_referred_to() {
    let base = base(vec![Some(file("a", 100)), None]);
    let usage = FileUsage::new(&base);
    assert!(usage.may_refer(&[block(1, 1)]));
    assert!(!usage.may_refer(&[block(2, 1)]));
    assert!(!usage.may_refer(&[block(3, 1)]));
    assert!(!usage.refers());
}
