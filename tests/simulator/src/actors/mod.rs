//! Who acts: witnesses, the file server, the driver, hostile clients. Each takes one small step at a time: one request to
//! physmem, one touch, one message, so that everybody else's steps, and everybody's death, come between any two.

pub mod driver;
pub mod hostile;
pub mod requests;
pub mod server;
pub mod witness;
