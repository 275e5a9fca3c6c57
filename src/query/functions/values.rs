//! What the functions of one query hold: the values they made that something still looks at.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::{Array, ArrayData};
use datafusion::arrow::buffer::Buffer;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{DataFusionError, Result, config_err, exec_err};

/// Smaller buffers are not worth a place in the book.
const BUFFER_BYTES_MIN: usize = 4 * 1024;
/// What constants of one plan may take together. They are copied with every copy of the plan, of which there are many
/// while it is planned.
const CONSTANTS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What may be made between two looks at what is still in use, at least.
const SWEEP_BYTES: u64 = 4 * 1024 * 1024;

/// A query's book of what its functions made. It travels with the query's settings, which every call is given; clones
/// share one book.
///
/// It counts a buffer until nothing but the book holds it. Values that an operator keeps are counted here and in the
/// operator's own reservation: with a limit as large as the query's memory, the operator reaches its own first.
#[derive(Debug, Clone)]
pub(in crate::query) struct ValueMemory {
    bytes_max: u64,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    /// Reserved and in buffers.
    bytes: u64,
    /// In constants.
    constant_bytes: u64,
    /// By their address: values may share buffers.
    buffers: HashMap<usize, Buffer>,
    sweep_at: u64,
}

impl ValueMemory {
    pub(in crate::query) fn new(bytes_max: usize) -> Self {
        ValueMemory { bytes_max: bytes_max as u64, book: Arc::default() }
    }

    /// Makes room for what a call is about to make.
    pub(super) fn reserve(&self, function: &str, bytes: u64) -> Result<Reserved> {
        let mut book = self.book();
        if book.bytes.saturating_add(bytes) > self.bytes_max.min(book.sweep_at.max(SWEEP_BYTES)) {
            book.sweep();
        }
        if book.bytes.saturating_add(bytes) > self.bytes_max {
            let held = book.bytes;
            return Err(DataFusionError::ResourcesExhausted(format!(
                "`{function}` may need {bytes} bytes for its values, functions hold {held} bytes already"
            )));
        }
        book.bytes += bytes;
        Ok(Reserved { memory: self.clone(), bytes })
    }

    /// Counts a value that a call of constants makes: it becomes a constant of the plan, to the query's end.
    pub(super) fn keep(&self, function: &str, bytes: u64) -> Result<()> {
        let mut book = self.book();
        if book.constant_bytes.saturating_add(bytes) > CONSTANTS_BYTES_MAX {
            let held = book.constant_bytes;
            return exec_err!(
                "`{function}` would make a constant of up to {bytes} bytes beside others of {held} bytes, \
                 {CONSTANTS_BYTES_MAX} are allowed"
            );
        }
        book.constant_bytes += bytes;
        Ok(())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Numbers and buffers are right after each line; who panicked elsewhere did no harm here.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> u64 {
        let mut book = self.book();
        book.sweep();
        book.bytes
    }
}

impl Book {
    fn hold(&mut self, data: &ArrayData) {
        let nulls = data.nulls().map(|nulls| nulls.buffer());
        for buffer in data.buffers().iter().chain(nulls) {
            if buffer.capacity() >= BUFFER_BYTES_MIN {
                let address = buffer.data_ptr().as_ptr() as usize;
                let bytes = &mut self.bytes;
                self.buffers.entry(address).or_insert_with(|| {
                    *bytes += buffer.capacity() as u64;
                    buffer.clone()
                });
            }
        }
        data.child_data().iter().for_each(|child| self.hold(child));
    }

    /// Forgets what nobody else holds.
    fn sweep(&mut self) {
        let bytes = &mut self.bytes;
        self.buffers.retain(|_, buffer| {
            // With one reference, ours, there is nobody who could make another.
            let used = buffer.strong_count() > 1;
            if !used {
                *bytes -= buffer.capacity() as u64;
            }
            used
        });
        self.sweep_at = self.bytes.saturating_mul(2).saturating_add(SWEEP_BYTES);
    }
}

/// Room for what a call makes, given back when dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    memory: ValueMemory,
    bytes: u64,
}

impl Reserved {
    /// The room turns into what was really made.
    pub(super) fn hold(self, array: &dyn Array) {
        self.memory.book().hold(&array.to_data());
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.book().bytes -= self.bytes;
    }
}

impl ConfigExtension for ValueMemory {
    const PREFIX: &'static str = "tidegate_values";
}

impl ExtensionOptions for ValueMemory {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("`{key}` is no setting")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
