//! What is read from the disk, and above all what is not.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::diag::{Findings, text};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            dir.write(name, content);
        }
        dir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.path().join(name)).unwrap();
    }

    fn read(&self) -> (Vec<(String, String)>, Findings) {
        read(self.path())
    }
}

fn read(path: &Path) -> (Vec<(String, String)>, Findings) {
    let mut findings = Findings::default();
    let texts = read_dir_yaml(path, &mut findings.report, &mut findings.sources);
    let name = |file| {
        let name = findings.sources.name(file);
        Path::new(name).file_name().unwrap().to_str().unwrap().to_owned()
    };
    (texts.into_iter().map(|(file, text)| (name(file), text)).collect(), findings)
}

fn names(read: &[(String, String)]) -> Vec<&str> {
    read.iter().map(|(name, _)| name.as_str()).collect()
}

fn codes(findings: &Findings) -> Vec<Code> {
    findings.report.sorted().into_iter().map(Diagnostic::code).collect()
}

#[test]
fn yaml_files_are_read_in_order_and_nothing_else() {
    let dir = Dir::new(&[
        ("b.yaml", "b"),
        ("a.yml", "a"),
        ("c.YAML", "c"),
        (".hidden.yaml", "-"),
        (".#a.yaml", "-"),
        ("#a.yaml#", "-"),
        ("a.yaml~", "-"),
        ("~a.yaml", "-"),
        (".a.yaml.swp", "-"),
        ("a.test.yaml", "-"),
        ("b.test.yml", "-"),
        ("notes.md", "-"),
        ("yaml", "-"),
        ("sub/d.yaml", "-"),
    ]);
    let (texts, findings) = dir.read();
    assert_eq!(names(&texts), ["a.yml", "b.yaml", "c.YAML"]);
    assert!(findings.report.is_empty());
    let names: Vec<_> = findings.sources.files().map(|file| findings.sources.name(file).to_owned()).collect();
    assert_eq!(names[0], dir.path().join("a.yml").display().to_string());
}

#[test]
fn a_single_file_may_be_named() {
    let dir = Dir::new(&[("a.yaml", "\u{feff}a: 1"), ("b.yaml", "b")]);
    let (texts, _) = read(&dir.path().join("a.yaml"));
    assert_eq!(texts, [("a.yaml".to_owned(), "a: 1".to_owned())], "the byte order mark is gone");
}

#[test]
fn what_is_not_there_is_said() {
    let dir = Dir::new(&[]);
    let (texts, findings) = dir.read();
    assert_eq!((texts.len(), codes(&findings)), (0, vec![Code::NoBridges]));
    let (_, findings) = read(&dir.path().join("nope"));
    assert_eq!(codes(&findings), [Code::UnreadableFile]);
    assert!(text::render(&findings, text::Color::Never).contains("nope` can't be read: it does not exist"));
}

#[test]
fn text_that_is_not_utf_8_has_a_place() {
    let dir = Dir::new(&[("ok.yaml", "a")]);
    dir.write("latin.yaml", b"a: 1\nb: caf\xe9 x\n");
    dir.write("utf16.yaml", b"\xff\xfea\0:\0");
    let (texts, findings) = dir.read();
    assert_eq!(names(&texts), ["ok.yaml"]);
    assert_eq!(codes(&findings), [Code::NotUtf8, Code::NotUtf8]);
    let said = text::render(&findings, text::Color::Never);
    assert!(
        said.contains("latin.yaml:2:7\n") && said.contains("utf16.yaml:1:1\n") && said.contains("UTF-16"),
        "{said}"
    );
}

#[test]
fn sizes_are_bounded() {
    let dir = Dir::new(&[("ok.yaml", "a")]);
    dir.write("large.yaml", vec![b' '; MAX_BYTES + 1]);
    dir.write("full.yaml", vec![b' '; MAX_BYTES]);
    let (texts, findings) = dir.read();
    assert_eq!(names(&texts), ["full.yaml", "ok.yaml"]);
    assert_eq!(codes(&findings), [Code::FileTooLarge]);

    let sparse = dir.path().join("sparse.yaml");
    fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let begin = Instant::now();
    let (_, findings) = read(&sparse);
    assert_eq!(codes(&findings), [Code::FileTooLarge]);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn many_large_files_are_bounded_together() {
    let dir = Dir::new(&[]);
    dir.write("x", vec![b' '; MAX_BYTES]);
    for it in 0..20 {
        fs::hard_link(dir.path().join("x"), dir.path().join(format!("{it}.yaml"))).unwrap();
    }
    let (texts, findings) = dir.read();
    assert_eq!((texts.len(), codes(&findings)), (16, vec![Code::FileTooLarge]));
}

#[test]
fn too_many_files_are_refused() {
    let dir = Dir::new(&[]);
    for it in 0..=MAX_FILES {
        fs::File::create(dir.path().join(format!("{it}.yaml"))).unwrap();
    }
    let (texts, findings) = dir.read();
    assert_eq!((texts.len(), codes(&findings)), (0, vec![Code::FileTooLarge]));
}

#[cfg(unix)]
#[test]
fn links_are_followed_only_inside() {
    let outside = Dir::new(&[("secret.yaml", "secret"), ("dir/x.yaml", "x")]);
    let dir = Dir::new(&[("..2026_01/hr.yaml", "hr"), ("real.yaml", "real")]);
    // As Kubernetes mounts a ConfigMap.
    dir.link("..2026_01", "..data");
    dir.link("..data/hr.yaml", "hr.yaml");
    dir.link(outside.path().join("secret.yaml"), "stolen.yaml");
    dir.link("../../../../../../../../etc/passwd", "passwd.yaml");
    dir.link("gone.yaml", "dangling.yaml");
    dir.link("loop.yaml", "loop.yaml");
    dir.link(outside.path().join("dir"), "sub");
    let (texts, findings) = dir.read();
    assert_eq!(names(&texts), ["hr.yaml", "real.yaml"]);
    assert_eq!(
        codes(&findings),
        [Code::UnreadableFile, Code::UnreadableFile, Code::NotRegularFile, Code::NotRegularFile]
    );
    let said = text::render(&findings, text::Color::Never);
    assert!(!said.contains("root:") && !said.contains("secret\n"), "{said}");

    // The directory itself may be a link, and so may a file that is named.
    let links = Dir::new(&[]);
    links.link(dir.path(), "bridges");
    links.link(dir.path().join("real.yaml"), "named.yaml");
    assert_eq!(names(&read(&links.path().join("bridges")).0), ["hr.yaml", "real.yaml"]);
    assert_eq!(read(&links.path().join("named.yaml")).0[0].1, "real");
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_directories_are_never_opened() {
    let dir = Dir::new(&[("ok.yaml", "ok"), ("folder.yaml/x", "")]);
    let pipe = dir.path().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    let has_pipe = made.is_ok_and(|it| it.success());
    dir.link("/dev/zero", "device.yaml");
    dir.link("pipe.yaml", "link.yaml");
    let begin = Instant::now();
    let (texts, findings) = dir.read();
    assert_eq!(names(&texts), ["ok.yaml"]);
    let expected = if has_pipe { 4 } else { 3 };
    assert_eq!(findings.report.len(), expected);
    assert!(codes(&findings).iter().all(|it| matches!(it, Code::NotRegularFile | Code::UnreadableFile)));
    assert_eq!(codes(&read(Path::new("/dev/zero")).1), [Code::NotRegularFile]);
    if has_pipe {
        assert_eq!(codes(&read(&pipe).1), [Code::NotRegularFile]);
        assert_eq!(read_under(dir.path(), "pipe.yaml", 9), Err(FileError::NotRegular));
        assert_eq!(read_secret(dir.path(), "pipe.yaml"), Err(FileError::NotRegular));
    }
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn resource_files_stay_under_the_directory() {
    let dir = Dir::new(&[("base/docs/a.md", "text"), ("outside.md", "x")]);
    let base = dir.path().join("base");
    let read = |path: &str| read_under(&base, path, 10);
    assert_eq!(read("docs/a.md"), Ok(b"text".to_vec()));
    assert_eq!(read("./docs/a.md"), Ok(b"text".to_vec()));
    assert_eq!(read_under(&base, "docs/a.md", 3), Err(FileError::TooLarge(3)));
    assert_eq!(read_under(&base, "docs/a.md", usize::MAX), Ok(b"text".to_vec()));
    assert_eq!(read("docs"), Err(FileError::NotRegular));
    assert_eq!(read("docs/b.md"), Err(FileError::NotFound));
    for path in ["", "/etc/passwd", "../outside.md", "docs/../docs/a.md", "docs/../../outside.md", "a\0b"] {
        assert_eq!(read(path), Err(FileError::InvalidPath), "{path:?}");
    }
    #[cfg(unix)]
    {
        dir.link("/etc", "base/etc");
        dir.link("/etc/passwd", "base/passwd");
        dir.link("docs/a.md", "base/b.md");
        assert_eq!(read("etc/passwd"), Err(FileError::Outside));
        assert_eq!(read("passwd"), Err(FileError::Outside));
        assert_eq!(read("b.md"), Ok(b"text".to_vec()));
    }
}

#[test]
fn secrets_lose_one_line_break() {
    let dir = Dir::new(&[("a", "s3cret\n"), ("b", "s3cret\r\n"), ("c", "two\n\n"), ("d", "")]);
    let read = |path: &str| read_secret(dir.path(), path);
    assert_eq!([read("a"), read("b")], [Ok("s3cret".to_owned()), Ok("s3cret".to_owned())]);
    assert_eq!([read("c"), read("d")], [Ok("two\n".to_owned()), Ok(String::new())]);
    let absolute = dir.path().join("a");
    assert_eq!(read_secret(Path::new("/nowhere"), absolute.to_str().unwrap()), Ok("s3cret".to_owned()));
    assert_eq!(read("nope"), Err(FileError::NotFound));
    assert_eq!(read("."), Err(FileError::NotRegular));
    assert_eq!(read(""), Err(FileError::InvalidPath));
    dir.write("binary", [0xff]);
    dir.write("large", vec![b'x'; MAX_SECRET_BYTES + 1]);
    assert_eq!(read("binary"), Err(FileError::NotUtf8));
    assert_eq!(read("large"), Err(FileError::TooLarge(MAX_SECRET_BYTES)));
}

#[test]
fn the_environment_never_panics() {
    assert!(environment("PATH").is_some());
    for name in ["", "=", "a=b", "a\0b", "TOLLBRIDGE_SURELY_NOT_SET"] {
        assert_eq!(environment(name), None, "{name:?}");
    }
}

#[test]
fn a_revision_is_the_content() {
    let of = |files: &[(&str, &str)]| Revision::of(files.iter().map(|(name, text)| (*name, text.as_bytes())));
    let one = of(&[("a", "1"), ("b", "2")]);
    assert_eq!(one, of(&[("b", "2"), ("a", "1")]));
    assert_eq!(one.as_str().len(), 12);
    assert!(one.to_string().chars().all(|it| it.is_ascii_hexdigit()));
    for other in [of(&[("a", "1"), ("b", "3")]), of(&[("a", "1b"), ("", "2")]), of(&[("a1", ""), ("b", "2")]), of(&[])]
    {
        assert_ne!(one, other);
    }
}
