//! Where a volume's bytes come from.

/// Why sectors could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceError {
    /// The disk reported an error at this sector.
    Io {
        /// First sector of the part that failed.
        sector: u64,
    },
    /// The disk or its driver did not answer in time.
    TimedOut,
    /// The driver ended before it answered.
    DriverEnded,
    /// The sectors lie beyond the end of the disk.
    Beyond,
}

/// A disk that can be read. It cannot be written.
pub trait Source {
    /// Its size.
    fn sectors(&self) -> u64;

    /// Reads successive sectors from `sector` on; `into` is whole sectors long.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), SourceError>;
}
