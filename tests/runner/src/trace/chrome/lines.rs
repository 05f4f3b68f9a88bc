//! Lines of the file: the format's own events, whatever they are about.

use super::{MEMORY, Open, Writer, microseconds};
use serde_json::{Value, json};
use std::io::{self, Write};

impl<W: Write> Writer<W> {
    pub(super) fn line(&mut self, value: &Value) -> io::Result<()> {
        let before = if self.is_begun { ",\n" } else { "[\n" };
        self.is_begun = true;
        self.output.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut self.output, value).map_err(io::Error::from)
    }

    pub(super) fn name_thread(&mut self, process: u32, thread: u32, name: &str) -> io::Result<()> {
        let arguments = json!({"name": name});
        self.line(
            &json!({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": arguments}),
        )
    }

    /// Something that took time.
    pub(super) fn span(
        &mut self,
        process: u32,
        thread: u32,
        category: &str,
        open: Open,
        end: u64,
    ) -> io::Result<()> {
        let Open { since, name, arguments } = open;
        self.line(&json!({
            "name": name, "cat": category, "ph": "X", "pid": process, "tid": thread,
            "ts": microseconds(since), "dur": microseconds(end.saturating_sub(since)), "args": arguments,
        }))
    }

    /// Something that overlaps others begins.
    pub(super) fn half_begin(
        &mut self,
        process: u32,
        category: &'static str,
        id: String,
        name: String,
        arguments: Value,
    ) -> io::Result<()> {
        self.half("b", process, (category, &id), &name, arguments)?;
        self.halves.insert((category, id), name);
        Ok(())
    }

    /// It ends, under the name that it began with: viewers join the two by it. What began before the file did is left out.
    pub(super) fn half_end(
        &mut self,
        process: u32,
        category: &'static str,
        id: String,
        arguments: Value,
    ) -> io::Result<()> {
        let key = (category, id);
        match self.halves.remove(&key) {
            None => Ok(()),
            Some(name) => self.half("e", process, (category, &key.1), &name, arguments),
        }
    }

    pub(super) fn half(
        &mut self,
        phase: &str,
        process: u32,
        (category, id): (&str, &str),
        name: &str,
        arguments: Value,
    ) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": phase, "id": id, "pid": process, "tid": 0,
            "ts": microseconds(self.now), "args": arguments,
        }))
    }

    pub(super) fn instant(
        &mut self,
        place: (u32, u32),
        category: &str,
        name: &str,
        arguments: Value,
    ) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": "i", "s": "t", "pid": place.0, "tid": place.1,
            "ts": microseconds(self.now), "args": arguments,
        }))
    }

    pub(super) fn counter(&mut self, category: &str, name: &str, arguments: Value) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": "C", "pid": MEMORY, "tid": 0, "ts": microseconds(self.now),
            "args": arguments,
        }))
    }
}
