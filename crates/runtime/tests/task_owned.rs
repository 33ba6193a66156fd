//! A sink that writes ahead, into files that it owns.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_coordinator::CoordinatorConfig;
use alluvium_core::{CheckpointId, StoragePath};
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{JobConfig, OperatorContext, Pipeline, RestoreFrom, Sink, TaskError, run};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, OperatorListState, OperatorStateBackend,
};
use alluvium_storage::{TaskOwnedFile, TaskOwnedFiles, TaskOwnedWriter, open};

use common::{Count, Tally, World, read, up_to};

/// A system without transactions: whatever it is sent is there, once for each name.
type Outside = Arc<Mutex<std::collections::BTreeMap<String, String>>>;

/// A file, and the checkpoint whose confirmation sends it.
type Ahead = ((String, u64, u32), u64);

/// Keeps records in files of its own until a checkpoint is confirmed, and then sends them.
struct WriteAhead {
    files: TaskOwnedFiles,
    is_first: bool,
    outside: Outside,
    /// Nothing can be sent for the moment.
    is_down: Arc<AtomicBool>,
    open: Option<TaskOwnedWriter>,
    waiting: Vec<Ahead>,
    state: Option<OperatorListState<Ahead>>,
}

impl WriteAhead {
    fn send(&self, (file, _): &Ahead) -> Result<(), TaskError> {
        let file = TaskOwnedFile::from_state(file.clone())?;
        let text = String::from_utf8(self.files.read(&file)?.to_vec())?;
        self.outside.lock().unwrap().insert(file.path().to_string(), text);
        Ok(self.files.delete(file.path())?)
    }
}

impl Sink for WriteAhead {
    type Input = String;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let waiting = state.union_list_state(ListStateDescriptor::<Ahead>::new("ahead"))?;
        let all = state.items(waiting)?.to_vec();
        state.update(waiting, Vec::new())?;
        self.state = Some(waiting);
        if self.is_first {
            // What a run has written and no checkpoint names is sent again by the source.
            let named: Vec<_> = all.iter().map(|((path, ..), _)| path.clone()).collect();
            for file in self.files.of_earlier_runs()? {
                if !named.iter().any(|name| *name == file.as_str()) {
                    self.files.delete(&file)?;
                }
            }
            // What was sent and not confirmed to be is sent again, unless the file is gone.
            let left = self.files.of_earlier_runs()?;
            let is_left = |((path, ..), _): &Ahead| left.iter().any(|file| file.as_str() == path);
            self.waiting = all.into_iter().filter(is_left).collect();
        }
        Ok(())
    }

    fn write(&mut self, records: Vec<String>) -> Result<(), TaskError> {
        let open = self.open.get_or_insert_with(|| self.files.create());
        for record in records {
            writeln!(open, "{record}")?;
        }
        Ok(())
    }

    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        if let Some(open) = self.open.take() {
            self.waiting.push((open.finish()?.to_state(), checkpoint.get()));
        }
        Ok(state.update(self.state.ok_or("not open")?, self.waiting.clone())?)
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, of)| *of <= checkpoint.get());
        self.waiting = later;
        due.iter().try_for_each(|ahead| self.send(ahead))
    }
}

struct Job {
    end: u64,
    fails: Arc<AtomicBool>,
    is_down: Arc<AtomicBool>,
    outside: Outside,
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Count;
    type Operator = Tally;
    type Sink = WriteAhead;

    fn source(&self, context: &OperatorContext) -> Result<Count, TaskError> {
        let is_first = context.subtask.get() == 0;
        Ok(Count { is_first, next: 0, end: self.end, state: None })
    }

    fn operator(&self, _: &OperatorContext) -> Result<Tally, TaskError> {
        Ok(Tally { fails: Arc::clone(&self.fails), ..Tally::default() })
    }

    fn sink(&self, context: &OperatorContext) -> Result<WriteAhead, TaskError> {
        Ok(WriteAhead {
            files: context.task_owned.clone(),
            is_first: context.subtask.get() == 0,
            outside: Arc::clone(&self.outside),
            is_down: Arc::clone(&self.is_down),
            open: None,
            waiting: Vec::new(),
            state: None,
        })
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn task_owned(world: &World) -> Vec<String> {
    let dir = StoragePath::new("chk/tally/taskowned/files").unwrap();
    world.storage.list(Some(&dir)).unwrap().into_iter().map(|entry| entry.name).collect()
}

/// 1. A run writes ahead, and nothing can be sent: the files outlive the checkpoints that named them
///    first, and a failure;
/// 2. the job is cancelled, and another process opens its folder, which removes leftovers;
/// 3. that one sends all of it, at another parallelism.
#[test]
fn files_outlive_checkpoints_failures_and_processes_until_their_operator_deletes_them() {
    let mut world = World::new("task-owned");
    let dir = tempfile::tempdir().unwrap();
    world.storage = open(dir.path().to_str().unwrap()).unwrap();
    let (is_down, outside) = (Arc::new(AtomicBool::new(true)), Outside::default());
    let run_to = |end, parallelism, cancels: bool| {
        let config = JobConfig {
            parallelism,
            checkpoints: CoordinatorConfig::new().interval_ms(Some(5)).retained(1),
            restore: RestoreFrom::Latest,
            records_per_s: cancels.then_some(5_000.0),
            ..world.config()
        };
        let (control, records) = (config.control.clone(), Arc::clone(&config.records));
        let (fails, is_down) = (Arc::clone(&world.fails), Arc::clone(&is_down));
        let job = Job { end, fails, is_down, outside: Arc::clone(&outside) };
        let store = Arc::new(world.store("chk"));
        let job = run::<u64, _, _>(Arc::new(job), HeapStateBackend::default(), store, config);
        let asked = async {
            if cancels {
                read(&records, 500).await;
                world.fails.store(true, Ordering::SeqCst);
                until(|| world.heard("Restarting") > 0).await;
                let before = world.heard("Completed");
                until(|| world.heard("Completed") >= before + 3).await;
                control.cancel();
            }
        };
        world.runtime.block_on(async { tokio::join!(job, asked).0 })
    };
    run_to(u64::MAX, 2, true).unwrap_err();
    assert!(outside.lock().unwrap().is_empty());
    let ahead = task_owned(&world);
    assert!(ahead.len() > 2, "{ahead:?}");
    assert_eq!(world.checkpoints("chk").len(), 1);
    assert_eq!(task_owned(&world), ahead, "no clean-up takes them");

    is_down.store(false, Ordering::SeqCst);
    run_to(20_000, 3, false).unwrap();
    assert_eq!(task_owned(&world), [""; 0]);
    let sent = outside.lock().unwrap();
    let lines = sent.values().flat_map(|text| text.lines());
    let mut numbers: Vec<u64> = lines.filter_map(|line| line.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, up_to(20_000));
}
