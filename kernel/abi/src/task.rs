//! Tasks and threads: the states that can be asked for and the reasons for an end.

/// Threads of a task that [`crate::SystemCall::TaskWaits`] looks at, those made last.
pub const THREADS_LOOKED_AT: u32 = 32;

/// State of a task, value of [`crate::SystemCall::TaskStatus`]: bits 0-7 state, 8-31 reason, 32-63 detail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskStatus {
    /// It has threads or may still be given some.
    Alive,
    /// It called `TaskExit` with this code.
    Exited(u32),
    /// Somebody with the right to do so ended it, giving this code.
    Killed(u32),
    /// Its last thread was ended by the processor exception with this vector.
    Exception(u32),
    /// Its last thread was ended by a page fault that its pager answered with this label.
    Fault(u32),
}

impl TaskStatus {
    /// As a value register.
    pub const fn encode(self) -> u64 {
        let (state, detail) = match self {
            TaskStatus::Alive => (0, 0),
            TaskStatus::Exited(code) => (1, code),
            TaskStatus::Killed(code) => (2, code),
            TaskStatus::Exception(vector) => (3, vector),
            TaskStatus::Fault(label) => (4, label),
        };
        state | (detail as u64) << 32
    }

    /// From a value register; `None` if it is no status.
    pub const fn decode(value: u64) -> Option<TaskStatus> {
        let detail = (value >> 32) as u32;
        Some(match value as u32 {
            0 => TaskStatus::Alive,
            1 => TaskStatus::Exited(detail),
            2 => TaskStatus::Killed(detail),
            3 => TaskStatus::Exception(detail),
            4 => TaskStatus::Fault(detail),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::TaskStatus::{self, *};

    #[test]
    fn statuses_survive_a_register() {
        for status in [Alive, Exited(u32::MAX), Killed(7), Exception(13), Fault(0x8000_0001)] {
            assert_eq!(TaskStatus::decode(status.encode()), Some(status));
        }
        assert_eq!(TaskStatus::decode(5), None);
    }
}
