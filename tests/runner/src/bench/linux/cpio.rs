//! An archive as Linux unpacks it into its first file system: "new ASCII" cpio, without checksums (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! The same entries give the same bytes: no times, no owners.

/// Type and permission bits of the kinds of entries.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const PLAIN: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// The entry behind the last one.
const TRAILER: &str = "TRAILER!!!";

/// Names and contents begin at multiples of this.
const ALIGNMENT: usize = 4;

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// An archive without entries.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds a folder. What lies in it comes later.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, FOLDER, (0, 0), &[]);
    }

    /// Adds a file that is run.
    pub fn program(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, PROGRAM, (0, 0), contents);
    }

    /// Adds any other file.
    pub fn plain(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, PLAIN, (0, 0), contents);
    }

    /// Adds a character device by its two numbers.
    pub fn device(&mut self, name: &str, numbers: (u32, u32)) {
        self.entry(name, CHARACTER_DEVICE, numbers, &[]);
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(contents.len()).expect("no file of the archive has 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("names are short");
        // Number, mode, owner, group, links, time, size, device of the file system, device, length of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, device and contents.
    type Entry = (String, u32, (u32, u32), Vec<u8>);

    /// The entries, read by what the format says and not by what the writer does.
    fn read(mut bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let total = bytes.len();
        while !bytes.is_empty() {
            assert_eq!((total - bytes.len()) % 4, 0);
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * index..14 + 8 * index]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = std::str::from_utf8(&bytes[110..110 + name_size - 1]).unwrap().to_owned();
            assert_eq!(bytes[110 + name_size - 1], 0);
            let start = (110 + name_size).next_multiple_of(4);
            let contents = bytes[start..start + size].to_vec();
            entries.push((name, field(1), (field(9), field(10)), contents));
            bytes = &bytes[(start + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn entries_are_read_back_and_the_last_one_is_the_trailer() {
        let mut archive = Archive::new();
        archive.folder("dev");
        archive.device("dev/console", (5, 1));
        archive.program("init", b"\x7fELF+");
        archive.plain("modules/a.ko", &[7; 4097]);
        let entries = read(&archive.finish());
        let modes: Vec<_> = entries.iter().map(|(name, mode, ..)| (name.as_str(), *mode)).collect();
        let expected = [
            ("dev", 0o40755),
            ("dev/console", 0o20600),
            ("init", 0o100755),
            ("modules/a.ko", 0o100644),
            ("TRAILER!!!", 0),
        ];
        assert_eq!(modes, expected);
        assert_eq!(entries[1].2, (5, 1));
        assert_eq!(entries[2].3, b"\x7fELF+");
        assert_eq!(entries[3].3, [7; 4097]);
    }

    #[test]
    fn the_first_bytes_are_those_of_the_format() {
        let mut archive = Archive::new();
        archive.plain("ab", b"x");
        let bytes = archive.finish();
        let expected = b"070701\
            00000001000081a40000000000000000000000010000000000000001\
            000000000000000000000000000000000000000300000000ab\0\0\0\0x\0\0\0";
        // 110 bytes of header and 3 of the name are padded to 116.
        let padded: Vec<u8> = [&expected[..113], &[0; 3], b"x\0\0\0"].concat();
        assert_eq!(&bytes[..120], padded);
    }
}
