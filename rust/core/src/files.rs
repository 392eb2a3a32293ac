//! Paths -> regular files, and bytes -> files that never stand half written.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where a NUL makes a file a binary one, as git and grep tell them.
pub const BINARY_PROBE: usize = 8192;

/// What is taken from a directory beside its plain text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walk {
    /// Hidden files and directories.
    pub hidden: bool,
    /// Files that hold a NUL byte within their first 8 kB, as git and grep tell binary files.
    pub binary: bool,
}

/// The files that `paths` name, each list sorted: a file is itself, a directory all files below it that `.gitignore`
/// and the like do not exclude, anything else is tried as a glob.
///
/// A directory that cannot be listed stands in the result itself, so that reading it reports why.
pub fn expand(paths: &[PathBuf], options: Walk) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(walk(path, options, |_| true));
        } else if path.exists() {
            files.push(path.clone());
        } else {
            files.extend(glob(path, options)?);
        }
    }
    Ok(files)
}

fn walk(directory: &Path, options: Walk, keep: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut builder = ignore::WalkBuilder::new(directory);
    // Sorted by name folder by folder is sorted as a whole.
    builder.hidden(!options.hidden).require_git(false).sort_by_file_name(std::ffi::OsStr::cmp);
    for entry in builder.build() {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                // What is neither is a link to either, or a device.
                let is_file = entry.file_type().is_some_and(|kind| kind.is_file() || !kind.is_dir() && path.is_file());
                if is_file && keep(path) && (options.binary || !is_binary(path)) {
                    files.push(entry.into_path());
                }
            }
            Err(error) => files.push(path_of(&error).unwrap_or(directory).to_path_buf()),
        }
    }
    files
}

/// Whether a NUL stands in the first 8 kB; a file that cannot be read is not, so that reading it reports why.
pub(crate) fn is_binary(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BINARY_PROBE as u64).read_to_end(&mut head));
    read.is_ok() && head.contains(&0)
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

fn glob(pattern: &Path, options: Walk) -> Result<Vec<PathBuf>> {
    let missing = |reason: &str| Error::Io {
        path: pattern.into(),
        source: std::io::Error::new(std::io::ErrorKind::NotFound, reason.to_owned()),
    };
    let text = pattern.to_string_lossy();
    let Some(first) = text.find(['*', '?', '[', '{']) else { return Err(missing("no such file or directory")) };
    let matcher = globset::GlobBuilder::new(&text)
        .literal_separator(true)
        .build()
        .map_err(|error| missing(&format!("no such file, and not a glob: {error}")))?
        .compile_matcher();
    // The directory part before the first wildcard is where the walk begins.
    let root = text[..first].rfind(std::path::is_separator).map_or("", |end| &text[..=end]);
    let (root, strip) = if root.is_empty() { (Path::new("."), true) } else { (Path::new(root), false) };
    let mut files =
        walk(root, options, |path| matcher.is_match(if strip { path.strip_prefix(".").unwrap_or(path) } else { path }));
    if strip {
        files = files.into_iter().map(|path| path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path)).collect();
    }
    if files.is_empty() { Err(missing("no file matches")) } else { Ok(files) }
}

/// Writes a file so that a crash leaves either the old content or the new: a temporary file beside it, flushed to the
/// disk, then renamed over it, and the directory flushed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// As [`write_atomically`], for content that is made while it is written.
pub fn write_atomically_with(
    path: &Path,
    content: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = move || -> std::io::Result<()> {
        let mut options = std::fs::File::options();
        options.read(true).write(true).create_new(true);
        // Temporary files are private; the final one has the permissions of the file it replaces, or the usual ones.
        #[cfg(unix)]
        {
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            options.mode(std::fs::metadata(path).map_or(0o666, |metadata| metadata.permissions().mode()));
        }
        // Opened here, so that an error is the system's own: with its number, without the name of a temporary file.
        let mut file = tempfile::Builder::new().prefix(".tokfast-").make_in(directory, |path| options.open(path))?;
        content(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        #[cfg(unix)]
        std::fs::File::open(directory)?.sync_all()?;
        Ok(())
    };
    write().map_err(Error::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_globs_and_ignored_files() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.txt", "a"),
            ("sub/b.txt", "b"),
            ("sub/c.md", "c"),
            (".hidden", "h"),
            ("skip.log", "l"),
            ("data.bin", "a\0b"),
            (".gitignore", "*.log"),
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let names = |paths: &[&str], hidden| -> Vec<String> {
            let options = Walk { hidden, binary: false };
            let paths: Vec<PathBuf> = paths.iter().map(|path| root.path().join(path)).collect();
            let found = expand(&paths, options).unwrap();
            found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(&[""], false), ["a.txt", "sub/b.txt", "sub/c.md"]);
        assert_eq!(names(&[""], true), [".gitignore", ".hidden", "a.txt", "sub/b.txt", "sub/c.md"]);
        assert_eq!(names(&["skip.log"], false), ["skip.log"], "named explicitly");
        assert_eq!(names(&["data.bin"], false), ["data.bin"], "named explicitly");
        assert_eq!(names(&["**/*.txt"], false), ["a.txt", "sub/b.txt"]);
        assert_eq!(names(&["*.txt"], false), ["a.txt"]);
        assert!(matches!(expand(&[root.path().join("none")], Walk::default()), Err(Error::Io { .. })));
        assert!(matches!(expand(&[root.path().join("*.none")], Walk::default()), Err(Error::Io { .. })));
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        for place in ["no/such/file", "file/below"] {
            let refused = write_atomically(&root.path().join(place), b"x").unwrap_err();
            assert!(matches!(&refused, Error::Io { source, .. } if source.raw_os_error().is_some()), "{refused}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
