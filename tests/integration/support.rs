//! What the integration tests share: the binary, the committed corpora, JSON whose numbers keep their text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cassport::discover::InputOptions;
use cassport::extract::{CommitLogOptions, ExtractOptions, OnCorrupt, OutputTarget, RecordOptions};
use cassport::io::ReadMode;
use cassport::output::{Compression, JsonNumbers, MetadataMode, Profile};

/// The lines of Cassandra that `testdata` has a corpus of.
pub(crate) const LINES: [&str; 5] = ["3.0", "3.11", "4.0", "4.1", "5.0"];

/// The one whose SSTables are of the BTI format; it has fewer tables than the others.
pub(crate) const BTI_LINE: &str = "5.0-bti";

/// Those of which it has a small one: no `system_schema`, and none of what came later.
pub(crate) const LEGACY_LINES: [&str; 2] = ["2.1", "2.2"];

/// True for an SSTable of 2.x or older, whose files say nothing of their schema.
pub(crate) fn is_legacy_sstable(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    ["jb-", "ka-", "la-", "lb-"].iter().any(|letters| name.contains(letters))
}

/// A path below the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Files that are shared beside the repository and not part of it; none with a loud word where they are absent.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root =
        std::env::var_os("CASSPORT_SHARED").map_or_else(|| repository("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("SKIPPED: {} is not there", found.display());
    None
}

/// The same numbers everywhere for one seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// Of `CASSPORT_SEED`, or else 1; `more` makes different ones of one seed.
    pub(crate) fn new(more: u64) -> Self {
        let seed = std::env::var("CASSPORT_SEED").map_or(1, |text| text.parse().unwrap());
        Self(seed + more)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// How often a test kills: `CASSPORT_KILLS`.
pub(crate) fn kills() -> usize {
    std::env::var("CASSPORT_KILLS").map_or(12, |text| text.parse().unwrap())
}

/// An extract of some tables that writes nothing, by one thread.
pub(crate) fn extract_options(data: &Path, tables: Vec<String>, now: i64) -> ExtractOptions {
    ExtractOptions {
        commit_log: CommitLogOptions::default(),
        input: InputOptions {
            data_dirs: vec![data.to_path_buf()],
            tables,
            read_mode: ReadMode::Read,
            ..InputOptions::default()
        },
        output: OutputTarget::Discard,
        s3: Default::default(),
        share: Default::default(),
        read_rate: None,
        heartbeat: std::time::Duration::from_secs(10),
        records: RecordOptions {
            profile: Profile::Jsonl,
            metadata: MetadataMode::None,
            writetime: None,
            expires_column: None,
            include_columns: Vec::new(),
            exclude_columns: Vec::new(),
            rename: Default::default(),
            column_types: Default::default(),
            json_numbers: JsonNumbers::Number,
            compression: Compression::None,
            ..RecordOptions::new(Profile::Jsonl)
        },
        now,
        now_given: true,
        deletes: false,
        threads: 1,
        memory: 256 << 20,
        file_size: 256 << 20,
        on_corrupt: OnCorrupt::Fail,
        overwrite: false,
    }
}

/// The binary with `arguments`, and nothing of the caller's configuration.
pub(crate) fn cassport<I: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = I>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cassport"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CASSPORT_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Runs a command and fails with both of its streams unless it ends with `code`.
pub(crate) fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}\nstdout: {}\nstderr: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// All files below `directory` with their content, by name.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, out);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(directory, directory, &mut out);
    out
}

/// Copies a directory.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A data root with the schema, the node and the table `storage.lz4` of 4.1, which has two SSTables; and the table's folder.
pub(crate) fn small_data(root: &Path) -> PathBuf {
    let from = repository("testdata/4.1/data");
    for keyspace in ["system", "system_schema"] {
        copy_tree(&from.join(keyspace), &root.join(keyspace));
    }
    let mut folders = std::fs::read_dir(from.join("storage")).unwrap().map(|e| e.unwrap().path());
    let table =
        folders.find(|f| f.file_name().unwrap().to_str().unwrap().starts_with("lz4-")).unwrap();
    let copy = root.join("storage").join(table.file_name().unwrap());
    copy_tree(&table, &copy);
    copy
}

/// JSON whose numbers keep their text and whose objects keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one document.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parser = JsonParser { text, pos: 0 };
        let value = parser.value();
        parser.blanks();
        assert_eq!(parser.pos, text.len(), "text behind the JSON: {text}");
        value
    }

    /// The member `name` of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The members of an object.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            other => panic!("not an object: {other:?}"),
        }
    }

    /// The elements of an array.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            other => panic!("not an array: {other:?}"),
        }
    }

    /// A text.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }
}

struct JsonParser<'a> {
    text: &'a str,
    pos: usize,
}

impl JsonParser<'_> {
    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.pos += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    fn eat(&mut self, c: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(c);
        self.pos += usize::from(found);
        found
    }

    fn value(&mut self) -> Json {
        self.blanks();
        match self.peek().unwrap_or_else(|| panic!("no value in {}", self.text)) {
            b'{' => {
                self.pos += 1;
                let mut members = Vec::new();
                while !self.eat(b'}') {
                    let Json::Text(name) = self.value() else { panic!("a name that is no text") };
                    assert!(self.eat(b':'));
                    members.push((name, self.value()));
                    self.eat(b',');
                }
                Json::Object(members)
            }
            b'[' => {
                self.pos += 1;
                let mut elements = Vec::new();
                while !self.eat(b']') {
                    elements.push(self.value());
                    self.eat(b',');
                }
                Json::Array(elements)
            }
            b'"' => {
                let start = self.pos;
                self.pos += 1;
                while self.peek() != Some(b'"') {
                    self.pos += if self.peek() == Some(b'\\') { 2 } else { 1 };
                }
                self.pos += 1;
                let literal = &self.text.as_bytes()[start..self.pos];
                Json::Text(serde_json::from_slice(literal).unwrap())
            }
            _ => {
                let start = self.pos;
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
                {
                    self.pos += 1;
                }
                match &self.text[start..self.pos] {
                    "null" => Json::Null,
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    number => {
                        assert!(!number.is_empty(), "no value at {start} of {}", self.text);
                        Json::Number(number.to_owned())
                    }
                }
            }
        }
    }
}

/// The files of an output without what depends on when it was made: the times of the run, and the last status.
pub(crate) fn without_times(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> BTreeMap<String, Vec<u8>> {
    let mut stable = BTreeMap::new();
    for (name, mut bytes) in files {
        if name.ends_with("/status.json") {
            continue;
        }
        if name.ends_with(".json") {
            let text = String::from_utf8(bytes).unwrap();
            let keep =
                |line: &&str| !line.contains("\"started\"") && !line.contains("\"finished\"");
            bytes = text.lines().filter(keep).collect::<Vec<_>>().join("\n").into_bytes();
        }
        stable.insert(name, bytes);
    }
    stable
}

/// What a program said.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `command` in a mount namespace of its own where `directory` is a file system of `kilobytes`; what is in it then is
/// copied to `copy`. None with a loud word where that is not allowed.
pub(crate) fn on_a_small_disk(
    command: &Command,
    directory: &Path,
    kilobytes: u32,
    copy: &Path,
) -> Option<Output> {
    std::fs::create_dir_all(directory).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k none \"$1\" || exit 99; cp -a \"$2/.\" \"$1\" 2>/dev/null; shift 2\n\
         \"$@\"; code=$?; rm -rf \"{copy}\"; cp -a \"{0}\" \"{copy}\"; exit $code",
        directory.display(),
        copy = copy.display()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", &script, "sh"]).arg(directory).arg(copy);
    unshare.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => unshare.env(name, value),
            None => unshare.env_remove(name),
        };
    }
    let done = unshare.output();
    match done {
        Ok(done) if done.status.code() != Some(99) && !stderr(&done).starts_with("unshare:") => {
            Some(done)
        }
        other => {
            eprintln!("SKIPPED: no file system can be mounted here: {other:?}");
            None
        }
    }
}
