//! What is done to the files of a checkpoint: each kind of damage, one case after the other.
//!
//! Invariants: the cases of a subject depend on its files alone, and each changes something; one that would
//! change nothing, or only bytes that the checkpoint does not use, is none.

use std::collections::BTreeMap;
use std::fmt;

use alluvium::format::keyed::{KeyedReader, MapEntry};
use bytes::Bytes;

use super::files::FileMap;
use super::subject::Subject;

/// Size of what is set to zero, in bytes.
const PAGE: usize = 4_096;
/// The same for small files.
const SECTOR: usize = 64;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One bit is another one.
    FlippedBit,
    /// The end of a file is gone.
    Cut,
    /// Bytes that follow the end.
    Longer,
    /// A page of 4 KiB, or a sector of 64 bytes, is zero.
    Zeroed,
    /// Two blocks of a stream, or two sectors of another file, stand in the place of one another.
    Swapped,
    /// A file of the same name of another checkpoint.
    OfAnother,
    /// Another file of the same checkpoint, in the place of this one.
    Doubled,
    /// A file is gone.
    Deleted,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::FlippedBit,
        Self::Cut,
        Self::Longer,
        Self::Zeroed,
        Self::Swapped,
        Self::OfAnother,
        Self::Doubled,
        Self::Deleted,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FlippedBit => "bit flipped",
            Self::Cut => "cut",
            Self::Longer => "longer",
            Self::Zeroed => "zeroed",
            Self::Swapped => "blocks swapped",
            Self::OfAnother => "of another checkpoint",
            Self::Doubled => "another file in place",
            Self::Deleted => "deleted",
        })
    }
}

/// One case.
#[derive(Debug, Clone)]
pub enum Damage {
    /// This bit of the file, counted from its first one.
    Flip(usize),
    /// The file ends here.
    Cut(usize),
    /// The file goes on with these bytes.
    Longer(&'static [u8]),
    /// Zeros from here on, so many.
    Zero(usize, usize),
    /// So many bytes at one place and at another.
    Swap(usize, usize, usize),
    /// These bytes instead.
    Replace(Kind, Bytes),
    /// No file.
    Delete,
}

impl Damage {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Flip(_) => Kind::FlippedBit,
            Self::Cut(_) => Kind::Cut,
            Self::Longer(_) => Kind::Longer,
            Self::Zero(..) => Kind::Zeroed,
            Self::Swap(..) => Kind::Swapped,
            Self::Replace(kind, _) => *kind,
            Self::Delete => Kind::Deleted,
        }
    }

    /// The damaged file; `None` where it is gone.
    pub fn of(&self, whole: &Bytes) -> Option<Bytes> {
        let changed = |change: &dyn Fn(&mut [u8])| {
            let mut bytes = whole.to_vec();
            change(&mut bytes);
            Some(Bytes::from(bytes))
        };
        match *self {
            Self::Flip(bit) => changed(&|bytes| bytes[bit / 8] ^= 1 << (bit % 8)),
            Self::Cut(len) => Some(whole.slice(..len)),
            Self::Longer(more) => Some([whole, more].concat().into()),
            Self::Zero(start, len) => changed(&|bytes| bytes[start..start + len].fill(0)),
            Self::Swap(one, other, len) => changed(&|bytes| {
                let (front, back) = bytes.split_at_mut(other);
                front[one..one + len].swap_with_slice(&mut back[..len]);
            }),
            Self::Replace(_, ref bytes) => Some(bytes.clone()),
            Self::Delete => None,
        }
    }

    /// Whether it changes only bytes of which `used` says that nobody reads them.
    fn is_harmless(&self, whole: &[u8], used: &[bool]) -> bool {
        let is_dead = |start: usize, len: usize| !used[start..start + len].contains(&true);
        match *self {
            Self::Flip(bit) => is_dead(bit / 8, 1),
            Self::Zero(start, len) => (start..start + len).all(|at| !used[at] || whole[at] == 0),
            Self::Swap(one, other, len) => (0..len).all(|at| {
                let is_same = whole[one + at] == whole[other + at];
                is_same || !(used[one + at] || used[other + at])
            }),
            _ => false,
        }
    }
}

/// The cases of a subject, by file; the others are where same-named files come from.
pub fn cases(subject: &Subject, others: &[Subject]) -> Vec<(String, Damage)> {
    let used: BTreeMap<String, Vec<bool>> = subject.used_of_shared().into_iter().collect();
    let mut cases = Vec::new();
    for (path, whole) in &subject.files {
        let mut of_file = in_place(whole);
        of_file.extend(instead(path, whole, &subject.files, others));
        if let Some(used) = used.get(path) {
            of_file.retain(|damage| !damage.is_harmless(whole, used));
        }
        cases.extend(of_file.into_iter().map(|damage| (path.clone(), damage)));
    }
    cases
}

/// Changes of the bytes of a file.
fn in_place(whole: &Bytes) -> Vec<Damage> {
    let mut cases: Vec<_> = (0..whole.len() * 8).map(Damage::Flip).collect();
    cases.extend((0..whole.len()).map(Damage::Cut));
    cases.extend([Damage::Longer(&[0]), Damage::Longer(b"ALLUVIUM")]);
    for step in [PAGE, SECTOR] {
        let places = (0..whole.len()).step_by(step);
        let zeros = places.map(|start| (start, step.min(whole.len() - start)));
        let zeros = zeros.filter(|&(start, len)| whole[start..start + len] != vec![0; len]);
        cases.extend(zeros.map(|(start, len)| Damage::Zero(start, len)));
    }
    cases.extend(swaps(whole));
    cases
}

/// Blocks of a stream of keyed state that have one length, and otherwise sectors.
fn swaps(whole: &Bytes) -> Vec<Damage> {
    let mut pieces: Vec<(usize, usize)> = match KeyedReader::open_bytes(whole.clone()) {
        Ok(keyed) => {
            let blocks = keyed.maps().iter().flat_map(MapEntry::blocks);
            let own = blocks.filter(|block| block.is_own());
            own.map(|it| (usize::try_from(it.block.offset).unwrap(), it.block.len_bytes as usize))
                .collect()
        }
        Err(_) => Vec::new(),
    };
    pieces.extend((0..whole.len() / SECTOR).map(|sector| (sector * SECTOR, SECTOR)));
    pieces.sort_unstable();
    let mut swaps = Vec::new();
    for (number, &(one, len)) in pieces.iter().enumerate() {
        for &(other, other_len) in pieces[number + 1..].iter().filter(|(at, _)| *at >= one + len) {
            let len = len.min(other_len);
            if whole[one..one + len] != whole[other..other + len] {
                swaps.push(Damage::Swap(one, other, len));
            }
        }
    }
    swaps
}

/// Other files in the place of a file, and none.
fn instead(path: &str, whole: &Bytes, own: &FileMap, others: &[Subject]) -> Vec<Damage> {
    let name_of = |path: &str| path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned();
    let mut cases = vec![Damage::Delete];
    let mut seen = vec![whole.clone()];
    let mut add = |kind, bytes: &Bytes| {
        if !seen.contains(bytes) {
            seen.push(bytes.clone());
            cases.push(Damage::Replace(kind, bytes.clone()));
        }
    };
    for (_, bytes) in own.iter().filter(|(other, _)| *other != path) {
        add(Kind::Doubled, bytes);
    }
    // A whole `_metadata` of another checkpoint of the same number is one, and says nothing of this one.
    let is_metadata = name_of(path) == "_metadata";
    for (_, bytes) in others
        .iter()
        .flat_map(|subject| &subject.files)
        .filter(|(other, _)| !is_metadata && name_of(other) == name_of(path))
    {
        add(Kind::OfAnother, bytes);
    }
    cases
}
