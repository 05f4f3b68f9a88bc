//! Makes disk images with the host's own tools, and reads them with the host's own tools.

use sha2::{Digest, Sha256};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tests_runner::{child, host, setup};

/// An image to be made of a tree of files. Failures panic: this is for tests.
pub struct Maker {
    kind: &'static str,
    block_bytes: u32,
    size: String,
    features: Vec<String>,
    /// Requests to `debugfs` once the image is made.
    requests: String,
    folder: TempDir,
}

/// An image in a temporary folder of its own.
pub struct Image {
    path: PathBuf,
    /// Goes with the image.
    _folder: TempDir,
}

impl Maker {
    /// An image of a kind (`ext2`, `ext3`, `ext4`) with blocks of 1024, 2048 or 4096 bytes.
    pub fn new(kind: &'static str, block_bytes: u32) -> Maker {
        setup::set_up(&mut host::ThisMachine).unwrap_or_else(|failure| panic!("{failure}"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("tree")).expect("a folder for the tree");
        Maker { kind, block_bytes, size: "16M".into(), features: Vec::new(), requests: String::new(), folder }
    }

    /// As large as this, in the words of `mke2fs`.
    pub fn size(mut self, size: &str) -> Maker {
        self.size = size.into();
        self
    }

    /// With a feature, or without one by `^feature`.
    pub fn feature(mut self, feature: &str) -> Maker {
        self.features.push(feature.into());
        self
    }

    /// Where a path of the image is while the tree is being made.
    fn place(&self, path: &str) -> PathBuf {
        let place = self.folder.path().join("tree").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().expect("it is below the tree")).expect("the folders above it");
        place
    }

    /// Adds a file.
    pub fn file(self, path: &str, contents: &[u8]) -> Maker {
        std::fs::write(self.place(path), contents).expect("the file is written");
        self
    }

    /// Adds a file of a length that is a hole but for some bytes at some places.
    pub fn sparse_file(self, path: &str, length: u64, islands: &[(u64, &[u8])]) -> Maker {
        let mut file = std::fs::File::create(self.place(path)).expect("the file is made");
        file.set_len(length).expect("the file grows");
        for (offset, bytes) in islands {
            file.seek(SeekFrom::Start(*offset)).expect("seeks");
            file.write_all(bytes).expect("the island is written");
        }
        self
    }

    /// Adds a folder.
    pub fn folder(self, path: &str) -> Maker {
        std::fs::create_dir_all(self.place(path)).expect("the folder is made");
        self
    }

    /// Adds a file in many pieces: it is written where every other one of many small files has been removed.
    pub fn fragmented_file(mut self, path: &str, contents: &[u8]) -> Maker {
        let blocks = contents.len().div_ceil(self.block_bytes as usize);
        let filler = vec![b'-'; self.block_bytes as usize];
        for index in 0..2 * blocks {
            std::fs::write(self.place(&format!("filler/{index}")), &filler).expect("the filler is written");
            if index % 2 == 0 {
                self.requests += &format!("rm /filler/{index}\n");
            }
        }
        let source = self.folder.path().join(format!("fragmented-{}", self.requests.len()));
        std::fs::write(&source, contents).expect("the file is written");
        self.requests += &format!("write {} {path}\n", source.display());
        self
    }

    /// Has `debugfs` change the image once it is made.
    pub fn request(mut self, request: &str) -> Maker {
        self.requests += &format!("{request}\n");
        self
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Maker {
        symlink(target, self.place(path)).expect("the link is made");
        self
    }

    /// Makes the image.
    pub fn make(self) -> Image {
        let tree = self.folder.path().join("tree");
        let path = self.folder.path().join("disk.img");
        let mut mke2fs = host::command("mke2fs").expect("set-up has installed it");
        mke2fs.args(["-q", "-F", "-t", self.kind, "-b", &self.block_bytes.to_string()]);
        mke2fs.args(["-E", "root_owner=0:0,lazy_itable_init=0"]);
        if !self.features.is_empty() {
            mke2fs.arg("-O").arg(self.features.join(","));
        }
        run(mke2fs.arg("-d").arg(&tree).arg(&path).arg(&self.size));
        std::fs::remove_dir_all(&tree).expect("the tree is removed");
        let image = Image { path, _folder: self.folder };
        if !self.requests.is_empty() {
            image.debugfs_script_write(&self.requests);
        }
        image
    }

    /// Makes the image and has `e2fsck` check it, and give its large directories hash indices.
    pub fn make_indexed(self) -> Image {
        let image = self.make();
        let mut e2fsck = host::command("e2fsck").expect("set-up has installed it");
        let output = child::output(e2fsck.args(["-f", "-y", "-D"]).arg(image.path()));
        let output = output.unwrap_or_else(|failure| panic!("{failure}"));
        // 1: directories were changed, as they were meant to be.
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(matches!(output.status.code(), Some(0 | 1)), "e2fsck found damage:\n{text}");
        image
    }
}

impl Image {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in a folder of its own with these bytes, which need not be an image at all.
    pub fn of_bytes(bytes: &[u8]) -> Image {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("disk.img");
        std::fs::write(&path, bytes).expect("the file is written");
        Image { path, _folder: folder }
    }

    /// Its bytes, to be damaged for [`Image::of_bytes`].
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("the image is read")
    }

    /// What `debugfs` answers to a request.
    pub fn debugfs(&self, request: &str) -> Vec<u8> {
        let mut debugfs = host::command("debugfs").expect("set-up has installed it");
        run(debugfs.args(["-R", request]).arg(&self.path))
    }

    /// What `debugfs` answers to several requests, each after its echo.
    pub fn debugfs_script(&self, requests: &str) -> String {
        let mut debugfs = host::command("debugfs").expect("set-up has installed it");
        let script = self.script(requests);
        let output = run(debugfs.arg("-f").arg(script.path()).arg(&self.path));
        String::from_utf8_lossy(&output).into_owned()
    }

    fn debugfs_script_write(&self, requests: &str) {
        let mut debugfs = host::command("debugfs").expect("set-up has installed it");
        let script = self.script(requests);
        run(debugfs.args(["-w", "-f"]).arg(script.path()).arg(&self.path));
    }

    fn script(&self, requests: &str) -> tempfile::NamedTempFile {
        let mut script = tempfile::NamedTempFile::new().expect("a temporary file");
        script.write_all(requests.as_bytes()).expect("the script is written");
        script
    }

    /// Has `debugfs` change the image.
    pub fn debugfs_write(&self, request: &str) {
        let mut debugfs = host::command("debugfs").expect("set-up has installed it");
        run(debugfs.args(["-w", "-R", request]).arg(&self.path));
    }

    /// Where a block of a file lies.
    pub fn block(&self, path: &str, block: u64) -> u64 {
        let answer = String::from_utf8(self.debugfs(&format!("bmap \"{path}\" {block}"))).expect("a number");
        answer.trim().parse().expect("a number")
    }

    /// Where in the image the inode of a file is: byte.
    pub fn inode_place(&self, path: &str, block_bytes: u64) -> u64 {
        let answer = String::from_utf8(self.debugfs(&format!("imap \"{path}\""))).expect("text");
        let word = |label: &str| {
            let (_, rest) = answer.split_once(label).unwrap_or_else(|| panic!("no {label} in {answer}"));
            rest.split([',', '\n']).next().unwrap_or_default().to_owned()
        };
        let block: u64 = word("located at block ").parse().expect("a block");
        let offset = u64::from_str_radix(word("offset 0x").trim(), 16).expect("an offset");
        block * block_bytes + offset
    }

    /// The bytes of a file as the host reads them.
    pub fn read(&self, path: &str) -> Vec<u8> {
        self.debugfs(&format!("cat \"{path}\""))
    }

    /// The line that `sha256sum PATH` prints, by the host's reckoning.
    pub fn sha256sum_line(&self, path: &str) -> String {
        format!("{}  {path}\n", sha256(&self.read(path)))
    }
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that look random, the same for the same seed (xorshift64*, Vigna 2016).
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

fn run(command: &mut Command) -> Vec<u8> {
    child::succeed(command).unwrap_or_else(|failure| panic!("{failure}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_hold_what_was_put_into_them() {
        for (kind, block_bytes) in [("ext2", 1024), ("ext3", 2048), ("ext4", 4096)] {
            let image = Maker::new(kind, block_bytes)
                .file("folder/file", &noise(1, 10_000))
                .file("grüße aus köln", b"hello\n")
                .sparse_file("sparse", 3 << 20, &[(0, b"begin"), (2 << 20, b"island")])
                .symlink("link", "folder/file")
                .folder("empty")
                .make();
            assert_eq!(image.read("/folder/file"), noise(1, 10_000), "{kind}");
            assert_eq!(image.read("/grüße aus köln"), b"hello\n", "{kind}");
            let sparse = image.read("/sparse");
            assert_eq!((sparse.len(), &sparse[2 << 20..][..6]), (3 << 20, &b"island"[..]), "{kind}");
            let link = String::from_utf8(image.debugfs("stat /link")).unwrap();
            assert!(link.contains("Fast link dest: \"folder/file\""), "{link}");
            let shape = String::from_utf8(image.debugfs("stats -h")).unwrap();
            assert!(shape.contains(&format!("Block size:               {block_bytes}")), "{shape}");
        }
    }

    #[test]
    fn features_are_chosen() {
        let image = Maker::new("ext4", 1024).feature("^extents,^64bit").file("f", b"x").make();
        let shape = String::from_utf8(image.debugfs("stats -h")).unwrap();
        assert!(!shape.contains("extent") && shape.contains("has_journal"), "{shape}");
    }

    #[test]
    fn a_line_of_sha256sum_is_the_host_s() {
        let image = Maker::new("ext2", 1024).file("f", b"abc").make();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  /f\n";
        assert_eq!(image.sha256sum_line("/f"), expected);
    }

    #[test]
    fn noise_repeats_for_its_seed_alone() {
        assert_eq!(noise(7, 100), noise(7, 100));
        assert_ne!(noise(7, 100), noise(8, 100));
        assert_eq!(noise(7, 3), noise(7, 100)[..3]);
    }
}
