//! The work of a subtask without state: a function of each record.

use std::marker::PhantomData;

use alluvium_state::OperatorStateBackend;

use super::processor::Processor;
use crate::TaskError;

pub(crate) struct FlatMap<T, U, F> {
    function: F,
    types: PhantomData<fn(T) -> U>,
}

impl<T, U, F> FlatMap<T, U, F> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function, types: PhantomData }
    }
}

impl<T, U, F> Processor for FlatMap<T, U, F>
where
    T: Send + 'static,
    U: Send + 'static,
    F: FnMut(T, &mut Vec<U>) -> Result<(), TaskError> + Send + 'static,
{
    type Input = T;
    type Output = U;
    type Result = ();

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn process(
        &mut self,
        batch: Vec<T>,
        _: &mut OperatorStateBackend,
        output: &mut Vec<U>,
    ) -> Result<(), TaskError> {
        batch.into_iter().try_for_each(|record| (self.function)(record, output))
    }

    fn result(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}
