//! A thread that does one job at a time while another one is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// Work for another thread.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs beside the measured thread.
#[derive(Debug)]
pub struct Background {
    jobs: Option<Sender<Job>>,
    is_idle: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread.
    pub fn start() -> Self {
        let (jobs, received) = channel::<Job>();
        let is_idle = Arc::new(AtomicBool::new(true));
        let done = Arc::clone(&is_idle);
        let thread = std::thread::spawn(move || {
            for job in received {
                job();
                done.store(true, Ordering::Release);
            }
        });
        Self { jobs: Some(jobs), is_idle, thread: Some(thread) }
    }

    /// Whether nothing runs.
    pub fn is_idle(&self) -> bool {
        self.is_idle.load(Ordering::Acquire)
    }

    /// Hands over a job; the one before must have ended.
    pub fn run(&self, job: Job) {
        assert!(self.is_idle.swap(false, Ordering::AcqRel), "one job at a time");
        let jobs = self.jobs.as_ref().expect("the thread lives as long as this");
        jobs.send(job).expect("the thread waits for jobs");
    }

    /// Waits for the job that runs.
    pub fn wait(&self) {
        while !self.is_idle() {
            assert!(self.thread.as_ref().is_some_and(|it| !it.is_finished()), "a job panicked");
            std::thread::yield_now();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
