//! How many kernel objects of a kind a kernel frame holds, and the limits of a task.

/// Endpoints in a frame.
pub const ENDPOINTS_PER_FRAME: u32 = 64;
/// Notifications in a frame.
pub const NOTIFICATIONS_PER_FRAME: u32 = 32;
/// Tasks in a frame.
pub const TASKS_PER_FRAME: u32 = 8;
/// Threads in a frame.
pub const THREADS_PER_FRAME: u32 = 4;

/// Schedules in a frame.
pub const SCHEDULES_PER_FRAME: u32 = 16;

/// Threads that a task may have at most, so that ending a task is bounded work.
pub const THREADS_PER_TASK: u32 = 64;

/// Frames of RAM that the system can use at most (128 GiB): what fits the name of a kernel object.
pub const FRAMES_MAX: u32 = 1 << 25;
