//! Compares every checksum of checkpoints, and everything that metadata, streams and files say of each
//! other.
//!
//! 1. *Plan* (`plan`): metadata, headers, footers and indexes are read and compared, operator state
//!    and what is inlined is read whole, and it is noted which bytes of which file have which checksum.
//!    A block that several checkpoints refer to is noted once.
//! 2. *Read* (`pieces`): the files are read in large pieces, on all cores.
//!
//! Invariants:
//! - one finding does not hide another: what can still be compared is compared;
//! - what is held of a file is what an index says of it, never its blocks: some bytes for each block,
//!   and one piece for each core.
//!
//! Source: SPEC 2.6, 4.4, 8.3, 12.7.

mod finding;
mod pieces;
mod plan;

pub(crate) use finding::is_damage_of_stream;
pub use finding::{Finding, Severity};

use alluvium_core::StoragePath;
use alluvium_state::OtherMetadata;

use crate::checkpoint::{METADATA, location};
use crate::folder::Folder;
use crate::references::orphans;
use crate::{Checkpoint, InspectError, Progress};
use plan::Plan;

/// What became of a verification.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// What is wrong, files in order.
    pub findings: Vec<Finding>,
    /// Checkpoints and savepoints that were looked at, and whether each is sound.
    pub checkpoints: Vec<(String, bool)>,
    /// Files that were read, metadata included.
    pub files: u64,
    /// Bytes whose checksums were compared.
    pub bytes: u64,
    /// Blocks, operator states and SST files that were compared.
    pub checksums: u64,
}

impl VerifyReport {
    /// Whether a checkpoint is damaged.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }
}

/// Verifies everything under an address: a checkpoint, a savepoint, the folder of a job, or a root.
///
/// Errors: [`InspectError::Empty`], [`InspectError::Address`], [`InspectError::NotACheckpoint`] where the
/// folder of a checkpoint is not there; [`InspectError::Stream`] when a storage does not answer, as nothing
/// is known then. What is damaged is in the report.
pub fn verify(uri: &str, progress: &dyn Progress) -> Result<VerifyReport, InspectError> {
    let mut report = VerifyReport::default();
    for folder in Folder::find(uri)? {
        verify_folder(&folder, &mut report, progress)?;
    }
    Ok(report)
}

pub(crate) fn verify_folder(
    folder: &Folder,
    report: &mut VerifyReport,
    progress: &dyn Progress,
) -> Result<(), InspectError> {
    let mut plan = Plan::new(&folder.storage);
    let mut looked_at = Vec::new();
    for found in &folder.checkpoints {
        let name = found.name();
        match &found.content {
            Ok(checkpoint) => {
                plan.add(checkpoint, &name)?;
                looked_at.push((name, checkpoint.location()));
            }
            Err(InspectError::NotACheckpoint { .. }) if folder.is_whole_job => {
                let location = location(&*folder.storage, found.dir.as_ref());
                let warning = Finding {
                    severity: Severity::Warning,
                    ..Finding::damage(location, "a checkpoint that is not complete")
                };
                plan.findings.push(warning.expected("_metadata", "none"));
            }
            Err(error) => {
                let location = location(&*folder.storage, found.dir.as_ref());
                plan.findings.push(of_metadata(
                    folder,
                    found.metadata_path().as_ref(),
                    error,
                    &name,
                ));
                looked_at.push((name, location));
            }
        }
    }
    if folder.is_whole_job {
        for other in OtherMetadata::of_job(&*folder.storage)? {
            let Err(error) = other.content else { continue };
            let (path, name) = (other.dir.join(METADATA).ok(), other.dir.to_string());
            let file = location(&*folder.storage, path.as_ref());
            let error = InspectError::of_metadata(file, error);
            plan.findings.push(of_metadata(folder, path.as_ref(), &error, &name));
            looked_at.push((name, location(&*folder.storage, Some(&other.dir))));
        }
    }
    plan.read(progress)?;
    let damaged = |name: &String| {
        let mut damages =
            plan.findings.iter().filter(|finding| finding.severity == Severity::Damage);
        damages.any(|finding| finding.checkpoints.contains(name))
    };
    let verdicts = looked_at.into_iter().map(|(name, location)| (location, !damaged(&name)));
    report.checkpoints.extend(verdicts.collect::<Vec<_>>());
    if folder.is_whole_job {
        warn_of_orphans(folder, &mut plan.findings)?;
    }
    plan.findings.sort();
    Finding::merge(&mut plan.findings);
    report.findings.append(&mut plan.findings);
    report.files += plan.files;
    report.bytes += plan.bytes;
    report.checksums += plan.checksums;
    Ok(())
}

/// What is wrong with the metadata of a checkpoint.
fn of_metadata(
    folder: &Folder,
    path: Option<&StoragePath>,
    error: &InspectError,
    name: &str,
) -> Finding {
    let file = location(&*folder.storage, path);
    Finding::of_metadata(file, error).needed_by(name)
}

/// Files that nobody refers to lose nothing; they may also be those of a checkpoint that a running job
/// is writing.
fn warn_of_orphans(folder: &Folder, findings: &mut Vec<Finding>) -> Result<(), InspectError> {
    let found = match orphans(folder) {
        Ok(found) => found,
        // It has a finding of its own.
        Err(InspectError::UnknownReferences { .. }) => return Ok(()),
        Err(error) if error.is_damage() => return Ok(()),
        Err(error) => return Err(error),
    };
    findings.extend(found.into_iter().map(|orphan| {
        let file = location(&*folder.storage, Some(&orphan.path));
        let found = format!("an orphan of {} bytes", orphan.len_bytes);
        let warning =
            Finding::damage(file, "references to the file").expected("one or more", found);
        Finding { severity: Severity::Warning, ..warning }
    }));
    Ok(())
}

/// Verifies one checkpoint whose metadata need not be on its storage yet: a copy, before it is
/// committed.
pub(crate) fn verify_one(
    checkpoint: &Checkpoint,
    progress: &dyn Progress,
) -> Result<VerifyReport, InspectError> {
    let mut plan = Plan::new(checkpoint.storage());
    plan.add(checkpoint, "the copy")?;
    plan.read(progress)?;
    let Plan { findings, files, bytes, checksums, .. } = plan;
    Ok(VerifyReport { findings, checkpoints: Vec::new(), files, bytes, checksums })
}
